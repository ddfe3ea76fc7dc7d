//! The status of the listeners: their ports, the counters of connection requests, and the STUN binding.
//!
//! Counters and binding are those of the moment of the query and not of the snapshot, because they change without the
//! agent.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value as Json;

use super::format_span;
use super::rows::StatusRows;
use crate::connection_request::{ListenerState, OutcomeCounters, StunView};
use crate::json::object;
use crate::stun::{ServerState, StunStatus};

/// The part of the status that belongs to the listeners.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct ListenerStatus {
    pub(in crate::agent) state: Arc<ListenerState>,
    /// The address of the HTTP listener while it is open.
    pub(in crate::agent) http: Option<SocketAddr>,
    /// The address of the UDP listener while it is open.
    pub(in crate::agent) udp: Option<SocketAddr>,
    /// The STUN binding while the UDP listener is open.
    pub(in crate::agent) stun: Option<StunView>,
}

impl ListenerStatus {
    pub(super) fn add_to(&self, rows: &mut StatusRows) {
        add_listener(rows, ("connectionRequests.http", "requests HTTP"), self.http, &self.state.http);
        add_listener(rows, ("connectionRequests.udp", "requests UDP"), self.udp, &self.state.udp);
        let has_password = !self.state.settings().password.expose().is_empty();
        rows.add_member("connectionRequests.hasPassword", has_password);
        if !has_password {
            // A device fresh from the factory rejects every request (R268), and the counters alone do not say why.
            rows.add_line(
                "  password",
                "ConnectionRequestPassword is empty: every request is refused until the ACS sets it",
            );
        }
        match self.stun.as_ref().and_then(StunView::status) {
            Some(status) => add_stun(rows, &status),
            None => rows.add_member("stun", Json::Null),
        }
    }
}

/// Adds the row of a listener: its address, and the number of requests for each outcome.
fn add_listener(
    rows: &mut StatusRows,
    (key, label): (&'static str, &'static str),
    listening: Option<SocketAddr>,
    counters: &OutcomeCounters,
) {
    let json = object([("listening", address_json(listening)), ("counters", outcomes_json(counters))]);
    let counts = outcomes_text(counters);
    let text = match listening {
        Some(address) => format!("{address}: {counts}"),
        None => format!("port closed: {counts}"),
    };
    rows.add(key, label, json, text);
}

pub(super) fn outcomes_json(counters: &OutcomeCounters) -> Json {
    Json::Object(counters.all().map(|(name, count)| (name.to_owned(), count.into())).collect())
}

/// Returns the outcomes that have occurred: there are up to eleven.
pub(super) fn outcomes_text(counters: &OutcomeCounters) -> String {
    let occurred = counters.all().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = occurred.map(|(name, count)| format!("{count} {}", in_words(name))).collect();
    if counts.is_empty() { "none yet".into() } else { counts.join(", ") }
}

fn add_stun(rows: &mut StatusRows, status: &StunStatus) {
    let error = match status.server_state {
        ServerState::Refuses(code) => Some(code),
        _ => None,
    };
    // The address shows which of several servers behind one name is in use.
    let server = status.server.map_or_else(String::new, |server| format!(" ({server})"));
    rows.add("stun.state", "STUN", status.server_state.name(), format!("{}{server}", status.server_state));
    rows.add_member("stun.error", error);
    rows.add_member("stun.server", address_json(status.server));
    rows.add_member("stun.local", address_json(status.local));
    rows.add_member("stun.mapped", address_json(status.mapped));
    rows.add_member("stun.natDetected", status.nat_detected);
    rows.add_member("stun.keepAliveSeconds", status.period.as_secs());
    rows.add_member("stun.keepAlive", status.search.to_string());
    rows.add_member("stun.counters", counters_json(status));
    // Without STUN the text would repeat the port of the listener and show counters of zero.
    if let (Some(local), false) = (status.local, status.server_state == ServerState::Unused) {
        add_binding_lines(rows, status, local);
    }
}

fn counters_json(status: &StunStatus) -> Json {
    let counters = status.counters;
    object([
        ("sent", counters.sent.into()),
        ("answered", counters.answered.into()),
        ("unanswered", counters.unanswered.into()),
        ("changes", counters.changes.into()),
        ("refused", counters.refused.into()),
        ("foreignSource", counters.foreign_source.into()),
        ("wrongTransaction", counters.wrong_transaction.into()),
        ("late", counters.late.into()),
        ("malformed", counters.malformed.into()),
        ("badIntegrity", counters.bad_integrity.into()),
        ("unusable", counters.unusable.into()),
    ])
}

fn add_binding_lines(rows: &mut StatusRows, status: &StunStatus, local: SocketAddr) {
    // The operator compares these two addresses with those of the router and of the ACS.
    let binding = match status.mapped {
        None => format!("{local}, not seen by the server yet"),
        Some(mapped) if status.nat_detected => format!("{local} is {mapped} outside: behind NAT"),
        Some(_) => format!("{local}, the same outside: no NAT"),
    };
    rows.add_line("  binding", binding);
    rows.add_line("  keep-alive", format!("every {}, {}", format_span(status.period), status.search));
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
    rows.add_line("  traffic", traffic);
}

pub(super) fn address_json(address: Option<SocketAddr>) -> Json {
    address.map(|address| address.to_string()).into()
}

/// Converts `wrongPath` to "wrong path".
fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 1);
    // The names are those of the JSON, so that the text needs no second table.
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

    use serde_json::json;

    use super::*;
    use crate::connection_request::RequestOutcome;
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
        let mut rows = StatusRows::default();
        add_stun(&mut rows, status);
        rows.text()
    }

    #[test]
    fn what_came_in_is_told_by_reason() {
        let status = ListenerStatus { http: Some(([0, 0, 0, 0], 7547).into()), ..ListenerStatus::default() };
        (0..2).for_each(|_| status.state.http.add(RequestOutcome::WrongPath));
        status.state.http.add(RequestOutcome::Accepted);
        status.state.udp.add(RequestOutcome::OldTimestamp);
        let mut rows = StatusRows::default();
        status.add_to(&mut rows);
        let expected = "\
requests HTTP  0.0.0.0:7547: 1 accepted, 2 wrong path
requests UDP   port closed: 1 old timestamp
  password     ConnectionRequestPassword is empty: every request is refused until the ACS sets it
";
        assert_eq!(rows.text(), expected);
        let json = rows.json();
        let requests = &json["connectionRequests"];
        assert_eq!(requests["http"]["listening"], "0.0.0.0:7547");
        assert_eq!(
            (&requests["http"]["counters"]["wrongPath"], &requests["http"]["counters"]["replayed"]),
            (&2.into(), &0.into())
        );
        assert_eq!(
            (&requests["udp"]["listening"], &requests["udp"]["counters"]["oldTimestamp"]),
            (&Json::Null, &1.into())
        );
        assert_eq!(json["stun"], Json::Null);
    }

    /// The JSON that programs read; its members never change.
    #[test]
    fn the_json_of_listeners_and_binding() {
        let status = ListenerStatus {
            udp: Some(([0, 0, 0, 0], 7547).into()),
            stun: Some(StunView::of(StunStatus { server_state: ServerState::Refuses(401), ..binding() })),
            ..ListenerStatus::default()
        };
        status.state.udp.add(RequestOutcome::Accepted);
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
        let mut rows = StatusRows::default();
        status.add_to(&mut rows);
        let json = rows.json();
        assert_eq!(json["connectionRequests"], expected);
        let expected = json!({
            "state": "refuses", "error": 401, "server": "192.0.2.9:3478", "local": "10.0.0.2:7547",
            "mapped": "203.0.113.5:40000", "natDetected": true, "keepAliveSeconds": 115, "keepAlive": "found",
            "counters": {
                "sent": 9, "answered": 7, "unanswered": 1, "changes": 2, "refused": 0, "foreignSource": 0,
                "wrongTransaction": 0, "late": 3, "malformed": 0, "badIntegrity": 0, "unusable": 0,
            },
        });
        assert_eq!(json["stun"], expected);
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
