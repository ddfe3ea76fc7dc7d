//! ChangeDUState with bytes that no server writes.

use super::*;

const UUID: &str = "6ba7b810-9dad-51d1-80b4-00c04fd430c8";

fn scenario() -> Scenario {
    let with_action = r#", "software": { "run": ["true"] }, "factoryReset": ["true"]"#;
    let (device, journal) = device_with(&MODEL.replace(r#", "factoryReset": ["true"]"#, with_action), &[]);
    let mut acs = Scenario::start(device, journal, crate::cwmp::version::ALL);
    acs.reply(&inform_response(""));
    acs
}

/// R350: a request is accepted with its operations in the journal, or refused as a whole, wherever it is cut or changed.
#[test]
fn every_truncation_and_every_changed_byte_is_accepted_or_refused() {
    let arguments = format!(
        "<Operations i:type=\"c:InstallOpStruct\"><URL>http://h/a</URL><UUID>{UUID}</UUID><Username/><Password/>\
         <ExecutionEnvRef/></Operations><Operations i:type=\"c:UninstallOpStruct\"><UUID>{UUID}</UUID><Version>1</Version>\
         </Operations><CommandKey>k</CommandKey>"
    );
    let whole = call("ChangeDUState", &arguments);
    let begin = whole.find("<c:ChangeDUState>").expect("the request");
    for at in begin..whole.len() {
        for byte in [b'<', b'"'] {
            let mut bytes = whole.clone().into_bytes();
            bytes[at] = byte;
            for end in [at + 1, bytes.len()] {
                let mut acs = scenario();
                let records = acs.journal.records().len();
                acs.reply_bytes(&bytes[..end]);
                let answer = acs.posted();
                let is_accepted = answer.contains("ChangeDUStateResponse");
                let queued = acs.device.state().units.is_idle();
                assert_eq!(queued, !is_accepted, "{answer}");
                assert_eq!(acs.journal.records().len() > records, is_accepted, "{answer}");
            }
        }
    }
}
