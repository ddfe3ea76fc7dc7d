//! The rows of the table of commands.

use super::{Command, CommandParser, CommandSpec};
use crate::cli::assignments;
use crate::cli::operands::Operands;
use crate::cli::transfer::{software, transfer};
use crate::control::{GetForm, GetRequest, Request, SetRequest, parse_assignment, parse_request_download};
#[cfg(feature = "diagnostics")]
use crate::diagnostics::LocalTest;

/// The event code of `inform` without an argument: the session that would come anyway, only sooner.
const DEFAULT_EVENT: &str = "2 PERIODIC";

/// All commands, in the order of the help text.
pub(in crate::cli) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "run",
        arguments: "",
        meaning: "run the agent in the foreground",
        details: "\
Ends on SIGTERM and SIGINT. SIGHUP makes it read the JSON file, the data model and the TLS files
again; if one of them is wrong, nothing changes.",
        parser: CommandParser::Local(|config, _| Ok(Command::Run(config))),
    },
    CommandSpec {
        name: "check",
        arguments: " [--device] [--json]",
        meaning: "validate configuration and data model; contact no server",
        details: "\
Prints a summary and warnings, or each mistake with file, JSON pointer and reason. --device also
reads all values that have a source once, and lists those that fail or do not fit; exit status 1
means that there are some. --json prints that list as JSON.",
        // The same configuration as for `run`, so that `check` accepts a file if and only if `run` does.
        parser: CommandParser::Local(|config, operands| {
            let (device, json) = (operands.has("device"), operands.has("json"));
            match json && !device {
                true => Err("--json needs --device".into()),
                false => Ok(Command::Check { config, device: device.then_some(json) }),
            }
        }),
    },
    #[cfg(feature = "doctor")]
    CommandSpec {
        name: "doctor",
        arguments: "",
        meaning: "check sessions, storage, actions, ACS, TLS, STUN and ports",
        details: "\
Asks the running agent for its last session, tests that its directories can be written, and sends
the ACS one GET outside of any session. Changes nothing. Each line begins with ok, warning,
skipped or FAILED; one FAILED makes exit status 1.",
        parser: CommandParser::Local(|config, _| Ok(Command::Doctor(config))),
    },
    CommandSpec {
        name: "get",
        arguments: " [--json] [--value] [--secret] PATH...",
        meaning: "print values, one path=value a line",
        details: "\
A PATH that ends in a dot names an object and everything below it. In place of an instance number,
[alias] names the instance with this alias, and * all instances. A line break within a value is
printed as \\n and a backslash as \\\\. --json prints one object of paths and values, all of them
texts. --value prints the value of one parameter alone, as it is. Hidden values are empty without
--secret.",
        parser: CommandParser::Client(get),
    },
    CommandSpec {
        name: "source",
        arguments: " [--json] PATH...",
        meaning: "show where values come from: source, text of the device, value",
        details: "\
Reads the values from the device first, as get does. A failing source, or a text that is no value,
is shown with the reason; the parameter keeps its last value. The text of a hidden parameter is
not shown.",
        parser: CommandParser::Client(|operands| {
            Ok(Request::Source { json: operands.has("json"), paths: operands.some()? })
        }),
    },
    CommandSpec {
        name: "set",
        arguments: " PATH=VALUE...",
        meaning: "change values, all or none",
        details: "\
Acts as an entity on the LAN side, and is refused if the ACS has removed `Subscriber` from the
access list of a parameter. `set -` reads values from standard input as get prints them, as lines
or as JSON; a password then stands on no command line. Since get prints hidden values empty, an
empty one on standard input leaves a hidden parameter as it is. So do the values that are there
already, and those of read-only parameters, of which set names the ones that differ: `get PATH |
set -` changes nothing.",
        // Only the form is checked here; the agent checks the values against the data types of the model.
        parser: CommandParser::Client(|operands| {
            let words = operands.some()?;
            let is_printed = matches!(words.as_slice(), [word] if word == "-");
            let assignments = match is_printed {
                true => assignments::read_from_stdin()?,
                false => words.iter().map(|text| parse_assignment(text)).collect::<Result<_, _>>()?,
            };
            Ok(Request::Set(SetRequest { assignments, is_printed }))
        }),
    },
    CommandSpec {
        name: "add",
        arguments: " PATH.",
        meaning: "create an instance and print its number",
        details: "\
PATH names a table and ends in a dot. A last node [alias] is the alias of the new instance. Acts
as an entity on the LAN side, as set does.",
        parser: CommandParser::Client(|operands| Ok(Request::Add(operands.one()?))),
    },
    CommandSpec {
        name: "delete",
        arguments: " PATH.",
        meaning: "delete an instance",
        details: "PATH names the instance and ends in a dot. Acts as an entity on the LAN side, as set does.",
        parser: CommandParser::Client(|operands| Ok(Request::Delete(operands.one()?))),
    },
    CommandSpec {
        name: "watch",
        arguments: " [PATH...]",
        meaning: "print changes of values as they come",
        details: "\
Prints path=value for each value that changes or appears, as get does, and the path alone of one
that disappears, until Ctrl-C or SIGTERM. Without a PATH, all values are watched. Values of the
device are read when it tells of a change, and every five minutes where nothing tells.",
        parser: CommandParser::Client(|operands| {
            let paths = operands.values;
            // The empty path names the whole tree.
            Ok(Request::Watch(if paths.is_empty() { vec![String::new()] } else { paths }))
        }),
    },
    CommandSpec {
        name: "inform",
        arguments: " [\"EVENT\"]",
        meaning: "start a session now, with \"2 PERIODIC\" or the given event code",
        details: "\
Returns when the event is accepted; status shows the result of the session. Every event code is
valid that an InformResponse confirms, such as \"6 CONNECTION REQUEST\" or \"X OUI event\", except
\"4 VALUE CHANGE\" and the codes that begin with \"M\".",
        parser: CommandParser::Client(|operands| {
            Ok(Request::Inform(operands.at_most_one()?.unwrap_or_else(|| DEFAULT_EVENT.to_owned())))
        }),
    },
    CommandSpec {
        name: "download",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "download a file and apply it",
        details: "\
Waits until the file is in use, and shows the progress on a terminal. OPTION is username,
password, password-file (a file whose first line is the password), size (in bytes) or target (the
name of the file in the report to the ACS). TYPE is a file type of the data model, such as
\"3 Vendor Configuration File\". Interrupting the command does not cancel the transfer.",
        parser: CommandParser::Client(|operands| transfer(operands, true)),
    },
    CommandSpec {
        name: "upload",
        arguments: " TYPE URL [OPTION=VALUE...]",
        meaning: "upload a file of the device",
        details: "\
Waits for the end of the transfer. OPTION is username, password or password-file. TYPE is a file
type of the data model, such as \"2 Vendor Log File\".",
        parser: CommandParser::Client(|operands| transfer(operands, false)),
    },
    CommandSpec {
        name: "software",
        arguments: " VERB [OPTION=VALUE...]",
        meaning: "install, update or uninstall software",
        details: "\
VERB is install, update or uninstall. Waits for the end of the operation. OPTION is url, username,
password or password-file (of install and update), uuid, version (of update and uninstall) or
environment (the path of an ExecEnv, of install and uninstall). An update without uuid and url is
one of all software.",
        parser: CommandParser::Client(software),
    },
    CommandSpec {
        name: "request-download",
        arguments: " TYPE [NAME=VALUE...]",
        meaning: "ask the ACS for a file",
        details: "The ACS decides, and requests the download in a session. NAME=VALUE are arguments for it.",
        parser: CommandParser::Client(|operands| {
            // The agent checks the same limits again: other programs write to its socket, too.
            let (file_type, arguments) = parse_request_download(&operands.any()?)?;
            Ok(Request::RequestDownload(file_type, arguments))
        }),
    },
    #[cfg(feature = "dhcp")]
    CommandSpec {
        name: "dhcp",
        arguments: " --interface NAME [OPTION...] [--remove]",
        meaning: "hand over what a DHCP client received",
        details: "\
A hook of the DHCP client runs it with each lease, and with --remove at the end of a lease, also
before the agent runs. Each call replaces what is known of the interface (docs/discovery.md).

--interface NAME        the interface that has the lease
--option N=HEX          option 43 or 125 of DHCPv4, in hexadecimal
--option6 N=HEX         option 17 of DHCPv6
--requested N           the option, 43 or 125, that the client has asked for",
        parser: CommandParser::Dhcp,
    },
    #[cfg(feature = "diagnostics")]
    CommandSpec {
        name: "ping",
        arguments: " HOST [OPTION=VALUE...]",
        meaning: "send echo requests to a host, and print their times",
        details: "\
The test IPPing of the ACS, without the agent. OPTION is count (4), interval and timeout (1000
milliseconds), size (56 bytes), dscp (0), interface, or ip (4 or 6). Exit status 1 means that no
reply came, and 2 that the test was not possible.",
        parser: CommandParser::Test(LocalTest::ping),
    },
    #[cfg(feature = "diagnostics")]
    CommandSpec {
        name: "traceroute",
        arguments: " HOST [OPTION=VALUE...]",
        meaning: "print the routers on the way to a host",
        details: "\
The test TraceRoute of the ACS, without the agent. OPTION is tries (3 a hop), hops (30 at most),
timeout (3000 milliseconds a hop), size (38 bytes), dscp (0), interface, or ip (4 or 6). Exit
status 1 means that the host was not reached within so many hops, and 2 that the test was not
possible, or ended before. !N is the code of an error of ICMP.",
        parser: CommandParser::Test(LocalTest::trace_route),
    },
    CommandSpec {
        name: "trace",
        arguments: " FILE [size=BYTES]",
        meaning: "record sessions into a new file, without secrets",
        details: "\
Records the messages of the sessions from now on, until Ctrl-C, SIGTERM or the size limit (1 MiB).
FILE is created for its owner alone, and must not exist; - is stdout. docs/trace.md describes it.",
        parser: CommandParser::Trace,
    },
    CommandSpec {
        name: "replay",
        arguments: " FILE",
        meaning: "play a trace against a fresh agent and show the differences",
        details: "\
The data model and the factory values are those of the trace, unless options give others. A replay
contacts no server and runs no action. Exit status 1 means that messages differ.",
        parser: CommandParser::Replay,
    },
    #[cfg(feature = "diagnostics")]
    CommandSpec {
        name: "lookup",
        arguments: " NAME [SERVER]",
        meaning: "ask a name server for the addresses of a name",
        details: "\
SERVER is the name or the address of the name server, or an address with a port; without it, the
first one of /etc/resolv.conf is asked. Needs no running agent.",
        parser: CommandParser::Test(LocalTest::lookup),
    },
    #[cfg(feature = "diagnostics")]
    CommandSpec {
        name: "speed",
        arguments: " download|upload URL [NAME=VALUE...]",
        meaning: "measure the speed of a download or an upload",
        details: "\
Downloads a file and drops it, or uploads random bytes by PUT, over HTTP or HTTPS. NAME is seconds
(the duration; otherwise the file ends the test, and an upload lasts 10 s), bytes (the size of an
upload), connections (1 to 8, default 1) or interface. Shows the progress on a terminal. Needs no
running agent.",
        parser: CommandParser::Transfer(LocalTest::speed),
    },
    CommandSpec {
        name: "applied",
        arguments: "",
        meaning: "tell the agent that the services have reloaded",
        details: "\
For procd of OpenWrt, which runs it after all scripts that the agent has asked for: the next
session need not wait longer. docs/packages.md has the trigger for an init script of your own.",
        parser: CommandParser::Client(|operands| operands.none().map(|()| Request::Applied)),
    },
    CommandSpec {
        name: "status",
        arguments: " [--json] [--check]",
        meaning: "print the state of the agent, or check it for a script",
        details: "\
--json prints one JSON object, for scripts. --check prints one line, and exit status 1 means that
an operator should look at the agent.",
        parser: CommandParser::Client(|operands| {
            let (json, check) = (operands.has("json"), operands.has("check"));
            operands.none()?;
            match (json, check) {
                (true, true) => Err("--json and --check exclude each other".into()),
                (_, true) => Ok(Request::Check),
                (json, false) => Ok(Request::Status { json }),
            }
        }),
    },
    CommandSpec {
        name: "help",
        arguments: " [COMMAND]",
        meaning: "explain a command and list its options",
        details: "",
        parser: CommandParser::Help,
    },
];

fn get(operands: Operands) -> Result<Request, String> {
    let form = match (operands.has("json"), operands.has("value")) {
        (true, true) => return Err("--json and --value exclude each other".into()),
        (true, false) => GetForm::Json,
        (false, true) => GetForm::Value,
        (false, false) => GetForm::Lines,
    };
    let secret = operands.has("secret");
    // No path is checked here: only the agent has the data model.
    Ok(Request::Get(GetRequest { paths: operands.some()?, form, secret }))
}
