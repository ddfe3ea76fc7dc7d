use std::fs::OpenOptions;
use std::os::unix::fs::symlink;
use std::sync::mpsc;

use tempfile::TempDir;

use super::simulation::fail_steps;
use super::*;
use crate::model::source::uci::edit::{Action, Change, edit};

mod neighbour;
mod old;

const OLD: &str = "# head\nconfig a n\n\toption x '1'\n";
const NEW: &str = "# head\nconfig a n\n\toption x '2'\n";

/// The directories of a device.
struct Device {
    home: TempDir,
    store: PackageStore,
}

impl Device {
    /// Creates a device with these packages, which have the old text.
    fn new(packages: &[&str]) -> Device {
        let home = tempfile::tempdir().expect("a directory");
        let directory = home.path().join("config");
        fs::create_dir(&directory).expect("a directory");
        let store = PackageStore { overruling: home.path().join("run"), directory, stop: Arc::default() };
        let device = Device { home, store };
        packages.iter().for_each(|package| device.write(package, OLD));
        device
    }

    fn path(&self, name: &str) -> PathBuf {
        self.store.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("a package")
    }

    /// The names of all files, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.store.directory).expect("a directory");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }

    fn stage(&self, package: &str) -> Result<Staged, Failure> {
        Ok(self.store.begin(package)?.stage(NEW.as_bytes(), false)?.expect("another text"))
    }
}

fn refused<T>(result: Result<T, Failure>) -> Failure {
    result.err().expect("a failure")
}

fn sums() -> Sums {
    Sums { old: md5_sum(OLD.as_bytes()), new: md5_sum(NEW.as_bytes()) }
}

#[test]
fn a_package_is_replaced_with_mode_and_owner() {
    let device = Device::new(&["network"]);
    fs::set_permissions(device.path("network"), Permissions::from_mode(0o640)).expect("a mode");
    let is_root = fchown_works(&device.path("network"));
    let locked = device.store.begin("network").expect("locked");
    assert_eq!(locked.text(), OLD.as_bytes());
    assert_eq!(locked.rows(None).expect("a package")[0].get("x"), Some("1"));
    let set = Change { section: "n".into(), action: Action::Set("x".into(), "2".into()) };
    let new = edit(locked.text(), &[set]).expect("a change");
    let staged = locked.stage(&new, false).expect("staged").expect("another text");
    assert_eq!((staged.package(), staged.sums()), ("network", &sums()));
    assert_eq!((device.text("network"), device.text(".network.cpe-new")), (OLD.into(), NEW.into()));
    staged.commit().expect("committed");
    assert_eq!((device.text("network"), device.names()), (NEW.into(), vec!["network".to_owned()]));
    let metadata = fs::metadata(device.path("network")).expect("a file");
    assert_eq!(metadata.mode() & 0o7777, 0o640);
    assert!(!is_root || (metadata.uid(), metadata.gid()) == (12345, 54321), "the owner stays");
}

/// Gives a file another owner, which only root can do.
fn fchown_works(path: &Path) -> bool {
    File::open(path).and_then(|file| fchown(&file, Some(12345), Some(54321))).is_ok()
}

#[test]
fn an_equal_text_writes_nothing() {
    let device = Device::new(&["network"]);
    fail_steps(0, 0);
    let locked = device.store.begin("network").expect("locked");
    assert!(locked.stage(OLD.as_bytes(), false).expect("no failure").is_none());
    assert_eq!(fail_steps(0, 0), 0, "no step that changes the file system");
    drop(device.stage("network").expect("the lock is free"));
    assert_eq!((device.text("network"), device.names()), (OLD.into(), vec!["network".to_owned()]));
}

#[test]
fn a_link_leads_to_the_file_that_is_replaced() {
    let device = Device::new(&[]);
    let target = device.home.path().join("overlay");
    fs::create_dir(&target).expect("a directory");
    fs::write(target.join("net.conf"), OLD).expect("written");
    symlink("../overlay/net.conf", device.path("link")).expect("a link");
    symlink("link", device.path("network")).expect("a link");
    let staged = device.stage("network").expect("staged");
    assert!(target.join(".network.cpe-new").exists());
    device.store.clean(&["network"], &[]);
    staged.commit().expect("committed");
    assert!(fs::symlink_metadata(device.path("network")).expect("a link").is_symlink());
    assert_eq!(fs::read_to_string(target.join("net.conf")).expect("a package"), NEW);
    fs::write(target.join(".network.cpe-new"), "left behind").expect("written");
    device.store.clean(&[], &[]);
    assert_eq!(fs::read_dir(&target).expect("a directory").count(), 1);
}

#[test]
fn what_is_no_package_is_refused() {
    let device = Device::new(&["network"]);
    device.write(".hidden", OLD);
    device.write("a.bak", OLD);
    for name in ["", ".hidden", "a.bak", "..", "../config/network", "/etc/passwd", "missing", "a/b"] {
        let failure = refused(device.store.begin(name));
        assert_eq!(failure.cause, if name == "missing" { Cause::Missing } else { Cause::Failed }, "{name}");
    }
    fs::create_dir(device.path("directory")).expect("a directory");
    symlink("/dev/zero", device.path("device")).expect("a link");
    symlink("loop", device.path("loop")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(device.path("pipe")).status().expect("mkfifo");
    assert!(made.success());
    device.write("long", &"#".repeat(MAX_TEXT + 1));
    for name in ["directory", "device", "loop", "pipe", "long"] {
        let failure = refused(device.store.begin(name));
        assert!(failure.cause == Cause::Failed && failure.text.contains(&format!("/config/{name}: ")), "{failure:?}");
    }
    device.write("longest", &"#".repeat(MAX_TEXT));
    device.store.begin("longest").expect("a package");
    // A package that a reboot discards.
    fs::create_dir(device.home.path().join("run")).expect("a directory");
    fs::write(device.home.path().join("run/network"), OLD).expect("written");
    assert_eq!(refused(device.store.begin("network")).cause, Cause::Refused);
}

/// A link in the place of the staged file does not lead the agent to another file.
#[test]
fn a_link_in_the_place_of_the_staged_file_is_replaced() {
    let device = Device::new(&["network"]);
    let victim = device.home.path().join("victim");
    fs::write(&victim, "stays").expect("written");
    symlink(&victim, device.path(".network.cpe-new")).expect("a link");
    device.stage("network").expect("staged").commit().expect("committed");
    assert_eq!(fs::read_to_string(&victim).expect("a file"), "stays");
    assert!(fs::symlink_metadata(device.path("network")).expect("a file").is_file());
}

#[test]
fn a_lock_is_waited_for_and_the_end_of_the_agent_ends_the_wait() {
    let device = Device::new(&["network", "dhcp"]);
    let other = File::open(device.path("network")).expect("a file");
    other.lock().expect("a lock");
    let clock = crate::clock::Clock::new();
    let start = clock.now().monotonic;
    let failure = refused(device.store.begin("network"));
    let waited = clock.now().monotonic - start;
    assert!(failure.cause == Cause::Failed && failure.text.contains("locked"), "{failure:?}");
    assert!(waited >= LOCK_LIMIT, "{waited:?}");
    drop(device.store.begin("dhcp").expect("another package is free"));
    device.store.stop.store(true, Ordering::Relaxed);
    let start = clock.now().monotonic;
    refused(device.store.begin("network"));
    assert!(clock.now().monotonic - start < LOCK_LIMIT);
    drop(other);
    device.store.begin("network").expect("free");
}

/// A commit of libuci replaces the file while it holds the lock of the old one.
#[test]
fn a_file_that_was_replaced_during_the_wait_is_locked_anew() {
    let device = Device::new(&["network"]);
    let other = File::open(device.path("network")).expect("a file");
    other.lock().expect("a lock");
    let (sender, receiver) = mpsc::channel();
    let store = device.store.clone();
    let begin = move || sender.send(store.begin("network").map(|locked| locked.text().to_owned())).expect("a receiver");
    let thread = crate::thread::spawn("begin", 256 * 1024, Box::new(begin)).expect("a thread");
    receiver.recv_timeout(Duration::from_millis(50)).expect_err("the lock is held");
    device.write(".network.uci-1", NEW);
    fs::rename(device.path(".network.uci-1"), device.path("network")).expect("renamed");
    drop(other);
    assert_eq!(receiver.recv().expect("an answer").expect("locked"), NEW.as_bytes());
    thread.join().expect("the thread ends");
}

#[test]
fn a_change_of_others_is_not_overwritten() {
    let device = Device::new(&["network"]);
    let replace = |text: &str| {
        device.write("other", text);
        fs::rename(device.path("other"), device.path("network")).expect("renamed");
    };
    // Programs that ignore the lock.
    let locked = device.store.begin("network").expect("locked");
    replace("config theirs\n");
    assert_eq!(refused(locked.stage(NEW.as_bytes(), false)).cause, Cause::Changed);
    replace(OLD);
    let staged = device.stage("network").expect("staged");
    replace("config theirs\n");
    assert_eq!(refused(staged.commit()).cause, Cause::Changed);
    replace(OLD);
    let committed = device.stage("network").and_then(Staged::commit).expect("committed");
    replace("config theirs\n");
    assert_eq!(committed.put_back().expect_err("changed").cause, Cause::Changed);
    assert_eq!((device.text("network").as_str(), device.names()), ("config theirs\n", vec!["network".to_owned()]));
    replace(OLD);
    let committed = device.stage("network").and_then(Staged::commit).expect("committed");
    committed.put_back().expect("put back");
    assert_eq!((device.text("network").as_str(), device.names()), (OLD, vec!["network".to_owned()]));
}

#[test]
fn a_start_completes_journalled_commits_and_removes_other_files() {
    for (present, staged, expected, text) in [
        (NEW, None, Recovery::Present, NEW),
        (NEW, Some(NEW), Recovery::Present, NEW),
        (OLD, Some(NEW), Recovery::Completed, NEW),
        (OLD, Some("half"), Recovery::Lost, OLD),
        (OLD, None, Recovery::Lost, OLD),
        ("config theirs\n", Some(NEW), Recovery::Foreign, "config theirs\n"),
        ("", None, Recovery::Foreign, ""),
    ] {
        let device = Device::new(&[]);
        device.write("network", present);
        staged.into_iter().for_each(|text| device.write(".network.cpe-new", text));
        assert_eq!(device.store.recover("network", &sums()).expect("recovered"), expected, "{present} {staged:?}");
        assert_eq!((device.text("network").as_str(), device.names()), (text, vec!["network".to_owned()]));
        let again = device.store.recover("network", &sums()).expect("recovered");
        assert!(again == expected || (expected, again) == (Recovery::Completed, Recovery::Present));
    }
    let device = Device::new(&["network"]);
    for name in [".network.cpe-new", ".dhcp.cpe-new", ".a.b.cpe-new", ".cpe-new", "x.cpe-new", ".network.uci-1"] {
        device.write(name, NEW);
    }
    device.store.clean(&["dhcp"], &[]);
    assert_eq!(device.names(), [".a.b.cpe-new", ".cpe-new", ".dhcp.cpe-new", ".network.uci-1", "network", "x.cpe-new"]);
    device.store.recover("missing", &sums()).expect_err("no package");
    fs::remove_dir_all(&device.store.directory).expect("removed");
    device.store.clean(&[], &[]);
}

/// Stages and commits two packages as the agent does, with a journal. Returns true if all was done.
fn transaction(device: &Device, journal: &mut Vec<(String, Sums)>) -> Result<(), Failure> {
    let first = device.stage("dhcp")?;
    let second = device.stage("network")?;
    step().map_err(|error| fail(Path::new("journal"), error))?;
    journal.extend([&first, &second].map(|staged| (staged.package().to_owned(), staged.sums().clone())));
    let first = first.commit()?;
    if let Err(failure) = second.commit() {
        first.put_back()?;
        return Err(failure);
    }
    Ok(())
}

/// Each step fails, alone or with all that follow as in a power cut: the packages have all changes or none.
#[test]
fn each_step_that_fails_leaves_all_or_nothing() {
    fail_steps(0, 0);
    let device = Device::new(&["network", "dhcp"]);
    transaction(&device, &mut Vec::new()).expect("committed");
    let steps = fail_steps(0, 0);
    assert!(steps > 14, "{steps}");
    for is_power_cut in [false, true] {
        for failing in 0..steps {
            let device = Device::new(&["network", "dhcp"]);
            let mut journal = Vec::new();
            fail_steps(failing, if is_power_cut { usize::MAX } else { 1 });
            let result = transaction(&device, &mut journal);
            fail_steps(0, 0);
            let texts = || [device.text("dhcp"), device.text("network")];
            if !is_power_cut {
                // A failed removal of what was renamed is no failure.
                let expected = if result.is_ok() { NEW } else { OLD };
                assert_eq!(texts(), [expected, expected], "step {failing}: {result:?}");
                if result.is_err() {
                    journal.clear();
                }
            }
            let is_journalled = !journal.is_empty();
            for (package, sums) in &journal {
                let recovery = device.store.recover(package, sums).expect("recovered");
                assert!(matches!(recovery, Recovery::Present | Recovery::Completed), "step {failing}: {recovery:?}");
            }
            device.store.clean(&[], &[]);
            let expected = if is_journalled { NEW } else { OLD };
            assert_eq!(texts(), [expected, expected], "step {failing}, power cut {is_power_cut}");
            assert_eq!(device.names(), ["dhcp", "network"]);
        }
    }
}

/// Each step of a recovery fails, and the next start completes it.
#[test]
fn a_recovery_that_is_interrupted_is_repeated() {
    for (failing, present) in [(0, OLD), (1, OLD), (1, NEW)] {
        let device = Device::new(&[]);
        device.write("network", present);
        device.write(".network.cpe-new", NEW);
        fail_steps(failing, usize::MAX);
        device.store.recover("network", &sums()).expect_err("interrupted");
        fail_steps(0, 0);
        device.store.recover("network", &sums()).expect("recovered");
        assert_eq!((device.text("network").as_str(), device.names()), (NEW, vec!["network".to_owned()]));
    }
}

#[test]
fn a_full_file_system_is_told_apart() {
    let of = |kind: io::ErrorKind| fail(Path::new("/p"), kind.into()).cause;
    assert_eq!(of(io::ErrorKind::StorageFull), Cause::Full);
    assert_eq!(of(io::ErrorKind::PermissionDenied), Cause::Refused);
    assert_eq!(of(io::ErrorKind::ReadOnlyFilesystem), Cause::Failed);
    assert!(fail(Path::new("/p"), io::ErrorKind::StorageFull.into()).text.starts_with("/p: "));
}
