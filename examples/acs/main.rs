//! An ACS for trials with agents on this machine or on devices: the reference ACS of the tests, which several gateways may
//! contact at the same time.
//!
//! ```text
//! cargo run --example acs -- 0.0.0.0:8080 --set Device.Time.NTPServer1=ntp.example.net Device.Time.
//! ```
//!
//! Accepts every gateway without credentials, executes the orders of its command line (`--help`), and prints each session
//! with the results and with its violations of TR-069. Ctrl-C ends it. It is not fit to manage real gateways.

mod orders;
#[path = "../../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, clippy::disallowed_methods, reason = "written for the tests")]
mod support;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use orders::{Orders, USAGE, results};
use support::{Acs, AcsOptions, Fleet, transcript};

const USUAL: &str = "127.0.0.1:8080";

/// The time limit for the next session: the program waits until it is stopped.
const A_DAY: Duration = Duration::from_secs(86_400);

#[allow(clippy::disallowed_methods, reason = "the rule for threads is that of the agent")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| matches!(argument.as_str(), "-h" | "--help")) {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let parsed = Orders::parse(arguments).and_then(|orders| {
        let text = orders.address.clone().unwrap_or_else(|| USUAL.to_owned());
        let address = text.parse::<SocketAddr>().map_err(|_| format!("`{text}` is not ADDR:PORT, such as {USUAL}"))?;
        Ok((orders, address))
    });
    let (orders, address) = match parsed {
        Ok(parsed) => parsed,
        Err(reason) => {
            eprint!("acs: {reason}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let options = AcsOptions::new().address(address.ip()).port(address.port()).keeps_no_messages();
    let fleet = Fleet::start(options, orders.first, orders.again);
    match address.ip().is_unspecified() {
        true => println!("ACS URL: http://ADDRESS:{}/acs, with any address of this machine", fleet.port()),
        false => println!("ACS URL: {}", fleet.url()),
    }
    loop {
        if let Some((name, acs)) = fleet.next_gateway(A_DAY) {
            println!("a new gateway: {name}\n");
            std::thread::spawn(move || watch(&name, acs));
        }
    }
}

/// Prints the sessions of one gateway.
fn watch(name: &str, mut acs: Acs) {
    loop {
        let Some(session) = acs.session_within(A_DAY) else { continue };
        // One write a session, so that those of other gateways do not come in between. Writing to a String cannot fail.
        let mut text = format!("{name}: {}", transcript(&session));
        results(&session).iter().for_each(|result| {
            let _ = writeln!(text, "  ⇒ {result}");
        });
        acs.take_violations().iter().for_each(|violation| {
            let _ = writeln!(text, "WRONG: {violation}");
        });
        // A reader that has gone is no reason to leave the gateways without an ACS.
        let _ = writeln!(std::io::stdout().lock(), "{text}");
    }
}
