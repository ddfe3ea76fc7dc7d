//! The socket file: only its owner may open it, no running agent loses it to another one, and it ends with its agent.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

/// The number of connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 128;

/// The file of a listening socket. Dropping it removes the file.
pub(super) struct SocketFile {
    path: PathBuf,
    /// The device and inode of the file, so that a file that has replaced it is not removed.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens at `path` and creates missing directories. A socket file without a listener is replaced.
    ///
    /// # Errors
    /// Another agent listens there, the path is in use by another file, or the file system refuses.
    pub(super) fn listen(path: &Path) -> io::Result<(SocketFile, UnixListener)> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            fs::create_dir_all(directory)?;
        }
        let socket = match bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                remove_stale(path)?;
                bind(path)?
            }
            bound => bound?,
        };
        // No client can connect before `listen`, so that the file is never open to other users, even with a loose umask.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let file = SocketFile { path: path.to_owned(), id: identity(path)? };
        rustix::net::listen(&socket, BACKLOG)?;
        let listener = UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        Ok((file, listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|id| id == self.id) {
            // A file that stays behind is harmless: the next agent finds that it has no listener.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to the agent at `path`. Fails with `WouldBlock` if the agent does not accept within `limit`.
pub(super) fn connect(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let socket = socket()?;
    // The send timeout also limits connect(2), which waits while the backlog is full.
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    rustix::net::connect(&socket, &address(path)?)?;
    Ok(UnixStream::from(socket))
}

fn bind(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(path)?)?;
    Ok(socket)
}

fn socket() -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    // The message of the kernel, "File name too long", would send the user to the limits of the file system.
    SocketAddrUnix::new(path).map_err(|errno| match errno {
        Errno::NAMETOOLONG => io::Error::new(ErrorKind::InvalidInput, "the path is too long for a Unix socket"),
        other => other.into(),
    })
}

/// Removes the socket file of an agent that was killed. Any other file and a live socket stay.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |reason| Err(io::Error::new(ErrorKind::AddrInUse, reason));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("there is a file of that name that is no socket");
    }
    // A listener accepts the connection even if its agent is busy, since the kernel does so on its behalf.
    match connect(path, Duration::from_secs(1)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => in_use("another agent is using it"),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    // The link itself and not its target, or a link to the old file would count as that file.
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> tempfile::TempDir {
        tempfile::tempdir().expect("a directory")
    }

    fn refusal(path: &Path) -> String {
        SocketFile::listen(path).map(drop).expect_err("refused").to_string()
    }

    #[test]
    fn only_its_owner_may_open_it_and_it_goes_at_the_end() {
        let home = home();
        let path = home.path().join("not/there/yet/socket");
        let (file, _listener) = SocketFile::listen(&path).expect("a socket");
        let metadata = fs::symlink_metadata(&path).expect("a file");
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
        connect(&path, Duration::from_secs(1)).expect("a listener");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let home = home();
        let path = home.path().join("socket");
        drop(UnixListener::bind(&path).expect("a socket that stays behind"));
        let (file, _listener) = SocketFile::listen(&path).expect("a socket");
        assert_eq!(refusal(&path), "another agent is using it");
        assert!(path.exists());
        // A file that has replaced the socket is not removed.
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "mine").expect("written");
        drop(file);
        assert_eq!(refusal(&path), "there is a file of that name that is no socket");
        assert_eq!(fs::read(&path).expect("still there"), b"mine");
    }

    #[test]
    fn a_path_that_cannot_be_is_told_in_words() {
        let home = home();
        let long = home.path().join("x".repeat(120));
        assert_eq!(refusal(&long), "the path is too long for a Unix socket");
        fs::write(home.path().join("file"), "").expect("written");
        assert!(SocketFile::listen(&home.path().join("file/socket")).is_err());
    }
}
