//! Driver: starts the threads of the agent, each with a name and a small stack.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread that runs `work`. `stack` is its size in bytes; only pages that are touched cost memory.
///
/// # Errors
/// The error of the kernel if the process or the device has no thread or no memory left.
#[expect(clippy::disallowed_methods, reason = "the one place where threads are started")]
pub(crate) fn spawn(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
    // The closure is boxed because std compiles its thread start anew for each type of closure, some 4 kB each.
    Builder::new().name(name.into()).stack_size(stack).spawn(work)
}
