//! Packages on a file system that fails: a change is refused as a whole, nothing is left of it, and the next one succeeds.

use super::*;
use crate::support::Mount;

/// Returns a scene whose packages are on a file system of their own.
fn scene() -> Option<(Scene, Mount)> {
    let mut disk = None;
    let scene = Scene::on("exit 0", |router| {
        disk = Mount::at(router.path("etc"), "size=256k,mode=755");
        fs::create_dir_all(router.path("etc/config")).expect("a directory");
        PACKAGES.iter().for_each(|(name, text)| router.commit(name, text));
        disk.is_some()
    })?;
    Some((scene, disk?))
}

/// Expects requests to be refused with these faults, and neither the packages nor the journal to change.
fn expect_refusals(scene: &Scene, session: &mut AcsSession, [set, add, delete]: [u16; 3]) {
    // The rows of the device have their numbers by now.
    scene.agent.succeeds(&["get", SSID]);
    let packages = || PACKAGES.map(|(name, _)| (scene.package(name), scene.mark(name)));
    let (before, files, journal) = (packages(), scene.files(), scene.journal());
    let [size, mtu] = [format!("{SYSTEM}LogSize"), format!("{LAN}MTU")];
    session.refuses(&set_parameter_values(&[(&size, "string", "7"), (&mtu, "string", "1300")], "k"), set);
    session.refuses(&add_object(SSID, "k"), add);
    session.refuses(&delete_object(&format!("{SSID}1."), "k"), delete);
    // R164, R216, R221
    assert_eq!((packages(), scene.files()), (before, files));
    assert_eq!(lines(&scene.journal()), lines(&journal), "a refused change writes nothing");
    assert_eq!((session.value(&size), session.value(&mtu)), ("128".to_owned(), "1500".to_owned()));
}

/// Expects the same requests to succeed.
fn expect_changes(scene: &Scene, session: &mut AcsSession) {
    let (size, mtu) = (format!("{SYSTEM}LogSize"), format!("{LAN}MTU"));
    session.succeeds(&set_parameter_values(&[(&size, "string", "7"), (&mtu, "string", "1300")], "k"));
    session.succeeds(&add_object(SSID, "k"));
    session.succeeds(&delete_object(&format!("{SSID}1."), "k"));
    assert!(scene.package("system").contains("option log_size '7'"), "{}", scene.package("system"));
    assert!(scene.package("network").contains("option mtu '1300'"), "{}", scene.package("network"));
}

#[test]
fn a_full_file_system_refuses_a_change_of_packages() {
    let Some((mut scene, disk)) = scene() else { return };
    disk.fill();
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| expect_refusals(&scene, session, [9004, 9004, 9002]));
    scene.agent.crash_and_restart();
    scene.agent.wait_for_control();
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        expect_refusals(&scene, session, [9004, 9004, 9002]);
        disk.make_room();
        expect_changes(&scene, session);
    });
}

#[test]
fn a_read_only_file_system_refuses_a_change_of_packages() {
    let Some((scene, disk)) = scene() else { return };
    disk.change("ro");
    scene.agent.succeeds(&["inform"]);
    scene.acs.expect_session(&["2 PERIODIC"], |_, session| {
        expect_refusals(&scene, session, [9003, 9002, 9002]);
        disk.change("rw");
        expect_changes(&scene, session);
    });
}
