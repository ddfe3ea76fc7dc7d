//! Runs the commands of the device: without a shell, in a process group of their own, and with a time limit after which
//! the whole group is killed.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// The interval at which a running command is checked for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The reason why a command did not succeed.
#[derive(Debug)]
pub enum ActionError {
    /// The command could not be started.
    NotStarted {
        /// The program.
        program: String,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The command ended with this exit status.
    Exit(i32),
    /// A signal of this number ended the command.
    Signal(i32),
    /// The command ran longer than its limit and was killed.
    TimedOut(Duration),
    /// The command wrote more to its standard output than it may, and was killed.
    TooMuchOutput,
    /// The stop flag was set before the command had ended.
    Stopped,
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActionError::NotStarted { program, reason } => write!(f, "{program} could not be started: {reason}"),
            ActionError::Exit(status) => write!(f, "the command ended with exit status {status}"),
            ActionError::Signal(signal) => write!(f, "the command was ended by signal {signal}"),
            ActionError::TimedOut(limit) => write!(f, "the command ran longer than {} s", limit.as_secs()),
            ActionError::TooMuchOutput => write!(f, "the command wrote more than {} KiB", MAX_OUTPUT >> 10),
            ActionError::Stopped => f.write_str("the agent was told to stop"),
        }
    }
}

impl std::error::Error for ActionError {}

/// Runs a command to its end. Its standard input and output are `/dev/null`; its stderr is that of the agent.
///
/// A command that is running when `stop` is set continues: it may be the reboot that stops the agent.
pub fn run(command: &[String], limit: Duration, stop: &AtomicBool) -> Result<(), ActionError> {
    run_with(command, limit, stop, Run::default())
}

/// Runs a command as [`run`] does, but kills it with its group when `stop` is set: for a command that makes a file, which
/// no thread would use.
pub fn run_until_stopped(command: &[String], limit: Duration, stop: &AtomicBool) -> Result<(), ActionError> {
    run_with(command, limit, stop, Run { is_killed_on_stop: true, ..Run::default() })
}

/// Runs a command as [`run`] does, with a locked, empty file as its standard input.
///
/// The lock lasts as long as the command and the processes that it has started, also if the agent ends before. By the
/// lock the next agent can tell that the command is still running.
pub fn run_locked(command: &[String], limit: Duration, stop: &AtomicBool, lock: File) -> Result<(), ActionError> {
    run_with(command, limit, stop, Run { lock: Some(lock), ..Run::default() })
}

/// Runs a command as [`run_locked`] does, with further variables in its environment. Returns its standard output.
///
/// # Errors
/// Returns an error as [`run`] does, and for more than 64 KiB of output.
pub fn run_with_output(
    command: &[String],
    limit: Duration,
    stop: &AtomicBool,
    lock: Option<File>,
    environment: &[(&str, String)],
) -> Result<Vec<u8>, ActionError> {
    let mut output = Vec::new();
    run_with(command, limit, stop, Run { lock, environment, output: Some(&mut output), ..Run::default() })?;
    Ok(output)
}

/// The most bytes of an output.
const MAX_OUTPUT: usize = 64 << 10;

/// The ways in which commands differ.
#[derive(Default)]
struct Run<'r> {
    /// The standard input; without it `/dev/null`.
    lock: Option<File>,
    environment: &'r [(&'r str, String)],
    /// The place of the standard output; without it `/dev/null`.
    output: Option<&'r mut Vec<u8>>,
    /// True if the command is killed when the stop flag is set; otherwise it continues.
    is_killed_on_stop: bool,
}

/// Starts a command and waits for its end, the limit or the stop flag.
fn run_with(command: &[String], limit: Duration, stop: &AtomicBool, mut run: Run<'_>) -> Result<(), ActionError> {
    let Some((program, arguments)) = command.split_first() else { return Err(ActionError::Exit(0)) };
    let not_started = |reason| ActionError::NotStarted { program: program.clone(), reason };
    let mut child = start(program, arguments, &mut run).map_err(not_started)?;
    // The sum of the pauses serves as a clock: it may run behind on a busy device, which only prolongs the limit.
    let mut waited = Duration::ZERO;
    loop {
        let ended = child.try_wait();
        // After the end too: the pipe may hold the last lines.
        if !take_output(&mut child, run.output.as_deref_mut()) {
            // The number of a command that has ended may be that of another process by now.
            if matches!(ended, Ok(None)) {
                kill(&mut child);
            }
            return Err(ActionError::TooMuchOutput);
        }
        match ended {
            Ok(Some(status)) => return exit_result(status),
            // The flag is checked before the limit: a device that goes down must not wait for a command that hangs.
            Ok(None) if stop.load(Ordering::Relaxed) => {
                if run.is_killed_on_stop {
                    kill(&mut child);
                }
                return Err(ActionError::Stopped);
            }
            Ok(None) if waited >= limit => {
                kill(&mut child);
                return Err(ActionError::TimedOut(limit));
            }
            // Polled, since the standard library has neither a wait with a limit nor one that a flag ends.
            Ok(None) => {
                std::thread::sleep(POLL_INTERVAL);
                waited += POLL_INTERVAL;
            }
            Err(reason) => return Err(not_started(reason)),
        }
    }
}

/// Moves what the pipe holds. Returns false if the command has written too much.
fn take_output(child: &mut Child, output: Option<&mut Vec<u8>>) -> bool {
    let (Some(pipe), Some(output)) = (&mut child.stdout, output) else { return true };
    let mut piece = [0; 4096];
    // The pipe does not block. An error other than that it is empty has no cure, and the end of the command follows.
    while let Ok(length @ 1..) = pipe.read(&mut piece) {
        output.extend_from_slice(&piece[..length]);
        if output.len() > MAX_OUTPUT {
            return false;
        }
    }
    true
}

/// The bytes of a script in which its interpreter is searched, as the kernel limits them.
const MAX_INTERPRETER: u64 = 256;

/// The PATH of a command if the agent itself has none.
const DEFAULT_PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the PATH by which the programs of commands are found.
pub fn action_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into())
}

/// Checks that a command could be started: its program, or the interpreter of a script, exists and may be executed. The
/// error names the file and the reason.
pub fn find_program(program: &str) -> Result<(), String> {
    if program.contains('/') {
        return is_executable(Path::new(program)).map_err(|reason| format!("{program} {reason}"));
    }
    let path = action_path();
    // The first executable file counts, as it does for the kernel's caller.
    match std::env::split_paths(&path).any(|directory| is_executable(&directory.join(program)).is_ok()) {
        true => Ok(()),
        false => Err(format!("{program} is not found by the PATH {}", path.display())),
    }
}

fn is_executable(file: &Path) -> Result<(), String> {
    let metadata = fs::metadata(file).map_err(|error| format!("cannot be used: {error}"))?;
    if !metadata.is_file() {
        return Err("is no file".into());
    }
    if rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_err() {
        return Err("is not executable".into());
    }
    // A script without its interpreter fails with "No such file or directory", which names the wrong file.
    match interpreter(file).filter(|interpreter| !interpreter.exists()) {
        Some(interpreter) => Err(format!("is a script for {}, which does not exist", interpreter.display())),
        None => Ok(()),
    }
}

/// Returns the program that the first line of a script names.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    File::open(file).ok()?.take(MAX_INTERPRETER).read_to_end(&mut line).ok()?;
    let line = String::from_utf8_lossy(line.strip_prefix(b"#!")?).into_owned();
    line.lines().next()?.split_whitespace().next().map(PathBuf::from)
}

/// Starts a command in a process group of its own, with PATH, TZ and the variables of the run as its environment.
fn start(program: &str, arguments: &[String], run: &mut Run<'_>) -> io::Result<Child> {
    let mut command = Command::new(program);
    // The group makes `kill` reach the children of a script as well, and keeps signals to the agent from the command.
    command.args(arguments).process_group(0);
    // The environment of the agent depends on how it was started, and may hold secrets or variables such as LD_PRELOAD. A
    // command must behave the same after a start by hand and by init.
    command.env_clear().env("PATH", action_path()).envs(std::env::var_os("TZ").map(|zone| ("TZ", zone)));
    command.envs(run.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(run.lock.take().map_or_else(Stdio::null, Stdio::from));
    command.stdout(if run.output.is_some() { Stdio::piped() } else { Stdio::null() });
    let child = command.spawn()?;
    if let Some(pipe) = &child.stdout {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    Ok(child)
}

/// Returns the result of a command that has ended.
fn exit_result(status: ExitStatus) -> Result<(), ActionError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(ActionError::Exit(code)),
        (None, signal) => Err(ActionError::Signal(signal.unwrap_or(0))),
    }
}

/// Kills a command with its process group.
pub(crate) fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    // Without the wait, the killed command would stay in the process table until the agent ends.
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
    fn a_program_that_cannot_start_is_told_with_the_reason() {
        let home = tempfile::tempdir().expect("a directory");
        let script = |name: &str, text: &str, mode: u32| {
            let path = home.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("rights");
            path.display().to_string()
        };
        assert_eq!(find_program("sh"), Ok(()));
        assert_eq!(find_program(&script("good", "#! /bin/sh -e\n", 0o755)), Ok(()));
        assert_eq!(find_program(&script("binary", "\u{7f}ELF", 0o755)), Ok(()));
        for (program, reason) in [
            ("no-such-program".to_owned(), "is not found by the PATH "),
            ("/no/such/program".to_owned(), "cannot be used: No such file"),
            (home.path().display().to_string(), "is no file"),
            (script("plain", "#!/bin/sh\n", 0o644), "is not executable"),
            (script("orphan", "#!/no/such/shell -e\n", 0o755), "is a script for /no/such/shell, which does not exist"),
        ] {
            let error = find_program(&program).expect_err(&program);
            assert!(error.starts_with(&program) && error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_command_has_path_and_time_zone_only() {
        // The test itself has others, such as HOME, which must not reach the command. The shell adds PWD and others.
        assert!(std::env::vars().any(|(name, _)| !["PATH", "TZ"].contains(&name.as_str())));
        let script = "! env | grep -v -E '^(PATH|TZ|PWD|OLDPWD|SHLVL|_)=' && [ -n \"$PATH\" ]";
        shell(script, Duration::from_secs(20)).expect("no other variable");
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

    /// A process that outlives the command which started it still holds the lock.
    #[test]
    fn a_mark_lasts_as_long_as_the_command() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("mark");
        let mark = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
        mark.try_lock().expect("the lock is free");
        let script = format!(
            "cat || exit 9; exec 3<&0; (while [ -e {0} ] && [ ! -e {0}.go ]; do sleep 0.01; done) & exit 0",
            path.display()
        );
        let command = ["sh".into(), "-c".into(), script];
        run_locked(&command, Duration::from_secs(20), &AtomicBool::new(false), mark).expect("it ends");
        let again = File::open(&path).expect("a file");
        assert!(again.try_lock().is_err(), "the child is running");
        File::create(format!("{}.go", path.display())).expect("a file");
        let is_free = (0..1000).any(|_| {
            std::thread::sleep(POLL_INTERVAL);
            again.try_lock().is_ok()
        });
        assert!(is_free, "no child is running");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test sets the stop flag meanwhile")]
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
            assert!(began, "the command does not start");
            run.join().expect("its end")
        });
        assert!(matches!(ended, Err(ActionError::Stopped)));
        let number = std::fs::read_to_string(&pid).expect("its number");
        assert!(
            !std::path::Path::new("/proc").join(number.trim()).exists(),
            "the command is running, or was not waited for"
        );
    }

    #[test]
    fn a_stop_does_not_wait_for_the_command() {
        let stop = AtomicBool::new(true);
        let ended = run(&["sleep".into(), "1".into()], Duration::from_secs(60), &stop);
        assert!(matches!(ended, Err(ActionError::Stopped)));
    }
}
