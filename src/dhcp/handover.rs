//! The command `dhcp`: takes the options that a DHCP client received, or the end of its lease.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::TEMPORARY;
use crate::control::{self, ControlErrorKind, Request};
use crate::discovery::Lease;
use crate::store::check_owner;

/// A lease on its way to the agent, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The directory of the files.
    pub directory: PathBuf,
    /// The path of the control socket.
    pub socket: PathBuf,
    /// True if the lease of the interface has ended.
    pub is_end: bool,
    pub(crate) lease: Lease,
}

impl Handover {
    /// Makes the handover from the options of the command: `interface=NAME`, `option=43=HEX` and so on. Returns a message for
    /// the user if one of them is wrong or missing.
    pub(crate) fn parse(
        words: &[String],
        is_end: bool,
        directory: Option<PathBuf>,
        socket: PathBuf,
    ) -> Result<Handover, String> {
        let mut interface = None;
        let mut others = Vec::new();
        for word in words {
            match word.strip_prefix("interface=") {
                Some(name) => interface = Some(name),
                None => others.push(word.as_str()),
            }
        }
        if is_end && !others.is_empty() {
            return Err("--remove takes no option of DHCP".into());
        }
        let lease = Lease::parse(interface.ok_or("--interface is missing")?, others.into_iter())?;
        let directory = directory.ok_or("--dhcp-dir, or dhcpDir in the file of --config, is missing")?;
        Ok(Handover { directory, socket, is_end, lease })
    }
}

/// Writes the file of the interface, or removes it at the end of the lease, and tells the running agent.
pub fn run(handover: &Handover) -> ExitCode {
    let Handover { directory, socket, is_end, lease } = handover;
    let stored = match is_end {
        true => remove(directory, &lease.interface),
        false => write(directory, lease),
    };
    let result = stored.map_err(|error| format!("{}: {error}", directory.display())).and_then(|()| {
        match control::ask(socket, &Request::Dhcp, control::usual_limit(&Request::Dhcp)) {
            // The agent reads the file when it starts.
            Err(error) if error.kind != ControlErrorKind::NotRunning => Err(error.reason),
            _ => Ok(()),
        }
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("cpe-agent: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Writes the file of the interface as a whole, so that no reader sees half of it.
fn write(directory: &Path, lease: &Lease) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    check_owner(directory)?;
    // The number of the process: two clients may write at the same time, and one of them may have crashed.
    let new = directory.join(format!("{TEMPORARY}{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new);
    let written = file.and_then(|mut file| file.write_all(lease.text().as_bytes()));
    written.and_then(|()| fs::rename(&new, directory.join(&lease.interface))).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

fn remove(directory: &Path, interface: &str) -> io::Result<()> {
    match fs::remove_file(directory.join(interface)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
