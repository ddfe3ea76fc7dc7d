//! Changes of UCI packages: one new file a package, for all texts of a request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::store::{Cause, Committed, Failure, Locked, Old, PackageStore, Recovery, Staged, Sums};
use crate::cwmp::device::{KeptFile, Prepared, Refusal, RenamedRow, StagedFile, WayBack};
use crate::cwmp::fault::FaultCode;
use crate::digest::md5_sum;
use crate::model::source::uci::edit::{Reason, edit, note, take_back};
use crate::model::source::{Place, Write};
#[cfg(feature = "source-builtin")]
use crate::sources::openwrt::items;
use edits::Edits;

mod edits;

/// The packages of the device, and those that wait for their rename.
pub(in crate::sources) struct Packages {
    store: PackageStore,
    staged: Vec<Staged>,
    /// True if a file of a record still waits for its rename.
    is_undecided: bool,
}

/// A package that is staged.
struct StagedPackage {
    staged: Staged,
    /// The sections that got a name.
    renamed: Vec<RenamedRow>,
    /// The new section.
    added: Option<String>,
    /// The file that can go back, if it is to.
    kept: Option<KeptFile>,
}

/// The most settings of a package that are named for the log.
const MAX_NAMED: usize = 16;

/// The writes of a package, with their indexes.
type Group<'w> = Vec<(usize, &'w Write)>;

impl Packages {
    /// Creates the driver. It opens nothing before the first change.
    pub(in crate::sources) fn new(stop: Arc<AtomicBool>) -> Packages {
        Packages { store: PackageStore::new(stop), staged: Vec::new(), is_undecided: false }
    }

    /// Writes the new texts of the packages beside their files, in the order of their names, and keeps all of them locked. With
    /// `kept`, the files are to go back one day; it has those for which this is so already.
    ///
    /// # Errors
    /// All refusals; then nothing is left.
    pub(in crate::sources) fn stage(
        &mut self,
        writes: &[Write],
        kept: Option<&[KeptFile]>,
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
                Ok(None) => {}
                Ok(Some(package)) => {
                    prepared.staged.push(record(&package.staged));
                    prepared.renamed.extend(package.renamed);
                    prepared.added = prepared.added.or(package.added);
                    prepared.kept.extend(package.kept);
                    self.staged.push(package.staged);
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

    /// Writes the new text of one package, unless it has its text already.
    fn stage_package(
        &self,
        package: &str,
        group: &Group<'_>,
        kept: Option<&[KeptFile]>,
    ) -> Result<Option<StagedPackage>, Stop> {
        let locked = self.store.begin(package).map_err(Stop::Failed)?;
        let edits = Edits::of(package, &locked, group)?;
        let new = edits.applied(package, group, locked.text())?;
        #[cfg(feature = "source-builtin")]
        let new = match Edits::of_providers(package, &new, group)? {
            provided if provided.changes.is_empty() => new,
            provided => provided.applied(package, group, &new)?,
        };
        #[cfg(feature = "source-builtin")]
        let new = add_items(package, group, locked.text(), new)?;
        let renamed = edits.renamed_rows(package, &locked, &new);
        let new = edits.moved(new).map_err(|(writes, reason)| {
            let text = format!("uci {package}: {reason}");
            Stop::Refused(writes.into_iter().map(|write| refusal(write, code_of(&reason), &text)).collect())
        })?;
        let kept = match kept {
            Some(kept) => Some(former(package, kept, locked.text(), &new, &edits)?),
            None => None,
        };
        // The text before the first change stays.
        let keeps_old = kept.as_ref().is_some_and(|file| file.old == md5_sum(locked.text()));
        let staged = locked.stage(&new, keeps_old).map_err(Stop::Failed)?;
        Ok(staged.map(|staged| StagedPackage { staged, renamed, added: edits.added, kept }))
    }

    /// Prepares the way back of these files.
    ///
    /// # Errors
    /// The reason, such as a package that another program has locked; then nothing is prepared.
    pub(in crate::sources) fn stage_old(&mut self, files: &[KeptFile]) -> Result<WayBack, String> {
        self.discard();
        let mut way = WayBack::default();
        for file in files {
            match self.store.begin(&file.package).and_then(|locked| stage_back(locked, file, &mut way)) {
                Ok(staged) => self.staged.extend(staged),
                // Another program has removed the package, and the others go back.
                Err(Failure { cause: Cause::Missing, text }) => {
                    way.merged.push(file.package.clone());
                    way.stays.push(text);
                }
                Err(failure) => {
                    self.discard();
                    return Err(failure.text);
                }
            }
        }
        way.staged = self.staged.iter().map(record).collect();
        Ok(way)
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
    pub(in crate::sources) fn recover(&mut self, files: &[StagedFile], kept: &[KeptFile]) -> Vec<String> {
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

/// Returns the settings of a package before a change and those before it, of the files in `kept`.
fn former(package: &str, kept: &[KeptFile], old: &[u8], new: &[u8], edits: &Edits) -> Result<KeptFile, Stop> {
    let (before, after) = (md5_sum(old), md5_sum(new));
    let known = kept.iter().find(|file| file.package == package);
    let mut file = known.cloned().unwrap_or_else(|| KeptFile { old: before.clone(), ..KeptFile::default() });
    if known.is_some_and(|known| known.new != before) {
        file.old.clear();
    }
    (file.package, file.new) = (package.to_owned(), after);
    let noted = note(&mut file.former, old, new, &edits.changes, &edits.moved_sections());
    let broken = |reason| {
        let text = format!("uci {package}: {reason}");
        Stop::Failed(Failure { cause: Cause::Failed, text })
    };
    noted.map(|()| file).map_err(broken)
}

/// Prepares the way back of one file. Notes the settings that stay.
fn stage_back(locked: Locked, file: &KeptFile, way: &mut WayBack) -> Result<Option<Staged>, Failure> {
    let package = &file.package;
    let locked = match locked.stage_old(&Sums { old: file.old.clone(), new: file.new.clone() })? {
        Old::Staged(staged) => return Ok(staged),
        Old::Foreign(locked) => locked,
    };
    way.merged.push(package.clone());
    let is_earlier = file.former.is_empty();
    match take_back(locked.text(), &file.former) {
        // The journal of an earlier version has no settings.
        Ok(_) if is_earlier => way.stays.push(format!("uci {package}: another program has changed it since")),
        Ok((text, stays)) => {
            let name = |setting: &String| format!("uci {package}.{setting}: another program has changed it since");
            way.stays.extend(stays.iter().take(MAX_NAMED).map(name));
            if let Some(more) = stays.len().checked_sub(MAX_NAMED).filter(|more| *more > 0) {
                way.stays.push(format!("uci {package}: {more} more"));
            }
            return locked.stage(&text, false);
        }
        Err(reason) => way.stays.push(format!("uci {package}: {reason}")),
    }
    Ok(None)
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

/// Gives the lists of a package the items of its sections.
#[cfg(feature = "source-builtin")]
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

fn refusal(write: usize, code: FaultCode, text: &str) -> Refusal {
    Refusal { write, code, text: text.to_owned() }
}

fn code(cause: Cause) -> FaultCode {
    match cause {
        Cause::Refused => FaultCode::RequestDenied,
        Cause::Full => FaultCode::ResourcesExceeded,
        Cause::Changed | Cause::Missing | Cause::Failed => FaultCode::InternalError,
    }
}

fn code_of(reason: &Reason) -> FaultCode {
    match reason {
        Reason::Value => FaultCode::InvalidParameterValue,
        Reason::TooLarge => FaultCode::ResourcesExceeded,
        _ => FaultCode::InternalError,
    }
}
