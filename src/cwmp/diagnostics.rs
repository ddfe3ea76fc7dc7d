//! Diagnostic tests: the objects of the data model that are tests, and the progress of each (section W of the requirements).
//!
//! ```text
//!            Requested                    the test ends
//!   None ───────────────▶ Requested ────────────────────▶ Ended: Complete or Error_…, with results
//!    ▲                     │      ▲                         │        │
//!    └── Canceled, input ──┘      └──── Requested ──────────┘        │
//!    ◀─────────────────────────── input, reboot ─────────────────────┘
//! ```
//!
//! An *input* is any other writable parameter of the object (R314). The journal holds each step once: a request before its
//! response, and the results with `8 DIAGNOSTICS COMPLETE`. The tree shows them as values that it does not store itself.

use serde_json::{Map, Value as Json};

use crate::json;
use crate::model::actions::Actions;
use crate::model::tree::Tree;

/// The name of the parameter that starts a test and shows its progress.
pub const STATE: &str = "DiagnosticsState";

/// The value by which the ACS requests a test.
pub const REQUESTED: &str = "Requested";

/// The value by which the ACS cancels a test.
pub const CANCELED: &str = "Canceled";

/// The value of a test that succeeded, in all objects but the older ones of TR-143.
pub const COMPLETE: &str = "Complete";

/// The kinds of tests that the agent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// ICMP echo requests to a host.
    Ping,
    /// Datagrams with growing hop limits to a host.
    TraceRoute,
    /// Datagrams that the echo service of a host returns.
    UdpEcho,
    /// The fastest of several hosts.
    ServerSelection,
    /// Questions to a name server.
    Lookup,
    /// The speed of a download.
    Download,
    /// The speed of an upload.
    Upload,
    /// The test of a vendor: a program of `actions.diagnostics`.
    Program,
}

/// A test of the standard.
struct Standard {
    test: Test,
    /// The path of the object below `Device.`.
    device: &'static str,
    /// The path of the object below `InternetGatewayDevice.`.
    gateway: &'static str,
    /// The input without which the test has no meaning.
    input: &'static str,
    /// True if older data models call the success `Completed` (R312).
    completed: bool,
}

/// The tests of the standard that this build runs.
#[cfg(feature = "diagnostics")]
const STANDARD: &[Standard] = &[
    Standard {
        test: Test::Ping,
        device: "IP.Diagnostics.IPPing.",
        gateway: "IPPingDiagnostics.",
        input: "Host",
        completed: false,
    },
    Standard {
        test: Test::TraceRoute,
        device: "IP.Diagnostics.TraceRoute.",
        gateway: "TraceRouteDiagnostics.",
        input: "Host",
        completed: false,
    },
    Standard {
        test: Test::UdpEcho,
        device: "IP.Diagnostics.UDPEchoDiagnostics.",
        gateway: "UDPEchoDiagnostics.",
        input: "Host",
        completed: true,
    },
    Standard {
        test: Test::ServerSelection,
        device: "IP.Diagnostics.ServerSelectionDiagnostics.",
        gateway: "ServerSelectionDiagnostics.",
        input: "HostList",
        completed: true,
    },
    Standard {
        test: Test::Lookup,
        device: "DNS.Diagnostics.NSLookupDiagnostics.",
        gateway: "NSLookupDiagnostics.",
        input: "HostName",
        completed: false,
    },
    Standard {
        test: Test::Download,
        device: "IP.Diagnostics.DownloadDiagnostics.",
        gateway: "DownloadDiagnostics.",
        input: "DownloadURL",
        completed: true,
    },
    Standard {
        test: Test::Upload,
        device: "IP.Diagnostics.UploadDiagnostics.",
        gateway: "UploadDiagnostics.",
        input: "UploadURL",
        completed: true,
    },
];
#[cfg(not(feature = "diagnostics"))]
const STANDARD: &[Standard] = &[];

/// Returns the test of the standard that an object is.
fn standard(tree: &Tree, object: &str) -> Option<&'static Standard> {
    let inside = object.strip_prefix(tree.root_name())?.strip_prefix('.')?;
    let is_gateway = tree.root_name() == "InternetGatewayDevice";
    STANDARD.iter().find(|test| inside == if is_gateway { test.gateway } else { test.device })
}

/// Returns the test that an object is, given by its path with the dot. A program of the vendor precedes the test of the agent.
pub fn test_at(tree: &Tree, actions: &Actions, object: &str) -> Option<Test> {
    match actions.diagnostic(object) {
        Some(_) if cfg!(feature = "diagnostics") => Some(Test::Program),
        _ => standard(tree, object).map(|standard| standard.test),
    }
}

/// Returns the path of UDPEchoConfig with its dot.
pub fn echo_object(tree: &Tree) -> &'static str {
    match tree.root_name() {
        "InternetGatewayDevice" => "InternetGatewayDevice.UDPEchoConfig.",
        _ => "Device.IP.Diagnostics.UDPEchoConfig.",
    }
}

/// Returns the name of the input that a test of the standard needs.
pub fn needed_input(tree: &Tree, object: &str) -> Option<&'static str> {
    standard(tree, object).map(|standard| standard.input)
}

/// Returns the path of the object, with its dot, if the name is that of a DiagnosticsState.
pub fn object_of_state(name: &str) -> Option<&str> {
    name.strip_suffix(STATE).filter(|object| object.ends_with('.'))
}

/// Returns the value of DiagnosticsState for the end of a test. `Complete` becomes `Completed` where the data model is as old
/// as that (R312), and an error that the model does not list becomes one that it lists.
pub fn state_in_model(tree: &Tree, object: &str, state: &str) -> String {
    let name = format!("{object}{STATE}");
    let allows = |state: &str| tree.parameter(&name).is_ok_and(|parameter| parameter.spec.parse(state).is_ok());
    if state == COMPLETE {
        let is_old = standard(tree, object).is_some_and(|standard| standard.completed) && says_completed(tree);
        let words = if is_old { ["Completed", COMPLETE] } else { [COMPLETE, "Completed"] };
        return words.into_iter().find(|word| allows(word)).unwrap_or(COMPLETE).to_owned();
    }
    // An upload of TR-098 has no error for silence.
    let near = if state == "Error_Timeout" { "Error_NoTransferComplete" } else { state };
    let known = [
        state,
        near,
        "Error_Other",
        "Error_Internal",
        "Error",
        "Error_InitConnectionFailed",
        "Error_MaxHopCountExceeded",
    ];
    known.into_iter().find(|state| allows(state)).unwrap_or(state).to_owned()
}

/// Returns true if the advertised data model is from before Device:2.13 (R312).
fn says_completed(tree: &Tree) -> bool {
    if tree.root_name() == "InternetGatewayDevice" {
        return true;
    }
    let version = tree.get("Device.RootDataModelVersion").map(|version| version.to_string()).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < (2, 13),
        _ => false,
    }
}

/// The results of a test: names relative to the object, such as `RouteHops.1.Host`, with their texts.
pub type Results = Vec<(String, String)>;

/// The progress of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No results: DiagnosticsState is `None`.
    None,
    /// The test is to run, or runs. True if the ACS has requested it, which is told of its end.
    Requested {
        /// True if `8 DIAGNOSTICS COMPLETE` follows the end.
        by_acs: bool,
    },
    /// The test has ended.
    Ended {
        /// The value of DiagnosticsState.
        state: String,
        /// The results.
        results: Results,
    },
}

/// A test that was requested since the device booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The path of the object, with its dot.
    pub object: String,
    /// The progress.
    pub progress: Progress,
    /// Tells this request from earlier ones of the same object, whose results do not count any more.
    pub number: u32,
    /// True if the journal holds the progress.
    is_stored: bool,
}

impl Run {
    /// Returns the value of DiagnosticsState.
    pub fn state(&self) -> &str {
        match &self.progress {
            Progress::None => "None",
            Progress::Requested { .. } => REQUESTED,
            Progress::Ended { state, .. } => state,
        }
    }

    /// Returns the results; none before the end.
    pub fn results(&self) -> &[(String, String)] {
        match &self.progress {
            Progress::Ended { results, .. } => results,
            _ => &[],
        }
    }

    /// Returns the form in the journal. The names of the members are part of the file format and must stay.
    fn to_json(&self) -> Json {
        match &self.progress {
            Progress::None => Json::Null,
            Progress::Requested { by_acs } => Json::Array(vec![(*by_acs).into()]),
            Progress::Ended { state, results } => {
                Json::Array(vec![state.as_str().into(), json::pairs_to_json(results)])
            }
        }
    }
}

/// The tests that were requested since the device booted, in the order of their requests.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    runs: Vec<Run>,
    last_number: u32,
}

impl Runs {
    /// Returns the tests, in the order of their requests.
    pub fn iter(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }

    /// Returns the test that an object is, if it was requested.
    pub fn get(&self, object: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.object == object)
    }

    /// Returns the test that is to run next.
    pub fn next(&self) -> Option<&Run> {
        self.runs.iter().find(|run| matches!(run.progress, Progress::Requested { .. }))
    }

    /// Returns true if this request of a test still counts.
    pub fn is_requested(&self, object: &str, number: u32) -> bool {
        self.get(object).is_some_and(|run| run.number == number && matches!(run.progress, Progress::Requested { .. }))
    }

    /// Sets the progress of a test. A request makes it the last one.
    pub fn set(&mut self, object: &str, progress: Progress) {
        let is_request = matches!(progress, Progress::Requested { .. });
        let known = self.runs.iter().position(|run| run.object == object);
        let Some(at) = known.filter(|_| !is_request) else {
            known.map(|at| self.runs.remove(at));
            if progress != Progress::None {
                self.last_number = self.last_number.wrapping_add(1);
                self.runs.push(Run { object: object.to_owned(), progress, number: self.last_number, is_stored: false });
            }
            return;
        };
        let run = &mut self.runs[at];
        run.is_stored &= run.progress == progress;
        run.progress = progress;
    }

    /// Ends all tests without results: the device has booted (R313).
    pub fn forget(&mut self) {
        for run in &mut self.runs {
            run.is_stored &= run.progress == Progress::None;
            run.progress = Progress::None;
        }
    }

    /// Returns true if a test has ended.
    pub fn has_ended(&self) -> bool {
        self.runs.iter().any(|run| matches!(run.progress, Progress::Ended { .. }))
    }

    /// Drops the tests whose object is no test any more.
    pub fn retain(&mut self, is_test: impl Fn(&str) -> bool) {
        self.runs.retain(|run| is_test(&run.object));
    }

    /// Returns the part of a record with what the journal does not hold yet; `None` if it holds everything.
    pub(super) fn unwritten(&self) -> Option<String> {
        let unwritten = self.runs.iter().filter(|run| !run.is_stored);
        let members: Map<String, Json> = unwritten.map(|run| (run.object.clone(), run.to_json())).collect();
        (!members.is_empty()).then(|| Json::Object(members).to_string())
    }

    /// Notes that the journal holds all of it.
    pub(super) fn written(&mut self) {
        self.runs.iter_mut().for_each(|run| run.is_stored = true);
        self.runs.retain(|run| run.progress != Progress::None);
    }

    /// Returns the part of a snapshot; `None` without a test.
    pub(super) fn snapshot(&self) -> Option<Json> {
        let kept = self.runs.iter().filter(|run| run.progress != Progress::None);
        let members: Map<String, Json> = kept.map(|run| (run.object.clone(), run.to_json())).collect();
        (!members.is_empty()).then_some(Json::Object(members))
    }

    /// Takes over the part of a record. Malformed tests are left out.
    pub(super) fn restore(&mut self, json: &Json) {
        for (object, run) in json.as_object().into_iter().flatten() {
            let progress = match (run.get(0), run.get(1)) {
                (Some(Json::Bool(by_acs)), None) => Progress::Requested { by_acs: *by_acs },
                (Some(Json::String(state)), Some(Json::Array(results))) => {
                    Progress::Ended { state: state.clone(), results: json::pairs_from_json(results) }
                }
                _ => Progress::None,
            };
            self.set(object, progress);
        }
        self.written();
    }
}
