//! Power cuts during a setting and during its way back: what the file system has not synced is lost, in part or as a whole.
//!
//! strace writes down by which calls the agent changes packages and its journal. A disk in memory repeats them, and loses power behind
//! each one. The agent then starts with what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Stdio};

use super::*;

/// A change of the two directories. The names of their files are different.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Create(String),
    Write(String, Vec<u8>),
    Truncate(String, usize),
    Sync(String),
    Rename(String, String),
    Link(String, String),
    Remove(String),
    /// The directory of the packages, or of the journal.
    SyncNames(bool),
}

/// Returns true for a file of the packages, and false for one of the journal.
fn is_package(name: &str) -> bool {
    !name.starts_with("journal")
}

/// The name of a file that counts.
fn name(path: &str) -> Option<String> {
    let name = path.trim_end_matches(" (deleted)").rsplit('/').next()?;
    (name == "network" || name.starts_with(".network.") || name.starts_with("journal")).then(|| name.to_owned())
}

/// The calls of the main thread of an agent.
struct Trace {
    strace: Child,
    file: PathBuf,
}

impl Trace {
    fn of(agent: &Agent, file: PathBuf) -> Trace {
        let calls =
            "trace=openat,write,ftruncate,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat";
        let pid = agent.pid().to_string();
        let mut command = Command::new("strace");
        command.args(["-qq", "-y", "-xx", "-s", "1000000", "-p", &pid, "-e", calls, "-o"]).arg(&file);
        let strace = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("strace starts");
        let status = format!("/proc/{pid}/status");
        let began = Instant::now();
        while fs::read_to_string(&status).expect("the agent runs").contains("TracerPid:\t0\n") {
            assert!(began.elapsed() < SOON, "strace does not trace the agent");
            std::thread::sleep(Duration::from_millis(5));
        }
        Trace { strace, file }
    }

    /// Returns the changes so far.
    fn end(mut self) -> Vec<Step> {
        let _ = Command::new("kill").arg(self.strace.id().to_string()).status();
        self.strace.wait().expect("strace ends");
        let text = fs::read_to_string(&self.file).expect("a trace");
        text.lines().filter_map(step).collect()
    }
}

/// Reads a line of strace.
fn step(line: &str) -> Option<Step> {
    let (call, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    if result.starts_with(['-', '?']) {
        return None;
    }
    let texts: Vec<Vec<u8>> = arguments.split('"').skip(1).step_by(2).map(unescaped).collect();
    let text = |at: usize| name(&String::from_utf8_lossy(texts.get(at)?));
    let path = String::from_utf8_lossy(&unescaped(arguments.split('<').nth(1)?.split('>').next()?)).into_owned();
    match call {
        "openat" if arguments.contains("O_CREAT") && arguments.contains("O_EXCL") => text(0).map(Step::Create),
        "openat" if arguments.contains("O_TRUNC") => text(0).map(Step::Create),
        "write" => Some(Step::Write(name(&path)?, texts.first()?[..result.split(' ').next()?.parse().ok()?].to_vec())),
        "ftruncate" => {
            Some(Step::Truncate(name(&path)?, arguments.rsplit(", ").next()?.trim_end_matches(')').parse().ok()?))
        }
        "fsync" | "fdatasync" if path.ends_with("/config") => Some(Step::SyncNames(true)),
        "fsync" | "fdatasync" if path.ends_with("/state") => Some(Step::SyncNames(false)),
        "fsync" | "fdatasync" => name(&path).map(Step::Sync),
        _ if call.starts_with("rename") => Some(Step::Rename(text(0)?, text(1)?)),
        _ if call.starts_with("link") => Some(Step::Link(text(0)?, text(1)?)),
        _ if call.starts_with("unlink") => text(0).map(Step::Remove),
        _ => None,
    }
}

/// Reads a text in which each byte is `\xNN`.
fn unescaped(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|byte| u8::from_str_radix(byte.get(..2)?, 16).ok()).collect()
}

/// The files of both directories.
type Files = BTreeMap<String, Vec<u8>>;

/// The part of the unsynced changes that survives.
const KEPT: [(bool, bool, bool); 5] = [
    // Names, contents, and the last change of names alone.
    (true, true, false),
    (false, false, false),
    (true, false, false),
    (false, true, false),
    (false, false, true),
];

/// A disk in memory.
#[derive(Default)]
struct Disk {
    /// The content of each file, and the synced one.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    names: BTreeMap<String, usize>,
    synced: BTreeMap<String, usize>,
    /// The changes of names by the last step that is not synced.
    last: Vec<(String, Option<usize>)>,
}

impl Disk {
    fn of(files: &Files) -> Disk {
        let mut disk = Disk::default();
        for (name, content) in files {
            disk.names.insert(name.clone(), disk.files.len());
            disk.files.push((content.clone(), content.clone()));
        }
        disk.synced = disk.names.clone();
        disk
    }

    fn at(&self, name: &str) -> usize {
        *self.names.get(name).unwrap_or_else(|| panic!("no file {name}"))
    }

    fn rename(&mut self, changes: Vec<(String, Option<usize>)>) {
        apply(&mut self.names, &changes);
        self.last = changes;
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Create(name) => {
                self.files.push(Default::default());
                self.rename(vec![(name.clone(), Some(self.files.len() - 1))]);
            }
            Step::Write(name, bytes) => {
                let at = self.at(name);
                self.files[at].0.extend(bytes);
            }
            Step::Truncate(name, length) => {
                let at = self.at(name);
                self.files[at].0.truncate(*length);
            }
            Step::Sync(name) => {
                let at = self.at(name);
                self.files[at].1 = self.files[at].0.clone();
            }
            Step::Rename(from, to) => self.rename(vec![(from.clone(), None), (to.clone(), Some(self.at(from)))]),
            Step::Link(from, to) => self.rename(vec![(to.clone(), Some(self.at(from)))]),
            Step::Remove(name) => self.rename(vec![(name.clone(), None)]),
            Step::SyncNames(of_packages) => {
                self.synced.retain(|name, _| is_package(name) != *of_packages);
                let present = self.names.iter().filter(|(name, _)| is_package(name) == *of_packages);
                self.synced.extend(present.map(|(name, at)| (name.clone(), *at)));
                self.last.retain(|(name, _)| is_package(name) != *of_packages);
            }
        }
    }

    /// Returns the files that the next start finds if the power fails now.
    fn after_power_cut(&self, (keeps_names, keeps_content, keeps_last): (bool, bool, bool)) -> Files {
        let mut names = if keeps_names { self.names.clone() } else { self.synced.clone() };
        if keeps_last {
            apply(&mut names, &self.last);
        }
        let content = |at: usize| if keeps_content { &self.files[at].0 } else { &self.files[at].1 };
        names.into_iter().map(|(name, at)| (name, content(at).clone())).collect()
    }
}

fn apply(names: &mut BTreeMap<String, usize>, changes: &[(String, Option<usize>)]) {
    for (name, file) in changes {
        match file {
            Some(at) => names.insert(name.clone(), *at),
            None => names.remove(name),
        };
    }
}

/// Returns all that a start may find after power cuts, each once, with the step behind which it is so.
fn cuts(before: &Files, steps: &[Step]) -> Vec<(usize, Files)> {
    let (mut disk, mut seen, mut cuts) = (Disk::of(before), BTreeSet::new(), Vec::new());
    for at in 0..=steps.len() {
        for kept in KEPT {
            let files = disk.after_power_cut(kept);
            if seen.insert(files.clone()) {
                cuts.push((at, files));
            }
        }
        if let Some(step) = steps.get(at) {
            disk.take(step);
        }
    }
    cuts
}

impl Scene {
    fn directory_of(&self, name: &str) -> PathBuf {
        if is_package(name) { self.router.path("etc/config") } else { self.agent.state_dir() }
    }

    fn files(&self) -> Files {
        let read = |directory: &Path| {
            let entries = fs::read_dir(directory).expect("a directory").flatten();
            let named = entries.filter_map(|entry| Some((name(entry.path().to_str()?)?, entry.path())));
            named.map(|(name, path)| (name, fs::read(path).expect("a file"))).collect::<Vec<_>>()
        };
        [self.router.path("etc/config"), self.agent.state_dir()].iter().flat_map(|place| read(place)).collect()
    }

    /// Returns the present files, and the trace from here on. A record that the agent writes meanwhile begins it anew.
    fn trace(&self, file: &Path) -> (Files, Trace) {
        loop {
            let before = self.files();
            let trace = Trace::of(&self.agent, file.to_owned());
            if self.files() == before {
                return (before, trace);
            }
            drop(trace.end());
        }
    }

    /// Starts the killed agent with these files, without a way to its ACS.
    fn start_with(&mut self, files: &Files) {
        sh("ip address delete 192.0.2.1/32 dev lo || true");
        self.files().keys().for_each(|name| fs::remove_file(self.directory_of(name).join(name)).expect("removed"));
        for (name, content) in files {
            fs::write(self.directory_of(name).join(name), content).expect("written");
        }
        self.agent.restart();
        self.agent.wait_for_control();
    }

    /// Kills the agent, and starts it after each of the power cuts. The file has one of the two texts, and the agent the value for it.
    /// Further starts without a contact end in the `former` text.
    fn expect_way_back(&mut self, cuts: &[(usize, Files)], former: &str, set: &str) -> [u32; 2] {
        self.agent.kill9();
        self.acs.clear();
        let mut counts = [0; 2];
        for (at, files) in cuts {
            let at = format!("behind step {at}");
            self.start_with(files);
            let (package, note) = (self.package(), self.agent.value(NOTE));
            let is_former = note == "before";
            assert_eq!(package, if is_former { former } else { set }, "{at}: {note}\n{}", self.agent.log());
            counts[usize::from(is_former)] += 1;
            let is_back = |scene: &Scene| scene.package() == former && scene.agent.value(NOTE) == "before";
            for start in 1.. {
                if is_back(self) {
                    break;
                }
                assert!(start < 5, "{at}: the setting has not come back: {}\n{}", self.package(), self.agent.log());
                let position = self.agent.log_position();
                self.agent.crash_and_restart();
                self.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS", SOON);
                if start == 3 || self.agent.log_after(position).contains("within 0 s") {
                    self.agent.wait_for_log_after(position, "taken back", SOON);
                }
            }
            assert_eq!(self.beside(), [""; 0], "{at}");
            self.agent.kill9();
        }
        counts
    }
}

/// After a power cut behind each step of a setting, the file and the values of the agent are those before, or the new ones
/// with a way back. So it is behind each step of the way back, also in a file that another program has changed since.
#[test]
fn a_power_cut_leaves_one_of_the_texts_and_a_way_back() {
    in_own_network("sources::unconfirmed::power_cuts::a_power_cut_leaves_one_of_the_texts_and_a_way_back", || {
        if !has_strace() {
            return;
        }
        let Some(mut scene) = Scene::new() else { return };
        let file = scene.router.path("trace");
        let (before, trace) = scene.trace(&file);
        scene.cut_off();
        let steps = trace.end();
        let (original, set) = (PACKAGES[2].1, scene.package());
        assert!(
            steps.iter().filter(|step| matches!(step, Step::Rename(..) | Step::Link(..))).count() >= 2,
            "{steps:?}"
        );
        let mut disk = Disk::of(&before);
        steps.iter().for_each(|step| disk.take(step));
        let after = disk.after_power_cut(KEPT[0]);
        assert_eq!(after["network"], set.as_bytes(), "the disk in memory repeats all changes");
        // Without its sync, the new file would be empty behind its rename.
        let is_synced = |step: &&Step| **step != Step::Sync(".network.cpe-new".to_owned());
        let unsynced: Vec<Step> = steps.iter().filter(is_synced).cloned().collect();
        let is_empty = |files: &Files| files["network"].is_empty();
        assert!(cuts(&before, &unsynced).iter().any(|(_, files)| is_empty(files)), "{steps:?}");
        let counts = scene.expect_way_back(&cuts(&before, &steps), original, &set);
        assert!(counts.iter().all(|count| *count >= 2), "{counts:?}");
        println!("a setting: {} steps, {counts:?} starts with the new and the former text", steps.len());
        for is_repaired in [false, true] {
            let position = scene.agent.log_position();
            scene.start_with(&after);
            let (set, former) = match is_repaired {
                false => (set.clone(), original.to_owned()),
                true => {
                    let text = format!("{set}# repaired on site\n");
                    scene.router.commit("network", &text);
                    let former = text.replace("'wrong@isp.example'", "'line-4711@isp.example'");
                    (text, former)
                }
            };
            scene.agent.wait_for_log_after(position, "to be confirmed by a contact with the ACS within", SOON);
            scene.agent.wait_for_log_after(position, "session failed", SOON);
            let (before, trace) = scene.trace(&file);
            scene.clock.advance(TOO_LATE);
            FakeClock::hurry(&scene.agent, SOON, || scene.agent.log_after(position).contains("taken back"));
            let steps = trace.end();
            assert_eq!(scene.package(), former);
            let cuts = cuts(&before, &steps);
            let counts = scene.expect_way_back(&cuts, &former, &set);
            assert!(counts.iter().all(|count| *count >= 2), "{counts:?}");
            println!("its way back: {} steps, {counts:?} starts with the new and the former text", steps.len());
            scene.clock.advance(0);
        }
    });
}
