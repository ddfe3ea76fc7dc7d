//! The journal of the device, in the store of the agent.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use crate::cwmp::device::{Growth, JournalError, JournalWriter};
use crate::store::Store;

/// The part of the store that the device may use: appending records, and a rewrite where that makes room.
pub(crate) struct StoreJournal(pub(crate) Rc<RefCell<Store>>);

impl JournalWriter for StoreJournal {
    fn append(&mut self, record: &str, growth: Growth) -> Result<(), JournalError> {
        let mut store = self.0.borrow_mut();
        if growth == Growth::May {
            store.check_growth(record).map_err(journal_error)?;
        }
        store.append(record).map_err(journal_error)
    }

    fn rewrite_helps(&self) -> bool {
        self.0.borrow().rewrite_helps()
    }

    fn rewrite(&mut self, snapshot: &[String]) -> Result<(), JournalError> {
        self.0.borrow_mut().compact(snapshot).map_err(journal_error)
    }
}

fn journal_error(error: io::Error) -> JournalError {
    JournalError { reason: error.to_string(), is_full: crate::store::is_full(&error) }
}
