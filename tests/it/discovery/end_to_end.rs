//! The hooks of the packages with real programs: dnsmasq as the server of the operator, udhcpc as the client of the device.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Device, URL, hex, narrow, option_43};
use crate::gateway::{BOOT, BOOTSTRAP, SOON, TR_181, model_file};
use crate::support::network::{in_own_network, sh};
use crate::support::skip::skip_for_lack_of;
use crate::support::{Acs, AcsOptions, port, set_parameter_attributes, set_parameter_values};

const COUNT: &str = "Device.ManagementServer.ManageableDeviceNumberOfEntries";
const LIMIT: &str = "Device.ManagementServer.ManageableDeviceNotificationLimit";
const BINARY: &str = env!("CARGO_BIN_EXE_cpe-agent");

fn cross(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cross").join(path)
}

/// Returns true if the server and the client are installed; otherwise records the test as skipped.
fn has_dhcp() -> bool {
    let missing: Vec<&str> = ["dnsmasq", "udhcpc", "busybox"]
        .into_iter()
        .filter(|program| {
            !Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output()
                .is_ok_and(|o| o.status.success())
        })
        .collect();
    if !missing.is_empty() {
        skip_for_lack_of(missing.join(", "));
    }
    missing.is_empty()
}

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The DHCP server at 192.0.2.1, behind the interface `wan`. It gives these options to clients of the class `dslforum.org`.
fn server(device: &Device, options: &[String]) -> Program {
    let leases = device.home.path().join("leases");
    let child = Command::new("dnsmasq")
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--interface=far", "--bind-interfaces"])
        .args(["--dhcp-range=192.0.2.10,192.0.2.20,255.255.255.0,2m", "--dhcp-vendorclass=set:cpe,dslforum.org"])
        .args(["--user=root", "--pid-file=", "--no-ping", "--dhcp-authoritative", "--log-facility=/dev/null"])
        .arg(format!("--dhcp-leasefile={}", leases.display()))
        .args(options)
        .stdin(Stdio::null())
        .spawn();
    Program(child.expect("dnsmasq"))
}

/// Starts udhcpc at the interface `wan`, with the arguments that the package gives it. `hook` is the command of a shell that
/// runs the hook, as the script of the system does.
fn client(device: &Device, control: &Path, hook: &str, arguments: &[&str]) -> Program {
    let (script, program) = (device.home.path().join("script"), device.home.path().join("program"));
    // A hook has the usual control socket.
    write_script(&program, &format!("exec {BINARY} \"$@\" --control {}", control.display()));
    let text = format!(
        "export CPE_AGENT_PROGRAM={} CPE_AGENT_DHCP={} CPE_AGENT_LEASES={} INTERFACE=wan\n\
         export PATH={}:$PATH UCI_CONFIG_DIR={}\n\
         case $1 in bound) ip address replace $ip/24 dev $interface ;; esac\n{hook}",
        program.display(),
        device.directory().display(),
        device.home.path().join("own-leases").display(),
        cross("tests/openwrt/bin").display(),
        device.home.path().display()
    );
    write_script(&script, &text);
    let mut command = Command::new("udhcpc");
    command.args(["-f", "-i", "wan", "-t", "10", "-T", "1", "-s"]).arg(script).args(arguments);
    Program(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("udhcpc"))
}

fn write_script(file: &Path, text: &str) {
    fs::write(file, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("an executable");
}

fn network() {
    sh("ip link add wan type veth peer name far; ip link set wan up; ip link set far up; \
        ip address add 192.0.2.1/24 dev far");
}

/// Returns an ACS at the address of the server.
fn acs() -> Acs {
    Acs::start(AcsOptions::new().address([192, 0, 2, 1]).port(port::of_its_own()))
}

/// R338: a full list of devices loses the oldest one to a new one, and a device that renews its lease becomes the newest.
#[test]
fn a_full_list_of_devices_loses_the_oldest() {
    let home = tempfile::tempdir().expect("a directory");
    let list = home.path().join("devices");
    let update = |number: u32| {
        let mac = format!("02:00:00:00:00:{number:02x}");
        let run = Command::new("sh")
            .arg(cross("dhcp/dnsmasq"))
            .args(["add", &mac])
            .env("CPE_AGENT_DEVICES", &list)
            .env("DNSMASQ_CPEWAN_OUI", "00D09E")
            .env("DNSMASQ_CPEWAN_SERIAL", number.to_string())
            .status();
        assert!(run.expect("a shell").success());
    };
    (0..32).chain([0, 32]).for_each(update);
    let text = fs::read_to_string(&list).expect("a list");
    let serials: Vec<u32> =
        text.lines().map(|line| line.rsplit('\t').next().unwrap_or_default().parse().expect("a number")).collect();
    assert_eq!(serials, (2..32).chain([0, 32]).collect::<Vec<_>>());
}

/// R11, R12, R17: a device of OpenWrt without URL finds its ACS by the hook of the package. The server gives the URL to the
/// class `dslforum.org` alone. The end of the lease leaves the ACS known.
#[test]
fn udhcpc_of_openwrt_finds_the_acs() {
    in_own_network("discovery::end_to_end::udhcpc_of_openwrt_finds_the_acs", || {
        if !has_dhcp() {
            return;
        }
        network();
        let mut acs = acs();
        let device = Device::new();
        fs::write(device.home.path().join("values"), "cpe-agent.agent.interface=wan wan6\nnetwork.wan.reqopts=43\n")
            .expect("the options of UCI");
        let _server = server(&device, &[format!("--dhcp-option=vendor:dslforum.org,1,{}", acs.url())]);
        let agent = device.bare().start();
        agent.wait_for_control();
        let hook = format!("( . {} \"$@\" )", cross("openwrt/files/cpe-agent.udhcpc").display());
        let client = client(&device, &agent.control(), &hook, &["-V", "dslforum.org", "-O", "43"]);
        assert_eq!(acs.session(SOON).expect_complete().events(), [BOOTSTRAP, BOOT]);
        assert!(device.directory().join("wan").exists());
        let lease = device.home.path().join("own-leases/wan");
        let [end, now] = [lease.as_path(), Path::new("/proc/uptime")].map(|file| {
            let text = fs::read_to_string(file).expect("a file");
            text.split(['.', '\n']).next().and_then(|seconds| seconds.parse::<u64>().ok()).expect("seconds")
        });
        assert!((now + 1..now + 100_000).contains(&end), "the lease ends {end} s after the boot, at {now} s");
        // SIGUSR2 releases the lease.
        sh(&format!("kill -USR2 {}", client.0.id()));
        [device.directory().join("wan"), lease].iter().for_each(|file| await_absence(file));
        assert_eq!(agent.value(URL), acs.url());
    });
}

fn await_absence(file: &Path) {
    let end = std::time::Instant::now() + SOON;
    while file.exists() {
        assert!(std::time::Instant::now() < end, "{} is still there", file.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// R14, R15, R339: Buildroot's udhcpc hands option 125 over, with the identity of the gateway in front of the device; the
/// agent starts only after the lease.
#[test]
fn udhcpc_of_buildroot_finds_the_acs_before_the_agent_starts() {
    in_own_network("discovery::end_to_end::udhcpc_of_buildroot_finds_the_acs_before_the_agent_starts", || {
        if !has_dhcp() {
            return;
        }
        network();
        let mut acs = acs();
        let device = Device::new();
        let options = ["11,".to_owned() + &acs.url(), "12,code".into(), "4,00D09E".into(), "5,0007".into()];
        let options = options.map(|option| format!("--dhcp-option-force=tag:cpe,vi-encap:3561,{option}"));
        let _server = server(&device, &options);
        let hook = format!("{} \"$@\"", cross("dhcp/udhcpc").display());
        let _client = client(&device, Path::new("no-agent.sock"), &hook, &["-V", "cpe of dslforum.org", "-O", "125"]);
        let file = device.directory().join("wan");
        let end = std::time::Instant::now() + SOON;
        while !file.exists() {
            assert!(std::time::Instant::now() < end, "no lease");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let agent = device.bare().start();
        acs.session(SOON).expect_complete();
        assert_eq!(agent.value("Device.DeviceInfo.ProvisioningCode"), "code");
    });
}

/// Runs a hook as a shell would source or start it, and returns the file that it leaves; empty if there is none.
fn run(device: &Device, hook: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new("busybox");
    command.args(["ash", "-ec", &format!("{hook}; :")]);
    command.env("CPE_AGENT_PROGRAM", BINARY).env("CPE_AGENT_DHCP", device.directory());
    let stubs = cross("tests/openwrt/bin").display().to_string();
    command.env("PATH", format!("{stubs}:{}", std::env::var("PATH").unwrap_or_default()));
    command.env("UCI_CONFIG_DIR", device.home.path());
    let output = command.envs(environment.iter().copied()).output().expect("busybox");
    assert!(output.status.success(), "{hook}: {}", String::from_utf8_lossy(&output.stderr));
    let name = environment.iter().find(|(name, _)| *name == "FILE").map_or("wan", |(_, name)| *name);
    fs::read_to_string(device.directory().join(name)).unwrap_or_default()
}

/// The other hooks take the options from where their clients leave them.
#[test]
fn each_client_has_a_hook() {
    if !has_dhcp() {
        return;
    }
    let device = Device::new();
    fs::write(device.home.path().join("values"), "cpe-agent.agent.interface=wan wan6\nnetwork.wan.reqopts=12 125\n")
        .expect("the options of UCI");
    let url = "http://acs.example/";
    let data = option_43(&[(1, url)]).replace("43=", "");
    let source = |file: &str, words: &str| format!("set -- {words}; . {}", cross(file).display());

    let udhcpc = source("openwrt/files/cpe-agent.udhcpc", "bound");
    let told = run(&device, &udhcpc, &[("INTERFACE", "wan"), ("opt43", &data)]);
    assert_eq!(told, format!("requested=125\noption=43={data}\n"));
    assert_eq!(run(&device, &udhcpc, &[("INTERFACE", "lan"), ("opt43", &data), ("FILE", "lan")]), "");
    let udhcpc = source("openwrt/files/cpe-agent.udhcpc", "deconfig");
    assert_eq!(run(&device, &udhcpc, &[("INTERFACE", "wan")]), "");

    let data6 = format!("00000de90001{:04x}{}", url.len(), hex(url));
    let environment = [("INTERFACE", "wan6"), ("OPTION_17", data6.as_str()), ("FILE", "wan6")];
    let odhcp6c = source("openwrt/files/cpe-agent.odhcp6c", "wan bound");
    assert_eq!(run(&device, &odhcp6c, &environment), format!("option6=17={data6}\n"));
    let odhcp6c = source("openwrt/files/cpe-agent.odhcp6c", "wan unbound");
    assert_eq!(run(&device, &odhcp6c, &environment), "");

    // dhclient prints bytes without leading zeros.
    let bytes = narrow(&[(1, url)]);
    let bytes: Vec<&str> = (0..bytes.len()).step_by(2).map(|at| bytes[at..at + 2].trim_start_matches('0')).collect();
    let bytes = bytes.join(":");
    let dhclient = source("dhcp/dhclient", "");
    let option = ("new_vendor_encapsulated_options", bytes.as_str());
    let told = run(&device, &dhclient, &[("reason", "BOUND"), ("interface", "wan"), option]);
    assert_eq!(told, format!("requested=43\noption=43={data}\n"));
    assert_eq!(run(&device, &dhclient, &[("reason", "EXPIRE"), ("interface", "wan")]), "");

    // networkd leaves a file for each link.
    let (leases, links) = (device.home.path().join("netif"), device.home.path().join("links"));
    fs::create_dir_all(links.join("wan")).expect("a link");
    fs::create_dir_all(links.join("lo")).expect("a link");
    fs::create_dir_all(&leases).expect("leases");
    fs::write(links.join("wan/ifindex"), "7\n").expect("a file");
    fs::write(links.join("lo/ifindex"), "1\n").expect("a file");
    fs::write(leases.join("7"), format!("ADDRESS=192.0.2.2\nVENDOR_SPECIFIC={data}\n")).expect("a lease");
    let networkd = cross("dhcp/networkd").display().to_string();
    let environment =
        [("NETWORKD_LEASES", leases.to_str().expect("UTF-8")), ("CPE_AGENT_LINKS", links.to_str().expect("UTF-8"))];
    assert_eq!(run(&device, &networkd, &environment), format!("requested=43\noption=43={data}\n"));
    fs::remove_file(leases.join("7")).expect("the lease");
    assert_eq!(run(&device, &networkd, &environment), "");
    assert!(!device.directory().join("lo").exists());
}

/// R338, R339: dnsmasq tells which devices of the LAN belong to TR-069, and gives them the identity of the gateway; the ACS
/// sees them in ManageableDevice until their leases end. R340: it is told of their number at once, and not again before
/// ManageableDeviceNotificationLimit.
#[test]
fn devices_of_the_lan_are_manageable() {
    in_own_network("discovery::end_to_end::devices_of_the_lan_are_manageable", || {
        if !has_dhcp() {
            return;
        }
        network();
        let mut acs = Acs::start(AcsOptions::new());
        let device = Device::new();
        let list = device.home.path().join("devices");
        fs::write(&list, "").expect("the list");
        let overlay = device.home.path().join("devices.json");
        let text = fs::read_to_string(model_file("manageable-devices.json")).expect("the overlay");
        fs::write(&overlay, text.replace("/var/run/cpe-agent.devices", list.to_str().expect("UTF-8"))).expect("a file");
        let script = device.home.path().join("lease");
        let hook = cross("dhcp/dnsmasq");
        write_script(&script, &format!("CPE_AGENT_DEVICES={} exec {} \"$@\"", list.display(), hook.display()));
        let mut options = ["4,00D09E", "5,30:30:30:37", "6,Box"]
            .map(|o| format!("--dhcp-option=tag:cpewan-id,vi-encap:3561,{o}"))
            .to_vec();
        options.push(format!("--dhcp-script={}", script.display()));
        let _server = server(&device, &options);
        acs.enqueue(set_parameter_attributes(&[(COUNT, Some(2), None)]));
        acs.enqueue(set_parameter_values(&[(LIMIT, "unsignedInt", "4")], ""));
        let agent = TR_181.shipped_at(&acs.url()).data_model(model_file("linux.json")).data_model(&overlay).start();
        acs.session(SOON).expect_complete();
        agent.wait_for_log("session finished", SOON);
        // The device sends OUI A1B2C3, serial number "S 1" and product class "Set".
        let values = narrow(&[(1, "A1B2C3"), (2, "S 1"), (3, "Set")]);
        let sent = format!("0x7d:00000de9{:02x}{values}", values.len() / 2);
        let told = device.home.path().join("told");
        let client = client(
            &device,
            Path::new("none.sock"),
            &format!("[ $1 != bound ] || echo \"$opt125\" >{}", told.display()),
            &["-O", "125", "-x", &sent],
        );
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.events(), ["4 VALUE CHANGE"]);
        assert_eq!(session.inform().value(COUNT), Some("1"));
        let table = agent.succeeds(&["get", "Device.ManagementServer.ManageableDevice."]);
        for value in ["ManufacturerOUI=A1B2C3\n", "SerialNumber=S 1\n", "ProductClass=Set\n"] {
            assert!(table.contains(value), "{value} is not in\n{table}");
        }
        let answer = fs::read_to_string(&told).expect("the answer");
        for value in [(4, "00D09E"), (5, "0007"), (6, "Box")] {
            assert!(answer.contains(&narrow(&[value])), "{value:?} is not in {answer}");
        }
        let reported = std::time::Instant::now();
        // In one network the release of the client would not reach the server, so that the test tells of the end itself.
        drop(client);
        sh(&format!("{} del $(cut -f 1 {})", script.display(), list.display()));
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.inform().value(COUNT), Some("0"));
        assert!(reported.elapsed() > std::time::Duration::from_secs(2), "{:?}", reported.elapsed());
    });
}
