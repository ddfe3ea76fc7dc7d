//! The ACS for trials (`examples/acs`): its orders, several gateways at the same time, and requests that are no POST.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use crate::gateway::{SOON, gateway_at, model_file};
use crate::support::agent::AgentBuilder;
use crate::support::{Acs, AcsOptions, Agent, FileServer, FileServerOptions, FileSpec, Fleet, Session};

#[path = "../../examples/acs/orders.rs"]
mod orders;

use orders::{Orders, USAGE, results};

const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";

fn parse(arguments: &[&str]) -> Result<Orders, String> {
    Orders::parse(arguments.iter().map(|argument| (*argument).to_owned()))
}

fn fleet(arguments: &[&str]) -> Fleet {
    let orders = parse(arguments).expect("orders");
    Fleet::start(AcsOptions::new(), orders.first, orders.again)
}

/// The next session of a gateway, which broke no rule.
fn next_session(acs: &mut Acs) -> Session {
    let session = acs.session(SOON).expect_complete();
    assert_eq!(acs.take_violations(), Vec::<String>::new());
    session
}

fn requests(session: &Session) -> Vec<&str> {
    let answers = session.exchanges.iter().map(|exchange| exchange.answer.what.as_str());
    answers.filter(|what| !what.ends_with("Response") && !what.starts_with("an empty")).collect()
}

#[test]
fn orders_of_the_command_line() {
    let orders = parse(&[
        "0.0.0.0:80",
        "A.",
        "--get",
        "B",
        "--set",
        "C=1=2",
        "--set",
        "D=",
        "--add",
        "E.",
        "--delete",
        "E.1.",
        "F",
        "--download",
        "1 Firmware Upgrade Image",
        "http://f/",
        "--upload",
        "2 Vendor Log File",
        "http://u/",
        "--reboot",
    ])
    .expect("orders");
    assert_eq!(orders.address.as_deref(), Some("0.0.0.0:80"));
    let methods: Vec<&str> = orders.first.iter().map(|rpc| rpc.method()).collect();
    assert_eq!(
        methods,
        [
            "GetParameterValues",
            "SetParameterValues",
            "AddObject",
            "DeleteObject",
            "GetParameterValues",
            "Download",
            "Upload",
            "Reboot",
        ]
    );
    assert_eq!(orders.first[0].describe(), ["A.", "B"]);
    assert_eq!(orders.first[1].describe(), ["C = 1=2", "D = ", "ParameterKey = "]);
    let again: Vec<Vec<String>> = orders.again.iter().map(|rpc| rpc.describe()).collect();
    assert_eq!(again, [vec!["A.".to_owned(), "B".to_owned()], vec!["F".to_owned()]]);
    for (arguments, reason) in [
        (&["--set", "A"][..], "`A` is not PATH=VALUE"),
        (&["--add"], "--add needs a path"),
        (&["--delete", "A"], "`A` does not end in a dot"),
        (&["--download", "1 x"], "--download needs a URL"),
        (&["--dance"], "there is no order --dance"),
    ] {
        assert_eq!(parse(arguments).expect_err("a mistake"), reason);
    }
    for order in ["--get", "--set", "--add", "--delete", "--download", "--upload", "--reboot"] {
        assert!(USAGE.contains(order), "{order}");
    }
}

/// Two gateways have sessions at the same time, and each gets the orders once.
#[test]
fn several_gateways() {
    let fleet = fleet(&[
        "--set",
        &format!("{INTERVAL}=77"),
        "--set",
        "Device.Time.NTPServer1=ntp.example.net",
        "--add",
        "Device.NAT.PortMapping.",
        "--delete",
        "Device.NAT.PortMapping.1.",
        "--set",
        "Device.Time.Nothing=1",
        INTERVAL,
    ]);
    let gateway = |serial: &str| gateway_at(&fleet.url()).set("Device.DeviceInfo.SerialNumber", serial).start();
    let agents = [gateway("A1"), gateway("B2")];
    let mut gateways = [fleet.next_gateway(SOON).expect("a gateway"), fleet.next_gateway(SOON).expect("another")];
    gateways.sort_by(|a, b| a.0.cmp(&b.0));
    for (agent, (name, acs)) in agents.iter().zip(&mut gateways) {
        let session = next_session(acs);
        let serial = &session.inform().device.serial_number;
        assert_eq!(*name, format!("00D09E-HomeGateway-{serial}"));
        assert_eq!(
            results(&session),
            [
                "SetParameterValues: done",
                "AddObject: created Device.NAT.PortMapping.2.",
                "DeleteObject: deleted Device.NAT.PortMapping.1.",
                "SetParameterValues: refused, fault 9003 Invalid arguments",
                "GetParameterValues: 1 values",
            ]
        );
        assert_eq!(session.response("GetParameterValues").value(INTERVAL), Some("77"));
        // The cookie of the gateway comes back.
        let cookies = session.exchanges[1].request.cookies();
        assert!(cookies.iter().any(|(name, _)| name.starts_with("gateway")), "{cookies:?}");
        // Later sessions read the values again, and change nothing.
        agent.succeeds(&["inform"]);
        assert_eq!(requests(&next_session(acs)), ["GetParameterValues"]);
    }
    assert!(fleet.next_gateway(std::time::Duration::ZERO).is_none());
}

/// A download and a reboot: the first session accepts them, and a later one has the result of the download.
#[test]
fn download_and_reboot() {
    let files = FileServer::start(FileServerOptions::new());
    files.serves("/config", FileSpec::sized(5000));
    let url = files.url("/config");
    let fleet = fleet(&["--download", "3 Vendor Configuration File", &url, "--reboot"]);
    let directory = tempfile::tempdir().expect("a directory");
    let actions = directory.path().join("actions.json");
    let text = r#"{"actions": {"reboot": ["true"], "download": {"3 Vendor Configuration File": {"run": ["test", "-s", "{file}"]}}}}"#;
    std::fs::write(&actions, text).expect("a file");
    let builder: AgentBuilder = gateway_at(&fleet.url()).data_model(actions);
    let mut agent: Agent = builder.start();
    let (_, mut acs) = fleet.next_gateway(SOON).expect("a gateway");
    assert_eq!(
        results(&next_session(&mut acs)),
        [
            "Download: accepted; a later session has the result, TransferComplete",
            "Reboot: accepted; the gateway restarts after the session",
        ]
    );
    agent.wait_for_log("is done", SOON);
    agent.reboot();
    let later = next_session(&mut acs);
    assert_eq!(results(&later), ["the transfer succeeded"]);
    assert_eq!(later.message("TransferComplete").argument("CommandKey"), Some(""));
}

/// Sends raw requests over one connection; returns all answers.
fn answers(port: u16, requests: &str) -> String {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    tcp.write_all(requests.as_bytes()).expect("a request");
    tcp.shutdown(std::net::Shutdown::Write).expect("an end");
    let mut text = String::new();
    tcp.read_to_string(&mut text).expect("answers");
    text
}

/// A browser and `doctor` send GET: the ACS answers, and goes on.
#[test]
fn requests_that_are_no_post() {
    let fleet = fleet(&[INTERVAL]);
    let get = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let all = answers(fleet.port(), &(get("GET", "/acs") + &get("GET", "/favicon.ico") + &get("DELETE", "/acs")));
    let statuses: Vec<&str> = all.lines().filter(|line| line.starts_with("HTTP/1.1")).collect();
    assert_eq!(statuses, ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found", "HTTP/1.1 405 Method Not Allowed"]);
    // A POST outside of a session, and bytes that are no HTTP.
    assert!(answers(fleet.port(), "POST /acs HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").contains(" 400 "));
    assert_eq!(answers(fleet.port(), "nonsense\r\n\r\n"), "");
    let agent = gateway_at(&fleet.url()).start();
    let (_, mut acs) = fleet.next_gateway(SOON).expect("a gateway");
    assert_eq!(requests(&next_session(&mut acs)), ["GetParameterValues"]);
    agent.wait_for_log("session finished", SOON);
    agent.value("Device.ManagementServer.URL"); // answered when the session is over and kept
    let told = Command::new(env!("CARGO_BIN_EXE_cpe-agent"))
        .args(["doctor", "--data-model"])
        .arg(model_file("tr-181.json"))
        .args(["--set", &format!("Device.ManagementServer.URL={}", fleet.url())])
        .arg("--control")
        .arg(agent.control())
        .arg("--state-dir")
        .arg(agent.state_dir())
        .output()
        .expect("doctor starts");
    if cfg!(feature = "doctor") {
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.lines().any(|line| line.starts_with("ok") && line.contains("ACS answer")), "{told}");
    }
    agent.succeeds(&["inform"]);
    next_session(&mut acs);
}

/// The program itself prints the session of the real agent. `cargo test` builds it; the run of one suite may not.
#[test]
fn the_program() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cpe-agent")).with_file_name("examples").join("acs");
    if !program.exists() {
        return; // `.ci/run` runs the whole `cargo test`, which builds it
    }
    let help = Command::new(&program).arg("--help").output().expect("it starts");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--reboot"));
    let wrong = Command::new(&program).args(["127.0.0.1:0", "--dance"]).output().expect("it starts");
    assert_eq!(wrong.status.code(), Some(64));
}
