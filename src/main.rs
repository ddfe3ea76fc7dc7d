//! The program: parses the arguments, executes the command and returns its exit code.

use std::process::ExitCode;

use cpe_agent::cli::{self, Command};
use cpe_agent::{agent, check, control};

fn main() -> ExitCode {
    cli::main(std::env::args_os(), execute)
}

/// Executes a command and returns its exit code.
fn execute(command: Command) -> ExitCode {
    match command {
        Command::Run(config) => agent::daemon::run(config),
        Command::Check { config, device } => check::run(&config, device),
        #[cfg(feature = "doctor")]
        Command::Doctor(config) => cpe_agent::doctor::run(&config),
        #[cfg(feature = "dhcp")]
        Command::Dhcp(handover) => cpe_agent::dhcp::run(&handover),
        Command::Trace { socket, file } => control::record(&socket, &file),
        #[cfg(feature = "replay")]
        Command::Replay { config, file } => cpe_agent::replay::run(&config, &file),
        // Not reached: the command line refuses the command in a build without it.
        #[cfg(not(feature = "replay"))]
        Command::Replay { .. } => ExitCode::FAILURE,
        #[cfg(feature = "diagnostics")]
        Command::Test { config, test } => test.run(config.as_ref().map(agent::tls_settings).unwrap_or_default()),
        Command::Client { socket, request } => control::run(&socket, request),
    }
}
