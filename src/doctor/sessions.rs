//! The sessions of the running agent: only it knows whether the ACS has accepted the device.
//!
//! A GET outside of a session shows neither a wrong password nor an answer that is no SOAP.

use std::time::Duration;

use serde_json::Value as Json;

use super::finding::Finding;
use crate::agent::format_span;

const SUBJECT: &str = "last session";

/// Returns the findings from the JSON of `status`; `None` if no agent answers.
pub(super) fn assess(status: Option<&Json>) -> Vec<Finding> {
    let Some(status) = status else {
        let text = "no agent answers: whether the ACS accepts user name, password and Inform is unknown";
        return vec![Finding::skipped(SUBJECT, text)];
    };
    let mut findings = last_session(status);
    let text = |value: &Json| value.as_str().unwrap_or("unknown").to_owned();
    let journal = &status["journal"];
    if journal["durable"] == false {
        findings.push(Finding::failed("journal", format!("nothing survives a restart: {}", text(&journal["error"]))));
    } else if journal["error"].is_string() {
        findings.push(Finding::failed("journal", format!("the last write failed: {}", text(&journal["error"]))));
    }
    let reloads = &status["reloads"];
    if reloads["ok"] == false {
        let reason =
            format!("the last one was refused{}: {}", ago(&reloads["secondsAgo"]), text(&reloads["lastReason"]));
        findings.push(Finding::failed("reload", reason));
    }
    findings
}

/// Returns the result of the last session, with its last cause and the first one of a series.
fn last_session(status: &Json) -> Vec<Finding> {
    let (last, failures) = (&status["lastSession"], &status["failures"]);
    if last.is_null() {
        let none = Finding::skipped(SUBJECT, "none has ended since the start of the agent");
        return vec![none, Finding::ok("last success", last_success(&status["sessions"]))];
    }
    let events: Vec<&str> = last["events"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    let began = format!("{} ({})", when(&last["began"], &last["secondsAgo"]), events.join(", "));
    if last["ok"] == true {
        return vec![Finding::ok(SUBJECT, format!("success{began}"))];
    }
    let cause = last["error"].as_str().unwrap_or("the cause is unknown");
    let mut findings = vec![Finding::failed(SUBJECT, format!("failed{began}: {cause}"))];
    if failures["count"].as_u64() > Some(1) {
        let first = failures["firstError"].as_str().unwrap_or("unknown");
        let when = when(&failures["began"], &failures["secondsAgo"]);
        findings
            .push(Finding::warning("first cause", format!("{} failures, the first{when}: {first}", failures["count"])));
    }
    findings.push(Finding::warning("last success", last_success(&status["sessions"])));
    findings
}

/// Returns the time of the last success, also of one before the start of the agent.
fn last_success(sessions: &Json) -> String {
    let when = when(&sessions["lastSuccess"], &sessions["lastSuccessSecondsAgo"]);
    match sessions["everSucceeded"].as_u64() {
        _ if !when.is_empty() => when.trim_start().to_owned(),
        Some(0) => "none yet".into(),
        // The clock was not set then, or is not set now.
        Some(_) => "at an unknown time".into(),
        None => "unknown".into(),
    }
}

/// Returns a time and the span since, with a space in front; empty if both are unknown.
fn when(time: &Json, seconds: &Json) -> String {
    let time = time.as_str().map(|time| format!(" at {}", time.replacen('T', " ", 1)));
    let comma = if time.is_some() && seconds.is_u64() { "," } else { "" };
    format!("{}{comma}{}", time.unwrap_or_default(), ago(seconds))
}

/// Returns the time since, with a space in front; empty if it is unknown.
fn ago(seconds: &Json) -> String {
    let span = seconds.as_u64().map(|seconds| format_span(Duration::from_secs(seconds)));
    span.map_or_else(String::new, |span| format!(" {span} ago"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(status: &Json) -> Vec<String> {
        assess(Some(status)).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn causes_are_told_with_their_times() {
        let status = json!({
            "lastSession": { "began": "2026-11-22T14:03:03Z", "secondsAgo": 60, "events": ["1 BOOT", "2 PERIODIC"],
                             "ok": false, "error": "the server refused the user name or the password" },
            "failures": { "count": 3, "began": "2026-11-22T13:47:25Z", "secondsAgo": 1000, "firstError": "no route" },
            "sessions": { "lastSuccess": "2026-11-22T12:57:25Z", "lastSuccessSecondsAgo": 4000 },
        });
        assert_eq!(
            lines(&status),
            [
                "FAILED   last session   failed at 2026-11-22 14:03:03Z, 1 min 0 s ago (1 BOOT, 2 PERIODIC): the server \
                 refused the user name or the password",
                "warning  first cause    3 failures, the first at 2026-11-22 13:47:25Z, 16 min ago: no route",
                "warning  last success   at 2026-11-22 12:57:25Z, 1 h 6 min ago",
            ]
        );
        // Without a clock there are spans only.
        let status = json!({ "lastSession": { "began": null, "secondsAgo": 5, "events": ["2 PERIODIC"], "ok": true } });
        assert_eq!(lines(&status), ["ok       last session   success 5 s ago (2 PERIODIC)"]);
    }

    #[test]
    fn the_last_success_is_told_as_far_as_it_is_known() {
        for (sessions, expected) in [
            (json!({ "everSucceeded": 0, "lastSuccess": null, "lastSuccessSecondsAgo": null }), "none yet"),
            (json!({ "everSucceeded": 3, "lastSuccess": null, "lastSuccessSecondsAgo": null }), "at an unknown time"),
            (json!({ "everSucceeded": 3, "lastSuccess": null, "lastSuccessSecondsAgo": 7 }), "7 s ago"),
            // A clock that was set back shows no span.
            (
                json!({ "everSucceeded": 3, "lastSuccess": "2026-11-22T12:57:25Z", "lastSuccessSecondsAgo": null }),
                "at 2026-11-22 12:57:25Z",
            ),
            (json!({}), "unknown"),
        ] {
            let failed = json!({ "lastSession": { "ok": false, "error": "x" }, "sessions": sessions });
            assert_eq!(lines(&failed)[1], format!("warning  last success   {expected}"));
            let none = json!({ "lastSession": null, "sessions": sessions });
            assert_eq!(lines(&none)[1], format!("ok       last success   {expected}"));
        }
    }

    #[test]
    fn any_json_is_answered() {
        for text in ["null", "{}", "[]", "{\"lastSession\":1}", "{\"lastSession\":{},\"failures\":{\"count\":\"x\"}}"] {
            let status = serde_json::from_str(text).expect("JSON");
            assert!(!lines(&status).is_empty(), "{text}");
        }
        assert!(assess(None)[0].to_string().starts_with("skipped  last session   no agent answers"));
    }
}
