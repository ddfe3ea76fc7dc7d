//! The init scripts and packages in `cross/`, as far as they run on this machine: OpenWrt's shell parts under busybox's
//! `ash` with a stand-in for `rc.common` (`cross/tests/openwrt`), the sysv script with the real program, of the others
//! the installed files. `cross/tests/debian` does the same for the Debian package.
//!
//! A test whose tools are missing is skipped, or fails if `CPE_AGENT_TOOLS` is `required`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::gateway::{BOOT, BOOTSTRAP, SOON, VALUE_CHANGE};
use crate::support::skip::skip_for_lack_of;
use crate::support::stopwatch::Stopwatch;
use crate::support::{Acs, AcsOptions};
use serde_json::Value as Json;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_cpe-agent");

fn cross(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cross").join(path)
}

/// Returns true if these programs are installed; otherwise records the test as skipped.
fn has(programs: &[&str]) -> bool {
    let is_there = |program: &&str| {
        let found = Command::new("sh").args(["-c", "command -v \"$1\"", "sh", program]).output();
        found.expect("a shell").status.success()
    };
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    skip_for_lack_of(missing.join(", "));
    false
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

/// shellcheck finds no fault in the shell scripts of the packages, the tests and the CI.
#[test]
fn shellcheck_has_nothing_to_say() {
    if !has(&["shellcheck"]) {
        return;
    }
    let is_shell = |text: &str| {
        let first = text.lines().next().unwrap_or_default();
        first.starts_with("#!") && (first.contains("sh") || first.ends_with("rc.common"))
            || text.contains("# shellcheck shell=")
    };
    let mut scripts = Vec::new();
    let mut directories = vec![cross(""), Path::new(env!("CARGO_MANIFEST_DIR")).join(".ci")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| is_shell(&text)) {
                scripts.push(path);
            }
        }
    }
    assert!(scripts.len() > 10, "{scripts:?}");
    succeeds(Command::new("shellcheck").args(scripts));
}

/// The files of the OpenWrt package in a root directory of their own.
struct OpenWrt {
    root: TempDir,
}

impl OpenWrt {
    fn new(configuration: &str) -> OpenWrt {
        let openwrt = OpenWrt { root: tempfile::tempdir().expect("a directory") };
        let stubs = cross("tests/openwrt");
        symlink(stubs.join("lib"), openwrt.path("lib")).expect("a link");
        for directory in ["etc/config", "usr/share/cpe-agent", "tmp/sysinfo", "run"] {
            fs::create_dir_all(openwrt.path(directory)).expect("a directory");
        }
        fs::write(openwrt.path("etc/openwrt_release"), "DISTRIB_ID='OpenWrt'\nDISTRIB_RELEASE='23.05.5'\n")
            .expect("a file");
        fs::write(openwrt.path("tmp/sysinfo/model"), "Acme AC-1000\n").expect("a file");
        fs::write(openwrt.path("etc/device_info"), "DEVICE_MANUFACTURER='Acme'\nDEVICE_REVISION='v3'\n")
            .expect("a file");
        // The paths at which the package installs them, in this root.
        let models = openwrt.path("usr/share/cpe-agent").display().to_string();
        let configuration = configuration.replace("/usr/share/cpe-agent", &models);
        for model in
            ["tr-181.json", "tr-098.json", "linux.json", "linux-098.json", "openwrt.json", "manageable-devices.json"]
        {
            fs::copy(crate::gateway::model_file(model), openwrt.path("usr/share/cpe-agent").join(model))
                .expect("a model");
        }
        fs::copy(cross("openwrt/files/openwrt-098.json"), openwrt.path("usr/share/cpe-agent/openwrt-098.json"))
            .expect("a file");
        fs::write(openwrt.path("etc/config/cpe-agent"), configuration).expect("a file");
        openwrt
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Runs a script under `ash`, and returns the commands that procd, ubus and logger received.
    fn run(&self, script: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let record = self.path("record");
        let _ = fs::remove_file(&record);
        let stubs = cross("tests/openwrt/bin").display().to_string();
        let mut command = Command::new("busybox");
        command.arg("ash").arg(script).args(arguments).envs(environment.iter().copied());
        command.env("PATH", format!("{stubs}:{}", std::env::var("PATH").unwrap_or_default()));
        command.env("IPKG_INSTROOT", self.root.path()).env("UCI_CONFIG_DIR", self.path("etc/config"));
        command.env("CPE_AGENT_DEVICES", self.path("run/devices")).env("CPE_AGENT_CONNTRACK", self.path("conntrack"));
        command.env("CPE_AGENT_RUN", self.path("run/cpe-agent")).env("CPE_AGENT_PROGRAM", BINARY);
        succeeds(command.env("RECORD", &record));
        fs::read_to_string(record).unwrap_or_default()
    }

    /// Runs an action of the init script.
    fn init(&self, action: &str) -> String {
        let script = cross("openwrt/files/cpe-agent.init").display().to_string();
        self.run(&cross("tests/openwrt/rc.common"), &[&script, action], &[])
    }

    fn config(&self) -> PathBuf {
        self.path("run/cpe-agent/config.json")
    }
}

const SHIPPED: &str = include_str!("../../cross/openwrt/files/cpe-agent.config");

fn openwrt_configuration(replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(SHIPPED.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// The installed configuration starts no agent; once enabled, it is one that the agent accepts.
#[test]
fn openwrt_starts_what_is_enabled() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    assert_eq!(openwrt.init("start"), "");
    assert!(!openwrt.config().exists());
    let applied = format!("{BINARY} applied --config {}", openwrt.config().display());
    assert_eq!(
        openwrt.init("triggers"),
        format!("trigger cpe-agent\ntrigger config.change cpe-agent-applied {applied}\n")
    );

    let openwrt = OpenWrt::new(&openwrt_configuration(&[
        ("option enabled '0'", "option enabled '1'"),
        ("option url ''", "option url 'https://acs.example.com/'"),
    ]));
    let told = openwrt.init("start");
    let config = openwrt.config().display().to_string();
    let command = told.lines().find(|line| line.starts_with("set command /bin/sh -c ")).expect("a command");
    assert!(command.ends_with(&format!(" -500 {BINARY} run --config {config}")), "{told}");
    for line in [
        "set respawn 3600 10 0\n",
        "set reload_signal HUP\n",
        "append file ",
        "/tr-181.json\n",
        "/linux.json\n",
        "/openwrt.json\n",
    ] {
        assert!(told.contains(line), "{line} is not in\n{told}");
    }
    assert!(told.starts_with("open\n") && told.ends_with("close\n"), "{told}");
    let checked = succeeds(Command::new(BINARY).args(["check", "--config", &config]));
    for part in ["https://acs.example.com/", "software       23.05.5", "reboot, factoryReset", "/etc/cpe-agent/state"] {
        assert!(checked.contains(part), "{part} is not in\n{checked}");
    }
    let text = fs::read_to_string(openwrt.config()).expect("the file");
    let json: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    // Images belong on the RAM disk: the flash wears out, and may have no room for one.
    assert_eq!(json["transferDir"], "/tmp/cpe-agent", "{text}");
    assert_eq!(json["dhcpDir"], "/var/run/cpe-agent.dhcp", "{text}");
    let before = fs::read(openwrt.config()).expect("the file");
    openwrt.init("reload");
    assert_eq!(fs::read(openwrt.config()).expect("the file"), before, "procd would take it for a change");
}

/// Every option reaches the agent with any characters, and a password is written to a file of root only.
#[test]
fn openwrt_options() {
    if !has(&["busybox"]) {
        return;
    }
    let odd = r#"a"b\c	d {e} $(f) `g` %s ü"#;
    let openwrt = OpenWrt::new(&format!(
        "config agent 'agent'\n\toption enabled 'yes'\n\tlist data_model '/usr/share/cpe-agent/tr-098.json'\n\
         \toption state_dir '/overlay/x y'\n\toption listen '[::]:80'\n\toption udp_listen '0.0.0.0:81'\n\
         \toption acs_timeout '40'\n\toption metrics '/tmp/m.prom'\n\toption log 'warn'\n\
         \tlist set 'InternetGatewayDevice.DeviceInfo.Description=x=y'\n\tlist set 'nonsense'\n\
         config acs 'acs'\n\toption url 'http://acs.example/'\n\toption username 'me'\n\toption password '{odd}'\n\
         \toption dhcp '0'\n\toption periodic_enable 'off'\n\toption periodic_interval '60'\n\toption stun_enable '1'\n\
         \toption stun_server 'stun.example'\n\toption stun_port '1234'\n\
         \toption connection_request_username 'acs'\n\toption connection_request_password 'it'\\''s'\n\
         config device 'device'\n\toption oui 'A1B2C3'\n\toption serial_number '#7'\n\toption software_version '9'\n"
    ));
    let told = openwrt.init("start");
    assert!(told.contains("logger -t cpe-agent -p daemon.err /etc/config/cpe-agent: set 'nonsense'"), "{told}");
    assert!(!told.contains("acs.example") && !told.contains("a\"b") && !told.contains("it's"), "{told}");
    assert_eq!((mode(&openwrt.config()), mode(&openwrt.path("run/cpe-agent"))), (0o600, 0o700));
    let text = fs::read_to_string(openwrt.config()).expect("the file");
    let json: Json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for (key, value) in [
        ("stateDir", "/overlay/x y"),
        ("listen", "[::]:80"),
        ("udpListen", "0.0.0.0:81"),
        ("acsTimeout", "40"),
        ("metrics", "/tmp/m.prom"),
        ("log", "warn"),
        ("logTo", "syslog"),
    ] {
        assert_eq!(json[key], value, "{text}");
    }
    assert_eq!(json["dhcpDir"], Json::Null, "{text}");
    for (name, value) in [
        ("ManagementServer.URL", "http://acs.example/"),
        ("ManagementServer.Username", "me"),
        ("ManagementServer.Password", odd),
        ("ManagementServer.PeriodicInformEnable", "false"),
        ("ManagementServer.PeriodicInformInterval", "60"),
        ("ManagementServer.ConnectionRequestUsername", "acs"),
        ("ManagementServer.ConnectionRequestPassword", "it's"),
        ("ManagementServer.STUNEnable", "true"),
        ("ManagementServer.STUNServerAddress", "stun.example"),
        ("ManagementServer.STUNServerPort", "1234"),
        ("DeviceInfo.ManufacturerOUI", "A1B2C3"),
        ("DeviceInfo.SerialNumber", "#7"),
        ("DeviceInfo.SoftwareVersion", "9"),
        ("DeviceInfo.Description", "x=y"),
    ] {
        assert_eq!(json["set"][format!("InternetGatewayDevice.{name}")], value, "{name}: {text}");
    }
    succeeds(Command::new(BINARY).args(["check", "--config"]).arg(openwrt.config()));
}

/// R339: dnsmasq gets the identity of the gateway for devices of the LAN, and starts anew where it has changed.
#[test]
fn openwrt_tells_dnsmasq_the_identity() {
    if !has(&["busybox"]) {
        return;
    }
    let options =
        "config device 'device'\n\toption oui 'A1B2C3'\n\toption serial_number '007'\n\toption product_class 'X, y'\n";
    let configuration =
        openwrt_configuration(&[("option enabled '0'", "option enabled '1'"), ("config device 'device'\n", options)]);
    let openwrt = OpenWrt::new(&configuration);
    let lines = openwrt.path("tmp/dnsmasq.cfg01411c.d/cpe-agent.conf");
    for directory in [lines.parent().expect("a directory"), &openwrt.path("etc/init.d")] {
        fs::create_dir_all(directory).expect("a directory");
    }
    let dnsmasq = openwrt.path("etc/init.d/dnsmasq");
    fs::write(&dnsmasq, "#!/bin/sh\necho dnsmasq \"$1\" >>\"$RECORD\"\n").expect("a script");
    fs::set_permissions(&dnsmasq, fs::Permissions::from_mode(0o755)).expect("an executable");
    assert!(openwrt.init("start").starts_with("dnsmasq restart\n"));
    let option = |number: u8, value: &str| format!("dhcp-option=tag:cpewan-id,vi-encap:3561,{number},{value}\n");
    let expected = option(4, "41:31:42:32:43:33") + &option(5, "30:30:37") + &option(6, "58:2c:20:79");
    assert_eq!(fs::read_to_string(&lines).expect("the lines"), expected);
    if has(&["dnsmasq"]) {
        succeeds(Command::new("dnsmasq").args(["--test".to_owned(), format!("--conf-file={}", lines.display())]));
    }
    assert!(!openwrt.init("reload").contains("dnsmasq"), "nothing has changed");
    // Without the list of devices there is no answer to them, either.
    let without = configuration.replace("list data_model '/usr/share/cpe-agent/manageable-devices.json'", "");
    fs::write(
        openwrt.path("etc/config/cpe-agent"),
        without.replace("/usr/share", &openwrt.path("usr/share").display().to_string()),
    )
    .expect("a file");
    assert!(openwrt.init("reload").starts_with("dnsmasq restart\n"));
    assert_eq!(fs::read_to_string(&lines).expect("a file").trim(), "");
}

/// The times of connection tracking that the ACS has set are those of the kernel after the reload, and after a reboot.
#[test]
fn openwrt_sets_the_times_of_connection_tracking() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(&openwrt_configuration(&[("option enabled '0'", "option enabled '1'")]));
    let file = |name: &str| openwrt.path("conntrack").join(format!("nf_conntrack_{name}"));
    let times = || ["tcp_timeout_established", "udp_timeout_stream"].map(|name| fs::read_to_string(file(name)).ok());
    let set = |option: &str, time: &str| {
        let mut values = fs::OpenOptions::new().create(true).append(true).open(openwrt.path("etc/config/values"));
        let line = format!("network.globals.{option}={time}\n");
        values.as_mut().expect("a file").write_all(line.as_bytes()).expect("written");
    };
    // A kernel without connection tracking has none of the files.
    set("cpe_tcp_timeout", "3600");
    openwrt.init("conntrack");
    assert_eq!(times(), [None, None]);
    fs::create_dir(openwrt.path("conntrack")).expect("a directory");
    for name in ["tcp_timeout_established", "udp_timeout_stream"] {
        fs::write(file(name), "7440\n").expect("written");
    }
    openwrt.init("conntrack");
    assert_eq!(times(), [Some("3600\n".to_owned()), Some("7440\n".to_owned())]);
    set("cpe_udp_timeout", "90");
    assert!(openwrt.init("start").starts_with("open\n"));
    assert_eq!(times(), [Some("3600\n".to_owned()), Some("90\n".to_owned())]);
}

/// The command that procd starts becomes the agent, with a lower chance to be killed for its memory.
#[test]
fn openwrt_lowers_the_oom_score() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(&openwrt_configuration(&[("option enabled '0'", "option enabled '1'")]));
    // procd starts the words of the command as they are; the stand-in separates them by spaces.
    let script = fs::read_to_string(cross("openwrt/files/cpe-agent.init")).expect("the script");
    let words = script.split_once("procd_set_param command /bin/sh -c '").expect("the command").1;
    let (shell_text, _) = words.split_once('\'').expect("its end");
    assert!(openwrt.init("start").contains(shell_text));
    let score = |program: &str| {
        let mut shell = Command::new("busybox");
        shell.args(["ash", "-c", shell_text, program, "cat", "/proc/self/oom_score_adj"]);
        succeeds(&mut shell).trim().to_owned()
    };
    assert_eq!(score("-500"), allowed_oom_score("-500"));
    assert_eq!(score("900"), "900");
}

/// Returns the score after an attempt to set it, which a container may refuse.
fn allowed_oom_score(wanted: &str) -> String {
    let attempt = "{ echo \"$0\" >/proc/self/oom_score_adj; } 2>/dev/null; cat /proc/self/oom_score_adj";
    succeeds(Command::new("sh").args(["-c", attempt, wanted])).trim().to_owned()
}

/// The key and the check of a firmware in the UCI configuration reach the action of the data model.
#[test]
fn openwrt_firmware() {
    if !has(&["busybox"]) {
        return;
    }
    let key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let configuration = |replacement: &str| {
        openwrt_configuration(&[
            ("option enabled '0'", "option enabled '1'"),
            ("# option firmware_key '/etc/cpe-agent/firmware.pub'", replacement),
        ])
    };
    let wanted = format!(
        "option firmware_key '{key}'\n\tlist firmware_verify '/usr/sbin/fine'\n\tlist firmware_verify '--say \"yes\"'"
    );
    let openwrt = OpenWrt::new(&configuration(&wanted));
    let told = openwrt.init("start");
    let overlay = openwrt.path("run/cpe-agent/firmware.json");
    assert!(told.contains(&format!("append file {}\n", overlay.display())), "{told}");
    let json: Json = serde_json::from_str(&fs::read_to_string(&overlay).expect("a file")).expect("JSON");
    let action = &json["actions"]["download"]["1 Firmware Upgrade Image"];
    assert_eq!(action["ed25519"], key);
    assert_eq!(action["verify"], serde_json::json!(["/usr/sbin/fine", "--say \"yes\""]));
    // The overlay completes the action of openwrt.json.
    let text = fs::read_to_string(openwrt.config()).expect("the file");
    let models: Json = serde_json::from_str(&text).expect("JSON");
    let models = models["dataModel"].as_array().expect("a list").clone();
    assert_eq!(models.last(), Some(&Json::from(overlay.display().to_string())), "{text}");
    succeeds(Command::new(BINARY).args(["check", "--config"]).arg(openwrt.config()));

    // Without the options there is no overlay, even after one.
    fs::write(openwrt.path("etc/config/cpe-agent"), configuration("")).expect("a file");
    assert!(!openwrt.init("reload").contains("firmware.json"));
    assert!(!overlay.exists());
}

/// The identity of the device is determined once, and stays.
#[test]
fn openwrt_defaults() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    let values = || fs::read_to_string(openwrt.path("etc/config/values")).unwrap_or_default();
    let script = cross("openwrt/files/cpe-agent.defaults");
    openwrt.run(&script, &[], &[("TEST_LABEL_MAC", "a4:2b:8c:00:0f:1e")]);
    for value in [
        "manufacturer=Acme",
        "oui=A42B8C",
        "product_class=acme,ac-1000",
        "serial_number=A42B8C000F1E",
        "model_name=Acme AC-1000",
        "hardware_version=v3",
    ] {
        assert!(values().contains(&format!("cpe-agent.device.{value}\n")), "{value} is not in\n{}", values());
    }
    assert_eq!(fs::read_to_string(openwrt.path("etc/config/committed")).expect("a commit"), "cpe-agent\n");
    assert_eq!(mode(&openwrt.path("etc/config/cpe-agent")), 0o600);
    let first = values();
    openwrt.run(&script, &[], &[("TEST_LABEL_MAC", "00:00:00:00:00:01")]);
    assert_eq!(values(), first);
}

/// The way to the web interface is closed, made once, and left as it is by a later installation.
#[test]
fn openwrt_prepares_remote_access() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    let file = openwrt.path("etc/config/values");
    let script = cross("openwrt/files/cpe-agent.defaults");
    let firewall = || {
        openwrt.run(&script, &[], &[]);
        let values = fs::read_to_string(&file).expect("the options of UCI");
        values.lines().filter(|line| line.starts_with("firewall.")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(firewall(), [""; 0], "a device without a web interface");
    fs::write(&file, "uhttpd.main=uhttpd\n").expect("the options of UCI");
    let made = firewall();
    assert_eq!(made.len(), 8, "{made:?}");
    assert!(made.contains(&"firewall.cpe_remote_ui.enabled=0".to_owned()), "{made:?}");
    assert_eq!(firewall(), made);
}

/// R11, R12: the DHCP clients of the uplinks have the class of TR-069, and ask for one of the options, without a second one.
#[test]
fn openwrt_asks_dhcp_for_the_acs() {
    if !has(&["busybox"]) {
        return;
    }
    let asked = |network: &str| {
        let openwrt = OpenWrt::new(SHIPPED);
        let file = openwrt.path("etc/config/values");
        let before = format!("cpe-agent.agent.interface=wan wan6 cell\n{network}");
        fs::write(&file, &before).expect("the options of UCI");
        openwrt.run(&cross("openwrt/files/cpe-agent.defaults"), &[], &[]);
        let after = fs::read_to_string(&file).expect("the options");
        let new = after.strip_prefix(&before).expect("nothing is removed").lines();
        new.filter(|line| line.starts_with("network.")).map(str::to_owned).collect::<Vec<_>>()
    };
    let class6 = "network.wan6.vendorclass=00000de9000c64736c666f72756d2e6f7267";
    let dhcp = "network.wan.proto=dhcp\nnetwork.wan6.proto=dhcpv6\nnetwork.cell.proto=qmi\nnetwork.lan.proto=dhcp\n";
    let class = "network.wan.vendorid=dslforum.org";
    assert_eq!(asked(dhcp), [class, "network.wan.reqopts=43", class6, "network.wan6.reqopts=17"]);
    let known = "network.wan.proto=dhcp\nnetwork.wan.reqopts=";
    assert_eq!(asked(&format!("{known}121\n")), [class, "network.wan.reqopts=121 43"]);
    assert_eq!(asked(&format!("{known}121 125\n")), [class]);
    assert_eq!(asked(&format!("{known}43\n")), [class]);
    assert_eq!(asked(&format!("{known}1\nnetwork.wan.vendorid=own\n")), [""; 0]);
    assert_eq!(asked("network.wan.proto=pppoe\n"), [""; 0]);
}

/// The file of an interface has the time since the boot at which its lease ends, from the event of udhcpc until the lease is lost.
#[test]
fn openwrt_keeps_the_end_of_a_lease() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    fs::write(openwrt.path("uptime"), "4711.85 9000.12\n").expect("a file");
    let [leases, uptime] = ["leases", "uptime"].map(|name| openwrt.path(name).display().to_string());
    let told = |event: &str, lease: &str| {
        let environment =
            [("CPE_AGENT_LEASES", &*leases), ("CPE_AGENT_UPTIME", &*uptime), ("INTERFACE", "lan7"), ("lease", lease)];
        openwrt.run(&cross("openwrt/files/cpe-agent.udhcpc"), &[event], &environment);
        let names = fs::read_dir(&leases).into_iter().flatten().map(|entry| entry.expect("an entry").file_name());
        assert!(names.into_iter().all(|name| name == "lan7"), "a file is left");
        fs::read_to_string(openwrt.path("leases/lan7")).ok()
    };
    assert_eq!(told("bound", "7200").as_deref(), Some("11911\n"));
    assert_eq!(told("nak", "7200").as_deref(), Some("11911\n"));
    assert_eq!(told("renew", "3600").as_deref(), Some("8311\n"));
    assert_eq!(told("renew", "").as_deref(), Some("8311\n"));
    assert_eq!(told("renew", "4294967295").as_deref(), Some("-1\n"));
    assert_eq!(told("deconfig", ""), None);
}

/// The firewall runs if it is enabled.
#[test]
fn openwrt_switches_the_firewall() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    let script = openwrt.path("etc/init.d/firewall");
    fs::create_dir_all(openwrt.path("etc/init.d")).expect("a directory");
    let done = |enabled: &str| {
        let text = format!("#!/bin/sh\n[ \"$1\" = enabled ] && exit {enabled}\necho \"$1\" >>\"$RECORD\"\n");
        fs::write(&script, text).expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
        openwrt.init("firewall")
    };
    assert_eq!([done("0"), done("1")], ["start\n", "stop\n"]);
}

/// An interface that is on is reset, or gets its lease anew, once.
#[test]
fn openwrt_obeys_commands_for_interfaces() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    let place = openwrt.path("run/command");
    let bin = openwrt.path("bin");
    fs::create_dir(&bin).expect("a directory");
    // The bus gives no answer in time to the method `down` of one of them, which netifd obeys nevertheless.
    let stub = "#!/bin/sh\n[ \"$5\" = status ] || { echo \"$4 $5\" >>\"$RECORD\"; [ \"$4 $5\" != network.interface.slow\\ down ]; exit; }\n\
        case $4 in *.off) echo '{ \"autostart\": false }' ;; *.gone) exit 4 ;; *) echo '{ \"autostart\": true }' ;; esac\n";
    fs::write(bin.join("ubus"), stub).expect("written");
    fs::set_permissions(bin.join("ubus"), fs::Permissions::from_mode(0o755)).expect("a mode");
    let file = |name: &str| format!("{}.{name}", place.display());
    let names = ["reset.wan", "reset.slow", "reset.off", "reset.gone", "renew.lan", "renew.renew"];
    names.iter().for_each(|name| fs::write(file(name), "true").expect("written"));
    // The file of a command that was taken back has no text.
    fs::write(file("reset.lan"), "").expect("written");
    let script = cross("openwrt/files/cpe-agent.init").display().to_string();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let obeyed = || {
        let run = format!(
            "export PATH={path} CPE_AGENT_COMMANDS={}; . {}",
            place.display(),
            cross("tests/openwrt/rc.common").display()
        );
        let shell = openwrt.path("shell");
        fs::write(&shell, run).expect("written");
        openwrt.run(&shell, &[&script, "commands"], &[])
    };
    let object = |interface: &str, method: &str| format!("network.interface.{interface} {method}\n");
    let calls =
        [("lan", "renew"), ("renew", "renew"), ("slow", "down"), ("slow", "up"), ("wan", "down"), ("wan", "up")];
    assert_eq!(obeyed(), calls.map(|(interface, method)| object(interface, method)).concat());
    assert!(names.iter().chain(&["reset.lan"]).all(|name| !Path::new(&file(name)).exists()));
    assert_eq!(obeyed(), "");
}

/// The hotplug hook acts on the interface towards the ACS only, and only on a change of its address.
#[test]
fn openwrt_hotplug() {
    if !has(&["busybox"]) {
        return;
    }
    let openwrt = OpenWrt::new(SHIPPED);
    let hook = |environment: &[(&str, &str)]| openwrt.run(&cross("openwrt/files/cpe-agent.hotplug"), &[], environment);
    let signal = "ubus -t 5 call service signal { \"name\": \"cpe-agent\", \"signal\": 1 }\n";
    assert_eq!(hook(&[("ACTION", "ifup"), ("INTERFACE", "wan")]), signal);
    assert_eq!(hook(&[("ACTION", "ifup"), ("INTERFACE", "wan6")]), signal);
    assert_eq!(hook(&[("ACTION", "ifupdate"), ("INTERFACE", "wan"), ("IFUPDATE_ADDRESSES", "1")]), signal);
    assert_eq!(hook(&[("ACTION", "ifupdate"), ("INTERFACE", "wan")]), "");
    assert_eq!(hook(&[("ACTION", "ifdown"), ("INTERFACE", "wan")]), "");
    assert_eq!(hook(&[("ACTION", "ifup"), ("INTERFACE", "lan")]), "");
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The OpenWrt makefile installs the files of the package.
#[test]
fn openwrt_makefile() {
    if !has(&["make"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let built = home.path().join("install/bin/cpe-agent");
    fs::create_dir_all(built.parent().expect("a directory")).expect("a directory");
    fs::copy(BINARY, &built).expect("the program");
    let root = home.path().join("root");
    let make = |goal: &str, tls: &str| {
        let mut make = Command::new("make");
        make.arg("-C").arg(cross("openwrt")).args(["--no-print-directory", "-s", goal, tls]);
        make.arg(format!("TOPDIR={}", cross("tests/openwrt").display()));
        make.arg(format!("PKG_BUILD_DIR={}", home.path().join("build").display()));
        make.arg(format!("PKG_INSTALL_DIR={}", home.path().join("install").display()));
        succeeds(make.arg(format!("DESTDIR={}", root.display())))
    };
    let shown = make("show", "CONFIG_CPE_AGENT_TLS=y");
    assert!(shown.starts_with(&format!("cpe-agent {}\n", version())), "{shown}");
    // A gateway has no use for `replay`.
    assert!(
        shown.contains("--bin cpe-agent --no-default-features --features sources,dhcp,diagnostics,tls,xmpp,doctor"),
        "{shown}"
    );
    assert!(!make("show", "CONFIG_CPE_AGENT_TLS=").contains("--features tls"));
    make("install", "CONFIG_CPE_AGENT_TLS=y");
    assert!(home.path().join("build/src/main.rs").exists() && home.path().join("build/Cargo.lock").exists());
    for (file, expected) in [
        ("usr/sbin/cpe-agent", 0o755),
        ("usr/share/cpe-agent/tr-181.json", 0o644),
        ("usr/share/cpe-agent/tr-098.json", 0o644),
        ("usr/share/cpe-agent/linux.json", 0o644),
        ("usr/share/cpe-agent/linux-098.json", 0o644),
        ("usr/share/cpe-agent/openwrt.json", 0o644),
        ("usr/share/cpe-agent/openwrt-098.json", 0o644),
        ("usr/share/cpe-agent/software.json", 0o644),
        ("usr/share/cpe-agent/software-098.json", 0o644),
        ("usr/share/cpe-agent/openwrt-software.json", 0o644),
        ("usr/libexec/cpe-agent-software", 0o755),
        ("etc/config/cpe-agent", 0o600),
        ("etc/init.d/cpe-agent", 0o755),
        ("etc/hotplug.d/iface/95-cpe-agent", 0o644),
        ("etc/hotplug.d/dhcp/95-cpe-agent", 0o644),
        ("usr/share/cpe-agent/manageable-devices.json", 0o644),
        ("etc/udhcpc.user.d/95-cpe-agent", 0o644),
        ("etc/odhcp6c.user.d/95-cpe-agent", 0o644),
        ("etc/uci-defaults/95-cpe-agent", 0o755),
        ("lib/upgrade/keep.d/cpe-agent", 0o644),
    ] {
        assert_eq!(mode(&root.join(file)), expected, "{file}");
    }
    // sysupgrade keeps the directory that the configuration names as the state directory.
    let kept = fs::read_to_string(root.join("lib/upgrade/keep.d/cpe-agent")).expect("a file");
    assert!(SHIPPED.contains(&format!("option state_dir '{}", kept.trim())), "{kept}");
}

/// The Buildroot makefile builds and installs the files of the package.
#[test]
fn buildroot_makefile() {
    if !has(&["make", "git"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let build = home.path().join("build");
    let target = home.path().join("target");
    fs::create_dir_all(build.join("target/mips-unknown-linux-musl/release")).expect("a directory");
    fs::copy(BINARY, build.join("target/mips-unknown-linux-musl/release/cpe-agent")).expect("the program");
    for directory in ["cross", "data-model"] {
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory), build.join(directory)).expect("a link");
    }
    let make = |goal: &str, settings: &[&str]| {
        let mut make = Command::new("make");
        make.arg("-f").arg(cross("tests/buildroot.mk")).args(["--no-print-directory", "-s", goal]);
        make.arg(format!("BR2_EXTERNAL_CPE_AGENT_PATH={}", cross("buildroot").display()));
        make.arg(format!("TARGET_DIR={}", target.display())).arg(format!("BUILD={}", build.display()));
        succeeds(make.arg("RUSTC_TARGET_NAME=mips-unknown-linux-musl").args(settings))
    };
    let shown = make("show", &["BR2_PACKAGE_CPE_AGENT_TLS=y"]);
    assert!(shown.starts_with("git file:///"), "{shown}");
    assert!(
        shown.contains("--no-default-features --features sources,dhcp,diagnostics --features tls,xmpp,doctor"),
        "{shown}"
    );
    assert!(!make("show", &[]).contains("--features tls"));
    make("install", &[]);
    for (file, expected) in [
        ("usr/sbin/cpe-agent", 0o755),
        ("usr/share/cpe-agent/tr-181.json", 0o644),
        ("usr/share/cpe-agent/linux.json", 0o644),
        ("usr/share/cpe-agent/linux-098.json", 0o644),
        ("usr/share/cpe-agent/device.json", 0o644),
        ("usr/share/udhcpc/default.script.d/cpe-agent", 0o755),
        ("etc/cpe-agent/config.json", 0o600),
        ("etc/init.d/S80cpe-agent", 0o755),
        ("usr/libexec/cpe-agent/init", 0o755),
        ("usr/lib/systemd/system/cpe-agent.service", 0o644),
    ] {
        assert_eq!(mode(&target.join(file)), expected, "{file}");
    }
    let own = home.path().join("own.json");
    fs::write(&own, "{}").expect("a file");
    make("install", &[&format!("BR2_PACKAGE_CPE_AGENT_CONFIG=\"{}\"", own.display())]);
    assert_eq!(fs::read_to_string(target.join("etc/cpe-agent/config.json")).expect("a file"), "{}");
}

/// The agent accepts the configurations that Debian and Buildroot install, with the models of a Linux device.
#[test]
fn installed_configurations() {
    for (config, device, models) in [
        ("debian/config.json", "debian/device.json", "/etc/cpe-agent/device.json"),
        (
            "buildroot/package/cpe-agent/config.json",
            "buildroot/package/cpe-agent/device.json",
            "/usr/share/cpe-agent/device.json",
        ),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let text = fs::read_to_string(cross(config)).expect("a configuration");
        let text = text.replace(models, &cross(device).display().to_string());
        let shipped = crate::gateway::model_file("linux.json");
        let text = text.replace("/usr/share/cpe-agent", &shipped.parent().expect("a directory").display().to_string());
        let file = home.path().join("config.json");
        fs::write(&file, text).expect("a file");
        let shown = succeeds(Command::new(BINARY).args(["check", "--config"]).arg(&file));
        let listed = shown.lines().next().unwrap_or_default();
        let order = ["tr-181.json, ", "linux.json, ", "device.json"].map(|name| listed.find(name));
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{shown}");
    }
}

/// systemd accepts the unit, and the unit isolates the agent from the rest of the system.
#[test]
fn systemd_unit() {
    if !has(&["systemd-analyze"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let unit = fs::read_to_string(cross("systemd/cpe-agent.service")).expect("the unit");
    let file = home.path().join("cpe-agent.service");
    fs::write(&file, unit.replace("/usr/sbin/cpe-agent", BINARY)).expect("a file");
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&file).output().expect("it starts");
    assert!(verified.status.success() && verified.stderr.is_empty(), "{}", text(&verified.stderr));
    let mut security = Command::new("systemd-analyze");
    security.args(["security", "--offline=true", "--threshold=25", "--no-pager"]).arg(&file);
    succeeds(&mut security); // an exposure of 2.5 of 10 at most
}

/// A device with TR-098 reboots, resets and upgrades itself as one with TR-181.
#[test]
fn both_overlays_of_openwrt_have_the_same_actions() {
    let actions = |file: PathBuf| {
        let json: Json = serde_json::from_str(&fs::read_to_string(file).expect("a file")).expect("JSON");
        let mut actions = json["actions"].clone();
        // TR-098 has no object of a scan for WiFi networks.
        actions.as_object_mut().expect("actions").remove("diagnostics");
        actions
    };
    let (one, other) = (crate::gateway::model_file("openwrt.json"), cross("openwrt/files/openwrt-098.json"));
    assert!(one.exists() && actions(one.clone()).get("reboot").is_some());
    assert_eq!(actions(one), actions(other));
}

/// lintian finds no error in the Debian package. The program in it is another one, since that of the tests has its debug
/// symbols; `cross/tests/debian` repeats the check with the real one.
#[test]
fn debian_package() {
    if !has(&["lintian", "dpkg-deb"]) {
        return;
    }
    let home = tempfile::tempdir().expect("a directory");
    let mut build = Command::new(cross("debian/build"));
    build.args(["--binary", "/bin/true", "--output"]).arg(home.path()).stderr(std::process::Stdio::null());
    let package = succeeds(&mut build);
    succeeds(Command::new("lintian").args(["--fail-on", "error", package.trim()]));
    let contents = succeeds(Command::new("dpkg-deb").args(["--contents", package.trim()]));
    for file in ["tr-181.json", "tr-098.json", "linux.json", "linux-098.json"] {
        assert!(contents.contains(&format!("./usr/share/cpe-agent/{file}\n")), "{contents}");
    }
}

/// The sysv script with a real agent, in a directory of its own.
struct Sysv {
    home: TempDir,
    /// The shell that runs the script.
    shell: Vec<&'static str>,
}

impl Sysv {
    fn new(acs: &str, shell: &[&'static str], path: Option<&Path>) -> Sysv {
        let sysv = Sysv { home: tempfile::tempdir().expect("a directory"), shell: shell.to_vec() };
        let at = |name: &str| sysv.home.path().join(name).display().to_string();
        let path = path.map_or_else(String::new, |path| format!("PATH={}:$PATH\n", path.display()));
        // A copy, so that an agent of another test is not taken for this one. Copied by a process, because a child that
        // another thread is starting would keep the file open for writing, and the file could not be executed.
        succeeds(Command::new("cp").arg(BINARY).arg(at("cpe-agent")));
        let defaults = format!(
            "{path}DAEMON={}\nPIDFILE={}\nCONFIG={}\nOPTIONS='--log debug --listen 127.0.0.1:0'\n",
            at("cpe-agent"),
            at("pid"),
            at("config.json")
        );
        fs::write(at("default"), defaults).expect("a file");
        sysv.configure(acs, "1");
        sysv
    }

    fn configure(&self, acs: &str, version: &str) {
        let at = |name: &str| self.home.path().join(name);
        let json = serde_json::json!({
            "dataModel": [crate::gateway::model_file("tr-181.json")],
            "set": { "Device.ManagementServer.URL": acs, "Device.DeviceInfo.SoftwareVersion": version },
            "stateDir": at("state"), "control": at("sock"), "udpListen": "127.0.0.1:0",
        });
        fs::write(at("config.json"), json.to_string()).expect("a file");
    }

    fn run(&self, action: &str) -> Output {
        let mut command = Command::new(self.shell[0]);
        command.args(&self.shell[1..]).arg(cross("sysv/cpe-agent")).arg(action);
        command.env("CPE_AGENT_DEFAULTS", self.home.path().join("default")).output().expect("a shell")
    }

    /// Runs an action, which must end with this status, and returns its output.
    fn says(&self, action: &str, status: i32) -> String {
        let output = self.run(action);
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{action}: {told}");
        told
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.home.path().join("pid")).expect("the pid file").trim().to_owned()
    }
}

impl Drop for Sysv {
    fn drop(&mut self) {
        let _ = self.run("stop");
    }
}

/// Runs all actions in the order in which an init system and an administrator use them.
fn sysv_life(shell: &[&'static str], path: Option<&Path>) {
    let mut acs = Acs::start(AcsOptions::new());
    let sysv = Sysv::new(&acs.url(), shell, path);
    assert!(sysv.says("status", 3).contains("is not running"));
    assert!(sysv.says("reload", 7).contains("is not running"));
    assert!(sysv.says("start", 0).contains("started"));
    let first = acs.session(SOON).expect_complete();
    assert_eq!(first.inform().event_codes(), [BOOTSTRAP, BOOT]);
    assert!(sysv.says("status", 0).contains("is running"));
    let pid = sysv.pid();
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("a score");
    assert_eq!(score.trim(), allowed_oom_score("-500"));
    assert!(sysv.says("start", 0).contains("is running"));
    assert_eq!(sysv.pid(), pid, "a second start starts nothing");

    sysv.configure(&acs.url(), "2");
    sysv.says("reload", 0);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
    assert_eq!(sysv.pid(), pid);

    // A wrong configuration is reported, and the running agent goes on.
    fs::write(sysv.home.path().join("config.json"), "{").expect("a file");
    assert!(sysv.says("reload", 6).contains("config.json: not JSON: line 1, column 1: the text ends too early"));
    assert!(sysv.says("status", 0).contains("is running"));
    sysv.configure(&acs.url(), "3");

    assert!(sysv.says("restart", 0).contains("started"));
    assert_ne!(sysv.pid(), pid);
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.inform().event_codes(), [VALUE_CHANGE]);
    // The agent ends soon after SIGTERM, so that the script needs no SIGKILL.
    let began = Stopwatch::start();
    assert!(sysv.says("stop", 0).contains("stopped"));
    assert!(began.is_within(Duration::from_secs(8)), "{:?}", began.elapsed());
    assert!(sysv.says("stop", 0).contains("is not running"));
    assert!(!sysv.home.path().join("pid").exists());

    // The cases: a wrong configuration, an agent that runs already, and a disabled service.
    fs::write(sysv.home.path().join("config.json"), r#"{"listen": "7547"}"#).expect("a file");
    assert!(sysv.says("start", 6).contains("config.json: /listen: "));
    sysv.configure(&acs.url(), "3");
    let mut by_hand = Command::new(BINARY)
        .args(["run", "--listen", "127.0.0.1:0", "--config"])
        .arg(sysv.home.path().join("config.json"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    // R266: the agent has another port, and the ACS is notified of the new URL.
    assert_eq!(acs.session(SOON).expect_complete().events(), [VALUE_CHANGE]);
    acs.quiet_for(Duration::from_millis(300));
    assert!(sysv.says("start", 1).contains("did not start"));
    by_hand.kill().expect("it runs");
    by_hand.wait().expect("it ends");
    let defaults = sysv.home.path().join("default");
    let text = fs::read_to_string(&defaults).expect("a file");
    fs::write(&defaults, text + "ENABLED=no\n").expect("a file");
    assert!(sysv.says("start", 0).contains("is disabled in"));
    assert!(sysv.says("dance", 2).contains("Usage: "));
}

/// The sysv script starts, stops and reloads the agent with the start-stop-daemon of busybox.
#[test]
fn sysv_script_of_busybox() {
    if !has(&["busybox"]) {
        return;
    }
    let applets = tempfile::tempdir().expect("a directory");
    for applet in ["start-stop-daemon", "sleep", "rm"] {
        let busybox = succeeds(Command::new("sh").args(["-c", "command -v busybox"]));
        symlink(busybox.trim(), applets.path().join(applet)).expect("a link");
    }
    sysv_life(&["busybox", "ash"], Some(applets.path()));
}

/// The sysv script starts, stops and reloads the agent with the start-stop-daemon of Debian.
#[test]
fn sysv_script_of_debian() {
    if !has(&["dash", "/usr/sbin/start-stop-daemon"]) && !has(&["/sbin/start-stop-daemon"]) {
        return;
    }
    sysv_life(&["dash"], None);
}
