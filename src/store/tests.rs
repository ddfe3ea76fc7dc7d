//! Tests of the store on a real directory.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn strings(records: &[&str]) -> Vec<String> {
    records.iter().map(|record| (*record).to_owned()).collect()
}

fn at(seconds: u64) -> Now {
    Now { monotonic: Duration::from_secs(seconds), wall: 0 }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

#[test]
fn records_survive_in_a_file_that_a_person_can_read() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("not/yet/there");
    let (mut store, recovered) = Store::open(&dir).expect("a directory");
    assert_eq!(recovered, Recovered::default());
    assert_eq!(fs::read_dir(&dir).expect("a directory").count(), 1, "nothing but the lock");
    store.append("{\"event\":\"0 BOOTSTRAP\"}").expect("room");
    store.append("größer").expect("room");
    assert_eq!((store.stats().appends, store.is_durable(), store.last_error()), (2, true, None));
    drop(store);

    let text = fs::read_to_string(dir.join("journal")).expect("UTF-8");
    let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').expect("a checksum").1).collect();
    assert_eq!(lines, ["cpe-agent journal 1 generation 1 snapshot 0", "{\"event\":\"0 BOOTSTRAP\"}", "größer"]);
    let (store, recovered) = Store::open(&dir).expect("a directory");
    assert_eq!(recovered.records, ["{\"event\":\"0 BOOTSTRAP\"}", "größer"]);
    assert_eq!(store.stats(), Stats::default());
}

#[test]
fn a_look_beside_a_running_agent_changes_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    assert_eq!(Store::peek(&home.path().join("nowhere")).expect("nothing to read"), Recovered::default());
    let (mut store, _) = Store::open(home.path()).expect("a directory");
    store.append("a").expect("room");
    store.append("b").expect("room");
    let content = || {
        let files = fs::read_dir(home.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
        let mut files: Vec<_> = files.map(|path| (fs::read(&path).expect("a file"), path)).collect();
        files.sort();
        files
    };
    let before = content();
    assert_eq!(Store::peek(home.path()).expect("readable").records, ["a", "b"]);
    assert_eq!(content(), before);
    // Damage is not repaired either, and the remains of a power cut stay.
    fs::write(home.path().join("journal.new"), "half").expect("room");
    let whole = fs::read(home.path().join("journal")).expect("a journal");
    for (bytes, records) in [(&whole[..whole.len() - 3], 1), (&whole[..4], 0), (&[], 0)] {
        fs::write(home.path().join("journal"), bytes).expect("room");
        let before = content();
        assert_eq!(Store::peek(home.path()).expect("readable").records.len(), records);
        assert_eq!(content(), before);
    }
}

#[test]
fn everything_is_for_the_owner_only() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("state");
    let (mut store, _) = Store::open(&dir).expect("a directory");
    store.append("a").expect("room");
    store.compact(&strings(&["a"])).expect("room");
    assert_eq!(mode(&dir), 0o700);
    for name in ["lock", "journal", "journal.old"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn an_open_directory_is_closed_while_empty_and_told_of_afterwards() {
    let home = tempfile::tempdir().expect("a directory");
    let widen = || fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    widen();
    let (store, recovered) = Store::open(home.path()).expect("a directory");
    assert_eq!((mode(home.path()), recovered.notices.len()), (0o700, 0));
    drop(store);
    widen();
    let (_store, recovered) = Store::open(home.path()).expect("a directory");
    assert_eq!(mode(home.path()), 0o755);
    assert!(recovered.notices[0].contains("open to other users"), "{:?}", recovered.notices);
}

#[test]
fn a_directory_of_another_user_is_not_used() {
    let home = tempfile::tempdir().expect("a directory");
    let (dir, link) = (home.path().join("state"), home.path().join("link"));
    fs::create_dir(&dir).and_then(|()| std::os::unix::fs::symlink(&dir, &link)).expect("room");
    if std::os::unix::fs::lchown(&link, Some(12345), None).is_err() {
        return; // only root gives files away
    }
    let error = Store::open(&link).expect_err("a stranger's link").to_string();
    assert!(error.ends_with("cannot be used: it belongs to another user, with the number 12345"), "{error}");
    drop(Store::open(&dir).expect("the directory itself is fine"));
    std::os::unix::fs::chown(&dir, Some(12345), None).expect("root");
    let mut store = Store::volatile(&dir, "");
    assert_eq!((store.reopen(at(0)), store.reopen(at(10))), (None, None));
    std::os::unix::fs::chown(&dir, Some(0), None).expect("root");
    assert_eq!(store.reopen(at(20)), Some(Recovered::default()));
}

#[test]
fn a_second_agent_is_refused_until_the_first_is_gone() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut first, _) = Store::open(home.path()).expect("a directory");
    first.append("a").expect("room");
    let error = Store::open(home.path()).expect_err("locked");
    assert!(matches!(&error, StoreError::Locked { dir } if dir == home.path()));
    assert!(error.to_string().starts_with("another cpe-agent is running on"), "{error}");
    // A rewrite replaces files, but not the lock.
    first.compact(&strings(&["a"])).expect("room");
    assert!(matches!(Store::open(home.path()), Err(StoreError::Locked { .. })));
    drop(first);
    assert_eq!(Store::open(home.path()).expect("free again").1.records, ["a"]);
}

#[test]
fn opening_an_undamaged_journal_changes_no_file() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(home.path()).expect("a directory");
    store.append("a").expect("room");
    drop(store);
    let times = || {
        ["", "lock", "journal"].map(|name| fs::metadata(home.path().join(name)).and_then(|file| file.modified()).ok())
    };
    let before = times();
    std::thread::sleep(Duration::from_millis(20));
    drop(Store::open(home.path()).expect("a directory"));
    assert_eq!(times(), before);
}

#[test]
fn a_path_that_is_no_directory_is_unusable_until_it_is_one() {
    let home = tempfile::tempdir().expect("a directory");
    let dir = home.path().join("state");
    fs::write(&dir, "in the way").expect("a file");
    let error = Store::open(&dir).expect_err("a file is no directory");
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");

    let mut store = Store::volatile(&dir, &error.to_string());
    assert_eq!(store.append("a").expect_err("volatile").to_string(), error.to_string());
    assert!(!store.is_durable() && !store.wants_compaction());
    fs::remove_file(&dir).expect("removed");
    // Not at once, but a minute later.
    assert_eq!(store.reopen(at(1000)), None);
    assert_eq!(store.reopen(at(1009)), None);
    assert_eq!(store.reopen(at(1010)), Some(Recovered::default()));
    assert_eq!((store.is_durable(), store.last_error(), store.stats().failures), (true, None, 1));
    store.append("b").expect("room");
    assert_eq!(store.reopen(at(9999)), None, "it is durable already");
    assert!(matches!(Store::open(&dir), Err(StoreError::Locked { .. })));
}

#[test]
fn a_directory_that_comes_late_gives_its_records() {
    let home = tempfile::tempdir().expect("a directory");
    let (dir, mounted) = (home.path().join("state"), home.path().join("elsewhere"));
    Store::open(&mounted).expect("a directory").0.append("before").expect("room");
    fs::write(&dir, "").expect("a file");
    let mut store = Store::volatile(&dir, "not mounted yet");
    assert_eq!(store.reopen(at(0)), None);
    assert_eq!(store.reopen(at(10)), None, "still in the way");
    fs::remove_file(&dir).and_then(|()| fs::rename(&mounted, &dir)).expect("mounted");
    assert_eq!(store.reopen(at(19)), None, "not more often");
    assert_eq!(store.reopen(at(20)).map(|recovered| recovered.records), Some(strings(&["before"])));
    store.compact(&strings(&["now"])).expect("room");
    drop(store);
    assert_eq!(Store::open(&dir).expect("a directory").1.records, ["now"]);
}

#[test]
fn a_directory_that_cannot_be_written_gives_its_records_and_says_so() {
    // A lock that cannot be taken stands for a read-only file system, which root could write.
    let home = tempfile::tempdir().expect("a directory");
    Store::open(home.path()).expect("a directory").0.append("a").expect("room");
    let journal = home.path().join("journal");
    let torn = [fs::read(&journal).expect("a journal"), b"torn".to_vec()].concat();
    fs::write(&journal, &torn).expect("a journal");
    fs::remove_file(home.path().join(LOCK)).and_then(|()| fs::create_dir(home.path().join(LOCK))).expect("in the way");

    let (mut store, recovered) = Store::open(home.path()).expect("a directory");
    assert_eq!(recovered.records, ["a"]);
    assert!(recovered.notices[0].contains("cannot be written"), "{:?}", recovered.notices);
    assert!(store.append("b").is_err() && store.compact(&[]).is_err() && store.destroy().is_err());
    assert_eq!(store.last_error(), Some(recovered.notices[0].as_str()));
    assert_eq!(fs::read(&journal).expect("a journal"), torn, "nothing is touched without the lock");

    fs::remove_dir(home.path().join(LOCK)).expect("out of the way");
    assert_eq!(store.reopen(at(0)), None);
    assert_eq!(store.reopen(at(10)).map(|recovered| recovered.records), Some(strings(&["a"])));
    store.append("b").expect("room");
    drop(store);
    assert_eq!(Store::open(home.path()).expect("a directory").1.records, ["a", "b"]);
}

#[test]
fn a_factory_reset_leaves_no_record() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(home.path()).expect("a directory");
    store.append("a").expect("room");
    store.compact(&strings(&["a"])).expect("room");
    store.append("b").expect("room");
    store.destroy().expect("removed");
    assert_eq!(fs::read_dir(home.path()).expect("a directory").count(), 1, "nothing but the lock");
    store.append("c").expect("room");
    drop(store);
    assert_eq!(Store::open(home.path()).expect("a directory").1.records, ["c"]);
}

#[test]
fn a_real_device_without_room_reports_it() {
    use disk::{Disk, DiskFile};
    let home = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink("/dev/full", home.path().join("full")).expect("a link");
    let mut file = Directory::new(home.path()).open("full").expect("a device");
    assert_eq!(file.append(b"a").map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
}

#[test]
fn a_failing_append_is_told_until_one_succeeds() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut store, _) = Store::open(home.path()).expect("a directory");
    store.append("two\nlines").expect_err("no record");
    assert_eq!((store.last_error(), store.stats().failures), (Some("the record is more than one line"), 1));
    store.append("one line").expect("room");
    assert_eq!((store.last_error(), store.stats().failures), (None, 1));
}
