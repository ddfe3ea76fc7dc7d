//! GetParameterNames, GetParameterValues and SetParameterValues of the real agent.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::gateway::{BOOT, Model, SOON, TR_098, TR_181, model_file};
use crate::support::message::Name;
use crate::support::{
    Acs, AcsOptions, Message, empty_post, fault, get_parameter_names, get_parameter_values, inform, inform_response,
    no_content, response, set_parameter_values,
};

const KEY: &str = "ManagementServer.ParameterKey";
const NTP: &str = "Time.NTPServer1";
const INTERVAL: &str = "ManagementServer.PeriodicInformInterval";

/// Returns the parameters of the model file with their members, `{i}` in place of instance numbers.
fn described(model: &'static Model) -> BTreeMap<String, Json> {
    fn collect(node: &Json, path: &str, found: &mut BTreeMap<String, Json>) {
        for (name, member) in node.as_object().into_iter().flatten() {
            let path = format!("{path}{name}");
            if member.get("type").is_some() {
                found.insert(path, member.clone());
            } else if name.starts_with(|first: char| first.is_ascii_uppercase() || first == '{') {
                collect(member, &format!("{path}."), found);
            }
        }
    }
    let text = std::fs::read_to_string(model_file(model.file)).expect("a shipped model");
    let mut found = BTreeMap::new();
    collect(&serde_json::from_str(&text).expect("JSON"), "", &mut found);
    found
}

/// `Device.Hosts.Host.1.Active` as a model describes it: `Device.Hosts.Host.{i}.Active`.
fn template(path: &str) -> String {
    let parts = path.split('.').map(|part| match part.parse::<u32>() {
        Ok(_) => "{i}",
        Err(_) => part,
    });
    parts.collect::<Vec<_>>().join(".")
}

/// R72, R177, R178, R184 to R187, R191, R192: names, types and writability of everything are those of the model.
fn the_whole_tree(model: &'static Model) {
    let described = described(model);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(get_parameter_names("", false));
    acs.enqueue(get_parameter_values(&[""]));
    let _agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let names = &session.response("GetParameterNames").names;
    let values = &session.response("GetParameterValues").parameters;

    assert_eq!(names[0].name, model.at(""), "R185");
    let (objects, parameters): (Vec<_>, Vec<_>) = names.iter().partition(|entry| entry.name.ends_with('.'));
    assert!(parameters.len() >= 500, "{} parameters", parameters.len());
    let valued: Vec<&str> = values.iter().map(|entry| entry.name.as_str()).collect();
    let named: Vec<&str> = parameters.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(named, valued, "R191");
    for entry in &parameters {
        let of_model = described.get(&template(&entry.name)).unwrap_or_else(|| panic!("{}", entry.name));
        assert_eq!(entry.writable, of_model.get("access") == Some(&"readWrite".into()), "R192: {}", entry.name);
    }
    for entry in values {
        let of_model = &described[&template(&entry.name)];
        let is_list = of_model.get("list") == Some(&true.into());
        let kind = if is_list { "string" } else { of_model["type"].as_str().expect("a type") };
        let kind = if kind == "base64" { "base64Binary" } else { kind }; // as XML Schema calls it
        assert_eq!(entry.kind, format!("xsd:{kind}"), "R72: {}", entry.name);
        if of_model.get("hidden") == Some(&true.into()) {
            assert_eq!(entry.value, "", "R334: {}", entry.name);
        }
    }
    // No parameter of the model outside of tables is missing, and no placeholder is listed (R187).
    for path in described.keys().filter(|path| template(path) == **path && !path.contains("{i}")) {
        assert!(named.contains(&path.as_str()), "{path} is not listed");
    }
    assert!(!names.iter().any(|entry| entry.name.contains('{')));
    // Every parent is listed, and before its children.
    let mut seen = std::collections::HashSet::from([""]);
    for entry in names {
        let whole = entry.name.trim_end_matches('.');
        let parent = whole.rsplit_once('.').map_or("", |(parent, _)| parent);
        assert!(seen.contains(parent), "{} comes before its parent", entry.name);
        assert!(seen.insert(whole), "{} twice", entry.name);
    }
    assert!(objects.iter().any(|entry| entry.writable), "tables that take instances");
}
both_models!(the_whole_tree);

/// R185, R186, R190: requests level by level from the empty path, as GenieACS sends them, find the same names as one
/// request for all.
fn level_by_level(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(get_parameter_names("", false));
    let mut agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let everything = session.response("GetParameterNames").names.clone();

    let objects = everything.iter().filter(|entry| entry.name.ends_with('.'));
    let paths: Vec<String> = std::iter::once(String::new()).chain(objects.map(|entry| entry.name.clone())).collect();
    paths.iter().for_each(|path| acs.enqueue(get_parameter_names(path, true)));
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    let levels = session.responses("GetParameterNames");
    assert_eq!(levels.len(), paths.len());
    let mut found = Vec::new();
    for (path, level) in paths.iter().zip(levels) {
        for entry in &level.names {
            let rest = entry.name.strip_prefix(path.as_str()).unwrap_or_else(|| panic!("{} below {path}", entry.name));
            assert_eq!(rest.trim_end_matches('.').matches('.').count(), 0, "{} in {path}", entry.name);
            assert_ne!(rest, "", "the object itself in {path}");
            found.push(entry.clone());
        }
    }
    let sorted = |mut names: Vec<Name>| {
        names.sort_by(|a, b| a.name.cmp(&b.name));
        names
    };
    assert_eq!(sorted(found), sorted(everything));
}
both_models!(level_by_level);

/// R185 to R189, R76: the limits of GetParameterNames.
fn get_parameter_names_at_its_edges(model: &'static Model) {
    let interval = model.at(INTERVAL);
    let (root, hosts) = (model.at(""), model.hosts);
    let miscased = format!("{}{}", root[..1].to_lowercase(), &model.at("Time.")[1..]);
    let other = if model.root == TR_181.root { &TR_098 } else { &TR_181 };
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_names("", true));
    let only = |name: &'static str| {
        response("GetParameterNames").checked(&format!("just {name}"), move |message: &Message| {
            message.names.iter().map(|entry| entry.name.as_str()).eq([name])
        })
    };
    acs.expects(only(model.at(""))).replies(get_parameter_names(interval, false));
    acs.expects(only(interval).name(interval, true)).replies(get_parameter_names(interval, true));
    acs.expects(fault(9003)).replies(get_parameter_names(hosts, true));
    acs.expects(response("GetParameterNames")).replies(get_parameter_names(&format!("{hosts}9999."), true));
    // The trailing dot tells an object from a parameter.
    acs.expects(fault(9005)).replies(get_parameter_names(model.at("Time"), false));
    acs.expects(fault(9005)).replies(get_parameter_names(&format!("{interval}."), false));
    acs.expects(fault(9005)).replies(get_parameter_names(&miscased, false));
    acs.expects(fault(9005)).replies(get_parameter_names(&format!("{hosts}{{i}}."), true));
    acs.expects(fault(9005)).replies(get_parameter_names(model.at("."), true));
    acs.expects(fault(9005)).replies(get_parameter_names(".", true));
    acs.expects(fault(9005)).replies(get_parameter_names(&format!(" {root}"), true));
    acs.expects(fault(9005)).replies(get_parameter_names(&format!("{root}{}.", "x".repeat(300)), true));
    acs.expects(fault(9003)).replies(get_parameter_names(&format!("{}.", other.root), true));
    acs.expects(fault(9005)).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(get_parameter_names_at_its_edges);

/// R179, R180, R183, R334: the limits of GetParameterValues.
fn get_parameter_values_at_its_edges(model: &'static Model) {
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    // An instance that has no parameters of its own would be rare; a table without instances is not.
    let empty = model.at("ManagementServer.ManageableDevice.");
    let hosts = model.hosts;
    acs.expects(empty_post()).replies(get_parameter_values(&[empty]));
    acs.expects(response("GetParameterValues").checked("an empty list", |message| message.parameters.is_empty()))
        .replies(get_parameter_values(&[ntp, model.at("ManagementServer.Password"), model.at("Time.")]));
    acs.expects(
        response("GetParameterValues")
            .parameter(model.at("ManagementServer.Password"), "")
            .parameter(ntp, "0.pool.ntp.org")
            .has_parameter(model.at("Time.Enable")),
    )
    .replies(get_parameter_values(&[ntp, model.at("Time.NoSuchThing")]));
    // One wrong name makes the whole request fail.
    acs.expects(fault(9005)).replies(get_parameter_values(&[model.at("Time")]));
    acs.expects(fault(9005)).replies(get_parameter_values(&[model.at("Time.NTPServer1.")]));
    acs.expects(fault(9005)).replies(get_parameter_values(&[&format!("{hosts}9999.")]));
    acs.expects(fault(9005)).replies(get_parameter_values(&[&format!("{hosts}01.")]));
    acs.expects(fault(9005)).replies(get_parameter_values(&[model.at("Time.ntpserver1")]));
    acs.expects(fault(9005)).replies(get_parameter_values(&[&format!("{hosts}*.Nothing")]));
    acs.expects(fault(9005)).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(get_parameter_values_at_its_edges);

/// R164 to R168: the fault names every mistake, and no part of the request is applied, not even its ParameterKey
/// (R157).
fn set_parameter_values_is_all_or_nothing(model: &'static Model) {
    let key = model.at(KEY);
    let ntp = model.at(NTP);
    let interval = model.at(INTERVAL);
    let no_host = format!("{}9999.Active", model.hosts);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(ntp, "string", "good.example")], "good"));
    acs.expects(response("SetParameterValues").argument("Status", "0")).replies(set_parameter_values(
        &[
            (ntp, "string", "bad.example"),
            (model.at("Time.Nothing"), "string", "x"),
            (&no_host, "boolean", "1"),
            (model.at("Time."), "string", "x"),
            (model.at("Time"), "string", "x"),
            (interval, "unsignedInt", "0"),
            (model.at("Time.Enable"), "boolean", "yes"),
            (
                model.at("Time.NTPServer2"),
                "string",
                "0123456789012345678901234567890123456789012345678901234567890123456789",
            ),
            (model.at("ManagementServer.PeriodicInformTime"), "dateTime", "2026-13-01T00:00:00Z"),
            (model.at("ManagementServer.URL"), "string", "ftp://elsewhere.example/"),
            (model.at("ManagementServer.InstanceMode"), "string", "InstanceName"),
            (model.at("ManagementServer.PeriodicInformEnable"), "int", "1"),
            (model.at("DeviceInfo.SoftwareVersion"), "string", "2"),
            (key, "string", "by force"),
            (model.at("DeviceInfo.ProvisioningCode"), "string", "bad"),
        ],
        "bad",
    ));
    acs.expects(
        fault(9003)
            .fault_on(model.at("Time.Nothing"), 9005)
            .fault_on(&no_host, 9005)
            .fault_on(model.at("Time."), 9005)
            .fault_on(model.at("Time"), 9005)
            .fault_on(interval, 9007)
            .fault_on(model.at("Time.Enable"), 9007)
            .fault_on(model.at("Time.NTPServer2"), 9007)
            .fault_on(model.at("ManagementServer.PeriodicInformTime"), 9007)
            .fault_on(model.at("ManagementServer.URL"), 9007)
            .fault_on(model.at("ManagementServer.InstanceMode"), 9007)
            .fault_on(model.at("ManagementServer.PeriodicInformEnable"), 9006) // R332
            .fault_on(model.at("DeviceInfo.SoftwareVersion"), 9008)
            .fault_on(key, 9008)
            .checked("13 mistakes", |message| message.fault.as_ref().is_some_and(|f| f.parameters.len() == 13)),
    )
    .replies(get_parameter_values(&[ntp, key, model.at("DeviceInfo.ProvisioningCode")]));
    acs.expects(
        response("GetParameterValues")
            .parameter(ntp, "good.example")
            .parameter(key, "good")
            .parameter(model.at("DeviceInfo.ProvisioningCode"), ""),
    )
    .replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(set_parameter_values_is_all_or_nothing);

/// R157, R159, R163, R76: the same name twice, an empty list, keys.
fn set_parameter_values_at_its_edges(model: &'static Model) {
    let key = model.at(KEY);
    let ntp = model.at(NTP);
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    let twice = [(ntp, "string", "a.example"), (model.at("Time.Enable"), "boolean", "0"), (ntp, "string", "a.example")];
    acs.expects(empty_post()).replies(set_parameter_values(&twice, "twice"));
    acs.expects(fault(9003).checked("no parameter faults", no_parameter_faults))
        .replies(set_parameter_values(&[], "k\u{e4}\u{4e2d} <&>"));
    acs.expects(response("SetParameterValues").argument("Status", "0")).replies(get_parameter_values(&[key, ntp]));
    acs.expects(response("GetParameterValues").parameter(key, "k\u{e4}\u{4e2d} <&>").parameter(ntp, "0.pool.ntp.org"))
        .replies(set_parameter_values(&[(ntp, "string", "")], &"x".repeat(33)));
    acs.expects(fault(9003)).replies(set_parameter_values(&[(ntp, "string", "")], &"\u{4e2d}".repeat(32)));
    acs.expects(response("SetParameterValues")).replies(get_parameter_values(&[key, ntp]));
    acs.expects(response("GetParameterValues").parameter(key, &"\u{4e2d}".repeat(32)).parameter(ntp, ""))
        .replies(set_parameter_values(&[], "").without("ParameterKey"));
    acs.expects(response("SetParameterValues")).replies(get_parameter_values(&[key]));
    // A key that is missing is no empty one: some servers leave it out.
    acs.expects(response("GetParameterValues").parameter(key, &"\u{4e2d}".repeat(32)))
        .replies(set_parameter_values(&[], ""));
    acs.expects(response("SetParameterValues")).replies(get_parameter_values(&[key]));
    acs.expects(response("GetParameterValues").parameter(key, "")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(set_parameter_values_at_its_edges);

/// R163: a value for which the model sets no bound has one nevertheless, since the device stores it.
fn a_value_that_is_too_long_for_any_device(model: &'static Model) {
    let filter = model.at("ManagementServer.AutonomousTransferCompletePolicy.FileTypeFilter");
    let list = |count| vec!["2 Web Content"; count].join(",");
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(filter, "string", &list(4680))], "k"));
    acs.expects(response("SetParameterValues"))
        .replies(set_parameter_values(&[(filter, "string", &list(200_000))], "k"));
    acs.expects(fault(9003).checked("9007 for the parameter", |message| {
        message.fault.as_ref().is_some_and(|fault| fault.parameters.len() == 1 && fault.parameters[0].1 == 9007)
    }))
    .replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(a_value_that_is_too_long_for_any_device);

fn no_parameter_faults(message: &Message) -> bool {
    message.fault.as_ref().is_some_and(|fault| fault.parameters.is_empty())
}

/// Real servers write types loosely; a value that fits is accepted, and reads back in the parameter's own type.
fn set_parameter_values_takes_the_types_of_the_field(model: &'static Model) {
    let ntp = model.at(NTP);
    let interval = model.at(INTERVAL);
    let enable = model.at("Time.Enable");
    let taken = [
        (enable, "boolean", "0", "false"),
        (enable, "boolean", "true", "true"),
        (enable, "string", "false", "false"),
        (enable, "", "1", "true"),
        (enable, "undeclared:boolean", "0", "false"),
        (interval, "unsignedInt", "600", "600"),
        (interval, "string", "601", "601"),
        (interval, "", " 602 ", "602"),
        (interval, "int", "603", "603"),
        (interval, "long", "604", "604"),
        (interval, "nonNegativeInteger", "605", "605"),
        (interval, "anySimpleType", "606", "606"),
        (interval, "XSD:unsignedInt", "607", "607"), // no such prefix: they are case-sensitive
        (ntp, "int", "7", "7"),
        (ntp, "token", "typed.example", "typed.example"),
        (ntp, "string", "  <spaces> & \u{fc}ml\u{e4}ut\u{1F600}  ", "  <spaces> & \u{fc}ml\u{e4}ut\u{1F600}  "),
        (ntp, "", "plain.example", "plain.example"),
    ];
    let mut acs = Acs::start(AcsOptions::new());
    acs.expects(inform()).replies(inform_response());
    let mut turn = Some(empty_post());
    for (name, kind, text, read) in taken {
        let before = turn.take().unwrap_or_else(|| response("GetParameterValues"));
        acs.expects(before).replies(set_parameter_values(&[(name, kind, text)], ""));
        acs.expects(response("SetParameterValues")).replies(get_parameter_values(&[name]));
        let read = read.to_owned();
        let is_read = move |message: &Message| {
            let bit = |text: &str| text.replace("true", "1").replace("false", "0");
            message.parameters.iter().all(|entry| bit(&entry.value) == bit(&read))
        };
        acs.expects(response("GetParameterValues").checked(&format!("{text:?} read back"), is_read))
            .replies(get_parameter_values(&[name]));
    }
    for kind in ["xsd:foo", "dateTime", "int", "base64", "cwmp:ParameterValueStruct"] {
        let before = turn.take().unwrap_or_else(|| response("GetParameterValues"));
        acs.expects(before).replies(set_parameter_values(&[(enable, kind, "1")], ""));
        acs.expects(fault(9003).fault_on(enable, 9006)).replies(get_parameter_values(&[enable]));
    }
    let misfits = [
        ("boolean", "1", 9006),
        ("dateTime", "1", 9006),
        ("int", "-1", 9007),
        ("string", "x", 9007),
        ("int", "x", 9007),
    ];
    for (kind, text, code) in misfits {
        acs.expects(response("GetParameterValues")).replies(set_parameter_values(&[(interval, kind, text)], ""));
        acs.expects(fault(9003).fault_on(interval, code)).replies(get_parameter_values(&[interval]));
    }
    acs.expects(response("GetParameterValues")).replies(no_content());
    let _agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
}
both_models!(set_parameter_values_takes_the_types_of_the_field);

/// R172: a change by the ACS itself is never reported to it.
fn what_the_acs_sets_is_not_reported(model: &'static Model) {
    let key = model.at(KEY);
    let mut acs = Acs::start(AcsOptions::new());
    let code = model.at("DeviceInfo.ProvisioningCode"); // active notification, in every Inform
    acs.enqueue(set_parameter_values(&[(code, "string", "blue")], "k"));
    let mut agent = model.gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.wait_for_log("session finished", SOON);
    acs.quiet_for(std::time::Duration::from_millis(300));
    acs.expects(inform().only_events(&[BOOT]).parameter(code, "blue").parameter(key, "k")).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
    agent.reboot();
    acs.session(SOON).expect_complete();
}
both_models!(what_the_acs_sets_is_not_reported);

/// R175, R334: a password can be set and never read, and is used in the next session.
fn a_hidden_parameter(model: &'static Model) {
    let password = model.at("ManagementServer.Password");
    let username = model.at("ManagementServer.Username");
    let options = AcsOptions::new().address_of_its_own();
    let mut acs = Acs::start(options.clone());
    let set = [(password, "string", "n\u{e4}w \"secret\""), (username, "string", "somebody \"else\"")];
    acs.enqueue(set_parameter_values(&set, ""));
    acs.enqueue(get_parameter_values(&[password, model.at("")]));
    let mut agent = model.gateway(&acs).start();
    let session = acs.session(SOON).expect_complete();
    let read = session.response("GetParameterValues");
    let passwords: Vec<&str> =
        read.parameters.iter().filter(|p| p.name == password).map(|p| p.value.as_str()).collect();
    assert!(!passwords.is_empty() && passwords.iter().all(|value| value.is_empty()), "{passwords:?}");
    assert_eq!(read.value(username), Some("somebody \"else\""));
    agent.terminate();
    let port = acs.port();
    drop(acs);
    let strict = options.port(port).digest("somebody \"else\"", "n\u{e4}w \"secret\"");
    let mut acs = Acs::start(strict);
    agent.reboot();
    acs.session(SOON).expect_complete();
    assert!(!agent.log().contains("secret"), "R63: the log keeps it too");
}
both_models!(a_hidden_parameter);
