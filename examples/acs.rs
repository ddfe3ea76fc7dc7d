//! The reference ACS of the tests, for trials with an agent on this machine or on a device.
//!
//! ```text
//! cargo run --example acs -- 0.0.0.0:8080 Device.DeviceInfo. Device.ManagementServer.
//! ```
//!
//! Accepts every agent without credentials, reads these values, and prints each session with its violations of TR-069.
//! Serves one gateway at a time, since it does not distinguish devices. Ctrl-C ends it. It is not fit to manage real
//! gateways.

#[path = "../tests/it/support/mod.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, clippy::disallowed_methods, reason = "written for the tests")]
mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use support::{Acs, AcsOptions, get_parameter_values, transcript};

const USUAL: &str = "127.0.0.1:8080";

/// The time limit for the next session: the program waits until it is stopped.
const A_DAY: Duration = Duration::from_secs(86_400);

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| USUAL.to_owned());
    let Ok(address) = address.parse::<SocketAddr>() else {
        eprintln!("usage: cargo run --example acs -- [ADDR:PORT [PATH...]], such as {USUAL} Device.DeviceInfo.");
        return ExitCode::from(64);
    };
    let paths: Vec<String> = arguments.collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let mut acs = Acs::start(AcsOptions::new().address(address.ip()).port(address.port()).keeps_no_messages());
    match address.ip().is_unspecified() {
        true => println!("ACS URL: http://ADDRESS:{}/acs, with any address of this machine", acs.port()),
        false => println!("ACS URL: {}", acs.url()),
    }
    loop {
        acs.forget_tasks();
        if !paths.is_empty() {
            acs.enqueue(get_parameter_values(&paths));
        }
        if let Some(session) = acs.session_within(A_DAY) {
            print!("{}", transcript(&session));
            acs.take_violations().iter().for_each(|violation| println!("WRONG: {violation}"));
            println!();
        }
    }
}
