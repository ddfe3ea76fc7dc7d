//! A second program that sets options of the same package, with the lock and the rename of libuci. It shares no code with the
//! agent.

use super::*;

const RUNS: usize = 1000;

/// Adds 1 to the option of the neighbour, as `uci set` and `uci commit` do with a lock that is checked.
fn count_up(directory: &Path, number: usize) {
    let path = directory.join("network");
    let file = loop {
        let file = OpenOptions::new().read(true).write(true).open(&path).expect("a package");
        file.lock().expect("a lock");
        let (open, named) = (file.metadata().expect("a file"), fs::metadata(&path).expect("a file"));
        if open.ino() == named.ino() {
            break file;
        }
    };
    let text = fs::read_to_string(&path).expect("a package");
    let old = format!("option theirs '{}'", number - 1);
    assert!(text.contains(&old), "an update of the neighbour is lost: {number}");
    let new = directory.join(format!(".network.uci-{number}"));
    fs::write(&new, text.replace(&old, &format!("option theirs '{number}'"))).expect("written");
    fs::rename(&new, &path).expect("renamed");
    drop(file);
}

#[test]
fn two_programs_that_change_one_package_lose_nothing() {
    let device = Device::new(&[]);
    device.write("network", "config a n\n\toption ours '0'\n\toption theirs '0'\n");
    let directory = device.store.directory.clone();
    let work = move || {
        for number in 1..=RUNS {
            count_up(&directory, number);
            // The lock of the kernel is not fair: who takes it at once again leaves the other no time.
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let thread = crate::thread::spawn("neighbour", 256 * 1024, Box::new(work)).expect("a thread");
    for number in 1..=RUNS {
        let locked = device.store.begin("network").expect("locked");
        let present = locked.rows(None).expect("a package")[0].get("ours").map(str::to_owned);
        assert_eq!(present, Some((number - 1).to_string()), "an update of the agent is lost");
        let set = Change { section: "n".into(), action: Action::Set("ours".into(), number.to_string()) };
        let new = edit(locked.text(), &[set]).expect("a change");
        let staged = locked.stage(&new, false).expect("staged").expect("another text");
        staged.commit().expect("committed");
    }
    thread.join().expect("the neighbour has lost nothing");
    assert_eq!(device.text("network"), format!("config a n\n\toption ours '{RUNS}'\n\toption theirs '{RUNS}'\n"));
    assert_eq!(device.names(), ["network"]);
}
