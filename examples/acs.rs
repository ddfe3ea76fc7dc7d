//! The reference ACS of the tests alone: a place for an agent of yours to call, on this machine or from a device.
//!
//! ```text
//! cargo run --example acs -- 0.0.0.0:8080 Device.DeviceInfo. Device.ManagementServer.
//! ```
//!
//! It lets everybody in, asks the gateway for these values, and shows every session; and what in it broke TR-069. One
//! gateway at a time: it tells nobody apart. It ends with Ctrl-C. An ACS for real gateways is another thing.

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use support::{Acs, AcsOptions, get_parameter_values, transcript};

const USUAL: &str = "127.0.0.1:8080";

/// Nobody has to call.
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
