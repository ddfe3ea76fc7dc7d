//! The bound on the work of one request: the number of parameters that its entries may visit.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::path::PathError;

/// The work that may still be done on a tree before the result is given up.
#[derive(Clone, Debug)]
pub struct Work {
    left: Cell<u32>,
    /// The flag of an agent that stops, whose request need not end. `None` outside requests, where nothing is bounded.
    stop: Option<Arc<AtomicBool>>,
}

impl Work {
    /// Returns the bound outside requests: none.
    pub fn unbounded() -> Work {
        Work { left: Cell::new(0), stop: None }
    }

    /// Returns the bound of a request that may visit `limit` parameters and ends early when `stop` is set.
    pub fn bounded(limit: u32, stop: Arc<AtomicBool>) -> Work {
        Work { left: Cell::new(limit), stop: Some(stop) }
    }

    /// Counts one step.
    ///
    /// # Errors
    /// Returns an error if the request is beyond its bound, or if the agent stops.
    pub(super) fn step(&self) -> Result<(), PathError> {
        let Some(stop) = &self.stop else { return Ok(()) };
        if stop.load(Ordering::Relaxed) {
            return Err(PathError::Stopping);
        }
        let left = self.left.get().checked_sub(1).ok_or(PathError::TooMuchWork)?;
        self.left.set(left);
        Ok(())
    }
}
