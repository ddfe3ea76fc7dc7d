//! The life of a test, from SetParameterValues to the next boot, without its measurement.

use super::*;
use crate::cwmp::testing::{MemoryJournal, NOW, device_with};
use crate::model::value::Value;

const PING: &str = "Device.IP.Diagnostics.IPPing.";
const SCAN: &str = "Device.X_00D09E_Scan.";

const MODEL: &str = r#"{ "Device": {
    "ManagementServer": { "URL": { "type": "string", "access": "readWrite", "value": "http://acs.example/" } },
    "RootDataModelVersion": { "type": "string", "value": "2.17" },
    "IP": { "Diagnostics": { "IPPing": {
      "DiagnosticsState": { "type": "string", "access": "readWrite", "value": "None",
                            "enum": ["None", "Requested", "Canceled", "Complete", "Error_Other"] },
      "Host": { "type": "string", "access": "readWrite" },
      "SuccessCount": { "type": "unsignedInt" } } } },
    "X_00D09E_Scan": {
      "DiagnosticsState": { "type": "string", "access": "readWrite", "value": "None" },
      "Channel": { "type": "unsignedInt", "access": "readWrite" },
      "ResultNumberOfEntries": { "type": "unsignedInt", "counts": "Result" },
      "Result": { "maxEntries": 3, "{i}": { "SSID": { "type": "string" } } } },
    "X_00D09E_Other": { "DiagnosticsState": { "type": "string", "access": "readWrite", "value": "None" } } },
  "actions": { "diagnostics": { "Device.X_00D09E_Scan.": { "run": ["/bin/scan"] } } } }"#;

/// The device, and its journal.
struct Bench {
    device: Device,
    journal: MemoryJournal,
}

impl Bench {
    fn new() -> Bench {
        let (device, journal) = device_with(MODEL, &[]);
        Bench { device, journal }
    }

    /// Sets values as the ACS does, after their check.
    fn set(&mut self, values: &[(&str, &str)]) {
        let change = |(name, text): &(&str, &str)| Change::Set((*name).to_owned(), Value::Text((*text).into()));
        self.device.change(values.iter().map(change).collect(), Author::Acs, NOW).expect("set");
    }

    fn request(&mut self, object: &str) -> u32 {
        self.set(&[(&format!("{object}{STATE}"), REQUESTED)]);
        self.device.tests().get(object).expect("a request").number
    }

    fn finish(&mut self, object: &str, number: u32, results: &[(&str, &str)]) {
        let results = results.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        self.device.finish_test(object, number, ("Complete", &results), NOW).expect("stored");
    }

    fn value(&self, name: &str) -> String {
        self.device.tree().get(name).map(|value| value.to_string()).unwrap_or_else(|| "no parameter".into())
    }

    fn state(&self, object: &str) -> String {
        self.value(&format!("{object}{STATE}"))
    }

    fn tells(&self) -> bool {
        self.device.state().events.contains(&EventCode::DiagnosticsComplete)
    }

    /// Kills the agent, and starts another one from the journal.
    fn restart(&mut self) {
        let (device, journal) = device_with(MODEL, &self.journal.records());
        *self = Bench { device, journal };
    }
}

/// R311, R313.
#[test]
fn a_test_ends_with_its_results_in_one_record_and_they_outlast_the_agent() {
    let mut bench = Bench::new();
    bench.set(&[("Device.IP.Diagnostics.IPPing.Host", "192.0.2.1")]);
    let number = bench.request(PING);
    assert_eq!((bench.state(PING).as_str(), bench.tells()), ("Requested", false));
    let before = bench.journal.records().len();
    bench.finish(PING, number, &[("SuccessCount", "3"), ("Host", "no result"), ("Unknown.1.X", "1")]);
    assert_eq!(bench.journal.records().len(), before + 1, "one write");
    let records = bench.journal.records();
    for records in [records, bench.device.snapshot()] {
        let (device, journal) = device_with(MODEL, &records);
        bench = Bench { device, journal };
        assert_eq!((bench.state(PING).as_str(), bench.tells()), ("Complete", true));
        assert_eq!(bench.value("Device.IP.Diagnostics.IPPing.SuccessCount"), "3");
        assert_eq!(bench.value("Device.IP.Diagnostics.IPPing.Host"), "192.0.2.1", "an input is no result");
    }
    bench.device.save(NOW).expect("stored");
    bench.device.forget_tests();
    bench.device.save(NOW).expect("stored");
    for _ in 0..2 {
        assert_eq!(
            (bench.state(PING).as_str(), bench.value("Device.IP.Diagnostics.IPPing.SuccessCount").as_str()),
            ("None", "0")
        );
        let (device, journal) = device_with(MODEL, &[bench.device.snapshot(), bench.journal.records()].concat());
        bench = Bench { device, journal };
    }
}

/// R308, R314.
#[test]
fn a_cancel_and_an_input_end_a_test_without_event() {
    let mut bench = Bench::new();
    for (name, value) in [(STATE, CANCELED), ("Host", "192.0.2.2"), ("Host", "192.0.2.2")] {
        let number = bench.request(PING);
        bench.set(&[(&format!("{PING}{name}"), value)]);
        assert_eq!(bench.state(PING), "None", "{name}");
        bench.finish(PING, number, &[("SuccessCount", "1")]);
        assert_eq!((bench.state(PING).as_str(), bench.tells()), ("None", false), "R147: the end comes too late");
        bench.restart();
        assert_eq!(bench.state(PING), "None");
    }
    let number = bench.request(PING);
    bench.finish(PING, number, &[("SuccessCount", "1")]);
    assert!(bench.tells());
    bench.set(&[("Device.IP.Diagnostics.IPPing.Host", "192.0.2.3")]);
    assert_eq!((bench.state(PING).as_str(), bench.tells()), ("None", false), "results that nobody has been told of");
    assert_eq!(bench.value("Device.IP.Diagnostics.IPPing.SuccessCount"), "0");
}

/// R314: Requested with an input in one request, in any order; and once more during the test.
#[test]
fn a_request_during_a_test_begins_anew() {
    let mut bench = Bench::new();
    let state = format!("{PING}{STATE}");
    let first = bench.request(PING);
    bench.set(&[(&state, REQUESTED), ("Device.IP.Diagnostics.IPPing.Host", "192.0.2.9")]);
    let second = bench.device.tests().get(PING).expect("a request").number;
    assert_ne!(first, second);
    bench.finish(PING, first, &[("SuccessCount", "1")]);
    assert_eq!(bench.state(PING), "Requested");
    bench.restart();
    let again = bench.device.tests().next().expect("the request outlasts the agent");
    assert_eq!((again.object.as_str(), &again.progress), (PING, &Progress::Requested { by_acs: true }));
}

#[test]
fn several_tests_wait_in_the_order_of_their_requests() {
    let mut bench = Bench::new();
    bench.request(SCAN);
    let ping = bench.request(PING);
    let scan = bench.request(SCAN);
    assert_eq!(bench.device.tests().next().map(|run| run.number), Some(ping));
    bench.finish(PING, ping, &[]);
    assert_eq!(bench.device.tests().next().map(|run| run.number), Some(scan));
    bench.finish(SCAN, scan, &[]);
    assert!(bench.device.tests().next().is_none());
}

#[test]
fn rows_of_results_are_those_of_the_last_run() {
    let mut bench = Bench::new();
    let number = bench.request(SCAN);
    bench.finish(SCAN, number, &[("Result.1.SSID", "one"), ("Result.2.SSID", "two"), ("Result.4.SSID", "too many")]);
    bench.restart();
    assert_eq!(bench.value("Device.X_00D09E_Scan.ResultNumberOfEntries"), "2");
    assert_eq!(bench.value("Device.X_00D09E_Scan.Result.2.SSID"), "two");
    let number = bench.request(SCAN);
    assert_eq!(bench.value("Device.X_00D09E_Scan.ResultNumberOfEntries"), "0");
    bench.finish(SCAN, number, &[("Result.1.SSID", "other")]);
    assert_eq!(bench.value("Device.X_00D09E_Scan.ResultNumberOfEntries"), "1");
    assert!(!bench.device.snapshot()[0].contains("\"+\""), "no instance of the journal");
}

/// A record that is refused leaves the test as it was, and the journal without a trace of its end.
#[test]
fn an_end_that_cannot_be_stored_is_no_end() {
    let mut bench = Bench::new();
    let number = bench.request(PING);
    bench.journal.fail(true);
    let results = vec![("SuccessCount".to_owned(), "3".to_owned())];
    bench.device.finish_test(PING, number, ("Complete", &results), NOW).expect_err("a full disk");
    assert_eq!((bench.state(PING).as_str(), bench.tells()), ("Requested", false));
    assert!(!bench.device.snapshot().concat().contains("Complete"));
    bench.journal.fail(false);
    bench.finish(PING, number, &[]);
    assert_eq!((bench.state(PING).as_str(), bench.tells()), ("Complete", true));
}

/// R309: the test needs a host; R308: the device runs no test of this object.
#[test]
fn inputs_are_checked_with_the_request() {
    let mut bench = Bench::new();
    let request = |object: &str| Change::Set(format!("{object}{STATE}"), Value::Text(REQUESTED.into()));
    let faults = bench.device.unready_tests(&[request(PING)]);
    assert_eq!((faults.len(), faults[0].code), (1, FaultCode::InvalidParameterValue));
    let host = Change::Set(format!("{PING}Host"), Value::Text("192.0.2.1".into()));
    assert!(bench.device.unready_tests(&[request(PING), host]).is_empty());
    bench.set(&[("Device.IP.Diagnostics.IPPing.Host", "192.0.2.1")]);
    assert!(bench.device.unready_tests(&[request(PING), request(SCAN)]).is_empty());
    assert_eq!(bench.device.test_at("Device.X_00D09E_Other."), None);
    assert_eq!(bench.device.test_at(SCAN), Some(Test::Program));
}

/// R312: the word for a success is that of the version, and an error is one that the model lists.
#[test]
fn the_state_is_one_of_the_model() {
    let bench = Bench::new();
    let state = |state| state_in_model(bench.device.tree(), PING, state);
    assert_eq!((state("Complete"), state("Error_NoRouteToHost")), ("Complete".into(), "Error_Other".into()));
}

/// R312: a success is `Completed` in a model from before Device:2.13, but not that of a ping.
#[test]
fn an_older_model_has_an_older_word() {
    const ECHO: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
    let words = r#""enum": ["None", "Requested", "Complete", "Completed", "Error_Other"]"#;
    for (version, word) in [("2.4", "Completed"), ("2.12", "Completed"), ("2.13", "Complete"), ("2.17", "Complete")] {
        let state = format!(r#"{{ "DiagnosticsState": {{ "type": "string", "access": "readWrite", {words} }} }}"#);
        let model = MODEL
            .replace(r#""value": "2.17""#, &format!(r#""value": "{version}""#))
            .replace(r#""IPPing": {"#, &format!(r#""UDPEchoDiagnostics": {state}, "IPPing": {{"#))
            .replace(r#""Complete", "Error_Other"]"#, r#""Complete", "Completed", "Error_Other"]"#);
        let (device, _) = device_with(&model, &[]);
        assert_eq!(state_in_model(device.tree(), ECHO, "Complete"), word, "{version}");
        assert_eq!(state_in_model(device.tree(), PING, "Complete"), "Complete", "{version}");
    }
}

/// The ACS is not told of a test that it has not requested.
#[test]
fn a_local_test_raises_no_event() {
    let mut bench = Bench::new();
    let request = Change::Set(format!("{SCAN}{STATE}"), Value::Text(REQUESTED.into()));
    bench.device.change(vec![request], Author::Other, NOW).expect("set");
    let number = bench.device.tests().get(SCAN).expect("a request").number;
    bench.finish(SCAN, number, &[]);
    assert_eq!((bench.state(SCAN).as_str(), bench.tells()), ("Complete", false));
}
