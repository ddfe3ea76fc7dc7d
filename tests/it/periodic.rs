//! Periodic Informs of the real agent: interval, phase, changes by the ACS.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::gateway::{BOOT, BOOTSTRAP, Model, PERIODIC, SOON};
use crate::support::agent::AgentBuilder;
use crate::support::stopwatch::Stopwatch;
use crate::support::{
    Acs, AcsOptions, ManualAcs, empty_post, inform, inform_response, no_content, response, set_parameter_values,
    silence, status,
};

const ENABLE: &str = "ManagementServer.PeriodicInformEnable";
const INTERVAL: &str = "ManagementServer.PeriodicInformInterval";
const TIME: &str = "ManagementServer.PeriodicInformTime";

/// Returns a gateway with this periodic interval.
fn periodic(model: &'static Model, url: &str, interval: &str) -> AgentBuilder {
    let enable = model.at(ENABLE);
    let interval_name = model.at(INTERVAL);
    model.gateway_at(url).set(enable, "true").set(interval_name, interval)
}

/// The first session, in which a periodic Inform may fall due already.
fn expect_first_contact(acs: &Acs) {
    acs.expects(inform().event(BOOTSTRAP).event(BOOT)).replies(inform_response());
    acs.expects(empty_post()).replies(no_content());
}

/// R149: with an interval of one second, the Informs are one second apart.
fn an_inform_each_second(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let watch = Stopwatch::start();
    let _agent = periodic(model, &acs.url(), "1").start();
    acs.session(SOON).expect_complete();
    let times: Vec<_> = (0..4)
        .map(|_| {
            let session = acs.session(SOON).expect_complete();
            assert_eq!(session.events(), [PERIODIC]);
            assert_eq!(session.inform().retry_count(), Some(0));
            session.exchanges[0].at
        })
        .collect();
    let took = times[3] - times[0];
    let (least, most) = (Duration::from_millis(2500), Duration::from_millis(4500));
    // A machine that is busy delays each of the two.
    let stalled = watch.stalled();
    assert!(took + stalled >= least && took < most + stalled, "{took:?} for three intervals, {stalled:?} of waits");
}
both_models!(an_inform_each_second);

/// R150: in phase with PeriodicInformTime, however far away that is.
fn in_phase_with_a_time(model: &'static Model) {
    let time_name = model.at(TIME);
    for reference in ["2001-01-01T00:00:01Z", "2090-01-01T02:00:01+02:00"] {
        let mut acs = Acs::start(AcsOptions::new());
        let _agent = periodic(model, &acs.url(), "3").set(time_name, reference).start();
        acs.session(SOON).expect_complete();
        let session = acs.session(SOON).expect_complete();
        assert_eq!(session.events(), [PERIODIC]);
        let time = session.inform().argument("CurrentTime").expect("a time").to_owned();
        // Midnight is a multiple of three seconds; the reference is one second behind it. The agent's time is in whole
        // seconds, and it may be a little late.
        let seconds: u32 = time[17..19].parse().expect("seconds");
        assert!(matches!(seconds % 3, 1 | 2), "{reference}: {time}");
    }
}
both_models!(in_phase_with_a_time);

/// R153: a new interval takes effect at once, without a restart.
fn a_new_interval(model: &'static Model) {
    let interval = model.at(INTERVAL);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(interval, "unsignedInt", "1")], ""));
    let _agent = periodic(model, &acs.url(), "86400").start();
    acs.session(SOON).expect_complete();
    for _ in 0..2 {
        assert_eq!(acs.session(SOON).expect_complete().events(), [PERIODIC]);
    }
    // A longer interval takes effect at once too.
    acs.enqueue(set_parameter_values(&[(interval, "unsignedInt", "86400")], ""));
    let last = acs.session(SOON).expect_complete();
    assert_eq!(last.responses("SetParameterValues").len(), 1);
    acs.quiet_for(Duration::from_millis(1500));
}
both_models!(a_new_interval);

/// R153: periodic Informs can be switched on and off.
fn switched_on_and_off(model: &'static Model) {
    let enable = model.at(ENABLE);
    let interval = model.at(INTERVAL);
    let mut acs = Acs::start(AcsOptions::new());
    acs.enqueue(set_parameter_values(&[(enable, "boolean", "1")], ""));
    let mut agent = model.gateway(&acs).set(interval, "1").start();
    acs.session(SOON).expect_complete();
    assert_eq!(acs.session(SOON).expect_complete().events(), [PERIODIC]);
    acs.enqueue(set_parameter_values(&[(enable, "boolean", "0")], ""));
    acs.session(SOON).expect_complete();
    acs.quiet_for(Duration::from_millis(1500));
    // The setting survives the restart, because it is in the journal.
    agent.restart();
    acs.quiet_for(Duration::from_millis(1500));
}
both_models!(switched_on_and_off);

/// R153: a new phase takes effect at once.
fn a_new_phase(model: &'static Model) {
    let time = model.at(TIME);
    let acs = ManualAcs::start(AcsOptions::new());
    let _agent = periodic(model, &acs.url(), "3600").start();
    let began = acs.expect_session(&[BOOTSTRAP, BOOT], |_, session| {
        // An hour's interval whose next instant is four seconds away.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let day = (now + 4) % 86400;
        let reference = format!("2020-02-29T{:02}:{:02}:{:02}Z", day / 3600, day / 60 % 60, day % 60);
        session.set(time, "dateTime", &reference);
        Stopwatch::start()
    });
    acs.expect_events(&[PERIODIC]);
    assert!(began.is_within(Duration::from_secs(8)), "{began:?}");
}
both_models!(a_new_phase);

/// R109, R135, R141, R153: periods that fall due while the ACS refuses are one event, which survives a reboot.
fn periodic_events_add_up_to_one(model: &'static Model) {
    let enable = model.at(ENABLE);
    let mut acs = Acs::start(AcsOptions::new());
    expect_first_contact(&acs);
    let mut agent = periodic(model, &acs.url(), "1").start();
    acs.session(SOON).expect_complete();
    for count in 0..3 {
        acs.expects(inform().only_events(&[PERIODIC]).retry_count(count)).replies(status(500));
    }
    for _ in 0..3 {
        acs.session(SOON).expect_failed();
    }
    acs.expects(inform().only_events(&[PERIODIC, BOOT]).retry_count(3)).replies(inform_response());
    acs.expects(empty_post()).replies(set_parameter_values(&[(enable, "boolean", "0")], ""));
    acs.expects(response("SetParameterValues")).replies(no_content());
    agent.reboot();
    acs.session(SOON).expect_complete();
    acs.quiet_for(Duration::from_millis(1500));
}
both_models!(periodic_events_add_up_to_one);

/// R7: a gateway whose CWMP is switched off starts no session, not even at its first boot.
fn cwmp_switched_off(model: &'static Model) {
    let acs = Acs::start(AcsOptions::new());
    let agent = periodic(model, &acs.url(), "1").set(model.at("ManagementServer.EnableCWMP"), "false").start();
    agent.wait_for_log("starts", SOON);
    acs.quiet_for(Duration::from_millis(1500));
}
both_models!(cwmp_switched_off);

/// R141: a due event is in the journal before it is sent, so that no kill can lose it.
fn a_period_outlives_a_kill(model: &'static Model) {
    let mut acs = Acs::start(AcsOptions::new());
    let mut agent = periodic(model, &acs.url(), "2").start();
    let first = acs.session(SOON).expect_complete();
    acs.always(inform().event(PERIODIC)).replies(silence());
    acs.requests(first.exchanges.len() + 1, SOON);
    agent.kill9();
    let journal = std::fs::read_to_string(agent.state_dir().join("journal")).expect("a journal");
    let last = journal.lines().rev().find(|record| record.contains("\"events\"")).expect("a state");
    assert!(last.contains("2 PERIODIC"), "{last}");
}
both_models!(a_period_outlives_a_kill);
