//! Instances on trial: they stand in the tree while the values of the request that creates them are checked, and leave nothing
//! behind. A copy of the tree for the check would cost as much as the tree.

use super::{Located, Tree};
use crate::model::path::{Path, PathError};

/// An instance on trial.
#[derive(Debug)]
pub struct Trial {
    table: String,
    number: u32,
    /// The greatest number of the table before.
    last: u32,
}

impl Tree {
    /// Adds an instance with a number that [`Tree::check_add`] has returned, until [`Tree::end_trial`].
    ///
    /// # Errors
    /// The path is not that of a table.
    pub fn begin_trial(&mut self, table: &str, number: u32) -> Result<Trial, PathError> {
        let last = self.table(&Path::parse(table)?)?.1.last;
        self.add_instance(table, number)?;
        Ok(Trial { table: table.to_owned(), number, last })
    }

    /// Removes an instance on trial. Those that were added after it are removed before it.
    pub fn end_trial(&mut self, trial: &Trial) {
        // Cannot fail: the table was found at the beginning of the trial, and is as it was after it.
        let Ok(Ok((Located::Table(spec, _), steps))) =
            Path::parse(&trial.table).map(|path| self.locate_with_steps(&path))
        else {
            return;
        };
        let table = &mut self.scope_mut(&steps).tables[spec.index as usize];
        table.instances.retain(|instance| instance.number != trial.number);
        table.last = trial.last;
    }
}
