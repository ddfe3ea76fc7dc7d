//! How the ACS reaches the agent, as `status` tells it: ports, what came in there, the binding in the NAT.
//!
//! Counters and binding are those of the moment of the question, not of the snapshot.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{TextReport, span};
use crate::connection_request::{ListenerState, Outcome, OutcomeCounters, StunView};
use crate::stun::{ServerState, StunStatus};

/// What `status` shows of the ways in.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct ListenerStatus {
    pub(in crate::agent) state: Arc<ListenerState>,
    /// Where the port for requests over HTTP is open.
    pub(in crate::agent) http: Option<SocketAddr>,
    /// Where that for requests over UDP is.
    pub(in crate::agent) udp: Option<SocketAddr>,
    pub(in crate::agent) stun: Option<StunView>,
}

impl ListenerStatus {
    pub(super) fn json(&self) -> Json {
        json!({
            "http": listener_json(self.http, &self.state.http),
            "hasPassword": self.has_password(),
            "udp": listener_json(self.udp, &self.state.udp),
        })
    }

    pub(super) fn stun_json(&self) -> Json {
        let Some(status) = self.stun_status() else { return Json::Null };
        let counters = status.counters;
        json!({
            "state": status.server_state.name(),
            "error": match status.server_state {
                ServerState::Refuses(code) => Some(code),
                _ => None,
            },
            "server": status.server,
            "local": status.local,
            "mapped": status.mapped,
            "natDetected": status.nat_detected,
            "keepAliveSeconds": status.period.as_secs(),
            "keepAlive": status.search.to_string(),
            "counters": {
                "sent": counters.sent,
                "answered": counters.answered,
                "unanswered": counters.unanswered,
                "changes": counters.changes,
                "refused": counters.refused,
                "foreignSource": counters.foreign_source,
                "wrongTransaction": counters.wrong_transaction,
                "late": counters.late,
                "malformed": counters.malformed,
                "badIntegrity": counters.bad_integrity,
                "unusable": counters.unusable,
            },
        })
    }

    pub(super) fn text(&self, report: &mut TextReport) {
        report.line("requests HTTP", &listener_text(self.http, &self.state.http));
        report.line("requests UDP", &listener_text(self.udp, &self.state.udp));
        if !self.has_password() {
            report.line(
                "  password",
                "ConnectionRequestPassword is empty: every request is refused until the ACS sets it",
            );
        }
        if let Some(status) = self.stun_status() {
            stun_text(&status, report);
        }
    }

    /// R268.
    fn has_password(&self) -> bool {
        !self.state.settings().password.expose().is_empty()
    }

    fn stun_status(&self) -> Option<StunStatus> {
        self.stun.as_ref().and_then(StunView::status)
    }
}

fn stun_text(status: &StunStatus, report: &mut TextReport) {
    let server = status.server.map_or_else(String::new, |server| format!(" ({server})"));
    report.line("STUN", &format!("{}{server}", status.server_state));
    if status.server_state == ServerState::Unused {
        return;
    }
    let Some(local) = status.local else { return };
    let binding = match status.mapped {
        None => format!("{local}, not seen by the server yet"),
        Some(mapped) if status.nat_detected => format!("{local} is {mapped} outside: behind NAT"),
        Some(_) => format!("{local}, the same outside: no NAT"),
    };
    report.line("  binding", &binding);
    report.line("  keep-alive", &format!("every {}, {}", span(status.period), status.search));
    let counters = status.counters;
    let traffic = format!(
        "{} sent, {} answered, {} unanswered, {} new addresses, {} refused, {} ignored",
        counters.sent,
        counters.answered,
        counters.unanswered,
        counters.changes,
        counters.refused,
        counters.ignored()
    );
    report.line("  traffic", &traffic);
}

fn listener_json<O: Outcome>(listening: Option<SocketAddr>, counters: &OutcomeCounters<O>) -> Json {
    let counters: Map<String, Json> = counters.all().map(|(name, count)| (name.to_owned(), count.into())).collect();
    json!({ "listening": listening, "counters": counters })
}

/// Outcomes that have not occurred are not worth a word.
fn listener_text<O: Outcome>(listening: Option<SocketAddr>, counters: &OutcomeCounters<O>) -> String {
    let occurred = counters.all().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = occurred.map(|(name, count)| format!("{count} {}", in_words(name))).collect();
    let counts = if counts.is_empty() { "none yet".into() } else { counts.join(", ") };
    match listening {
        Some(address) => format!("{address}: {counts}"),
        None => format!("port closed: {counts}"),
    }
}

/// `wrongPath` is "wrong path".
fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 1);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::connection_request::{HttpOutcome, UdpOutcome};
    use crate::stun::{Search, StunCounters};

    fn binding() -> StunStatus {
        StunStatus {
            server_state: ServerState::Answers,
            server: Some(([192, 0, 2, 9], 3478).into()),
            local: Some(([10, 0, 0, 2], 7547).into()),
            mapped: Some(([203, 0, 113, 5], 40_000).into()),
            nat_detected: true,
            period: Duration::from_secs(115),
            search: Search::Found,
            counters: StunCounters {
                sent: 9,
                answered: 7,
                unanswered: 1,
                changes: 2,
                late: 3,
                ..StunCounters::default()
            },
        }
    }

    fn lines(status: &StunStatus) -> String {
        let mut report = TextReport(String::new());
        stun_text(status, &mut report);
        report.0
    }

    #[test]
    fn what_came_in_is_told_by_reason() {
        let ways = ListenerStatus { http: Some(([0, 0, 0, 0], 7547).into()), ..ListenerStatus::default() };
        (0..2).for_each(|_| ways.state.http.add(HttpOutcome::WrongPath));
        ways.state.http.add(HttpOutcome::Accepted);
        ways.state.udp.add(UdpOutcome::OldTimestamp);
        let mut report = TextReport(String::new());
        ways.text(&mut report);
        let expected = "\
requests HTTP  0.0.0.0:7547: 1 accepted, 2 wrong path
requests UDP   port closed: 1 old timestamp
  password     ConnectionRequestPassword is empty: every request is refused until the ACS sets it
";
        assert_eq!(report.0, expected);
        let json = ways.json();
        assert_eq!(json["http"]["listening"], "0.0.0.0:7547");
        assert_eq!(
            (&json["http"]["counters"]["wrongPath"], &json["http"]["counters"]["replayed"]),
            (&2.into(), &0.into())
        );
        assert_eq!((&json["udp"]["listening"], &json["udp"]["counters"]["oldTimestamp"]), (&Json::Null, &1.into()));
        assert_eq!(ways.stun_json(), Json::Null);
    }

    /// The JSON that programs read; its members never change.
    #[test]
    fn the_json_of_listeners_and_binding() {
        let status = ListenerStatus {
            udp: Some(([0, 0, 0, 0], 7547).into()),
            stun: Some(StunView::of(StunStatus { server_state: ServerState::Refuses(401), ..binding() })),
            ..ListenerStatus::default()
        };
        status.state.udp.add(UdpOutcome::Accepted);
        let none = [
            "accepted",
            "challenged",
            "unauthorized",
            "stale",
            "replayed",
            "wrongPath",
            "wrongMethod",
            "malformed",
            "rateLimited",
            "timedOut",
            "crowdedOut",
        ]
        .map(|name| (name.to_owned(), Json::from(0)));
        let expected = json!({
            "http": { "listening": null, "counters": Json::Object(none.into_iter().collect()) },
            "hasPassword": false,
            "udp": { "listening": "0.0.0.0:7547", "counters": {
                "accepted": 1, "garbage": 0, "malformed": 0, "wrongMethod": 0, "oldTimestamp": 0, "repeatedId": 0,
                "wrongUsername": 0, "wrongSignature": 0, "rateLimited": 0,
            } },
        });
        assert_eq!(status.json(), expected);
        let expected = json!({
            "state": "refuses", "error": 401, "server": "192.0.2.9:3478", "local": "10.0.0.2:7547",
            "mapped": "203.0.113.5:40000", "natDetected": true, "keepAliveSeconds": 115, "keepAlive": "found",
            "counters": {
                "sent": 9, "answered": 7, "unanswered": 1, "changes": 2, "refused": 0, "foreignSource": 0,
                "wrongTransaction": 0, "late": 3, "malformed": 0, "badIntegrity": 0, "unusable": 0,
            },
        });
        assert_eq!(status.stun_json(), expected);
    }

    #[test]
    fn the_binding_tells_where_we_are_outside() {
        let expected = "\
STUN           the STUN server answers (192.0.2.9:3478)
  binding      10.0.0.2:7547 is 203.0.113.5:40000 outside: behind NAT
  keep-alive   every 1 min 55 s, found
  traffic      9 sent, 7 answered, 1 unanswered, 2 new addresses, 0 refused, 3 ignored
";
        assert_eq!(lines(&binding()), expected);
        let open = StunStatus { mapped: binding().local, nat_detected: false, ..binding() };
        assert!(lines(&open).contains("10.0.0.2:7547, the same outside: no NAT\n"));
        let lost = StunStatus { mapped: None, server_state: ServerState::Silent, ..binding() };
        assert!(lines(&lost).contains("10.0.0.2:7547, not seen by the server yet\n"));
        let off = StunStatus { server_state: ServerState::Unused, server: None, ..binding() };
        assert_eq!(lines(&off), "STUN           not in use\n");
    }
}
