//! The bound on the work of one request: the number of nodes of the tree that its entries may visit or create.

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

    /// Returns the bound of a request that may do `limit` steps and ends early when `stop` is set.
    pub fn bounded(limit: u32, stop: Arc<AtomicBool>) -> Work {
        Work { left: Cell::new(limit), stop: Some(stop) }
    }

    /// Counts one step: a node that is visited, or an entry of the request.
    ///
    /// # Errors
    /// Returns an error if the request is beyond its bound, or if the agent stops.
    pub(super) fn step(&self) -> Result<(), PathError> {
        self.steps(1)
    }

    /// Counts as many steps; see [`Work::step`].
    pub(super) fn steps(&self, count: usize) -> Result<(), PathError> {
        self.check_stop()?;
        if self.stop.is_some() {
            let left = u32::try_from(count).ok().and_then(|count| self.left.get().checked_sub(count));
            self.left.set(left.ok_or(PathError::TooMuchWork)?);
        }
        Ok(())
    }

    /// Returns an error if the work belongs to a request and the agent stops.
    pub(super) fn check_stop(&self) -> Result<(), PathError> {
        match &self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(PathError::Stopping),
            _ => Ok(()),
        }
    }
}
