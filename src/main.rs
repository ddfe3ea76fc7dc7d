//! Arguments in, exit code out.

use std::process::ExitCode;

use cpe_agent::cli::{self, Command};
use cpe_agent::{agent, check};

fn main() -> ExitCode {
    cli::main(std::env::args_os(), carry_out)
}

/// Hands each command to the room that carries it out.
fn carry_out(command: Command) -> ExitCode {
    match command {
        Command::Run(config) => agent::daemon::run(config),
        Command::Check(config) => check::run(&config),
        Command::Get { .. } => absent("get"),
        Command::Set { .. } => absent("set"),
        Command::Add { .. } => absent("add"),
        Command::Delete { .. } => absent("delete"),
        Command::Inform { .. } => absent("inform"),
        Command::Status { .. } => absent("status"),
    }
}

fn absent(command: &str) -> ExitCode {
    eprintln!("cpe-agent: {command} is not part of this build");
    ExitCode::FAILURE
}
