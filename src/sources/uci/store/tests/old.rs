//! The old text of a package, which is kept until the change is confirmed.

use super::*;

const OLDER: &str = ".network.cpe-old";

fn keep(device: &Device, text: &str) -> Staged {
    let locked = device.store.begin("network").expect("locked");
    locked.stage(text.as_bytes(), true).expect("staged").expect("another text")
}

fn of(old: Old) -> Option<Staged> {
    match old {
        Old::Staged(staged) => staged,
        Old::Foreign(_) => panic!("nobody else has changed the package"),
    }
}

/// Prepares the way back to the old text.
fn staged(locked: Locked) -> Option<Staged> {
    of(locked.stage_old(&sums()).expect("prepared"))
}

#[test]
fn the_old_file_comes_back() {
    let device = Device::new(&["network"]);
    fs::set_permissions(device.path("network"), Permissions::from_mode(0o640)).expect("a mode");
    let before = fs::metadata(device.path("network")).expect("a file").ino();
    keep(&device, NEW).commit().expect("committed");
    assert_eq!((device.text("network"), device.text(OLDER)), (NEW.into(), OLD.into()));
    assert_eq!(fs::metadata(device.path(OLDER)).expect("a file").ino(), before, "no data is copied");
    device.store.clean(&[], &["network"]);
    let back = || staged(device.store.begin("network").expect("locked"));
    drop(back());
    assert_eq!(device.names(), [OLDER, "network"], "a way back that is not taken leaves nothing");
    let staged = back().expect("another text");
    assert_eq!(staged.sums(), &Sums { old: sums().new, new: sums().old });
    staged.commit().expect("committed");
    let after = fs::metadata(device.path("network")).expect("a file");
    assert_eq!((device.text("network"), after.ino(), after.mode() & 0o777), (OLD.into(), before, 0o640));
    assert!(back().is_none(), "it is back already");
    device.store.clean(&[], &[]);
    assert_eq!(device.names(), ["network"]);
}

#[test]
fn a_change_that_is_not_made_leaves_no_old_text() {
    let device = Device::new(&["network", "dhcp"]);
    drop(keep(&device, NEW));
    assert_eq!(device.names(), ["dhcp", "network"]);
    // Another package fails behind this one.
    keep(&device, NEW).commit().expect("committed").put_back().expect("the old text");
    assert_eq!((device.text("network"), device.names().len()), (OLD.into(), 2));
    let locked = device.store.begin("network").expect("locked");
    assert!(locked.stage(OLD.as_bytes(), true).expect("no failure").is_none());
    assert_eq!(device.names().len(), 2, "an equal text keeps nothing");
}

/// The settings of the journal lead back then, one by one.
#[test]
fn a_foreign_text_and_a_lost_one_do_not_come_back() {
    let device = Device::new(&["network"]);
    keep(&device, NEW).commit().expect("committed");
    let is_foreign = || {
        let back = device.store.begin("network").expect("locked").stage_old(&sums()).expect("no failure");
        matches!(back, Old::Foreign(_))
    };
    assert!(!is_foreign());
    device.write("network", "# another program\n");
    assert!(is_foreign());
    device.write("network", NEW);
    for lost in ["# other\n", ""] {
        device.write(OLDER, lost);
        assert!(is_foreign(), "{lost:?}");
    }
    fs::remove_file(device.path(OLDER)).expect("removed");
    assert!(is_foreign());
    assert_eq!((device.text("network"), device.names().len()), (NEW.into(), 1));
}

/// A file system without links gets a copy.
#[test]
fn without_links_the_old_text_is_copied() {
    let device = Device::new(&["network"]);
    let locked = device.store.begin("network").expect("locked");
    // No file has this name, so that no link can be made.
    locked.link("missing".as_ref(), OLDER, OLD.as_bytes()).expect("a copy");
    assert_eq!((device.text(OLDER), device.names().len()), (OLD.into(), 2));
}

#[test]
fn the_old_text_is_beside_the_target_of_a_link() {
    let device = Device::new(&[]);
    let target = device.home.path().join("overlay");
    fs::create_dir(&target).expect("a directory");
    fs::write(target.join("net.conf"), OLD).expect("written");
    symlink("../overlay/net.conf", device.path("network")).expect("a link");
    keep(&device, NEW).commit().expect("committed");
    assert!(target.join(OLDER).exists());
    let locked = device.store.begin("network").expect("locked");
    staged(locked).expect("another text").commit().expect("committed");
    assert!(fs::symlink_metadata(device.path("network")).expect("a link").is_symlink());
    device.store.clean(&[], &[]);
    assert_eq!(fs::read_dir(&target).expect("a directory").count(), 1);
    assert_eq!(fs::read_to_string(target.join("net.conf")).expect("a package"), OLD);
}

/// The power fails at each step of the way back: the package has one of the two texts, and nothing is left beside it.
#[test]
fn a_failure_at_any_step_leaves_one_of_the_texts() {
    let run = |first: usize| {
        let device = Device::new(&["network"]);
        fail_steps(usize::MAX, 0);
        keep(&device, NEW).commit().expect("committed");
        fail_steps(first, usize::MAX);
        let locked = device.store.begin("network").expect("locked");
        let end = locked.stage_old(&sums()).map(|old| of(old).expect("another text").commit());
        let steps = fail_steps(usize::MAX, 0);
        // The next start: the record was written if the way back was prepared.
        if end.is_ok() {
            let back = Sums { old: sums().new, new: sums().old };
            device.store.recover("network", &back).expect("recovered");
            device.store.clean(&[], &[]);
            assert_eq!((device.text("network"), device.names().len()), (OLD.into(), 1), "{first}");
        } else {
            device.store.clean(&[], &["network"]);
            assert_eq!((device.text("network"), device.text(OLDER)), (NEW.into(), OLD.into()), "{first}");
            assert_eq!(device.names().len(), 2, "{first}");
        }
        steps > first
    };
    let steps = (0..).take_while(|first| run(*first)).count();
    assert!(steps >= 4, "{steps}");
}
