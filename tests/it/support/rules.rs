//! The requests that a CPE may send, and their order. Each function returns the violations in words.

use super::http::Request;
use super::message::Message;
use super::options::AcsOptions;
use super::schema_check;
use super::session_state::SessionState;

/// Checks a single HTTP request; its session makes no difference.
pub(super) fn http(request: &Request, port: u16) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, words: &str| {
        if !holds {
            broken.push(format!("{words}, in\n{}", request.head()));
        }
    };
    rule(request.method == "POST", "R34: a method other than POST");
    rule(request.version == "HTTP/1.1", "R34: not HTTP/1.1");
    let lengths: Vec<&str> = request.headers_named("Content-Length").collect();
    rule(lengths == [request.body.len().to_string()], "R42: no single right Content-Length");
    rule(request.header("Transfer-Encoding").is_none(), "R42: Transfer-Encoding in a request");
    rule(request.header("Expect").is_none(), "R42: Expect");
    rule(request.bytes_after == 0, "R40: pipelining");
    let hosts: Vec<&str> = request.headers_named("Host").collect();
    let is_usual = |host: &str| matches!(port, 80 | 443) && !host.contains(':');
    let right = matches!(hosts[..], [host] if host.ends_with(&format!(":{port}")) || is_usual(host));
    rule(right, "RFC 7230: no single Host header of this server");
    rule(request.headers_named("Cookie").count() <= 1, "RFC 6265: several Cookie headers");
    let content_type = request.header("Content-Type");
    let action = request.header("SOAPAction");
    if request.body.is_empty() {
        rule(content_type.is_none(), "R38: an empty POST with Content-Type");
        rule(action.is_none(), "R38: an empty POST with SOAPAction");
        return broken;
    }
    let mut parts = content_type.unwrap_or_default().split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    rule(kind.eq_ignore_ascii_case("text/xml"), "R37: an envelope whose Content-Type is not text/xml");
    let charset = parts.find_map(|part| part.strip_prefix("charset="));
    let utf_8 = charset.is_none_or(|set| set.trim_matches('"').eq_ignore_ascii_case("utf-8"));
    rule(utf_8, "R37: a charset other than utf-8");
    rule(action == Some(""), "R35, R36: no SOAPAction with an empty value");
    broken
}

/// Checks a request against its session: the same POST after 401 and redirect, target, cookies.
pub(super) fn in_session(session: &mut SessionState, options: &AcsOptions, request: &Request) -> Vec<String> {
    let mut broken = Vec::new();
    if let Some(repeat) = session.repeat.take()
        && repeat.body != request.body
    {
        let why = if repeat.redirect { "redirect" } else { "401" };
        broken.push(format!("R54, R47: the POST after a {why} is not the same again"));
    }
    let target = session.target.as_ref().unwrap_or(&options.path);
    if request.target != *target {
        broken.push(format!("R10: the target is {:?}, not {target:?}", request.target));
    }
    let sent = request.cookies();
    for (name, value) in &session.jar {
        if options.tls.is_none() && session.secure_cookies.contains(name) {
            if sent.iter().any(|(other, _)| other == name) {
                broken.push(format!("the cookie {name}, which TLS protected, came without TLS"));
            }
        } else if !sent.contains(&(name.clone(), value.clone())) {
            broken.push(format!("R52: the cookie {name}={value} did not come back"));
        }
    }
    for cookie in sent {
        if !session.jar.contains(&cookie) {
            broken.push(format!("R53: the cookie {}={} is none of this session", cookie.0, cookie.1));
        }
    }
    broken
}

/// Checks the order of messages; `None` is the empty POST.
pub(super) fn order(session: &mut SessionState, message: Option<&Message>) -> Vec<String> {
    let mut broken = Vec::new();
    if let Some(message) = message {
        broken.extend(message.problems.iter().cloned());
        broken.extend(version(session, message));
    }
    if let Some(retry) = &session.retry
        && message.is_none_or(|message| message.xml.as_bytes() != retry.body)
    {
        let method = &retry.method;
        broken.push(format!("R120: not the identical {method} again after fault 8005"));
    }
    match message {
        None => {
            if let Some(outstanding) = session.outstanding.take() {
                let method = outstanding.method;
                broken.push(format!("R112: an empty POST is no answer to {method}"));
            }
            if !session.initiated {
                broken.push("R118: an empty POST before InformResponse".into());
            }
            session.own_requests_over |= !session.hold; // R113, R114
        }
        Some(message) if message.is_request() => broken.extend(own_request(session, message)),
        Some(message) => broken.extend(answer(session, message)),
    }
    broken
}

/// Returns the request target of a URL.
pub(super) fn target(url: &str) -> String {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => url,
    };
    let path = path.split('#').next().unwrap_or_default();
    if path.is_empty() { "/" } else { path }.to_owned()
}

fn own_request(session: &mut SessionState, message: &Message) -> Vec<String> {
    let mut broken = Vec::new();
    let method = &message.method;
    if let Some(outstanding) = session.outstanding.take() {
        broken.push(format!("R112: {method} instead of an answer to {}", outstanding.method));
    }
    if message.is_inform() {
        return broken; // twice in a session is found where requests are given to sessions
    }
    if !session.initiated {
        broken.push(format!("R92: {method} before InformResponse"));
    }
    if session.own_requests_over {
        broken.push(format!("R115: {method} after the empty POST"));
    }
    if session.hold {
        broken.push(format!("R113: {method} though HoldRequests is true"));
    }
    broken
}

fn answer(session: &mut SessionState, message: &Message) -> Vec<String> {
    let mut broken = Vec::new();
    let method = &message.method;
    let Some(outstanding) = session.outstanding.take() else {
        return vec![format!("R86: {method}, which nobody asked for")];
    };
    let asked = &outstanding.method;
    if !message.is_fault() && *method != format!("{asked}Response") {
        broken.push(format!("R112: {method} is no answer to {asked}"));
    }
    if message.id != outstanding.id && outstanding.id.is_some() {
        broken.push(format!("R77: {asked} had the ID {:?}, its answer {:?}", outstanding.id, message.id));
    }
    if message.is_fault()
        && let Some(fault) = &message.fault
    {
        let allowed = schema_check::allowed_faults(asked).unwrap_or(&[]);
        // 9000 and vendor codes go anywhere; arguments that break the schema are 9003 anywhere (R76).
        let anywhere = matches!(fault.code, 9000 | 9003 | 9800..=9899);
        if !anywhere && !allowed.contains(&fault.code) {
            broken.push(format!("R251: fault {} to {asked}", fault.code));
        }
        if asked != "SetParameterValues" && !fault.parameters.is_empty() {
            broken.push(format!("R165: SetParameterValuesFault to {asked}"));
        }
    }
    broken
}

/// R82, R83: after InformResponse no message has a newer version than that of the ACS.
fn version(session: &SessionState, message: &Message) -> Option<String> {
    let minor = |version: &str| -> Option<u32> { version.strip_prefix("1-")?.parse().ok() };
    let acs = minor(session.version.as_deref()?)?;
    let cpe = minor(&message.version)?;
    (cpe > acs).then(|| format!("R82: {} in cwmp-{} to an ACS of cwmp-1-{acs}", message.method, message.version))
}
