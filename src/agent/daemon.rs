//! The command `run`: starts and restarts the agent, from the first log line to the exit code.
//!
//! SIGTERM and SIGINT end it, also during a session. SIGHUP makes it read the configuration again, as soon as no session
//! runs.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use super::commands::ControlHandler;
use super::inbox::Inbox;
use super::{Agent, ExitReason, Handles, LatestStatus, StartFailure};
use crate::config::Config;
use crate::control::ControlServer;
use crate::log;
use crate::log_output::Destination;
use crate::mistake::Mistakes;
use crate::thread;
use crate::time_zone::LocalZone;

/// The stack size of the signal thread in bytes. It only waits, and needs little more than a page.
const SIGNAL_STACK: usize = 64 << 10;

/// Runs the agent until SIGTERM or SIGINT. Returns status 78 for a wrong configuration, and 1 if another agent runs.
pub fn run(mut config: Config) -> ExitCode {
    if crate::log_output::init(config.log, config.log_to).is_err() {
        eprintln!("cpe-agent: a log is set already");
        return ExitCode::FAILURE;
    }
    let inbox = Arc::new(Inbox::default());
    let stop = Arc::new(AtomicBool::new(false));
    if let Err(error) = watch_signals(Arc::clone(&inbox), Arc::clone(&stop)) {
        log::error!("cannot catch signals: {error}");
        return ExitCode::FAILURE;
    }
    log::info!("cpe-agent {} starts", env!("CARGO_PKG_VERSION"));
    let latest_status = Arc::new(LatestStatus::new(LocalZone::load().0));
    let handles = Handles { inbox: Arc::clone(&inbox), stop, latest_status: Arc::clone(&latest_status) };
    let mut server = None;
    loop {
        let agent = match Agent::start(config.clone(), handles.clone()) {
            Ok(agent) => agent,
            Err(StartFailure::Configuration(mistakes)) => {
                mistakes.print();
                return refuse(&mistakes, config.log_to, Mistakes::EXIT);
            }
            Err(StartFailure::AlreadyRunning(error)) => {
                eprintln!("cpe-agent: {error}");
                return refuse(&error, config.log_to, 1);
            }
        };
        if server.is_none() {
            // The socket follows the lock on the state directory: a second agent on the same directory must fail before it
            // could take the socket over.
            let handler = ControlHandler { inbox: Arc::clone(&inbox), latest_status: Arc::clone(&latest_status) };
            server = serve_commands(&config.control, handler);
        }
        let reason;
        (reason, config) = agent.run();
        // Its listeners and its worker have ended with it, and their last updates concern the state before the reset.
        inbox.discard_updates();
        match reason {
            ExitReason::FactoryReset => log::info!("starting again from the factory state"),
            ExitReason::StateRecovered => {
                log::info!("the state directory is available now: starting again with the stored state")
            }
            ExitReason::Stopped => {
                log::info!("stopped");
                return ExitCode::SUCCESS;
            }
        }
    }
}

/// Reports the reason for which the agent does not start in syslog, if the log goes there. A start by hand has it on
/// stderr already.
fn refuse(error: &dyn Error, log_to: Destination, status: u8) -> ExitCode {
    if log_to == Destination::Syslog {
        log::error!("{error}");
    }
    ExitCode::from(status)
}

/// Starts the thread that puts signals into the inbox.
fn watch_signals(inbox: Arc<Inbox>, stop: Arc<AtomicBool>) -> io::Result<()> {
    // SIGXFSZ would kill the agent at a write beyond a limit on the size of files. Caught, the write fails instead, as it
    // does on a full disk. Commands of the device get the default back with `exec`.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGXFSZ])?;
    let watch = move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => inbox.reload(),
                SIGXFSZ => {}
                _ => {
                    // First the flag, so that a session or an action in progress ends before the agent reads its inbox.
                    stop.store(true, Ordering::Relaxed);
                    inbox.stop();
                }
            }
        }
    };
    thread::spawn("signals", SIGNAL_STACK, Box::new(watch)).map(drop)
}

/// Opens the control socket. If that fails, the agent runs without it: sessions with the ACS matter more.
fn serve_commands(path: &Path, handler: ControlHandler) -> Option<ControlServer> {
    match ControlServer::start(path, handler) {
        Ok(server) => Some(server),
        Err(error) => {
            log::error!("cannot open the control socket {}: {error}", path.display());
            None
        }
    }
}
