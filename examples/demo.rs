//! Runs a gateway against an ACS, and prints the whole conversation with remarks.
//!
//! ```text
//! cargo run --example demo
//! ```
//!
//! The ACS is the reference ACS of the tests, on a free port of the loopback interface. The gateway is
//! the agent itself, in a process of its own: this program, started again with the first argument
//! `agent`. Its state is in a temporary directory, which the demo deletes at its end.

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, clippy::disallowed_methods, reason = "written for the tests")]
mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use cpe_agent::cli::{self, Command};
use support::{
    Acs, AcsOptions, Agent, Session, empty_post, fault, get_parameter_names, get_parameter_values, get_rpc_methods,
    inform, inform_response, narrated, no_content, response, set_parameter_values,
};

/// The time limit for a session, which takes milliseconds unless the machine is busy.
const SOON: Duration = Duration::from_secs(30);

/// OUI, product class and serial number of the gateway, as TR-069 makes a user name of them.
const USERNAME: &str = "00D09E-HomeGateway-0000000001";
const PASSWORD: &str = "demo";

/// A command that works in a clone and without the rights of root.
const NEXT_STEP: &str = "cargo run -- run --data-model data-model/tr-181.json --state-dir target/cpe-agent \\\n        \
                         --control target/cpe-agent.sock --set Device.ManagementServer.URL=http://127.0.0.1:8080/acs";

const NTP_SERVER: &str = "Device.Time.NTPServer1";
const INTERVAL: &str = "Device.ManagementServer.PeriodicInformInterval";
const VERSION: &str = "Device.DeviceInfo.SoftwareVersion";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    if arguments.nth(1).is_some_and(|first| first == "agent") {
        // `agent` stands where a command line has the name of the program.
        return cli::main(std::env::args_os().skip(1), be_the_agent);
    }
    match std::panic::catch_unwind(tell) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            eprintln!("The demo failed; the reason is above.");
            ExitCode::FAILURE
        }
    }
}

fn be_the_agent(command: Command) -> ExitCode {
    match command {
        Command::Run(config) => cpe_agent::agent::daemon::run(config),
        _ => ExitCode::FAILURE, // the demo starts no other command
    }
}

fn tell() {
    let mut acs = Acs::start(AcsOptions::new().digest(USERNAME, PASSWORD).cookie("session", "; Path=/"));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("data-model/tr-181.json");

    chapter(
        "1. The gateway is switched on for the first time",
        "Its factory values have the URL and the password of its ACS. It connects there and sends an Inform.",
    );
    println!("ACS        {}", acs.url());
    println!("gateway    {USERNAME}, data model {}\n", model.file_name().unwrap_or_default().to_string_lossy());
    first_session(&acs);
    let mut agent = Agent::builder(std::env::current_exe().expect("this program has a path"))
        .leading_args(&["agent"])
        .data_model(model)
        .set("Device.ManagementServer.URL", &acs.url())
        .set("Device.ManagementServer.Password", PASSWORD)
        .fixed_ports()
        .start();
    let first = acs.session(SOON).expect_complete();
    print!("{}", narrated(&first, FIRST_REMARKS));

    chapter(
        "2. The gateway is switched off and on",
        "The ACS knows it, so its Inform has 1 BOOT without 0 BOOTSTRAP. The values that the ACS has set must still hold.",
    );
    second_session(&acs);
    agent.reboot();
    let second = acs.session(SOON).expect_complete();
    print!("{}", narrated(&second, SECOND_REMARKS));

    let status = agent.terminate();
    assert!(status.success(), "the agent ended with {status}");
    let violations = acs.take_violations();
    assert!(violations.is_empty(), "the gateway broke TR-069:\n{}", violations.join("\n"));
    summary(&[first, second]);
}

/// Scripts the requests of the ACS to a new gateway.
fn first_session(acs: &Acs) {
    acs.expects(inform().only_events(&["0 BOOTSTRAP", "1 BOOT"]).retry_count(0)).replies(inform_response());
    acs.expects(empty_post()).replies(get_rpc_methods());
    acs.expects(response("GetRPCMethods")).replies(get_parameter_names("Device.", true));
    acs.expects(response("GetParameterNames").name("Device.DeviceInfo.", false))
        .replies(get_parameter_values(&["Device.DeviceInfo."]));
    acs.expects(response("GetParameterValues").parameter(VERSION, "1.0.0")).replies(set_parameter_values(
        &[(NTP_SERVER, "string", "ntp.example.net"), (INTERVAL, "unsignedInt", "3600")],
        "first configuration",
    ));
    acs.expects(response("SetParameterValues").argument("Status", "0")).replies(set_parameter_values(
        &[
            (NTP_SERVER, "string", "another.example.net"),
            (INTERVAL, "unsignedInt", "often"),
            (VERSION, "string", "9.9.9"),
            ("Device.Time.NoSuchThing", "string", ""),
        ],
        "second configuration",
    ));
    acs.expects(fault(9003).fault_on(INTERVAL, 9007).fault_on(VERSION, 9008).fault_on("Device.Time.NoSuchThing", 9005))
        .replies(get_parameter_values(&[NTP_SERVER, INTERVAL, "Device.ManagementServer.ParameterKey"]));
    acs.expects(
        response("GetParameterValues")
            .parameter(NTP_SERVER, "ntp.example.net")
            .parameter(INTERVAL, "3600")
            .parameter("Device.ManagementServer.ParameterKey", "first configuration"),
    )
    .replies(no_content());
}

const FIRST_REMARKS: &[(&str, &str)] = &[
    (
        "401",
        "The ACS demands credentials by a challenge. The gateway sends the Inform again, with a digest of\nits password.",
    ),
    ("InformResponse", "The credentials are right. The ACS confirms the Inform, so the two events count as delivered."),
    (
        "GetRPCMethods",
        "The gateway has no request of its own, and sends an empty POST. Now the ACS sends its requests, each\nin the response to a POST. The first one: which methods does the gateway support?",
    ),
    ("GetParameterNames", "Which objects does the data model have, one level below the root?"),
    ("GetParameterValues", "Which values are below Device.DeviceInfo.?"),
    ("SetParameterValues", "The ACS configures the gateway: a time server, and an Inform every hour."),
    (
        "SetParameterValues",
        "The values are set. Now a configuration with three mistakes: a text in place of a number, a read-only\nparameter, and a name that does not exist.",
    ),
    (
        "GetParameterValues",
        "The gateway refuses all of it, the valid value too, and names each mistake. The ACS reads the values\nback:",
    ),
    ("an empty 204", "They are those of the first configuration. The ACS has no further request: the session ends."),
];

/// Scripts the requests of the second session: the ACS reads the values back.
fn second_session(acs: &Acs) {
    acs.expects(inform().only_events(&["1 BOOT"]).retry_count(0)).replies(inform_response());
    acs.expects(empty_post()).replies(get_parameter_values(&[NTP_SERVER, INTERVAL]));
    acs.expects(response("GetParameterValues").parameter(NTP_SERVER, "ntp.example.net").parameter(INTERVAL, "3600"))
        .replies(no_content());
}

const SECOND_REMARKS: &[(&str, &str)] = &[
    ("401", "Each session has a challenge of its own."),
    ("GetParameterValues", "Are the values still those that the ACS has set?"),
    ("an empty 204", "They are: the gateway has written them to its journal before it confirmed them."),
];

fn chapter(title: &str, why: &str) {
    println!("\n{title}\n{}\n{why}\n", "=".repeat(title.len()));
}

fn summary(sessions: &[Session]) {
    let exchanges: usize = sessions.iter().map(|session| session.exchanges.len()).sum();
    let connections: usize = sessions.iter().map(|session| session.connections().len()).sum();
    let time: Duration = sessions.iter().map(Session::duration).sum();
    println!("\nSummary\n=======");
    println!("{} sessions, each complete: {exchanges} exchanges over {connections} TCP connections,", sessions.len());
    println!("{:.1} ms on the wire. The reference ACS checked every message against TR-069 and found", millis(time));
    println!("no violation. To connect the agent to an ACS of yours, or to that of `cargo run --example acs`:\n");
    println!("    {NEXT_STEP}");
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
