//! Lightweight notification: datagrams for changed values, beside sessions.

use std::net::UdpSocket;
use std::time::Duration;

use cpe_agent::digest::hmac_sha1;

use crate::gateway::{Model, PASSWORD, SOON, TR_181, USERNAME};
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::agent::patience;
use crate::support::{get_parameter_attributes, set_parameter_attributes, set_parameter_values};

/// The host of the notifications.
struct Sink(UdpSocket);

impl Sink {
    fn new() -> Sink {
        Sink(UdpSocket::bind("127.0.0.1:0").expect("a port"))
    }

    fn port(&self) -> String {
        self.0.local_addr().expect("an address").port().to_string()
    }

    /// Returns the names and values of the next notification, after a check of its form and signature (R306).
    fn receives(&self) -> Vec<(String, String)> {
        self.0.set_read_timeout(Some(patience(SOON))).expect("a limit");
        let mut buffer = [0; 65_536];
        let (length, _) = self.0.recv_from(&mut buffer).expect("a datagram");
        let text = String::from_utf8(buffer[..length].to_vec()).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("a header");
        let lines: Vec<&str> = head.lines().collect();
        let signature: String =
            hmac_sha1(PASSWORD.as_bytes(), &[body.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = [
            "POST / HTTP/1.1".to_owned(),
            "Host: 127.0.0.1".to_owned(),
            "Content-Type: text/xml; charset=utf-8".to_owned(),
            format!("Content-Length: {}", body.len()),
            format!("Signature: {signature}"),
        ];
        assert_eq!(lines, expected);
        let document = roxmltree::Document::parse(body).expect("XML");
        let root = document.root_element();
        assert!(root.has_tag_name(("urn:broadband-forum-org:cwmp:lwnotif-1-0", "Notification")));
        let children: Vec<_> = root.children().filter(roxmltree::Node::is_element).collect();
        let names: Vec<&str> = children.iter().map(|child| child.tag_name().name()).take(6).collect();
        assert_eq!(names, ["TS", "UN", "CN", "OUI", "ProductClass", "SerialNumber"]);
        let texts: Vec<&str> = children.iter().map(|child| child.text().unwrap_or_default()).collect();
        assert!(texts[0].parse::<i64>().is_ok_and(|time| time > 1_700_000_000) && texts[2].len() == 16);
        assert_eq!((texts[1], texts[3], texts[5]), (USERNAME, "00D09E", "0000000001"));
        let of = |node: &roxmltree::Node<'_, '_>| {
            let text = |at: usize| {
                node.children()
                    .filter(roxmltree::Node::is_element)
                    .nth(at)
                    .and_then(|it| it.text())
                    .unwrap_or_default()
                    .to_owned()
            };
            assert!(node.tag_name().name() == "Param");
            (text(0), text(1))
        };
        children[6..].iter().map(of).collect()
    }

    fn receives_nothing(&self) {
        self.0.set_read_timeout(Some(QUIET)).expect("a limit");
        assert!(self.0.recv_from(&mut [0; 16]).is_err(), "a datagram that should not come");
    }
}

/// Lets the ACS turn lightweight notification on, and set these notifications.
fn with_notifications(gateway: &Gateway, sink: &Sink, interval: Option<&str>, notifications: &[(&str, u8)]) {
    let management = |name: &str| gateway.management(name);
    let names = [
        (management("LightweightNotificationProtocolsUsed"), "string", "UDP".to_owned()),
        (management("UDPLightweightNotificationHost"), "string", "127.0.0.1".to_owned()),
        (management("UDPLightweightNotificationPort"), "unsignedInt", sink.port()),
    ];
    let trigger = interval
        .map(|seconds| (management("LightweightNotificationTriggerInterval"), "unsignedInt", seconds.to_owned()));
    let all: Vec<_> = names.into_iter().chain(trigger).collect();
    let values: Vec<(&str, &str, &str)> =
        all.iter().map(|(name, kind, value)| (name.as_str(), *kind, value.as_str())).collect();
    let entries: Vec<_> = notifications.iter().map(|(name, kind)| (*name, Some(*kind), None)).collect();
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC"], |_, session| {
        session.succeeds(&set_parameter_values(&values, ""));
        session.succeeds(&set_parameter_attributes(&entries));
        for (name, kind) in notifications {
            let answer = session.succeeds(&get_parameter_attributes(&[name]));
            assert_eq!(answer.attributes[0].notification, kind.to_string());
        }
    });
}

/// R306, R307: an active one goes at once, and takes the passive ones along.
fn active_notifications_go_at_once(model: &'static Model) {
    let mut gateway = Gateway::new(model);
    let sink = Sink::new();
    let (code, key, limit) = (
        gateway.management("STUNUsername"),
        gateway.management("ConnectionRequestUsername"),
        gateway.management("PeriodicInformInterval"),
    );
    let set = |gateway: &Gateway, name: &str, value: &str| {
        gateway.agent.succeeds(&["set", &format!("{name}={value}")]);
    };
    with_notifications(&gateway, &sink, None, &[(&code, 3), (&key, 6), (&limit, 5)]);
    set(&gateway, &code, "a<b>");
    sink.receives_nothing();
    set(&gateway, &limit, "7200");
    let expected = [(code.clone(), "a<b>".to_owned()), (limit.clone(), "7200".to_owned())];
    let mut received = sink.receives();
    received.sort();
    assert_eq!(received, {
        let mut all = expected.to_vec();
        all.sort();
        all
    });
    gateway.acs.expect_no_session(QUIET);
    // The sixth kind is in the next Inform too.
    set(&gateway, &key, "user");
    assert_eq!(sink.receives(), [(key.clone(), "user".to_owned())]);
    gateway.agent.succeeds(&["inform"]);
    gateway.acs.expect_session(&["2 PERIODIC", "4 VALUE CHANGE"], |inform, session| {
        assert_eq!((inform.value(&key), inform.value(&limit)), (Some("user"), None));
        // R208: a change by the ACS is none.
        session.succeeds(&set_parameter_values(&[(&limit, "unsignedInt", "3600")], ""));
    });
    sink.receives_nothing();
    // The attributes stay, and a change before a crash is not lost where it is stored.
    gateway.crash();
    set(&gateway, &limit, "1800");
    assert_eq!(sink.receives(), [(limit.clone(), "1800".to_owned())]);
    // Without a protocol, nothing is sent.
    gateway.agent.succeeds(&["set", &format!("{}=", gateway.management("LightweightNotificationProtocolsUsed"))]);
    set(&gateway, &limit, "900");
    sink.receives_nothing();
}
both_models!(active_notifications_go_at_once);

/// R307: passive ones go at the interval; those of a burst go together.
#[test]
fn passive_notifications_go_at_the_interval() {
    let gateway = Gateway::new(&TR_181);
    let sink = Sink::new();
    let code = gateway.management("STUNUsername");
    with_notifications(&gateway, &sink, Some("2"), &[(&code, 4)]);
    for value in ["1", "2", "3"] {
        gateway.agent.succeeds(&["set", &format!("{code}={value}")]);
    }
    assert_eq!(sink.receives(), [(code.clone(), "3".to_owned())]);
    sink.receives_nothing();
    gateway.acs.expect_no_session(Duration::from_millis(10));
}

/// A storm of changes and a value of 60 KiB stay within bounds.
#[test]
fn many_changes_are_split_and_large_values_left_out() {
    let gateway = Gateway::new(&TR_181);
    let sink = Sink::new();
    let names = ["STUNServerAddress", "STUNUsername", "ConnectionRequestUsername"].map(|name| gateway.management(name));
    let names: Vec<String> =
        ["Device.Time.NTPServer1", "Device.Time.NTPServer2"].map(str::to_owned).into_iter().chain(names).collect();
    let notifications: Vec<(&str, u8)> = names.iter().map(|name| (name.as_str(), 3)).collect();
    let code = gateway.management("PeriodicInformInterval");
    with_notifications(&gateway, &sink, None, &[&notifications[..], &[(&code, 5)]].concat());
    let long: Vec<String> = names.iter().map(|name| format!("{name}={}", "é".repeat(60))).collect();
    gateway.agent.succeeds(&[&["set"][..], &long.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    gateway.agent.succeeds(&["set", &format!("{code}=4000")]);
    let mut received = Vec::new();
    while received.len() < 6 {
        received.extend(sink.receives());
    }
    let different: std::collections::BTreeSet<&str> = received.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((different.len(), received.len()), (6, 6));
    assert!(received.iter().filter(|(name, _)| *name != code).all(|(_, value)| value.chars().count() == 60));
    for number in 0..40 {
        gateway.agent.succeeds(&["set", &format!("{code}={}", 5000 + number)]);
    }
    let mut last = String::new();
    let mut count = 0;
    while last != "5039" {
        last = sink.receives().pop().expect("a value").1;
        count += 1;
    }
    assert!(count <= 40, "{count}");
}
