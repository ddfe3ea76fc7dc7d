//! What `--help` says.

use std::fmt::Write as _;

use super::command::COMMANDS;
use crate::config::SETTINGS;

const ON_COMMANDS: &str = "
A PATH ending in a dot is an object with all that is below it.
get to status talk to the running daemon and take --control and --config.
";

const ON_DOCTOR: &str = "\
doctor takes the options of run, sends the ACS one GET outside of any session, and changes
nothing; lines begin with ok, warning, skipped or FAILED, and one FAILED makes status 1.
";

const ON_CLIENTS: &str = "\
get writes a line end in a value as \\n, and so every backslash as \\\\; hidden values are empty.
set, add and delete are refused where the ACS has taken `Subscriber` off a parameter's access
list. While a session runs, all but status wait for its end, two minutes at most. inform is done
when the event is accepted; status tells how the session went. download and upload wait for the
end of the transfer; OPTION is username, password, password-file (its first line is the password),
and for downloads size (in bytes) and target.
";

const ON_OPTIONS: &str = "
Options. Each is also a key of the JSON file, and wins over it; the key of --state-dir is
stateDir, and so on. --data-model and --set may be repeated; the first --data-model replaces
the default. --set gives factory values: needed at every start, and below what the ACS or `set`
has changed. Every user can read a command line: passwords belong in the file.
";

const ON_THE_REST: &str = "
SIGHUP has the daemon read file, data model and TLS files again; a wrong one changes nothing.

Exit status: 0 done, 1 failed, 64 bad usage, 78 bad configuration or data model.

The ACS is given by the data model, by \"set\" in the JSON file, or here:
  cpe-agent run --set Device.ManagementServer.URL=https://acs.example.com/
";

pub(super) fn help() -> String {
    let mut text = "cpe-agent: TR-069 (CWMP) CPE agent\n\nUsage:\n".to_owned();
    // Writing to a String cannot fail.
    for command in COMMANDS {
        let usage = format!("{}{}", command.name, command.arguments);
        let _ = writeln!(text, "  cpe-agent {usage:<20}  {}", command.meaning);
    }
    text.push_str(ON_COMMANDS);
    if cfg!(feature = "doctor") {
        text.push_str(ON_DOCTOR);
    }
    text.push_str(ON_CLIENTS);
    text.push_str(ON_OPTIONS);
    let _ = writeln!(text, "  {:<24}  the JSON file", "--config FILE");
    for setting in SETTINGS {
        let usage = format!("--{} {}", setting.option, setting.value);
        let _ = write!(text, "  {usage:<24}  {}", setting.meaning);
        if let Some(default) = setting.default {
            let _ = write!(text, " [{default}]");
        }
        text.push('\n');
    }
    let _ = writeln!(text, "  {:<24}  this text", "-h, --help");
    let _ = writeln!(text, "  {:<24}  the version", "-V, --version");
    text.push_str(ON_THE_REST);
    text
}
