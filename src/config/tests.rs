//! Tests of the configuration: the file, the command line and the defaults together, and mistakes in them.

use super::*;

fn setting(option: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.option == option).expect("a setting")
}

fn options(pairs: &[(&str, &str)]) -> Options {
    let mut options = Options::default();
    for (option, value) in pairs {
        options.add(setting(option), value).expect("a valid option");
    }
    options
}

/// Loads `text` as the configuration file, overlaid by these options.
fn load(text: &str, pairs: &[(&str, &str)]) -> Result<Config, (String, String)> {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("config.json");
    std::fs::write(&file, text).expect("a file");
    let mut options = options(pairs);
    options.set_config(file.to_str().expect("UTF-8")).expect("a path");
    Config::load(options).map_err(|mistakes| {
        let first = mistakes.list()[0].clone();
        assert_eq!(Path::new(&first.file), file);
        (first.pointer, first.reason)
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, Secret)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

#[test]
fn a_factory_value_is_not_shown() {
    let mut options = Options::default();
    let setting = SETTINGS.iter().find(|setting| setting.option == "set").expect("the setting");
    options.add(setting, "Device.ManagementServer.Password=hunter2").expect("an assignment");
    let shown = format!("{:?}", Config::load(options).expect("a configuration"));
    assert!(shown.contains("ManagementServer.Password") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_defaults_are_those_of_the_interface() {
    let config = Config::load(Options::default()).expect("defaults");
    assert_eq!(config.data_model, [PathBuf::from("/etc/cpe-agent/data-model.json")]);
    assert!(config.factory_values.is_empty());
    assert_eq!(config.state_dir, Path::new("/var/lib/cpe-agent"));
    assert_eq!(config.listen.to_string(), "[::]:7547");
    assert_eq!(config.udp_listen.to_string(), "0.0.0.0:7547");
    assert_eq!(config.control, Path::new("/var/run/cpe-agent.sock"));
    assert_eq!(config.boot_id, Path::new("/proc/sys/kernel/random/boot_id"));
    assert_eq!((&config.ca_file, &config.client_cert, &config.client_key), (&None, &None, &None));
    assert_eq!((config.log, config.log_to), (LevelFilter::Info, Destination::Stderr));
}

#[test]
fn every_default_of_the_table_is_the_one_in_force() {
    for setting in SETTINGS {
        let Some(default) = setting.default else {
            continue;
        };
        let said = Config::load(options(&[(setting.option, default)])).expect("a valid default");
        let plain = Config { options: said.options.clone(), ..Config::default() };
        assert_eq!(said, plain, "{}", setting.key);
    }
}

#[test]
fn a_key_is_its_option_in_camel_case() {
    for setting in SETTINGS {
        let mut key = String::new();
        for (at, word) in setting.option.split('-').enumerate() {
            let (first, rest) = word.split_at(1);
            key.push_str(&if at == 0 { first.to_owned() } else { first.to_uppercase() });
            key.push_str(rest);
        }
        assert_eq!(setting.key, key);
    }
}

const EVERYTHING: &str = r#"{
    "dataModel": ["a.json", "b.json"], "optionalDataModel": ["c.json"], "set": {"Device.A": "1", "Device.B": ""},
    "stateDir": "state", "transferDir": "files", "listen": "127.0.0.1:0", "udpListen": "[::1]:1", "control": "sock",
    "dhcpDir": "dhcp", "bootId": "boot", "caFile": "ca.pem", "clientCert": "cert.pem", "clientKey": "key.pem",
    "acsTimeout": "60", "metrics": "m.prom", "log": "trace", "logTo": "syslog" }"#;

#[test]
fn the_file_has_every_key() {
    let config = load(EVERYTHING, &[]).expect("a valid file");
    assert_eq!(config.data_model, [PathBuf::from("a.json"), PathBuf::from("b.json")]);
    assert_eq!(config.optional_data_model, [PathBuf::from("c.json")]);
    assert_eq!(config.factory_values, pairs(&[("Device.A", "1"), ("Device.B", "")]));
    assert_eq!((config.state_dir.as_path(), config.control.as_path()), (Path::new("state"), Path::new("sock")));
    assert_eq!(config.transfer_dir.as_deref(), Some(Path::new("files")));
    assert_eq!((config.listen.port(), config.udp_listen.to_string().as_str()), (0, "[::1]:1"));
    assert_eq!((config.boot_id, config.ca_file), (PathBuf::from("boot"), Some(PathBuf::from("ca.pem"))));
    assert_eq!((config.client_cert, config.client_key), (Some("cert.pem".into()), Some("key.pem".into())));
    assert_eq!((config.log, config.log_to), (LevelFilter::Trace, Destination::Syslog));
    assert_eq!(config.acs_timeout, Duration::from_secs(60));
    assert_eq!(config.metrics, Some(PathBuf::from("m.prom")));
    let Ok(serde_json::Value::Object(members)) = serde_json::from_str(EVERYTHING) else { panic!("JSON") };
    assert!(SETTINGS.iter().all(|setting| members.contains_key(setting.key)));
}

/// Editors complete the file by the schema.
#[test]
fn the_schema_has_every_key() {
    let text = include_str!("../../docs/config.schema.json");
    let schema: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let properties = schema["properties"].as_object().expect("the keys");
    let keys: Vec<&str> = properties.keys().map(String::as_str).filter(|key| *key != "$schema").collect();
    let mut known: Vec<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    known.sort_unstable();
    assert_eq!(keys, known, "docs/config.schema.json");
}

#[test]
fn a_number_needs_no_quotes_in_the_file() {
    let config = load(r#"{"acsTimeout": 45}"#, &[]).expect("a valid file");
    assert_eq!(config.acs_timeout, Duration::from_secs(45));
}

#[test]
fn an_option_wins_over_the_file() {
    let said = [
        ("data-model", "c.json"),
        ("optional-data-model", "e.json"),
        ("data-model", "d.json"),
        ("optional-data-model", "f.json"),
        ("set", "Device.A=2"),
        ("set", "Device.C=x=y"),
        ("set", "Device.C=z"),
        ("state-dir", "other"),
        ("listen", "10.0.0.1:80"),
        ("log", "error"),
        ("log", "warn"),
    ];
    let config = load(EVERYTHING, &said).expect("a valid file");
    // The list replaces that of the file; single values overlay it.
    assert_eq!(config.data_model, [PathBuf::from("c.json"), PathBuf::from("d.json")]);
    assert_eq!(config.optional_data_model, [PathBuf::from("e.json"), PathBuf::from("f.json")]);
    assert_eq!(config.factory_values, pairs(&[("Device.B", ""), ("Device.A", "2"), ("Device.C", "z")]));
    assert_eq!((config.state_dir, config.listen.port()), (PathBuf::from("other"), 80));
    assert_eq!((config.log, config.log_to), (LevelFilter::Warn, Destination::Syslog));
}

const ALL_KEYS: &str = "there is no such key; the keys are dataModel, optionalDataModel, set, stateDir, transferDir, listen, udpListen, \
                        control, dhcpDir, bootId, caFile, clientCert, clientKey, acsTimeout, metrics, log, logTo";

#[test]
fn what_is_wrong_in_the_file_is_named_by_pointer_and_reason() {
    for (text, pointer, reason) in [
        ("", "", "not JSON: line 1, column 0: the text ends too early"),
        ("{\"log\": \"info\",}", "", "not JSON: line 1, column 16: a comma stands behind the last one"),
        ("[]", "", "an object is expected, not a list"),
        ("{\"a/b~c\": 1}", "/a~1b~0c", ALL_KEYS),
        ("{\"state-dir\": \"x\"}", "/state-dir", "there is no such key; did you mean `stateDir`?"),
        ("{\"stateDir\": 1}", "/stateDir", "a string is expected, not a number"),
        ("{\"stateDir\": \"\"}", "/stateDir", "a file name is expected"),
        ("{\"caFile\": null}", "/caFile", "a string is expected, not null"),
        ("{\"dataModel\": \"a\"}", "/dataModel", "a list of strings is expected, not a string"),
        ("{\"dataModel\": []}", "/dataModel", "at least one file is needed"),
        ("{\"dataModel\": [\"a\", true]}", "/dataModel/1", "a string is expected, not a boolean"),
        ("{\"dataModel\": [\"\"]}", "/dataModel/0", "a file name is expected"),
        ("{\"set\": [\"a\"]}", "/set", "an object of strings is expected, not a list"),
        ("{\"set\": {\"Device.A\": 1}}", "/set/Device.A", "a string is expected, not a number"),
        ("{\"set\": {\"\": \"1\"}}", "/set/", "a path is expected"),
        ("{\"listen\": \"7547\"}", "/listen", "`7547` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
        ("{\"udpListen\": \"::1\"}", "/udpListen", "`::1` is not ADDR:PORT, such as 0.0.0.0:7547 or [::]:7547"),
        ("{\"acsTimeout\": 0}", "/acsTimeout", "a number of seconds from 1 to 3600 is expected"),
        ("{\"acsTimeout\": 2.5}", "/acsTimeout", "a number of seconds from 1 to 3600 is expected"),
        ("{\"acsTimeout\": true}", "/acsTimeout", "a string is expected, not a boolean"),
        ("{\"log\": \"INFO\"}", "/log", "`INFO` is not error, warn, info, debug or trace"),
        ("{\"logTo\": \"file\"}", "/logTo", "`file` is not stderr or syslog"),
        ("{\"clientCert\": \"c\"}", "/clientCert", "`clientKey` is missing, and is needed together with it"),
        ("{\"clientKey\": \"k\"}", "/clientKey", "`clientCert` is missing, and is needed together with it"),
    ] {
        assert_eq!(load(text, &[]), Err((pointer.to_owned(), reason.to_owned())), "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let mut options = Options::default();
    options.set_config("/nowhere/config.json").expect("a path");
    let error = Config::load(options).expect_err("no such file").to_string();
    assert!(error.starts_with("/nowhere/config.json: cannot be opened: "), "{error}");
    let (pointer, reason) = load(&" ".repeat(MAX_FILE as usize + 1), &[]).expect_err("too large");
    assert_eq!((pointer.as_str(), reason.as_str()), ("", "is larger than 1 MiB"));
    let deep = load(&"[".repeat(100_000), &[]).expect_err("too deep").1;
    assert!(deep.contains("nested too deep"), "{deep}");
}

#[test]
fn no_damage_to_the_file_panics() {
    for end in (0..EVERYTHING.len()).step_by(3) {
        assert!(load(&EVERYTHING[..end], &[]).is_err(), "cut at {end}");
    }
    for at in 0..EVERYTHING.len() {
        let mut text = EVERYTHING.as_bytes().to_vec();
        text[at] ^= 1;
        if let Ok(text) = String::from_utf8(text) {
            let _ = load(&text, &[]);
        }
    }
}

#[test]
fn a_certificate_may_come_from_the_file_and_its_key_from_an_option() {
    assert!(load("{\"clientCert\": \"c\"}", &[("client-key", "k")]).is_ok());
    let error = Config::load(options(&[("client-key", "k")])).expect_err("no certificate");
    assert_eq!(error.to_string(), "--client-key: --client-cert is missing, and is needed together with it");
    let error = Config::load(options(&[("client-cert", "c")])).expect_err("no key");
    assert_eq!(error.to_string(), "--client-cert: --client-key is missing, and is needed together with it");
}

#[test]
fn options_are_checked_when_they_are_taken() {
    for (option, value) in [
        ("listen", "localhost:80"),
        ("listen", "0.0.0.0:65536"),
        ("udp-listen", ":7547"),
        ("log", ""),
        ("log-to", "/dev/null"),
        ("set", "Device.A"),
        ("set", "=1"),
        ("data-model", ""),
        ("state-dir", "a\0b"),
    ] {
        assert!(Options::default().add(setting(option), value).is_err(), "--{option} {value:?}");
    }
}

#[test]
fn reading_again_takes_the_file_anew_under_the_same_options() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("config.json");
    std::fs::write(&file, r#"{"log": "warn", "control": "a"}"#).expect("a file");
    let mut options = options(&[("control", "b")]);
    options.set_config(file.to_str().expect("UTF-8")).expect("a path");
    let config = Config::load(options).expect("a valid file");
    assert_eq!((config.log, config.control.as_path()), (LevelFilter::Warn, Path::new("b")));
    std::fs::write(&file, r#"{"log": "debug", "control": "c"}"#).expect("a file");
    let again = config.reload().expect("a valid file");
    assert_eq!((again.log, again.control.as_path()), (LevelFilter::Debug, Path::new("b")));
    std::fs::write(&file, "{").expect("a file");
    assert!(config.reload().is_err());
}

#[test]
fn what_a_running_agent_cannot_leave_is_kept() {
    let running = load(r#"{"stateDir": "a", "control": "b"}"#, &[]).expect("a valid file");
    let mut again = load(r#"{"stateDir": "c", "control": "b", "log": "warn"}"#, &[]).expect("a valid file");
    assert_eq!(again.keep_fixed_paths(&running), ["stateDir"]);
    assert_eq!((again.state_dir.as_path(), again.log), (Path::new("a"), LevelFilter::Warn));
    assert!(again.keep_fixed_paths(&running).is_empty());
}

#[test]
fn all_mistakes_of_the_file_are_named() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("config.json");
    let text = r#"{ "dataModel": ["a", 1, ""], "log": "loud", "set": { "A": 1, "B": "b", "B": "c", "": "" },
                    "colour": 1, "clientCert": "c", "log": "info" }"#;
    std::fs::write(&file, text).expect("a file");
    let mut options = options(&[("client-cert", "c")]);
    options.set_config(file.to_str().expect("UTF-8")).expect("a path");
    let mistakes = Config::load(options).expect_err("mistakes");
    let places: Vec<&str> = mistakes.list().iter().map(|mistake| mistake.pointer.as_str()).collect();
    let expected = ["/log", "/set/B", "/dataModel/1", "/dataModel/2", "/log", "/set/A", "/set/", "/colour", ""];
    assert_eq!(places, expected, "{mistakes:#?}");
    assert_eq!(mistakes.list()[8].file, "--client-cert");
}
