//! UCI packages as sources: the configuration of a router in `/etc/config`, in a private mount namespace.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::gateway::TR_181;
use crate::support::Agent;
use crate::support::agent::AgentBuilder;
use crate::support::mount::with_mounts;
use crate::support::port::closed_address;

/// The packages of the router, which the unit tests of the parser read too.
pub(super) const PACKAGES: [(&str, &str); 5] = [
    ("dhcp", include_str!("uci/dhcp")),
    ("firewall", include_str!("uci/firewall")),
    ("network", include_str!("uci/network")),
    ("system", include_str!("uci/system")),
    ("wireless", include_str!("uci/wireless")),
];

const OVERLAY: &str = r#"{ "Device": {
    "X_00D09E_System": { "source": { "uci": "system", "at": "@system[0]", "also": { "ntp": { "uci": "system", "at": "ntp" } } },
      "Name": { "type": "string", "source": "hostname" },
      "LogSize": { "type": "unsignedInt", "source": "log_size" },
      "Servers": { "type": "string", "list": true, "source": { "field": "ntp:server", "as": "words" } } },
    "X_00D09E_Lan": { "source": { "uci": "network", "at": "lan", "also": { "dhcp": { "uci": "dhcp", "at": "lan" } } },
      "Mask": { "type": "string", "source": "netmask" },
      "MTU": { "type": "unsignedInt", "source": { "field": "mtu", "absent": "1500" } },
      "Lease": { "type": "int", "source": { "field": "dhcp:leasetime", "as": "duration" } } },
    "X_00D09E_Radio": { "source": { "uci": "wireless", "rows": "wifi-device" },
      "{i}": {
        "Name": { "type": "string", "source": ".name" },
        "Standards": { "type": "string", "list": true, "source": { "view": "htmode.standards", "fields": ["htmode", "band"] } },
        "Width": { "type": "unsignedInt", "source": { "field": "htmode", "match": "([0-9]+)$", "absent": "1" } },
        "Auto": { "type": "boolean", "source": { "field": "channel", "map": { "auto": "true", "*": "false" } } } } },
    "X_00D09E_Pool": { "source": { "uci": "dhcp", "rows": "dhcp",
        "also": { "pool": { "uci": "dhcp", "at": "{key}" }, "net": { "uci": "network", "at": "{pool:interface}" } } },
      "{i}": {
        "First": { "type": "string", "source": { "view": "dhcp-range.first", "fields": ["start", "limit", "net:ipaddr", "net:netmask"] } },
        "Last": { "type": "string", "source": { "view": "dhcp-range.last", "fields": ["start", "limit", "net:ipaddr", "net:netmask"] } } } },
    "X_00D09E_SSID": { "source": { "uci": "wireless", "rows": "wifi-iface", "where": { "mode": "ap" },
        "also": { "same": { "uci": "wireless", "at": "{key}" }, "radio": { "uci": "wireless", "at": "{same:device}" } } },
      "{i}": {
        "SSID": { "type": "string", "source": "ssid" },
        "Enable": { "type": "boolean", "source": { "field": "disabled", "as": "!boolean", "absent": "true" } },
        "Band": { "type": "string", "source": "radio:band" },
        "LowerLayers": { "type": "string", "source": { "field": "device", "path": "Device.X_00D09E_Radio.*" } } } },
    "X_00D09E_AccessPointNumberOfEntries": { "type": "unsignedInt", "counts": "X_00D09E_AccessPoint" },
    "X_00D09E_AccessPoint": { "access": "readWrite", "source": { "follows": "Device.X_00D09E_SSID" },
      "{i}": {
        "SSIDReference": { "type": "string", "source": { "field": ".name", "path": "Device.X_00D09E_SSID.*" } },
        "Mode": { "type": "string", "source": { "field": "encryption", "match": "^([^+]+)", "map": { "psk2": "WPA2-Personal" } } },
        "Band": { "type": "string", "source": "radio:band" },
        "Note": { "type": "string", "access": "readWrite" } } },
    "X_00D09E_Zone": { "source": { "uci": "firewall", "rows": "zone", "identity": ["name"],
        "also": { "same": { "uci": "firewall", "at": "{key}" } } },
      "{i}": { "Networks": { "type": "string", "list": true, "source": { "field": "same:network", "as": "words" } } } },
    "X_00D09E_Host": { "source": { "uci": "dhcp", "rows": "host" },
      "{i}": { "Name": { "type": "string", "source": "name" }, "Note": { "type": "string", "access": "readWrite" } } },
    "X_00D09E_RuleNumberOfEntries": { "type": "unsignedInt", "counts": "X_00D09E_Rule" },
    "X_00D09E_Rule": { "source": { "uci": "firewall", "rows": "rule", "identity": ["name"] },
      "{i}": {
        "Order": { "type": "unsignedInt", "source": ".position" },
        "Name": { "type": "string", "source": "name" },
        "Note": { "type": "string", "access": "readWrite" } } } } }"#;

const NAME: &str = "Device.X_00D09E_System.Name";
const RULES: &str = "Device.X_00D09E_Rule.";

/// The directories of a router that lie over `/etc` and `/run`.
pub(super) struct Router {
    place: TempDir,
}

impl Router {
    pub(super) fn new() -> Router {
        Router::with(OVERLAY)
    }

    /// Makes a router with another overlay of the data model.
    pub(super) fn with(overlay: &str) -> Router {
        let router = Router { place: tempfile::tempdir().expect("a directory") };
        fs::create_dir_all(router.path("etc/config")).expect("a directory");
        fs::create_dir_all(router.path("run/uci")).expect("a directory");
        PACKAGES.iter().for_each(|(name, text)| router.commit(name, text));
        fs::write(router.path("overlay.json"), overlay).expect("written");
        router
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Replaces a package by a rename, as `uci commit` does.
    pub(super) fn commit(&self, package: &str, text: &str) {
        let new = self.path("etc/config/.new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, self.path("etc/config").join(package)).expect("renamed");
    }

    fn agent(&self) -> Option<Agent> {
        let url = format!("http://{}/acs", closed_address());
        let agent = self.agent_at(&url)?.start();
        agent.wait_for_control();
        Some(agent)
    }

    /// Returns an agent on this router with an ACS at this URL.
    pub(super) fn agent_at(&self, url: &str) -> Option<AgentBuilder> {
        let agent = TR_181.gateway_at(url).data_model(self.path("overlay.json"));
        with_mounts(agent, &[(&self.path("etc"), "/etc"), (&self.path("run"), "/run")])
    }
}

/// Returns the values at and below a path, without the path.
pub(super) fn values(agent: &Agent, path: &str) -> Vec<String> {
    agent.succeeds(&["get", path]).lines().filter_map(|line| line.strip_prefix(path)).map(str::to_owned).collect()
}

#[test]
fn the_configuration_of_a_router_is_read() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    assert_eq!(
        values(&agent, "Device.X_00D09E_System."),
        ["Name=gateway", "LogSize=128", "Servers=0.openwrt.pool.ntp.org,1.openwrt.pool.ntp.org"]
    );
    assert_eq!(values(&agent, "Device.X_00D09E_Lan."), ["Mask=255.255.255.0", "MTU=1500", "Lease=43200"]);
    let radios = [
        "1.Name=radio0",
        "1.Standards=g,n",
        "1.Width=20",
        "1.Auto=true",
        "2.Name=radio1",
        "2.Standards=",
        "2.Width=1",
        "2.Auto=false",
    ];
    assert_eq!(values(&agent, "Device.X_00D09E_Radio."), radios);
    // The second pool has an interface without an address of its own.
    let pools = ["1.First=192.168.1.100", "1.Last=192.168.1.249", "2.First=", "2.Last="];
    assert_eq!(values(&agent, "Device.X_00D09E_Pool."), pools);
    assert_eq!(
        values(&agent, "Device.X_00D09E_SSID."),
        [
            "1.SSID=Café 7",
            "1.Enable=true",
            "1.Band=2g",
            "1.LowerLayers=Device.X_00D09E_Radio.1",
            "2.SSID=Guest",
            "2.Enable=false",
            "2.Band=5g",
            "2.LowerLayers=Device.X_00D09E_Radio.2",
        ],
        "a section of the mode `sta` is none of the rows"
    );
    assert_eq!(agent.value("Device.X_00D09E_RuleNumberOfEntries"), "3");
    // The key of an anonymous section leads to it.
    assert_eq!(values(&agent, "Device.X_00D09E_Zone."), ["1.Networks=lan", "2.Networks=wan,wan6"]);
    // A text that a view does not understand costs that value alone, and is told.
    router.commit("dhcp", &PACKAGES[0].1.replace("'100'", "'many'"));
    assert_eq!(agent.value("Device.X_00D09E_Pool.1.First"), "192.168.1.100");
    let status = agent.succeeds(&["status"]);
    assert!(status.contains("Pool.1.First: `many` has another form than the view needs"), "{status}");
    router.commit("dhcp", PACKAGES[0].1);
    let explained = agent.succeeds(&["source", NAME]);
    assert!(explained.starts_with(&format!("{NAME}=gateway\n  source  uci system (")), "{explained}");
    // The agent has read only.
    for (name, text) in PACKAGES {
        assert_eq!(fs::read_to_string(router.path("etc/config").join(name)).expect("a package"), text);
    }
    assert_eq!(fs::read_dir(router.path("etc/config")).expect("a directory").count(), PACKAGES.len());
}

/// R217, R218: an anonymous section keeps its instance when others come and go, which renames it for libuci.
#[test]
fn an_anonymous_section_keeps_its_instance() {
    let router = Router::new();
    let Some(mut agent) = router.agent() else { return };
    agent.succeeds(&["get", RULES]);
    agent.succeeds(&["set", &format!("{RULES}2.Note=for the helpdesk")]);
    let firewall = PACKAGES[1].1;
    let (first, last) = (firewall.find("config rule").expect("a rule"), firewall.rfind("config rule").expect("a rule"));
    let second = first + 1 + firewall[first + 1..].find("config rule").expect("a rule");
    // Without the first rule and a zone, and with a new rule in front.
    let zones = firewall[..first]
        .replace("config zone\n\toption name\t\tlan\n\tlist   network\t\t'lan'\n\toption input\t\tACCEPT\n", "");
    assert!(zones.len() < first);
    let new = "config rule\n\toption name 'New'\n\n";
    router.commit("firewall", &format!("{zones}{new}{}{}", &firewall[second..last], &firewall[last..]));
    let expected = [
        "2.Order=2",
        "2.Name=Allow-Ping",
        "2.Note=for the helpdesk",
        "3.Order=3",
        "3.Name=Block-Telnet",
        "3.Note=",
        "4.Order=1",
        "4.Name=New",
        "4.Note=",
    ];
    assert_eq!(values(&agent, RULES), expected);
    agent.crash_and_restart();
    agent.wait_for_control();
    assert_eq!(values(&agent, RULES), expected);
}

/// R217, R218: without options that tell sections apart, the agent knows a section again by all of them.
#[test]
fn a_section_without_an_identity_keeps_its_instance() {
    const HOSTS: &str = "Device.X_00D09E_Host.";
    let router = Router::new();
    let Some(mut agent) = router.agent() else { return };
    assert_eq!(values(&agent, HOSTS), ["1.Name=printer", "1.Note=", "2.Name=nas", "2.Note="]);
    agent.succeeds(&["set", &format!("{HOSTS}2.Note=in the cellar")]);
    // The agent does not run while the first one goes. Then one comes in front, and in the end the section changes.
    let nas = "config host\n\toption name 'nas'\n\tlist mac '02:00:00:00:00:11'\n\tlist mac '02:00:00:00:00:12'\n\
               \toption ip '192.168.1.11'\n";
    agent.terminate();
    router.commit("dhcp", nas);
    agent.restart();
    agent.wait_for_control();
    assert_eq!(values(&agent, HOSTS), ["2.Name=nas", "2.Note=in the cellar"]);
    router.commit("dhcp", &format!("config host\n\toption name 'new'\n{nas}"));
    assert_eq!(values(&agent, HOSTS), ["2.Name=nas", "2.Note=in the cellar", "3.Name=new", "3.Note="]);
    router.commit("dhcp", &format!("config host\n\toption name 'new'\n{}", nas.replace("nas", "storage")));
    let expected = ["2.Name=storage", "2.Note=in the cellar", "3.Name=new", "3.Note="];
    assert_eq!(values(&agent, HOSTS), expected);
    agent.crash_and_restart();
    agent.wait_for_control();
    // A failed session may add a record at any time, but none of a row.
    let rows = || {
        let journal = fs::read(agent.state_dir().join("journal")).expect("a journal");
        String::from_utf8_lossy(&journal).matches(r#"["*","#).count()
    };
    let before = rows();
    assert!(before > 0);
    assert_eq!(values(&agent, HOSTS), expected);
    assert_eq!(rows(), before, "a read writes nothing");
}

/// R217, R218: a table that follows another one has its instances, over restarts too.
#[test]
fn a_table_has_the_rows_of_the_one_that_it_follows() {
    const POINTS: &str = "Device.X_00D09E_AccessPoint.";
    let router = Router::new();
    let Some(mut agent) = router.agent() else { return };
    assert_eq!(agent.value("Device.X_00D09E_AccessPointNumberOfEntries"), "2");
    let second = ["2.SSIDReference=Device.X_00D09E_SSID.2", "2.Mode=none", "2.Band=5g", "2.Note="];
    let first = ["1.SSIDReference=Device.X_00D09E_SSID.1", "1.Mode=WPA2-Personal", "1.Band=2g", "1.Note="];
    assert_eq!(values(&agent, POINTS), [first, second].concat());
    agent.succeeds(&["set", &format!("{POINTS}2.Note=lobby")]);
    assert!(!agent.command(&["add", POINTS]).status.success(), "the rows are those of the other table");
    let wireless = PACKAGES[4].1;
    router.commit("wireless", &wireless.replace("'default_radio0'", "'another'"));
    agent.crash_and_restart();
    agent.wait_for_control();
    let ids = |path: &str| -> Vec<String> {
        let names = values(&agent, path);
        let mut ids: Vec<String> = names.iter().map(|name| name.split('.').next().unwrap_or_default().into()).collect();
        ids.dedup();
        ids
    };
    assert_eq!(agent.value(&format!("{POINTS}2.Note")), "lobby");
    assert_eq!(ids(POINTS), ["2", "3"]);
    assert_eq!(ids("Device.X_00D09E_SSID."), ["2", "3"]);
    assert_eq!(agent.value(&format!("{POINTS}3.SSIDReference")), "Device.X_00D09E_SSID.3");
    fs::remove_file(router.path("etc/config/wireless")).expect("removed");
    assert_eq!(ids(POINTS), ["2", "3"], "what cannot be read takes nothing away");
}

#[test]
fn a_package_that_is_broken_or_missing_takes_nothing_away() {
    let router = Router::new();
    let Some(agent) = router.agent() else { return };
    let before = values(&agent, RULES);
    assert_eq!(before.len(), 9);
    router.commit("firewall", &PACKAGES[1].1.replace("'tcp'", "'tcp"));
    assert_eq!(values(&agent, RULES), before);
    let status = agent.succeeds(&["status"]);
    assert!(status.contains("uci firewall rule") && status.contains("the quote is not closed"), "{status}");
    router.commit("firewall", "config rule\n\toption name Allow-Ping\n");
    assert_eq!(values(&agent, RULES), ["2.Order=1", "2.Name=Allow-Ping", "2.Note="]);
    assert_eq!(agent.value(NAME), "gateway");
    fs::remove_file(router.path("etc/config/system")).expect("removed");
    assert_eq!(agent.value(NAME), "gateway");
    assert!(agent.succeeds(&["status"]).contains("/etc/config/system: No such file"));
    // A package of the volatile directory overrules that of the flash.
    router.commit("system", "config system\n\toption hostname 'flash'\n");
    assert_eq!(agent.value(NAME), "flash");
    fs::write(router.path("run/uci/system"), "config system\n\toption hostname 'volatile'\n").expect("written");
    assert_eq!(agent.value(NAME), "volatile");
    fs::remove_file(router.path("run/uci/system")).expect("removed");
    assert_eq!(agent.value(NAME), "flash");
}
