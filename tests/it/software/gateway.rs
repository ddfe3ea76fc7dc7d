//! A gateway whose software a test's own package manager changes, with its ACS and its file server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{AcsSession, FileServer, FileServerOptions, FileSpec, Message, Rpc, raw_rpc};
use crate::transfers::{TransferGateway, until};

pub(crate) const UUID: &str = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";
pub(crate) const OTHER: &str = "6BA7B811-9DAD-51D1-80B4-00C04FD430C8";
/// The UUID that the package manager gives a unit that comes without one.
pub(crate) const GIVEN: &str = "6ba7b812-9dad-51d1-80b4-00c04fd430c8";
pub(crate) const MODULES: &str = "Device.SoftwareModules.";

/// The gateway, and the package manager in the directory of its traces.
pub(crate) struct SoftwareGateway {
    pub(crate) base: TransferGateway,
}

/// The result of one operation, in a report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) code: u16,
    pub(crate) uuid: String,
    pub(crate) version: String,
    pub(crate) state: String,
    pub(crate) unit: String,
    pub(crate) services: String,
}

impl SoftwareGateway {
    pub(crate) fn new() -> SoftwareGateway {
        SoftwareGateway::with("")
    }

    /// A gateway after its first session; `members` are further members of the action.
    pub(crate) fn with(members: &str) -> SoftwareGateway {
        SoftwareGateway::at(FileServer::start(FileServerOptions::new().digest("cpe", "s3cret")), members)
    }

    pub(crate) fn at(files: FileServer, members: &str) -> SoftwareGateway {
        let action = format!("\"software\": {{ \"run\": [\"PLACE/manager\"]{members} }}");
        let base = TransferGateway::with(files, &action, |builder, place| {
            prepare(Path::new(place));
            builder.data_model("data-model/software.json").data_model(Path::new(place).join("sources.json"))
        });
        SoftwareGateway { base }
    }

    /// Serves a file with these lines for the package manager; returns its URL.
    pub(crate) fn serves(&self, path: &str, lines: &[&str]) -> String {
        self.base.files.serves(path, FileSpec::file((lines.join("\n") + "\n").into_bytes()));
        self.base.files.url(path)
    }

    /// Calls ChangeDUState with the key `k` in a session.
    pub(crate) fn ask(&self, operations: &[String]) {
        self.base.ask(&[change(operations, "k")]);
    }

    /// Expects the report of the request with the key `k`.
    pub(crate) fn report(&self) -> Vec<Reported> {
        let report = self.base.acs.expect_request(&["11 DU STATE CHANGE COMPLETE", "M ChangeDUState/k"]);
        assert_eq!((report.method.as_str(), report.argument("CommandKey")), ("DUStateChangeComplete", Some("k"))); // R351
        results(&report)
    }

    /// Calls ChangeDUState, and returns the results of its report.
    pub(crate) fn done(&self, operations: &[String]) -> Vec<Reported> {
        self.ask(operations);
        self.report()
    }

    pub(crate) fn codes(&self, operations: &[String]) -> Vec<u16> {
        self.done(operations).iter().map(|result| result.code).collect()
    }

    /// Returns the names of the units on the device.
    pub(crate) fn units(&self) -> Vec<String> {
        let entries = fs::read_dir(self.base.place.path().join("units")).expect("a directory");
        let names = entries.flatten().map(|entry| entry.file_name().into_string().expect("a name"));
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Starts a session, past those that report the state of an execution unit.
    pub(crate) fn periodic_session(&self) -> AcsSession {
        self.base.agent.succeeds(&["inform"]);
        loop {
            let (inform, _, mut session) = self.base.acs.next_session();
            if inform.has_event("2 PERIODIC") {
                return session;
            }
            session.end_session();
        }
    }

    pub(crate) fn touch(&self, name: &str) {
        fs::write(self.base.place.path().join(name), "").expect("a file");
    }

    pub(crate) fn waits_for(&self, name: &str) {
        until(name, || !self.base.traces(name).is_empty());
    }

    pub(crate) fn value(&self, name: &str) -> String {
        self.base.agent.value(&format!("{MODULES}{name}"))
    }
}

/// Writes the package manager and the sources of the tables.
fn prepare(place: &Path) {
    let manager = place.join("manager");
    fs::write(&manager, include_str!("manager.sh")).expect("a file");
    fs::set_permissions(&manager, fs::Permissions::from_mode(0o755)).expect("rights");
    for directory in ["units", "services"] {
        fs::create_dir(place.join(directory)).expect("a directory");
    }
    fs::write(place.join("environment"), "main").expect("a file");
    fs::write(place.join("given-uuid"), GIVEN).expect("a file");
    let source = |table: &str| serde_json::json!({ "exec": [manager.clone(), table] });
    let field = |name: &str| serde_json::json!({ "source": name });
    let path = |name: &str, table: &str| serde_json::json!({ "source": { "field": name, "path": table } });
    let sources = serde_json::json!({ "Device": { "SoftwareModules": {
        "ExecEnv": { "source": source("environment"), "{i}": { "Name": field("name"), "Status": field("status") } },
        "DeploymentUnit": { "source": source("unit"), "{i}": {
            "UUID": field("uuid"), "Name": field("name"), "Version": field("version"), "URL": field("url"),
            "Status": field("status"),
            "Resolved": { "source": { "field": "resolved", "as": "boolean" } },
            "ExecutionUnitList": path("execution_units", "Device.SoftwareModules.ExecutionUnit.*"),
            "ExecutionEnvRef": path("environment", "Device.SoftwareModules.ExecEnv.*"),
        } },
        "ExecutionUnit": { "source": source("execution"), "{i}": {
            "Status": field("status"),
            "AutoStart": { "access": "readOnly" },
            "ExecutionEnvRef": path("environment", "Device.SoftwareModules.ExecEnv.*"),
        } },
    } } });
    fs::write(place.join("sources.json"), sources.to_string()).expect("a file");
}

/// Returns ChangeDUState with these operations.
pub(crate) fn change(operations: &[String], key: &str) -> Rpc {
    let xml: String = operations.iter().cloned().collect();
    raw_rpc("ChangeDUState", &format!("{xml}<CommandKey>{key}</CommandKey>"))
}

/// Returns an operation of this type with these arguments.
pub(crate) fn operation(kind: &str, arguments: &[(&str, &str)]) -> String {
    let text = |(name, value): &(&str, &str)| format!("<{name}>{}</{name}>", value.replace('&', "&amp;"));
    let arguments: String = arguments.iter().map(text).collect();
    format!("<Operations xsi:type=\"cwmp:{kind}OpStruct\">{arguments}</Operations>")
}

pub(crate) fn install(url: &str) -> String {
    operation("Install", &[("URL", url), ("UUID", UUID), ("Username", "cpe"), ("Password", "s3cret")])
}

pub(crate) fn uninstall(uuid: &str) -> String {
    operation("Uninstall", &[("UUID", uuid)])
}

/// Returns the results of a report.
pub(crate) fn results(report: &Message) -> Vec<Reported> {
    let document = roxmltree::Document::parse(&report.xml).expect("XML");
    let result = |node: roxmltree::Node<'_, '_>| {
        let text = |name: &str| {
            let found = node.descendants().find(|child| child.has_tag_name(name)).expect("an element");
            found.text().unwrap_or_default().to_owned()
        };
        for time in ["StartTime", "CompleteTime"] {
            assert!(text(time).ends_with('Z'), "{}", report.xml);
        }
        Reported {
            code: text("FaultCode").parse().expect("a code"),
            uuid: text("UUID"),
            version: text("Version"),
            state: text("CurrentState"),
            unit: text("DeploymentUnitRef"),
            services: text("ExecutionUnitRefList"),
        }
    };
    document.descendants().filter(|node| node.has_tag_name("Results")).map(result).collect()
}
