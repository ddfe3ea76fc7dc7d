//! The program of the OpenWrt package, under busybox's `ash` with stand-ins for opkg and apk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::gateway::{change, operation, results};
use crate::support::skip::skip_for_lack_of;
use crate::support::{FileServer, FileServerOptions, FileSpec};
use crate::transfers::{TransferGateway, until};

/// The UUID of version 5 of `htop.openwrt.org` in the namespace of domain names, by Python's `uuid`.
const HTOP: &str = "99308af0-1d2d-565b-a692-0241840a1e9a";

/// A router: a root directory with packages, and a package manager whose calls leave traces.
struct Router {
    root: TempDir,
}

/// A stand-in for opkg, with the files that the real one keeps.
const OPKG: &str = r#"#!/bin/sh
echo "opkg $*" >>"$CPE_AGENT_ROOT/calls"
lib=$CPE_AGENT_ROOT/usr/lib/opkg
remove() { awk -v RS= -v ORS='\n\n' -v name="Package: $1" 'index($0 "\n", name "\n") != 1' $lib/status >$lib/new; mv $lib/new $lib/status; }
add() { remove "$1"; printf 'Package: %s\nVersion: %s\nStatus: install user installed\nDescription: of %s\n\n' "$1" "$2" "$1" >>$lib/status; }
case $1 in
install)
	. "$2"
	case $name in
	full) echo "Only have 8kb available on filesystem /overlay, pkg full needs 90" && exit 255 ;;
	foreign) echo "* pkg_hash_fetch: incompatible with the architectures configured" && exit 255 ;;
	old) echo "Not downgrading package $name" && exit 0 ;;
	esac
	printf '/etc/init.d/%s\n/usr/bin/%s\n' "$name" "$name" >$lib/info/$name.list
	printf '#!/bin/sh\necho "%s $1" >>"$CPE_AGENT_ROOT/calls"\ncase $1 in running) [ -e "$0.on" ] ;; start) [ ! -e "$0.bad" ] && touch "$0.on" ;; stop) rm -f "$0.on" ;; enabled) [ -e "$0.en" ] ;; enable) touch "$0.en" ;; disable) rm -f "$0.en" ;; esac\n' "$name" >"$CPE_AGENT_ROOT/etc/init.d/$name"
	chmod +x "$CPE_AGENT_ROOT/etc/init.d/$name"
	add "$name" "$version"
	[ "$name" != cut ] || kill -9 $PPID
	;;
remove) if [ "$3" = pinned ]; then echo "pinned is essential"; exit 255; fi; remove "$3" ;;
upgrade) add "$2" 9.9 ;;
esac
"#;

/// A stand-in for apk.
const APK: &str = r#"#!/bin/sh
echo "apk $*" >>"$CPE_AGENT_ROOT/calls"
world=$CPE_AGENT_ROOT/etc/apk/world
db=$CPE_AGENT_ROOT/db
case $1 in
list) sed 's/$/ mips {x} (GPL) [installed]/' $db ;;
info) printf 'etc/init.d/%s\nusr/bin/%s\n' "$3" "$3" ;;
add)
	[ "$2" != -u ] || { shift; name=$2; version=9.9-r1; }
	[ "$name" ] || . "$2"
	if [ "$name" = forged ]; then echo "ERROR: /tmp/forged.apk: UNTRUSTED signature"; exit 99; fi
	grep -v "^$name-[0-9]" $db >$db.new; echo "$name-$version" >>$db.new; mv $db.new $db
	grep -qx "$name" $world || echo "$name" >>$world
	;;
del) grep -v "^$2-[0-9]" $db >$db.new; mv $db.new $db; grep -vx "$2" $world >$world.new; mv $world.new $world ;;
esac
"#;

impl Router {
    /// A router whose firmware has the packages `busybox` and `base-1`. `None` without busybox.
    fn new(manager: &str) -> Option<Router> {
        let found = Command::new("busybox").arg("true").stdout(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skip_for_lack_of("busybox");
            return None;
        }
        let router = Router { root: tempfile::tempdir().expect("a directory") };
        for directory in
            ["bin", "etc/init.d", "etc/apk", "rom/etc/apk", "usr/lib/opkg/info", "rom/usr/lib/opkg", "proc"]
        {
            fs::create_dir_all(router.at(directory)).expect("a directory");
        }
        let firmware = "Package: busybox\nVersion: 1.36\nStatus: install user installed\n\n\
                        Package: libc\nVersion: 1.2\nStatus: install ok installed\nAuto-Installed: yes\n\n";
        for file in ["usr/lib/opkg/status", "rom/usr/lib/opkg/status"] {
            fs::write(router.at(file), firmware).expect("a file");
        }
        for file in ["etc/apk/world", "rom/etc/apk/world"] {
            fs::write(router.at(file), "busybox\nbase-1\n").expect("a file");
        }
        fs::write(router.at("db"), "busybox-1.36-r2\nbase-1-2.0-r1\nlibc-1.2\n").expect("a file");
        fs::write(router.at("etc/openwrt_release"), "DISTRIB_RELEASE='23.05.3'\n").expect("a file");
        fs::write(router.at("proc/meminfo"), "MemTotal: 60000 kB\nMemAvailable: 20000 kB\n").expect("a file");
        let (name, text) = if manager == "apk" { ("bin/apk", APK) } else { ("bin/opkg", OPKG) };
        fs::write(router.at(name), text).expect("a file");
        fs::write(router.at("bin/sync"), "#!/bin/sh\necho sync >>\"$CPE_AGENT_ROOT/calls\"\n").expect("a file");
        for program in [name, "bin/sync"] {
            fs::set_permissions(router.at(program), fs::Permissions::from_mode(0o755)).expect("rights");
        }
        Some(router)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// Runs the program with these words, variables and input; returns the status and the output.
    fn runs(&self, words: &[&str], variables: &[(&str, &str)], input: &str) -> (i32, String) {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/openwrt/files/cpe-agent.software");
        fs::write(self.at("input"), input).expect("a file");
        let output = Command::new("busybox")
            .args(["ash".as_ref(), program.as_os_str()])
            .args(words)
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.at("bin").display()))
            .env("CPE_AGENT_ROOT", self.root.path())
            .envs(variables.iter().copied())
            .stdin(fs::File::open(self.at("input")).expect("a file"))
            .output()
            .expect("busybox starts");
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn prints(&self, words: &[&str]) -> String {
        let (status, output) = self.runs(words, &[], "");
        assert_eq!(status, 0, "{words:?}: {output}");
        output
    }

    /// Runs an operation on a package file with this name and version.
    fn operates(&self, verb: &str, file: Option<(&str, &str)>, variables: &[(&str, &str)]) -> String {
        let path = self.at("unit-1");
        let path = path.to_str().expect("a path that is text");
        let mut all = variables.to_vec();
        if let Some((name, version)) = file {
            fs::write(path, format!("name={name}\nversion={version}\n")).expect("a file");
            all.push(("UNIT_FILE", path));
        }
        let (status, output) = self.runs(&[verb], &all, "");
        assert_eq!(status, 0, "{verb}: {output}");
        if matches!(verb, "install" | "update" | "uninstall") && !output.starts_with("Fault") {
            let calls = fs::read_to_string(self.at("calls")).expect("calls");
            assert!(calls.ends_with("sync\n"), "a success is on the disk: {calls}");
        }
        output
    }

    fn field(&self, table: &str, key: &str, field: &str) -> String {
        let rows = self.prints(&[table, "get"]);
        let start = format!("{key}\t{field}\t");
        rows.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
    }
}

fn fault(output: &str) -> &str {
    output.lines().next().and_then(|line| line.strip_prefix("Fault\t")).unwrap_or(output)
}

#[test]
fn packages_of_opkg_come_and_go() {
    let Some(router) = Router::new("opkg") else { return };
    assert_eq!(router.prints(&["unit", "list"]), "");
    assert_eq!(router.operates("install", Some(("htop", "3.2-1")), &[("UNIT_URL", "http://h/htop.ipk")]), "htop\n");
    assert_eq!(router.prints(&["unit", "list"]), "htop\n");
    for (field, value) in [
        ("uuid", HTOP),
        ("version", "3.2-1"),
        ("url", "http://h/htop.ipk"),
        ("description", "of htop"),
        ("execution_units", "htop"),
        ("environment", "openwrt"),
    ] {
        assert_eq!(router.field("unit", "htop", field), value, "{field}");
    }
    for (name, code) in [("htop", "9026"), ("full", "9027"), ("foreign", "9025")] {
        assert_eq!(fault(&router.operates("install", Some((name, "3.2-1")), &[])), code, "{name}");
    }
    assert_eq!(fault(&router.operates("install", Some(("x", "1")), &[("UNIT_ENVIRONMENT", "moon")])), "9023");
    assert_eq!(router.operates("update", Some(("htop", "3.3-1")), &[("UNIT_KEY", "htop")]), "htop\n");
    assert_eq!(
        (router.field("unit", "htop", "version"), router.field("unit", "htop", "uuid")),
        ("3.3-1".into(), HTOP.into())
    );
    assert_eq!(fault(&router.operates("update", Some(("htop", "3.3-1")), &[("UNIT_KEY", "htop")])), "9032");
    assert_eq!(fault(&router.operates("update", Some(("old", "1")), &[("UNIT_KEY", "htop")])), "9030");
    assert_eq!(router.operates("update", None, &[]), "htop\n");
    assert_eq!(router.field("unit", "htop", "version"), "9.9");
    assert_eq!(router.operates("uninstall", None, &[("UNIT_KEY", "htop")]), "htop\n");
    assert_eq!(router.prints(&["unit", "list"]), "");
    router.operates("install", Some(("pinned", "1")), &[("UNIT_UUID", "6ba7b810-9dad-51d1-80b4-00c04fd430c8")]);
    assert_eq!(router.field("unit", "pinned", "uuid"), "6ba7b810-9dad-51d1-80b4-00c04fd430c8");
    let output = router.operates("uninstall", None, &[("UNIT_KEY", "pinned")]);
    assert_eq!(output, "Fault\t9001\nFaultString\tpinned is essential\n");
    // The firmware's own packages are no units, until they are replaced.
    router.operates("update", Some(("busybox", "1.37")), &[("UNIT_KEY", "busybox")]);
    assert!(router.prints(&["unit", "list"]).contains("busybox"));
}

/// A power cut between the end of opkg and the record of the package (R354).
#[test]
fn an_installation_that_is_cut_off_keeps_its_identity() {
    let Some(router) = Router::new("opkg") else { return };
    let uuid = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";
    let file = router.at("unit-1");
    fs::write(&file, "name=cut\nversion=1\n").expect("a file");
    let variables =
        [("UNIT_FILE", file.to_str().expect("text")), ("UNIT_UUID", uuid), ("UNIT_URL", "http://h/cut.ipk")];
    assert_eq!(router.runs(&["install"], &variables, ""), (-1, String::new()));
    assert!(router.at("etc/cpe-agent/units/.begun").exists() && !router.at("etc/cpe-agent/units/cut").exists());
    assert_eq!(router.field("unit", "cut", "uuid"), uuid);
    assert_eq!(router.field("unit", "cut", "url"), "http://h/cut.ipk");
    assert!(!router.at("etc/cpe-agent/units/.begun").exists());
    // The record of an installation that has failed does not outlive it.
    assert_eq!(fault(&router.operates("install", Some(("full", "1")), &[("UNIT_UUID", uuid)])), "9027");
    assert!(!router.at("etc/cpe-agent/units/.begun").exists());
}

#[test]
fn packages_of_apk_come_and_go() {
    let Some(router) = Router::new("apk") else { return };
    assert_eq!(router.prints(&["unit", "list"]), "");
    assert_eq!(router.operates("install", Some(("htop", "3.2-r1")), &[("UNIT_URL", "http://h/htop.apk")]), "htop\n");
    assert_eq!(router.prints(&["unit", "list"]), "htop\n");
    let fields = [("uuid", HTOP), ("version", "3.2-r1"), ("execution_units", "htop"), ("status", "Installed")];
    for (field, value) in fields {
        assert_eq!(router.field("unit", "htop", field), value, "{field}");
    }
    assert_eq!(fault(&router.operates("install", Some(("htop", "3.2-r1")), &[])), "9026");
    assert_eq!(fault(&router.operates("install", Some(("forged", "1")), &[])), "9018");
    assert_eq!(router.operates("update", None, &[("UNIT_KEY", "htop")]), "htop\n");
    assert_eq!(router.field("unit", "htop", "version"), "9.9-r1");
    assert_eq!(router.operates("uninstall", None, &[("UNIT_KEY", "htop")]), "htop\n");
    assert_eq!(
        (router.prints(&["unit", "list"]), router.at("etc/cpe-agent/units/htop").exists()),
        (String::new(), false)
    );
}

#[test]
fn init_scripts_are_execution_units() {
    let Some(router) = Router::new("opkg") else { return };
    router.operates("install", Some(("htop", "1")), &[]);
    let state = || ["status", "autostart", "fault"].map(|field| router.field("execution", "htop", field));
    assert_eq!(router.prints(&["execution", "list"]), "htop\n");
    assert_eq!(state(), ["Idle", "0", ""]);
    router.operates("start", None, &[("UNIT_KEY", "htop")]);
    let (status, _) = router.runs(&["execution", "set"], &[], "htop\tautostart\t1\n");
    assert_eq!((status, state()), (0, ["Active", "1", ""].map(str::to_owned)));
    router.operates("stop", None, &[("UNIT_KEY", "htop")]);
    fs::write(router.at("etc/init.d/htop.bad"), "").expect("a file");
    assert_eq!(fault(&router.operates("start", None, &[("UNIT_KEY", "htop")])), "9001");
    assert_eq!(state(), ["Idle", "1", "FailureOnStart"]);
    assert!(router.field("execution", "htop", "fault_text").contains("exit status 1"));
    // An init script of the firmware is no execution unit.
    assert_eq!(router.runs(&["start"], &[("UNIT_KEY", "network")], "").0, 77);
    assert_eq!(router.runs(&["execution", "set"], &[], "network\tautostart\t0\n").0, 77);
    assert_eq!(router.prints(&["environment", "list"]), "openwrt\n");
    assert_eq!(
        (router.field("environment", "openwrt", "version"), router.field("environment", "openwrt", "memory")),
        ("23.05.3".into(), "60000".into())
    );
    assert_eq!(router.runs(&["paint"], &[], "").0, 64);
}

/// The shipped overlay with its program: the ACS installs a package, reads it in the tables, starts its init script and removes it.
#[test]
fn the_shipped_overlay_installs_a_package() {
    let Some(router) = Router::new("opkg") else { return };
    // A program of a source and an action alike has no environment of the router: a wrapper gives it.
    let wrapper = router.at("software");
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("cross/openwrt/files/cpe-agent.software");
    let script = format!(
        "#!/bin/sh\nPATH={}:$PATH CPE_AGENT_ROOT={} exec busybox ash {} \"$@\"\n",
        router.at("bin").display(),
        router.root.path().display(),
        program.display()
    );
    fs::write(&wrapper, script).expect("a file");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("rights");
    let shipped = fs::read_to_string(crate::gateway::model_file("openwrt-software.json")).expect("the overlay");
    let overlay = shipped.replace("/usr/libexec/cpe-agent-software", wrapper.to_str().expect("text"));
    fs::write(router.at("overlay.json"), overlay).expect("a file");
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/htop.ipk", FileSpec::file(*b"name=htop\nversion=3.2-1\n"));
    let gateway = TransferGateway::with(files, "\"reboot\": [\"true\"]", |builder, _| {
        builder.data_model("data-model/software.json").data_model(router.at("overlay.json"))
    });
    let url = gateway.files.url("/htop.ipk");
    let reported = |operations: &[String]| {
        gateway.agent.succeeds(&["inform"]);
        loop {
            let (inform, _, mut session) = gateway.acs.next_session();
            if inform.has_event("2 PERIODIC") {
                session.succeeds(&change(operations, "k"));
                session.end_session();
                break;
            }
            session.end_session();
        }
        loop {
            let (_, requests, mut session) = gateway.acs.next_session();
            session.end_session();
            if let [report] = &requests[..] {
                return results(report).pop().expect("a result");
            }
        }
    };
    let place = ("ExecutionEnvRef", "Device.SoftwareModules.ExecEnv.1.");
    let installed = reported(&[operation("Install", &[("URL", &url), place])]);
    assert_eq!((installed.code, installed.uuid.as_str(), installed.version.as_str()), (0, HTOP, "3.2-1"));
    assert_eq!(installed.unit, "Device.SoftwareModules.DeploymentUnit.1");
    assert_eq!(installed.services, "Device.SoftwareModules.ExecutionUnit.1");
    let value = |name: &str| gateway.agent.value(&format!("Device.SoftwareModules.{name}"));
    for (name, expected) in [
        ("ExecEnv.1.Version", "23.05.3"),
        ("ExecEnv.1.AvailableMemory", "20000"),
        ("DeploymentUnit.1.URL", &url),
        ("DeploymentUnit.1.Resolved", "true"),
        ("DeploymentUnit.1.ExecutionEnvRef", "Device.SoftwareModules.ExecEnv.1"),
        ("ExecutionUnit.1.EUID", "openwrt-htop"),
        ("ExecutionUnit.1.ExecutionFaultCode", "NoFault"),
        ("ExecutionUnit.1.Status", "Idle"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let unit = "Device.SoftwareModules.ExecutionUnit.1";
    gateway.agent.succeeds(&["set", &format!("{unit}.RequestedState=Active"), &format!("{unit}.AutoStart=true")]);
    until("the unit", || router.at("etc/init.d/htop.on").exists() && router.at("etc/init.d/htop.en").exists());
    assert_eq!(reported(&[operation("Uninstall", &[("UUID", HTOP), place])]).code, 0);
    assert_eq!(value("DeploymentUnitNumberOfEntries"), "0");
}
