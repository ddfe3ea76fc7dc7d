//! Runs the commands of the device: without a shell, with a time limit, killed with their whole group when it passes.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// How often a running command is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Why a command did not succeed.
#[derive(Debug)]
pub enum ActionError {
    /// It could not be started.
    NotStarted {
        /// The program.
        program: String,
        /// What the system said.
        reason: io::Error,
    },
    /// It ended with this exit status.
    Exit(i32),
    /// It was ended by this signal.
    Signal(i32),
    /// It ran longer than its limit, and was killed.
    TimedOut(Duration),
    /// The stop flag was set before it had ended.
    Stopped,
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActionError::NotStarted { program, reason } => write!(f, "{program} could not be started: {reason}"),
            ActionError::Exit(status) => write!(f, "the command ended with exit status {status}"),
            ActionError::Signal(signal) => write!(f, "the command was ended by signal {signal}"),
            ActionError::TimedOut(limit) => write!(f, "the command ran longer than {} s", limit.as_secs()),
            ActionError::Stopped => f.write_str("the agent was told to stop"),
        }
    }
}

impl std::error::Error for ActionError {}

/// Runs a command to its end. Its input and output are `/dev/null`; what it says on stderr goes where the agent's goes.
///
/// A command that is still running when `stop` is set goes on by itself: it may be the one that stops the device.
pub fn run(command: &[String], limit: Duration, stop: &AtomicBool) -> Result<(), ActionError> {
    run_with(command, limit, stop, Stdio::null(), OnStop::LeaveRunning)
}

/// The same for a command that makes something: a stop kills it with its group, since nobody would take what it makes.
pub fn run_until_stopped(command: &[String], limit: Duration, stop: &AtomicBool) -> Result<(), ActionError> {
    run_with(command, limit, stop, Stdio::null(), OnStop::Kill)
}

/// The same with `mark`, an empty file that is locked, as its input. The lock lasts as long as the command and those that
/// it has started, whatever becomes of the agent: so the next one can tell whether it still runs.
pub fn run_locked(command: &[String], limit: Duration, stop: &AtomicBool, lock: File) -> Result<(), ActionError> {
    run_with(command, limit, stop, lock.into(), OnStop::LeaveRunning)
}

/// What becomes of a command that still runs when the stop flag is set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnStop {
    LeaveRunning,
    Kill,
}

fn run_with(
    command: &[String],
    limit: Duration,
    stop: &AtomicBool,
    input: Stdio,
    on_stop: OnStop,
) -> Result<(), ActionError> {
    let Some((program, arguments)) = command.split_first() else { return Err(ActionError::Exit(0)) };
    let mut child = start(program, arguments, input)
        .map_err(|reason| ActionError::NotStarted { program: program.clone(), reason })?;
    let mut waited = Duration::ZERO;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return exit_result(status),
            Ok(None) if stop.load(Ordering::Relaxed) => {
                if on_stop == OnStop::Kill {
                    kill(&mut child);
                }
                return Err(ActionError::Stopped);
            }
            Ok(None) if waited >= limit => {
                kill(&mut child);
                return Err(ActionError::TimedOut(limit));
            }
            Ok(None) => {
                std::thread::sleep(POLL_INTERVAL);
                waited += POLL_INTERVAL;
            }
            Err(reason) => return Err(ActionError::NotStarted { program: program.clone(), reason }),
        }
    }
}

fn start(program: &str, arguments: &[String], input: Stdio) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(input).stdout(Stdio::null()).spawn()
}

fn exit_result(status: ExitStatus) -> Result<(), ActionError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ActionError::Exit(code)),
        (None, signal) => Err(ActionError::Signal(signal.unwrap_or(0))),
    }
}

fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Result<(), ActionError> {
        run(&["sh".into(), "-c".into(), script.into()], limit, &AtomicBool::new(false))
    }

    #[test]
    fn the_exit_status_says_how_it_went() {
        let limit = Duration::from_secs(20);
        assert!(shell("exit 0", limit).is_ok());
        assert!(matches!(shell("exit 3", limit), Err(ActionError::Exit(3))));
        assert!(matches!(shell("kill -TERM $$", limit), Err(ActionError::Signal(15))));
        let missing = run(&["/nonexistent/program".into()], limit, &AtomicBool::new(false));
        assert!(matches!(missing, Err(ActionError::NotStarted { .. })));
    }

    #[test]
    fn a_command_that_hangs_is_killed_with_its_group() {
        let directory = tempfile::tempdir().expect("a directory");
        let mark = directory.path().join("child");
        let script = format!("(sleep 60; touch {0}) & echo $! > {0}.pid; wait", mark.display());
        assert!(matches!(shell(&script, Duration::from_millis(300)), Err(ActionError::TimedOut(_))));
        let pid = std::fs::read_to_string(format!("{}.pid", mark.display())).expect("the child's number");
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = (0..500).any(|_| {
            std::thread::sleep(POLL_INTERVAL);
            std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "))
        });
        assert!(gone, "the child outlived its group");
    }

    /// A command that outlives the one who has started it still holds its mark.
    #[test]
    fn a_mark_lasts_as_long_as_the_command() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("mark");
        let mark = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        mark.try_lock().expect("nobody has it");
        let script = format!(
            "cat || exit 9; exec 3<&0; (while [ -e {0} ] && [ ! -e {0}.go ]; do sleep 0.01; done) & exit 0",
            path.display()
        );
        let command = ["sh".into(), "-c".into(), script];
        run_locked(&command, Duration::from_secs(20), &AtomicBool::new(false), mark).expect("it ends");
        let again = File::open(&path).expect("a file");
        assert!(again.try_lock().is_err(), "what it has started runs on");
        File::create(format!("{}.go", path.display())).expect("a file");
        let is_free = (0..1000).any(|_| {
            std::thread::sleep(POLL_INTERVAL);
            again.try_lock().is_ok()
        });
        assert!(is_free, "nobody runs any more");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "somebody must stop it")]
    fn a_stop_ends_what_nobody_would_take() {
        let directory = tempfile::tempdir().expect("a directory");
        let pid = directory.path().join("pid");
        let script = format!("echo $$ > {0}.new; mv {0}.new {0}; sleep 60", pid.display());
        let stop = AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            let command = ["sh".into(), "-c".into(), script];
            let stop = &stop;
            let run = scope.spawn(move || run_until_stopped(&command, Duration::from_secs(60), stop));
            let began = (0..1000).any(|_| {
                std::thread::sleep(POLL_INTERVAL);
                pid.exists()
            });
            stop.store(true, Ordering::Relaxed);
            assert!(began, "it does not start");
            run.join().expect("its end")
        });
        assert!(matches!(ended, Err(ActionError::Stopped)));
        let number = std::fs::read_to_string(&pid).expect("its number");
        assert!(!std::path::Path::new("/proc").join(number.trim()).exists(), "it runs on, or was not waited for");
    }

    #[test]
    fn a_stop_does_not_wait_for_the_command() {
        let stop = AtomicBool::new(true);
        let ended = run(&["sleep".into(), "1".into()], Duration::from_secs(60), &stop);
        assert!(matches!(ended, Err(ActionError::Stopped)));
    }
}
