//! A limit for what has none of its own.

use std::sync::mpsc::channel;
use std::time::Duration;

use crate::thread;

/// Resolvers put packets of some kilobytes on the stack, and a TLS handshake some more.
const STACK: usize = 512 << 10;

/// What `work` gives; nothing where it takes longer than `limit`. It is then left to itself, until the command ends.
pub(super) fn with_timeout<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, results) = channel();
    let work = move || {
        // Too late, nobody listens.
        let _ = sender.send(work());
    };
    thread::spawn("doctor", STACK, Box::new(work)).ok()?;
    results.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_not_waited_for() {
        assert_eq!(with_timeout(Duration::from_secs(20), || 7), Some(7));
        assert_eq!(with_timeout(Duration::from_millis(20), || std::thread::sleep(Duration::from_secs(5))), None);
    }
}
