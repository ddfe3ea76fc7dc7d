//! Arguments in, exit code out.

use std::process::ExitCode;

use cpe_agent::cli::{self, Command};
use cpe_agent::control::{self, Request};
use cpe_agent::{agent, check};

fn main() -> ExitCode {
    cli::main(std::env::args_os(), carry_out)
}

/// Hands each command to the room that carries it out.
fn carry_out(command: Command) -> ExitCode {
    match command {
        Command::Run(config) => agent::daemon::run(config),
        Command::Check(config) => check::run(&config),
        #[cfg(feature = "doctor")]
        Command::Doctor(config) => cpe_agent::doctor::run(&config),
        Command::Get { control, paths } => control::run(&control, &Request::Get(paths)),
        Command::Set { control, assignments } => control::run(&control, &Request::Set(assignments)),
        Command::Add { control, path } => control::run(&control, &Request::Add(path)),
        Command::Delete { control, path } => control::run(&control, &Request::Delete(path)),
        Command::Inform { control, event } => control::run(&control, &Request::Inform(event)),
        Command::Transfer { control, transfer } => control::transfer(&control, transfer),
        Command::RequestDownload { control, file_type, arguments } => {
            control::run(&control, &Request::RequestDownload(file_type, arguments))
        }
        Command::Status { control, json } => control::run(&control, &Request::Status { json }),
    }
}
