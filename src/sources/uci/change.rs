//! Changes of UCI packages: one new file a package, for all texts of a request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::store::{Cause, Committed, Failure, Locked, PackageStore, Recovery, Staged, Sums};
use crate::cwmp::device::{Obstacle, Prepared, Refusal, RenamedRow, StagedFile};
use crate::cwmp::fault::FaultCode;
use crate::digest::md5_sum;
use crate::model::source::uci::edit::{Action, Change, Reason, edit};
use crate::model::source::uci::{Identity, rows};
use crate::model::source::{Answer, OptionForm, Place, Row, Write};
use crate::sources::openwrt::items;

/// The packages of the device, and those that wait for their rename.
pub(in crate::sources) struct Packages {
    store: PackageStore,
    staged: Vec<Staged>,
    /// True if a file of a record still waits for its rename.
    is_undecided: bool,
}

/// A package that is staged unless it has its text already, with the sections in it that got a name, and the new one.
type StagedPackage = (Option<Staged>, Vec<RenamedRow>, Option<String>);

/// The writes of a package, with their indexes.
type Group<'w> = Vec<(usize, &'w Write)>;

impl Packages {
    /// Creates the driver. It opens nothing before the first change.
    pub(in crate::sources) fn new(stop: Arc<AtomicBool>) -> Packages {
        Packages { store: PackageStore::new(stop), staged: Vec::new(), is_undecided: false }
    }

    /// Writes the new texts of the packages beside their files, in the order of their names, and keeps all of them locked. `kept` are
    /// the files whose old texts are kept already, if those of this change are to be kept.
    ///
    /// # Errors
    /// All refusals; then nothing is left.
    pub(in crate::sources) fn stage(
        &mut self,
        writes: &[Write],
        kept: Option<&[StagedFile]>,
    ) -> Result<Prepared, Vec<Refusal>> {
        self.discard();
        let (mut prepared, mut refused) = (Prepared::default(), Vec::new());
        for (name, group) in packages(writes) {
            // Another program may have replaced the file between the two locks.
            let staged = match self.stage_package(name, &group, kept) {
                Err(Stop::Failed(Failure { cause: Cause::Changed, .. })) => self.stage_package(name, &group, kept),
                staged => staged,
            };
            match staged {
                Ok((None, ..)) => {}
                Ok((Some(staged), renamed, added)) => {
                    prepared.staged.push(record(&staged));
                    prepared.renamed.extend(renamed);
                    prepared.added = prepared.added.or(added);
                    self.staged.push(staged);
                }
                Err(Stop::Refused(refusals)) => refused.extend(refusals),
                Err(Stop::Failed(Failure { cause, text })) => {
                    refused.extend(group.iter().map(|(write, _)| refusal(*write, code(cause), &text)));
                }
            }
        }
        if refused.is_empty() {
            return Ok(prepared);
        }
        self.discard();
        Err(refused)
    }

    /// Writes the new text of one package.
    fn stage_package(
        &self,
        package: &str,
        group: &Group<'_>,
        kept: Option<&[StagedFile]>,
    ) -> Result<StagedPackage, Stop> {
        let locked = self.store.begin(package).map_err(Stop::Failed)?;
        // The text of another program, which has changed the package since, takes the place of the one that was kept.
        let present = md5_sum(locked.text());
        let keeps_old =
            kept.is_some_and(|kept| !kept.iter().any(|file| file.package == package && file.new == present));
        let edits = Edits::of(package, &locked, group)?;
        let new = edit(locked.text(), &edits.changes).map_err(|refused| {
            let at = refused.change.and_then(|change| edits.writes.get(change)).copied();
            let concerned = group.iter().filter(|(write, _)| at.is_none_or(|at| at == *write));
            let text = format!("uci {package}: {}", refused.reason);
            Stop::Refused(concerned.map(|(write, _)| refusal(*write, code_of(&refused.reason), &text)).collect())
        })?;
        let new = add_items(package, group, locked.text(), new)?;
        let renamed = edits.renamed_rows(package, &locked, &new);
        Ok((locked.stage(&new, keeps_old).map_err(Stop::Failed)?, renamed, edits.added))
    }

    /// Prepares the way back to the old texts of these files. Returns those that have other texts now.
    ///
    /// # Errors
    /// The reason, such as a file that another program has changed since; then nothing is prepared.
    pub(in crate::sources) fn stage_old(&mut self, files: &[StagedFile]) -> Result<Vec<StagedFile>, Obstacle> {
        self.discard();
        for StagedFile { package, old, new } in files {
            let sums = Sums { old: old.clone(), new: new.clone() };
            match self.store.begin(package).and_then(|locked| locked.stage_old(&sums)) {
                Ok(staged) => self.staged.extend(staged),
                Err(failure) => {
                    self.discard();
                    return Err(Obstacle { is_lasting: failure.cause == Cause::Changed, reason: failure.text });
                }
            }
        }
        Ok(self.staged.iter().map(record).collect())
    }

    /// Renames the prepared files.
    ///
    /// # Errors
    /// The reason; the packages have their former texts then.
    pub(in crate::sources) fn commit(&mut self) -> Result<(), String> {
        let mut committed: Vec<Committed> = Vec::new();
        for staged in std::mem::take(&mut self.staged) {
            match staged.commit() {
                Ok(done) => committed.push(done),
                Err(failure) => {
                    let mut text = failure.text;
                    for second in committed.into_iter().filter_map(|done| done.put_back().err()) {
                        text = format!("{text}; the old text could not be put back: {}", second.text);
                    }
                    return Err(text);
                }
            }
        }
        Ok(())
    }

    /// Returns true if a file of a record still waits for its rename.
    pub(in crate::sources) fn is_undecided(&self) -> bool {
        self.is_undecided
    }

    /// Removes the prepared files, and unlocks the packages.
    pub(in crate::sources) fn discard(&mut self) {
        self.staged.clear();
    }

    /// Renames the files of a record that a crash has left, and removes those without a record. `kept` are the files whose old texts
    /// are kept. Returns notices.
    pub(in crate::sources) fn recover(&mut self, files: &[StagedFile], kept: &[StagedFile]) -> Vec<String> {
        let (mut notices, mut keep) = (Vec::new(), Vec::new());
        for StagedFile { package, old, new } in files {
            let sums = Sums { old: old.clone(), new: new.clone() };
            let end = match self.store.recover(package, &sums) {
                Ok(Recovery::Present) => continue,
                Ok(Recovery::Completed) => "an interrupted change is complete",
                Ok(Recovery::Lost) => "an interrupted change is lost",
                Ok(Recovery::Foreign) => "another program has changed it, and its text stays",
                Err(failure) => {
                    keep.push(package.as_str());
                    notices.push(failure.text);
                    continue;
                }
            };
            notices.push(format!("uci {package}: {end}"));
        }
        let old: Vec<&str> = kept.iter().map(|file| file.package.as_str()).collect();
        self.is_undecided = !keep.is_empty();
        self.store.clean(&keep, &old);
        notices
    }
}

/// Returns what the record of a change tells of a file.
fn record(staged: &Staged) -> StagedFile {
    let Sums { old, new } = staged.sums().clone();
    StagedFile { package: staged.package().to_owned(), old, new }
}

/// Returns the writes of each package, in the order of the names: two programs that lock several packages in the same order never
/// wait for each other.
fn packages(writes: &[Write]) -> Vec<(&str, Group<'_>)> {
    let mut packages: Vec<(&str, Group<'_>)> = Vec::new();
    for (at, write) in writes.iter().enumerate() {
        let Some(package) = write.place.package() else { continue };
        match packages.iter_mut().find(|(known, _)| *known == package) {
            Some((_, group)) => group.push((at, write)),
            None => packages.push((package, vec![(at, write)])),
        }
    }
    packages.sort_unstable_by_key(|(name, _)| *name);
    packages
}

/// The reason why a package is not staged.
enum Stop {
    Refused(Vec<Refusal>),
    Failed(Failure),
}

/// The changes of a package.
#[derive(Default)]
struct Edits {
    changes: Vec<Change>,
    /// The indexes of the writes that the changes are for.
    writes: Vec<usize>,
    /// The identities of the sections that get a name.
    identities: Vec<Option<Identity>>,
    /// The name of a new section.
    added: Option<String>,
    /// The names of the sections, once they are needed.
    names: Option<Vec<String>>,
}

impl Edits {
    /// Returns the changes by which sections have the texts of a group.
    fn of(package: &str, locked: &Locked, group: &Group<'_>) -> Result<Edits, Stop> {
        let (mut edits, mut missing) = (Edits::default(), Vec::new());
        // Tables that tell their sections apart in the same way share the rows.
        let mut read: Vec<(Option<&Identity>, Answer)> = Vec::new();
        for (at, Write { place, text: value, .. }) in group {
            let (identity, section) = match place {
                Place::Uci { identity, section, .. } | Place::OldSection { identity, section, .. } => {
                    (identity, section)
                }
                Place::NewSection { section_type, name, options, .. } => {
                    edits.add(locked, section_type, name, options, *at);
                    continue;
                }
                _ => continue,
            };
            let identity = identity.as_ref();
            if !read.iter().any(|(known, _)| *known == identity) {
                let broken = |reason| {
                    let text = format!("uci {package}: {reason}");
                    Stop::Failed(Failure { cause: Cause::Failed, text })
                };
                read.push((identity, Answer::Rows(locked.rows(identity).map_err(broken)?)));
            }
            let answer = read.iter().find(|(known, _)| *known == identity).map(|(_, answer)| answer);
            let Some(row) = answer.and_then(|answer| answer.row(Some(section))) else {
                let text = format!("uci {package}: there is no section `{section}`");
                missing.push(refusal(*at, FaultCode::InternalError, &text));
                continue;
            };
            let name = row.get(".name").unwrap_or_default().to_owned();
            let Place::Uci { option, form, number, .. } = place else {
                edits.push(*at, name, Action::Delete);
                continue;
            };
            if let Some(number) = number.filter(|_| row.key != name) {
                edits.name(locked, identity, row, number, *at);
            }
            let action = action(option, form, value.as_deref());
            let is_other =
                |change: &Change| change.section == name && setting_of(&change.action) == setting_of(&action);
            match edits.changes.iter().find(|change| is_other(change)) {
                None => edits.push(*at, name, action),
                Some(same) if same.action == action => {}
                // R168: two names of a section lead to the same option.
                Some(_) => {
                    let text = format!("uci {package}: another value is given to the same setting");
                    missing.push(refusal(*at, FaultCode::InvalidParameterValue, &text));
                }
            }
        }
        if missing.is_empty() { Ok(edits) } else { Err(Stop::Refused(missing)) }
    }

    fn push(&mut self, write: usize, section: String, action: Action) {
        self.changes.push(Change { section, action });
        self.writes.push(write);
    }

    /// Gives an anonymous section a name, so that its instance stays the same whatever is set in it.
    fn name(&mut self, locked: &Locked, identity: Option<&Identity>, row: &Row, number: u32, write: usize) {
        let anonymous = row.get(".name").unwrap_or_default();
        let is_named = |change: &Change| change.section == anonymous && matches!(change.action, Action::Name(_));
        if self.changes.iter().any(is_named) {
            return;
        }
        let section_type = row.get(".type").unwrap_or_default().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let name = self.free_name(locked, &format!("cpe_{section_type}_{number}"));
        self.push(write, anonymous.to_owned(), Action::Name(name));
        for identity in [None, identity.cloned()] {
            if !self.identities.contains(&identity) {
                self.identities.push(identity);
            }
        }
    }

    /// Adds a section, and notes its name.
    fn add(&mut self, locked: &Locked, section_type: &str, name: &str, options: &[(String, String)], write: usize) {
        let name = self.free_name(locked, name);
        self.push(write, name.clone(), Action::Add(section_type.to_owned(), options.to_vec()));
        self.added = Some(name);
    }

    /// Returns a name that no section of the package has: this one, or one with a further number.
    fn free_name(&mut self, locked: &Locked, base: &str) -> String {
        let name = |row: &Row| row.get(".name").map(str::to_owned);
        // A package with a mistake refuses the change later.
        let read = || locked.rows(None).unwrap_or_default().iter().filter_map(name).collect();
        let sections = self.names.get_or_insert_with(read);
        let is_taken = |name: &str| {
            let is_new = |change: &Change| match &change.action {
                Action::Name(given) => given == name,
                Action::Add(..) => change.section == name,
                _ => false,
            };
            sections.iter().any(|section| section == name) || self.changes.iter().any(is_new)
        };
        let mut others = (2u32..).map(|other| format!("{base}_{other}"));
        let first = std::iter::once(base.to_owned());
        first.chain(&mut others).find(|name| !is_taken(name)).unwrap_or_else(|| base.to_owned())
    }

    /// Returns the rows that have got a name. The tables find the others by their options if their keys change.
    fn renamed_rows(&self, package: &str, locked: &Locked, new: &[u8]) -> Vec<RenamedRow> {
        let new = String::from_utf8_lossy(new);
        let mut renamed = Vec::new();
        for identity in &self.identities {
            let (before, after) = (locked.rows(identity.as_ref()), rows(&new, identity.as_ref()));
            let (Ok(before), Ok(after)) = (before, after) else { continue };
            // The changes leave the number and the order of the sections as they are.
            let is_named = |(old, new): &(Row, Row)| old.key != new.key && new.get(".name") == Some(&new.key);
            for (old, new) in before.into_iter().zip(after).filter(is_named) {
                let package = package.to_owned();
                renamed.push(RenamedRow { package, identity: identity.clone(), old: old.key, new: new.key });
            }
        }
        renamed
    }
}

/// Gives the lists of a package the items of its sections.
fn add_items(package: &str, group: &Group<'_>, old: &[u8], new: Vec<u8>) -> Result<Vec<u8>, Stop> {
    let [before, after] = [old, &new].map(String::from_utf8_lossy);
    let refuse = |section: Option<&str>, code: FaultCode, text: &str| {
        let is_of = |write: &Write| match &write.place {
            Place::Uci { section: of, .. } => section.is_none_or(|section| of == section),
            _ => true,
        };
        let concerned = group.iter().filter(|(_, write)| is_of(write));
        Stop::Refused(concerned.map(|(at, _)| refusal(*at, code, &format!("uci {package}: {text}"))).collect())
    };
    let changes = items::changes(package, &before, &after)
        .map_err(|(section, reason)| refuse(Some(&section), FaultCode::InvalidParameterValue, &reason))?;
    if changes.is_empty() {
        return Ok(new);
    }
    edit(&new, &changes).map_err(|refused| refuse(None, code_of(&refused.reason), &refused.reason.to_string()))
}

/// Returns the change by which an option has a text.
fn action(option: &str, form: &OptionForm, text: Option<&str>) -> Action {
    let option = option.to_owned();
    match (form, text) {
        (OptionForm::Item(begins), text) => {
            let item = text.map(|text| format!("{}{text}", begins.first().map_or("", |begin| begin)));
            Action::SetItem(option, begins.iter().map(|begin| begin.to_string()).collect(), item)
        }
        (_, None) => Action::Unset(option),
        (OptionForm::List, Some(text)) => Action::SetList(option, text.split_whitespace().map(str::to_owned).collect()),
        (OptionForm::Whole, Some(text)) => Action::Set(option, text.to_owned()),
    }
}

/// Returns the name of the option that a change sets, and the begins of the item that it sets in a list.
fn setting_of(action: &Action) -> Option<(&String, &[String])> {
    match action {
        Action::Set(option, _) | Action::SetList(option, _) | Action::Unset(option) => Some((option, &[])),
        Action::SetItem(option, begins, _) => Some((option, begins)),
        _ => None,
    }
}

fn refusal(write: usize, code: FaultCode, text: &str) -> Refusal {
    Refusal { write, code, text: text.to_owned() }
}

fn code(cause: Cause) -> FaultCode {
    match cause {
        Cause::Refused => FaultCode::RequestDenied,
        Cause::Full => FaultCode::ResourcesExceeded,
        Cause::Changed | Cause::Failed => FaultCode::InternalError,
    }
}

fn code_of(reason: &Reason) -> FaultCode {
    match reason {
        Reason::Value => FaultCode::InvalidParameterValue,
        Reason::TooLarge => FaultCode::ResourcesExceeded,
        _ => FaultCode::InternalError,
    }
}
