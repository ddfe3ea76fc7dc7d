//! Driver: waits with poll(2) until a descriptor is ready.
//!
//! The limit is in whole milliseconds. `rustix::event::poll` would use ppoll, and the `timespec` that it passes lacks the
//! four bytes which musl has before the nanoseconds on big-endian 32-bit processors: the wait there has a random length.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::poll::{PollFd, PollTimeout, poll};
pub(crate) use rustix::event::PollFlags;

/// A descriptor, and the readiness to wait for.
pub(crate) type Interest<'fd> = (BorrowedFd<'fd>, PollFlags);

/// Waits until a descriptor is ready, and at most for `limit`. Returns the readiness of each descriptor in their order.
///
/// Without a ready descriptor the wait is never shorter than the limit, unless a signal interrupts it; all flags are empty
/// then.
pub(crate) fn wait(interests: &[Interest<'_>], limit: Option<Duration>) -> Vec<PollFlags> {
    // The list is made anew for each wait: poll(2) keeps no state in the kernel, unlike epoll, and the lists are short.
    let mut fds: Vec<PollFd<'_>> = interests.iter().map(|(fd, flags)| PollFd::new(*fd, to_nix(*flags))).collect();
    match poll(&mut fds, limit.map_or(PollTimeout::NONE, timeout)) {
        Ok(_) => fds.iter().map(|fd| fd.revents().map_or(PollFlags::empty(), from_nix)).collect(),
        // After an error, such as EINTR, the kernel has not written the flags.
        Err(_) => vec![PollFlags::empty(); fds.len()],
    }
}

/// Returns the limit in milliseconds, at most 24 days. It is rounded up: rounded down, the last fraction of a millisecond
/// would be spent in a loop of waits of zero.
fn timeout(limit: Duration) -> PollTimeout {
    // A longer wait ends early and is simply repeated by the caller.
    let rounded_up = limit.saturating_add(Duration::from_nanos(999_999));
    PollTimeout::try_from(rounded_up.as_millis()).unwrap_or(PollTimeout::MAX)
}

// Both crates use the constants of the system, so the bits are the same.
fn to_nix(flags: PollFlags) -> nix::poll::PollFlags {
    nix::poll::PollFlags::from_bits_retain(flags.bits() as _)
}

fn from_nix(flags: nix::poll::PollFlags) -> PollFlags {
    PollFlags::from_bits_retain(flags.bits() as _)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test has a clock")]
mod tests {
    use std::io::Write;
    use std::net::Shutdown;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    /// Fails on big-endian MIPS with ppoll.
    #[test]
    fn the_limit_is_kept_whatever_was_on_the_stack() {
        let (stream, _other) = UnixStream::pair().expect("a pair");
        for limit in [0, 1, 999_999, 1_000_001, 20_500_000, 300_000_000] {
            let (limit, began) = (Duration::from_nanos(limit), Instant::now());
            assert_eq!(wait(&[(stream.as_fd(), PollFlags::IN)], Some(limit)), [PollFlags::empty()]);
            assert!(began.elapsed() >= limit, "{:?} of {limit:?}", began.elapsed());
        }
    }

    #[test]
    fn each_descriptor_tells_what_it_is_ready_for() {
        let (mut one, other) = UnixStream::pair().expect("a pair");
        let both = PollFlags::IN | PollFlags::OUT;
        let interests = [(one.as_fd(), PollFlags::IN), (other.as_fd(), both)];
        assert_eq!(wait(&interests, None), [PollFlags::empty(), PollFlags::OUT]);
        one.write_all(b"x").expect("sent");
        let interests = [(one.as_fd(), PollFlags::IN), (other.as_fd(), both)];
        assert_eq!(wait(&interests, None), [PollFlags::empty(), both]);
        // Not dropped: a process that another test starts holds a copy for a moment.
        one.shutdown(Shutdown::Both).expect("shut down");
        assert!(wait(&[(other.as_fd(), PollFlags::IN)], None)[0].contains(PollFlags::HUP));
    }

    #[test]
    fn limits_are_rounded_up_and_bounded() {
        let milliseconds = |limit| timeout(limit).as_millis();
        assert_eq!(milliseconds(Duration::ZERO), Some(0));
        assert_eq!(milliseconds(Duration::from_nanos(1)), Some(1));
        assert_eq!(milliseconds(Duration::from_millis(7)), Some(7));
        assert_eq!(timeout(Duration::MAX), PollTimeout::MAX);
    }
}
