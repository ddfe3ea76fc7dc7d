//! The types that servers declare for the values of SetParameterValues.

use super::*;

/// R332: a type of numbers or texts fits if the text is a literal of the parameter's own type.
#[test]
fn values_come_with_the_types_of_the_field() {
    let cases: &[(&str, &[&str], &str, u32)] = &[
        (INTERVAL, &["x:int", "x:long", "x:integer", "x:unsignedLong", "x:decimal", "X:int", "int", "e:int"], "61", 0),
        (INTERVAL, &["x:string", "x:token", "x:anySimpleType", "SOAP-ENC:string", "", "Xsd:unsignedInt"], "62", 0),
        (INTERVAL, &["x:int", "x:unsignedInt", "x:string", "", "x:double"], "-1", 9007),
        (INTERVAL, &["x:int", "x:string", "x:anySimpleType", ""], "sixty", 9007),
        (INTERVAL, &["x:boolean", "x:dateTime", "x:hexBinary", "x:base64Binary", "x:foo", "c:int"], "1", 9006),
        ("Device.Hosts.Host.1.Name", &["x:int", "x:unsignedInt", "x:string", "x:anyURI"], "7", 0),
        ("Device.Hosts.Host.1.Name", &["x:boolean", "x:dateTime"], "1", 9006),
        ("Device.Hosts.Host.1.Active", &["x:boolean", "x:string", "x:anySimpleType", ""], "1", 0),
        ("Device.Hosts.Host.1.Active", &["x:int", "x:unsignedInt", "x:dateTime"], "1", 9006),
        ("Device.ManagementServer.PeriodicInformTime", &["x:dateTime", "x:string", ""], "2026-01-01T00:00:00Z", 0),
        ("Device.ManagementServer.PeriodicInformTime", &["x:int", "x:date", "x:time"], "2026", 9006),
        ("Device.ManagementServer.PeriodicInformTime", &["x:dateTime", "x:string"], "2026-01-01", 9007),
        ("Device.Hosts.Host.1.Blob", &["x:base64Binary", "e:base64", "x:base64", "x:string", ""], "TWFu", 0),
        ("Device.Hosts.Host.1.Blob", &["x:hexBinary", "x:int"], "0123", 9006),
        ("Device.Hosts.Host.1.Blob", &["x:base64Binary", "e:base64", "x:string"], "TWF", 9007),
        ("Device.Hosts.Host.1.Hex", &["x:hexBinary", "x:string", "x:normalizedString", ""], "0aFF", 0),
        ("Device.Hosts.Host.1.Hex", &["x:base64Binary"], "0aFF", 9006),
        ("Device.Hosts.Host.1.Hex", &["x:hexBinary", "x:string"], "0aF", 9007),
    ];
    let column = r#""{i}": { "Blob": { "type": "base64", "access": "readWrite" },
                             "Hex": { "type": "hexBinary", "access": "readWrite" }, "Active""#;
    let (device, journal) = device_with(&MODEL.replacen(r#""{i}": { "Active""#, column, 1), &[]);
    let mut acs = Scenario::start(device, journal, crate::cwmp::version::ALL);
    acs.reply(&inform_response(""));
    for (name, kinds, text, expected) in cases {
        for kind in *kinds {
            let answer = acs.call("SetParameterValues", &values(&[(name, kind, text)], ""));
            let faults = parameter_faults(&answer);
            let code = faults.first().map_or(code(&answer), |(_, code)| *code);
            assert_eq!(code, *expected, "{name} {kind} {text:?}: {answer}");
        }
    }
}
