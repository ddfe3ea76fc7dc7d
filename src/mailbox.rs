//! Driver: values that threads leave for one other thread.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue of values for one thread; clones share it. Its users bound it: each value answers a request of theirs.
///
/// It replaces the channels of std, whose lock-free queues of three kinds are compiled anew for each type of value.
#[derive(Debug)]
pub(crate) struct Mailbox<T>(Arc<Queue<T>>);

#[derive(Debug)]
struct Queue<T> {
    values: Mutex<VecDeque<T>>,
    arrival: Condvar,
}

impl<T> Mailbox<T> {
    /// Returns an empty mailbox.
    pub(crate) fn new() -> Mailbox<T> {
        Mailbox(Arc::new(Queue { values: Mutex::default(), arrival: Condvar::new() }))
    }

    /// Appends a value and wakes the thread that waits for it.
    pub(crate) fn post(&self, value: T) {
        self.lock().push_back(value);
        self.0.arrival.notify_one();
    }

    /// Returns the oldest value, without waiting.
    pub(crate) fn take(&self) -> Option<T> {
        self.lock().pop_front()
    }

    /// Returns the oldest value, and waits for one at most for `limit`.
    pub(crate) fn wait(&self, limit: Duration) -> Option<T> {
        let waited = self.0.arrival.wait_timeout_while(self.lock(), limit, |values| values.is_empty());
        waited.unwrap_or_else(PoisonError::into_inner).0.pop_front()
    }

    /// A thread that panicked leaves the queue whole: values are added and removed as a whole.
    fn lock(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.0.values.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(mailbox.wait(Duration::from_millis(5)), None);
        let sender = mailbox.clone();
        let thread = crate::thread::spawn("sender", 64 << 10, Box::new(move || (1..=2).for_each(|n| sender.post(n))));
        assert_eq!([(); 2].map(|()| mailbox.wait(Duration::from_secs(10))), [Some(1), Some(2)]);
        assert_eq!(mailbox.take(), None);
        thread.expect("a thread").join().expect("no panic");
    }
}
