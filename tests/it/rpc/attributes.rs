//! SetParameterAttributes and GetParameterAttributes.

use super::gateway::{Gateway, QUIET};
use crate::gateway::Model;
use crate::support::{AcsSession, Message, get_parameter_attributes, set_parameter_attributes};

fn attributes(answer: &Message) -> Vec<(String, String, usize)> {
    let entries = answer.attributes.iter();
    entries.map(|entry| (entry.name.clone(), entry.notification.clone(), entry.access_list.len())).collect()
}

fn notification(session: &mut AcsSession, name: &str) -> String {
    session.succeeds(&get_parameter_attributes(&[name])).attributes[0].notification.clone()
}

/// R195: attributes survive a crash, a restart and a reboot.
fn attributes_stay(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let (username, code) = (gateway.management("Username"), gateway.info("ProvisioningCode"));
    let object = gateway.management("");
    gateway.agent.reboot();
    let before = gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        session.succeeds(&set_parameter_attributes(&[
            (&object, Some(1), None),                  // R196, R200
            (&username, Some(2), Some(&[])),           // R195: in order, the later over the earlier
            (&code, None, Some(&["Subscriber", "X"])), // R197, R204
        ]));
        let answer = session.succeeds(&get_parameter_attributes(&[&object, &code])); // R211
        let url = gateway.management("ConnectionRequestUsername");
        let found = attributes(&answer);
        assert!(found.contains(&(username.clone(), "2".into(), 0)), "{found:?}"); // R195
        assert!(found.contains(&(url, "1".into(), 1)), "{found:?}"); // R196
        assert!(found.contains(&(code.clone(), "2".into(), 1)), "{found:?}"); // R106, R204
        found
    });
    gateway.acs.expect_no_session(QUIET); // R172
    gateway.crash_and_reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let answer = session.succeeds(&get_parameter_attributes(&[&object, &code]));
        assert_eq!(attributes(&answer), before); // R195
    });
}
both_models!(attributes_stay);

/// R195: one wrong entry makes the whole request fail.
fn attributes_are_all_or_nothing(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let (username, key) = (gateway.management("Username"), gateway.management("ParameterKey"));
    let nowhere = gateway.management("Nothing");
    gateway.agent.reboot();
    gateway.acs.expect_session(&["1 BOOT"], |_, session| {
        let refused: [(&str, u8, u16); 3] = [
            (&username, 7, 9003), // R194
            (&key, 2, 9009),      // R201
            (&nowhere, 1, 9005),  // R203
        ];
        for (name, value, code) in refused {
            session.refuses(&set_parameter_attributes(&[(&username, Some(1), None), (name, Some(value), None)]), code);
            assert_eq!(notification(session, &username), "0"); // R195
        }
        let everything = gateway.management("");
        session.refuses(&set_parameter_attributes(&[(&everything, Some(2), None)]), 9009); // R201: it covers such a one
        assert_eq!(notification(session, &username), "0"); // R195

        let version = gateway.info("SoftwareVersion");
        session.succeeds(&set_parameter_attributes(&[(&version, Some(0), None)])); // R202
        assert_eq!(notification(session, &version), "2"); // R106, R202
        session.succeeds(&set_parameter_attributes(&[(&key, Some(1), None)])); // R200
        assert_eq!(notification(session, &key), "1");
        let without = session.call(&get_parameter_attributes(&[&nowhere])).and_then(|answer| answer.fault);
        assert_eq!(without.map(|fault| fault.code), Some(9005)); // R211
    });
}
both_models!(attributes_are_all_or_nothing);
