//! A simulated disk in memory, which fails or loses power at any step that a test chooses.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, Cursor};
use std::rc::Rc;

use super::disk::{Disk, DiskFile};

/// The disk as seen by the process and, through [`SimulatedDisk::after_power_cut`], by the next.
#[derive(Clone, Debug, Default)]
pub(super) struct SimulatedDisk(Rc<RefCell<DiskContents>>);

#[derive(Clone, Debug, Default)]
struct DiskContents {
    files: Vec<FileContent>,
    names: BTreeMap<String, usize>,
    synced_names: BTreeMap<String, usize>,
    steps: usize,
    /// The steps that fail: the first of them and their number.
    failing: Option<(usize, usize)>,
    room: Option<usize>,
    /// True if the file system reports its room before a write fails for want of it.
    reports_room: bool,
    cannot_link: bool,
    cannot_cut: bool,
    /// The last change of names since the directory was synced: each name, and its file after the change.
    last_change: Vec<(String, Option<usize>)>,
}

#[derive(Clone, Debug, Default)]
struct FileContent {
    seen: Vec<u8>,
    synced: Vec<u8>,
}

/// The part of the unsynced changes that survives a power cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    All,
    Nothing,
    NamesOnly,
    ContentOnly,
    /// The last change of names without the earlier ones: file systems need not keep the order.
    LastName,
}

pub(super) const KEPT: [Kept; 5] = [Kept::All, Kept::Nothing, Kept::NamesOnly, Kept::ContentOnly, Kept::LastName];

#[derive(Debug)]
pub(super) struct SimulatedFile {
    disk: SimulatedDisk,
    index: usize,
}

impl DiskContents {
    fn change(&mut self, changes: Vec<(String, Option<usize>)>) {
        for (name, file) in &changes {
            match file {
                Some(index) => self.names.insert(name.clone(), *index),
                None => self.names.remove(name),
            };
        }
        self.last_change = changes;
    }
}

impl SimulatedDisk {
    /// Makes `count` changing steps fail, the `first`-th from now being the first.
    pub(super) fn fail(&self, first: usize, count: usize) {
        let mut contents = self.0.borrow_mut();
        contents.failing = Some((contents.steps + first, count));
    }

    pub(super) fn steps(&self) -> usize {
        self.0.borrow().steps
    }

    /// Limits the bytes that all files may have together.
    pub(super) fn limit(&self, room: Option<usize>) {
        self.0.borrow_mut().room = room;
    }

    /// Limits the bytes as [`limit`](Self::limit) does, on a file system that reports its free room.
    pub(super) fn limit_and_report(&self, room: usize) {
        let mut contents = self.0.borrow_mut();
        (contents.room, contents.reports_room) = (Some(room), true);
    }

    pub(super) fn forbid_links(&self) {
        self.0.borrow_mut().cannot_link = true;
    }

    pub(super) fn forbid_cutting(&self) {
        self.0.borrow_mut().cannot_cut = true;
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let mut contents = self.0.borrow_mut();
        contents.files.push(FileContent { seen: bytes.to_vec(), synced: bytes.to_vec() });
        let index = contents.files.len() - 1;
        contents.names.insert(name.to_owned(), index);
        contents.synced_names = contents.names.clone();
    }

    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let contents = self.0.borrow();
        contents.names.get(name).map(|index| contents.files[*index].seen.clone())
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.borrow().names.keys().cloned().collect()
    }

    /// The disk that the next start finds if the power fails now.
    pub(super) fn after_power_cut(&self, kept: Kept) -> SimulatedDisk {
        let mut contents = self.0.borrow().clone();
        let (names, content) = match kept {
            Kept::All => (true, true),
            Kept::Nothing => (false, false),
            Kept::NamesOnly => (true, false),
            Kept::ContentOnly => (false, true),
            Kept::LastName => (false, false),
        };
        if !names {
            contents.names = contents.synced_names.clone();
        }
        if let Kept::LastName = kept {
            let changes = std::mem::take(&mut contents.last_change);
            contents.change(changes);
        }
        for file in &mut contents.files {
            if !content {
                file.seen = file.synced.clone();
            }
        }
        SimulatedDisk(Rc::new(RefCell::new(DiskContents {
            files: contents.files,
            synced_names: contents.names.clone(),
            names: contents.names,
            room: contents.room,
            reports_room: contents.reports_room,
            ..DiskContents::default()
        })))
    }

    /// Counts a step that changes the disk, and fails if it is one of the failing steps.
    fn step(&self) -> io::Result<()> {
        let mut contents = self.0.borrow_mut();
        let step = contents.steps;
        contents.steps += 1;
        match contents.failing {
            Some((first, count)) if step >= first && step - first < count => Err(io::Error::other("simulated")),
            _ => Ok(()),
        }
    }

    /// Returns the bytes that can still be written. A file without a name takes none: the process that holds it closes it soon.
    fn free(&self) -> usize {
        let contents = self.0.borrow();
        let files: BTreeSet<usize> = contents.names.values().copied().collect();
        let used: usize = files.into_iter().map(|index| contents.files[index].seen.len()).sum();
        contents.room.map_or(usize::MAX, |room| room.saturating_sub(used))
    }

    fn index(&self, name: &str) -> io::Result<usize> {
        self.0.borrow().names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimulatedDisk {
    type File = SimulatedFile;

    fn read(&mut self, name: &str) -> io::Result<Box<dyn BufRead + '_>> {
        let index = self.index(name)?;
        let bytes = self.0.borrow().files[index].seen.clone();
        Ok(Box::new(Cursor::new(bytes)))
    }

    fn create(&mut self, name: &str) -> io::Result<SimulatedFile> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        contents.files.push(FileContent::default());
        let index = contents.files.len() - 1;
        contents.change(vec![(name.to_owned(), Some(index))]);
        Ok(SimulatedFile { disk: self.clone(), index })
    }

    fn open(&mut self, name: &str) -> io::Result<SimulatedFile> {
        Ok(SimulatedFile { disk: self.clone(), index: self.index(name)? })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let index = self.index(from)?;
        self.0.borrow_mut().change(vec![(from.to_owned(), None), (to.to_owned(), Some(index))]);
        Ok(())
    }

    fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.step()?;
        let index = self.index(from)?;
        let mut contents = self.0.borrow_mut();
        if contents.cannot_link {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if contents.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        contents.change(vec![(to.to_owned(), Some(index))]);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        if contents.names.contains_key(name) {
            contents.change(vec![(name.to_owned(), None)]);
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step()?;
        let mut contents = self.0.borrow_mut();
        contents.synced_names = contents.names.clone();
        contents.last_change.clear();
        Ok(())
    }

    fn holds(&self, name: &str, file: &SimulatedFile) -> bool {
        self.index(name).is_ok_and(|index| index == file.index)
    }

    fn free(&self) -> Option<u64> {
        let reports = self.0.borrow().reports_room;
        reports.then(|| SimulatedDisk::free(self) as u64)
    }
}

impl DiskFile for SimulatedFile {
    /// Appends half of the bytes if the step fails, as a full disk may.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let result = self.disk.step();
        let free = self.disk.free();
        let mut contents = self.disk.0.borrow_mut();
        let written = if result.is_err() { bytes.len() / 2 } else { bytes.len().min(free) };
        contents.files[self.index].seen.extend(&bytes[..written]);
        match result {
            Ok(()) if written < bytes.len() => Err(io::ErrorKind::StorageFull.into()),
            result => result,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.step()?;
        let mut contents = self.disk.0.borrow_mut();
        let file = &mut contents.files[self.index];
        file.synced = file.seen.clone();
        Ok(())
    }

    fn set_len(&mut self, length: u64) -> io::Result<()> {
        self.disk.step()?;
        if self.disk.0.borrow().cannot_cut {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.disk.0.borrow_mut().files[self.index].seen.truncate(length);
        Ok(())
    }
}
