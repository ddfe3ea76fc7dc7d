//! Driver: values that threads leave for one other thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::awaited::Awaited;

/// A queue of values for one thread; clones share it. Its users bound it: each value answers a request of theirs.
///
/// It replaces the channels of std, whose lock-free queues of three kinds are compiled anew for each type of value.
#[derive(Debug)]
pub(crate) struct Mailbox<T>(Arc<Awaited<VecDeque<T>>>);

impl<T> Mailbox<T> {
    /// Returns an empty mailbox.
    pub(crate) fn new() -> Mailbox<T> {
        Mailbox(Arc::default())
    }

    /// Appends a value and wakes the thread that waits for it.
    pub(crate) fn post(&self, value: T) {
        self.0.change(|values| values.push_back(value));
    }

    /// Returns the oldest value, without waiting.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.take(VecDeque::pop_front)
    }

    /// Returns the oldest value, and waits for one at most for `limit` (`None`: without end).
    pub(crate) fn wait(&self, limit: Option<Duration>) -> Option<T> {
        self.0.wait(limit, VecDeque::is_empty, VecDeque::pop_front)
    }
}

impl<T> Clone for Mailbox<T> {
    fn clone(&self) -> Mailbox<T> {
        Mailbox(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_in_order_and_end_a_wait() {
        let mailbox = Mailbox::new();
        assert_eq!(mailbox.wait(Some(Duration::from_millis(5))), None);
        let sender = mailbox.clone();
        let thread = crate::thread::spawn("sender", 64 << 10, Box::new(move || (1..=2).for_each(|n| sender.post(n))));
        assert_eq!([(); 2].map(|()| mailbox.wait(Some(Duration::from_secs(10)))), [Some(1), Some(2)]);
        assert_eq!(mailbox.take(), None);
        thread.expect("a thread").join().expect("no panic");
    }
}
