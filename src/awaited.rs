//! Driver: a value behind a lock, for whose changes one thread waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A value that threads change and for which one thread waits.
///
/// A change wakes that thread only while it waits: a notice through a condition variable costs a system call even without
/// a waiting thread, and the threads of a session find each other awake at every second change.
#[derive(Debug, Default)]
pub(crate) struct Awaited<T> {
    state: Mutex<AwaitedState<T>>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct AwaitedState<T> {
    value: T,
    /// True from the beginning of a wait to the change that ends it.
    is_awaited: bool,
}

impl<T> Awaited<T> {
    /// Changes the value, and wakes the thread that waits for it.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.value);
        let is_awaited = std::mem::take(&mut state.is_awaited);
        // The thread that wakes takes the lock at once.
        drop(state);
        if is_awaited {
            self.changed.notify_one();
        }
        result
    }

    /// Takes something out of the value, without waiting and without waking.
    pub(crate) fn take<R>(&self, take: impl FnOnce(&mut T) -> R) -> R {
        take(&mut self.lock().value)
    }

    /// Waits while `is_missing`, at most for `limit` (`None`: without end), and takes something out of the value then.
    pub(crate) fn wait<R>(
        &self,
        limit: Option<Duration>,
        is_missing: fn(&T) -> bool,
        take: impl FnOnce(&mut T) -> R,
    ) -> R {
        let state = self.lock();
        let waits = |state: &mut AwaitedState<T>| {
            state.is_awaited = is_missing(&state.value);
            state.is_awaited
        };
        // Both repeat the wait after a spurious wake-up, so that no caller sees the value before its limit.
        let waited = match limit {
            None => self.changed.wait_while(state, waits),
            Some(limit) => self
                .changed
                .wait_timeout_while(state, limit, waits)
                .map(|(state, _)| state)
                .map_err(|error| PoisonError::new(error.into_inner().0)),
        };
        take(&mut waited.unwrap_or_else(PoisonError::into_inner).value)
    }

    /// A thread that panicked leaves the value whole: each part of it is replaced as a whole.
    fn lock(&self) -> MutexGuard<'_, AwaitedState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn a_wait_ends_at_its_limit() {
        let number = Awaited::<u32>::default();
        assert_eq!(number.wait(Some(Duration::from_millis(5)), |number| *number == 0, |number| *number), 0);
        number.change(|number| *number = 1);
        assert_eq!(number.wait(None, |number| *number == 0, |number| *number), 1);
    }

    /// Two threads hand a number to each other, and the loss of one wake-up would end in the limit.
    #[test]
    fn no_change_is_missed() {
        let (question, answer) = (Arc::new(Awaited::<u32>::default()), Arc::new(Awaited::<u32>::default()));
        let (asked, answered) = (Arc::clone(&question), Arc::clone(&answer));
        let receive = |number: &Awaited<u32>| number.wait(Some(LIMIT), |number| *number == 0, std::mem::take);
        let echo = move || {
            for _ in 0..1000 {
                let number = receive(&asked);
                answered.change(|answer| *answer = number);
            }
        };
        let thread = crate::thread::spawn("echo", 64 << 10, Box::new(echo)).expect("a thread");
        for number in 1..=1000 {
            question.change(|question| *question = number);
            assert_eq!(receive(&answer), number);
        }
        thread.join().expect("no panic");
    }
}
