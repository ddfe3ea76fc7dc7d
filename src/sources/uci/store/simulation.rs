//! Steps that fail, or that a power cut ends, where a test chooses.

use std::cell::Cell;
use std::io;

thread_local! {
    /// The number of steps so far, the first that fails, and the number of those that fail.
    static STEPS: Cell<(usize, usize, usize)> = const { Cell::new((0, 0, 0)) };
}

/// Counts a step, and fails if it is one of the failing steps.
pub(super) fn step() -> io::Result<()> {
    let (count, first, number) = STEPS.get();
    STEPS.set((count + 1, first, number));
    if count >= first && count - first < number { Err(io::Error::other("simulated")) } else { Ok(()) }
}

/// Makes `number` steps fail, from the `first` one from now. Returns the number of steps since the last call.
pub(super) fn fail_steps(first: usize, number: usize) -> usize {
    let (count, ..) = STEPS.get();
    STEPS.set((0, first, number));
    count
}
