//! The socket file: made for its owner only, never taken from a daemon that is alive, gone with its daemon.

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

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 128;

/// A listening socket with its file, which goes with it.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: somebody may have put another file in its place.
    id: (u64, u64),
}

impl SocketFile {
    /// Listens at `path`, in a directory that is made where it is missing. A socket that nobody answers on is replaced.
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
        // Nobody can connect before `listen`, so that the file is never open to others, whatever the umask.
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
            // At the worst it is found stale by the next daemon.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Connects to the daemon at `path`; a daemon that does not accept is given up after `patience`.
pub(super) fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket()?;
    // It limits connecting as well, which waits where the backlog is full.
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
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
    SocketAddrUnix::new(path).map_err(|errno| match errno {
        Errno::NAMETOOLONG => io::Error::new(ErrorKind::InvalidInput, "the path is too long for a Unix socket"),
        other => other.into(),
    })
}

/// Removes what a daemon left behind that did not end well, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let in_use = |reason| Err(io::Error::new(ErrorKind::AddrInUse, reason));
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return in_use("there is a file of that name that is no socket");
    }
    match connect(path, Duration::from_secs(1)) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => in_use("another daemon is using it"),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
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
        connect(&path, Duration::from_secs(1)).expect("somebody listens");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let home = home();
        let path = home.path().join("socket");
        drop(UnixListener::bind(&path).expect("a socket that stays behind"));
        let (file, _listener) = SocketFile::listen(&path).expect("a socket");
        assert_eq!(refusal(&path), "another daemon is using it");
        assert!(path.exists());
        // The file of another is not removed.
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
