//! Scenarios of the queue: requests, results and reports, with and without interruptions.

use super::inventory::ListedUnit;
use super::*;
use crate::clock::Now;
use crate::cwmp::fault::FaultCode;

const SET: i64 = 1_800_000_000;
const UUID: &str = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";

fn now() -> Now {
    Now { monotonic: Duration::from_secs(1000), wall: SET }
}

fn operation(kind: OperationKind, uuid: &str, url: &str) -> Operation {
    Operation { uuid: uuid.into(), url: url.into(), ..Operation::new(kind) }
}

fn listed(key: &str, uuid: &str, version: &str) -> ListedUnit {
    let path = format!("Device.SoftwareModules.DeploymentUnit.{key}");
    let unit = Unit { key: key.into(), uuid: uuid.into(), version: version.into(), path, ..Unit::default() };
    ListedUnit { unit, status: "Installed".into(), ..ListedUnit::default() }
}

fn tables(units: &[ListedUnit]) -> Inventory {
    Inventory { units: units.to_vec(), ..Inventory::empty() }
}

fn code(results: &[UnitResult]) -> Vec<u16> {
    results.iter().map(|result| result.failure.as_ref().map_or(0, |failure| failure.code.number())).collect()
}

#[test]
fn an_operation_must_find_its_unit() {
    let two = tables(&[listed("1", UUID, "1.0"), listed("2", UUID, "2.0")]);
    let refused = |operation: &Operation, tables: &Inventory| {
        admit(operation, tables).err().map_or(0, |failure| failure.code.number())
    };
    let update = operation(OperationKind::Update, UUID, "");
    assert_eq!(refused(&update, &two), 9031);
    assert_eq!(refused(&Operation { version: "2.0".into(), ..update.clone() }, &two), 0);
    assert_eq!(refused(&update, &tables(&[])), 9028);
    assert_eq!(refused(&operation(OperationKind::Update, "", ""), &tables(&[])), 0);
    let uninstall = operation(OperationKind::Uninstall, &UUID.to_uppercase(), "");
    assert_eq!(admit(&uninstall, &two).map(|units| units.len()), Ok(2));
    let moving = ListedUnit { status: "Updating".into(), ..listed("1", UUID, "1.0") };
    assert_eq!(refused(&uninstall, &tables(&[moving])), 9029);
    let placed = Operation { target: ".SoftwareModules.ExecEnv.1.".into(), ..uninstall };
    assert_eq!(refused(&placed, &two), 9023);
}

#[test]
fn results_are_those_of_the_tables() {
    let install = operation(OperationKind::Install, UUID, "http://h/f");
    let after = tables(&[listed("1", UUID, "1.0")]);
    let results = outcome(&install, &[], &after, Ok(Vec::new()));
    assert_eq!(
        (results[0].unit.path.as_str(), results[0].state),
        ("Device.SoftwareModules.DeploymentUnit.1", UnitState::Installed)
    );
    let failure = Failure::permanent(FaultCode::InternalError, "why");
    let results = outcome(&install, &[], &tables(&[]), Err(failure));
    assert_eq!(
        (code(&results), results[0].state, results[0].unit.uuid.as_str()),
        (vec![9001], UnitState::Failed, UUID)
    );
    // A program names the units that it has changed, and those that it has not.
    let all = operation(OperationKind::Update, "", "");
    let row = |key: &str, failure| OutputRow { key: key.into(), failure };
    let refused = Some(Failure::permanent(FaultCode::DowngradeNotPermitted, "older"));
    let results = outcome(&all, &[], &after, Ok(vec![row("1", None), row("9", refused)]));
    assert_eq!((code(&results), results[1].state), (vec![0, 9030], UnitState::Uninstalled));
    assert!(results.iter().all(|result| result.unit.uuid.len() == 36));
    // Nothing was there to be updated.
    assert_eq!(code(&outcome(&all, &[], &tables(&[]), Ok(Vec::new()))), [0]);
    let uninstall = operation(OperationKind::Uninstall, UUID, "");
    let before = [listed("1", UUID, "1.0").unit];
    let results = outcome(&uninstall, &before, &tables(&[]), Ok(Vec::new()));
    assert_eq!((code(&results), results[0].state), (vec![0], UnitState::Uninstalled));
    assert_eq!(results[0].unit.path, "Device.SoftwareModules.DeploymentUnit.1");
}

#[test]
fn the_tables_tell_the_result_of_an_interrupted_program() {
    let old = listed("1", UUID, "1.0");
    let before = [old.unit.clone()];
    let judged = |kind, before: &[Unit], after: &[ListedUnit]| {
        code(&outcome_of_interrupted(&operation(kind, UUID, ""), before, &tables(after)))
    };
    assert_eq!(judged(OperationKind::Install, &[], std::slice::from_ref(&old)), [0]);
    assert_eq!(judged(OperationKind::Install, &[], &[]), [9001]);
    assert_eq!(judged(OperationKind::Install, &before, std::slice::from_ref(&old)), [9001]);
    assert_eq!(judged(OperationKind::Update, &before, &[listed("1", UUID, "2.0")]), [0]);
    assert_eq!(judged(OperationKind::Update, &before, std::slice::from_ref(&old)), [9001]);
    assert_eq!(judged(OperationKind::Uninstall, &before, &[]), [0]);
    assert_eq!(judged(OperationKind::Uninstall, &before, &[old]), [9001]);
}

#[test]
fn one_operation_is_at_work_at_a_time_and_each_stage_is_kept() {
    let action = crate::model::actions::SoftwareAction {
        run: vec!["true".into()],
        time_limit: Duration::from_secs(1),
        fetches: false,
    };
    let mut queue = UnitQueue::default();
    let operations = vec![
        (operation(OperationKind::Install, UUID, "http://h/f"), None),
        (operation(OperationKind::Uninstall, "no uuid", ""), None),
        (operation(OperationKind::Uninstall, UUID, ""), None),
    ];
    let id = queue.add(Requester::Acs("key".into()), operations, now()).expect("room");
    assert_eq!(queue.next_step(Some(&action)), Some(UnitStep::Fetch(1)));
    queue.begin_fetch(1, now()).expect("a first attempt");
    let kept = |queue: &UnitQueue| {
        let mut restored = UnitQueue::from_json(&queue.to_json().expect("JSON"), now());
        restored.resume();
        restored
    };
    assert_eq!(
        (queue.next_step(Some(&action)), kept(&queue).next_step(Some(&action))),
        (None, Some(UnitStep::Fetch(1)))
    );
    queue.fetched(1);
    assert_eq!(queue.next_step(Some(&action)), Some(UnitStep::Run(1)));
    queue.begin_run(1, Vec::new(), now());
    assert!(queue.blocks_reboots() && queue.finished().next().is_none());
    assert_eq!(kept(&queue).next_step(Some(&action)), Some(UnitStep::Judge(1)));
    queue.end(1, &tables(&[listed("1", UUID, "1.0")]), Ok(Vec::new()), now());
    // The second was refused at once: 9022.
    assert_eq!(queue.next_step(Some(&action)), Some(UnitStep::Run(3)));
    queue.begin_run(3, vec![listed("1", UUID, "1.0").unit], now());
    queue.end(3, &tables(&[]), Ok(Vec::new()), now());
    let request = kept(&queue);
    let request = request.request(id).expect("the request");
    let results: Vec<u16> =
        request.jobs().iter().flat_map(|job| code(&job.report().expect("an end").results)).collect();
    assert_eq!((results, request.requester()), (vec![0, 9022, 0], &Requester::Acs("key".into())));
    assert_eq!(kept(&queue).to_json(), queue.to_json());
    queue.confirmed(id);
    assert_eq!(queue.to_json(), None);
}

#[test]
fn the_queue_is_bounded() {
    let mut queue = UnitQueue::default();
    let many = |count| vec![(operation(OperationKind::Uninstall, UUID, ""), None); count];
    assert!(queue.add(Requester::Local, many(UnitQueue::CAPACITY + 1), now()).is_err());
    queue.add(Requester::Local, many(UnitQueue::CAPACITY), now()).expect("room");
    assert!(queue.add(Requester::Local, many(1), now()).is_err());
    let late = Now { monotonic: Duration::from_secs(1000 + 3600), wall: SET + 3600 };
    assert!(queue.lateness(1, now()).is_none() && queue.lateness(1, late).is_some());
    // Reports that no ACS confirms do not fill the queue.
    let mut ended = UnitQueue::default();
    for number in 1..=2 * UnitQueue::CAPACITY as u32 {
        ended.add(Requester::Local, many(1), now()).expect("room");
        ended.end(number, &tables(&[]), Ok(Vec::new()), now());
    }
    assert_eq!((ended.finished().count(), ended.has_room(32), ended.has_room(33)), (UnitQueue::CAPACITY, true, false));
    // The hour goes on over a restart.
    let restored = UnitQueue::from_json(&queue.to_json().expect("JSON"), Now { monotonic: Duration::ZERO, ..late });
    assert!(restored.lateness(1, Now { monotonic: Duration::ZERO, ..late }).is_some());
    // Entries of another version are left out.
    let other =
        serde_json::json!({ "requests": [{ "by": "moon" }, { "by": "acs", "jobs": [{ "kind": "Paint" }] }, 7] });
    assert_eq!(UnitQueue::from_json(&other, now()).to_json(), None);
}
