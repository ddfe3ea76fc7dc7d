//! Dates that 32 bits do not hold: of parameters, of files, of the clock itself.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use crate::gateway::{BOOT, BOOTSTRAP, SOON, gateway};
use crate::support::fake_clock;
use crate::support::{Acs, AcsOptions, get_parameter_values, set_parameter_values};

const TIME: &str = "Device.ManagementServer.PeriodicInformTime";

/// The second after the last of 32 signed bits, one after the last of 32 unsigned bits, and one far off (R326).
const DATES: [&str; 3] = ["2038-01-19T03:14:08Z", "2106-02-07T06:28:17Z", "2400-02-29T12:00:00Z"];

/// A dateTime after 2038 is accepted, and survives a crash.
#[test]
fn parameters_have_dates_after_2038_and_keep_them() {
    let mut acs = Acs::start(AcsOptions::new());
    for date in DATES {
        acs.enqueue(set_parameter_values(&[(TIME, "dateTime", date)], ""));
        acs.enqueue(get_parameter_values(&[TIME]));
    }
    let mut agent = gateway(&acs).set("Device.ManagementServer.PeriodicInformEnable", "true").start();
    let session = acs.session(SOON).expect_complete();
    let read = session.responses("GetParameterValues");
    let read: Vec<_> = read.iter().map(|response| response.value(TIME).expect("a value")).collect();
    assert_eq!(read, DATES);
    agent.reboot();
    acs.session(SOON).expect_complete();
    assert_eq!(agent.value(TIME), DATES[2]);
}

/// Files of a state directory may have dates after 2038.
#[test]
fn files_may_be_from_after_2038() {
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = gateway(&acs).start();
    acs.session(SOON).expect_complete();
    agent.terminate();
    let files = fs::read_dir(agent.state_dir()).expect("the state");
    let files = files.map(|entry| entry.expect("an entry").path());
    for file in files.filter(|path| path.is_file()) {
        let file = File::options().append(true).open(file).expect("a file");
        file.set_modified(UNIX_EPOCH + Duration::from_secs(2_222_222_222)).expect("a date");
    }
    agent.reboot();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOT], "the state was read");
}

/// The clock of the agent passes the year 2038. libfaketime sets it, for the agent or for the emulator in which it
/// runs.
#[test]
fn the_clock_goes_on_after_2038() {
    let Some(library) = fake_clock::library() else { return };
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = gateway(&acs)
        .env("LD_PRELOAD", &library)
        .env("FAKETIME", "@2040-02-29 12:00:00")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("TZ", "UTC0")
        .start();
    let session = acs.session(SOON).expect_complete();
    assert_eq!(session.events(), [BOOTSTRAP, BOOT]);
    let current = session.inform().argument("CurrentTime").expect("CurrentTime"); // R97
    assert!(current.starts_with("2040-02-29T"), "{current}");
    // The next Inform is computed and stored with that clock.
    agent.succeeds(&["set", "Device.ManagementServer.PeriodicInformInterval=1"]);
    agent.succeeds(&["set", "Device.ManagementServer.PeriodicInformEnable=true"]);
    let session = acs.session(SOON).expect_complete();
    assert!(session.events().contains(&"2 PERIODIC"), "{:?}", session.events());
    agent.crash_and_restart();
    let session = acs.session(SOON).expect_complete();
    assert!(!session.events().contains(&BOOTSTRAP), "{:?}", session.events());
    assert!(agent.log().contains("2040-02-29T12:0"), "the log has the date");
}
