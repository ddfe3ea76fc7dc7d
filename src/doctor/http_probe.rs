//! A GET to the ACS: shows whether an HTTP server responds there, and explains its status.
//!
//! The probe is no empty POST, though a session consists of POSTs: an ACS would take it for a session that went wrong.

use std::time::Duration;

use ureq_proto::client::header_raw;
use ureq_proto::http::{HeaderMap, Request, header};

use super::clock;
use super::finding::{Finding, Verdict};
use super::tls::{self, TlsLine};
use crate::clock::Clock;
use crate::foreign_text::{with_words, words_of};
use crate::http::{
    HttpConnection, HttpError, RequestBody, Stream, Tcp, TlsSettings, USER_AGENT, closed_at_once, tls_port, unsendable,
};
use crate::url::Url;

/// The longest time from the request to the last byte of the header, also if it arrives byte by byte.
const LIMIT: Duration = Duration::from_secs(5);
/// The largest body of an error that is read, in bytes.
const MAX_BODY: usize = 4096;
const SUBJECT: &str = "ACS answer";

/// The parameters of a probe of an ACS that accepts connections.
pub(super) struct AcsProbe {
    pub(super) url: Url,
    pub(super) tls: TlsSettings,
    /// True if the device has a password to answer a challenge with; `None` if that is unknown.
    pub(super) has_password: Option<bool>,
    /// True if the last session of the running agent has succeeded.
    pub(super) has_succeeded: bool,
    pub(super) clock: Clock,
}

impl AcsProbe {
    /// Sets up TLS if the URL is `https`, sends one request, and returns the findings from the response.
    pub(super) fn run(self, tcp: Tcp) -> Vec<Finding> {
        let (mut findings, line) = match self.url.is_tls() {
            true => tls::check(&self.url, &self.tls, self.clock.now(), tcp),
            false => {
                let text = "the URL is http: nothing is encrypted, and the identity of the server is not checked";
                let line = TlsLine { stream: Stream::Plain(tcp), lacks_certificate: false };
                (vec![Finding::skipped("TLS", text)], Some(line))
            }
        };
        // Without TLS to the right server, no request is sent: its URL may hold a key.
        let Some(TlsLine { stream, lacks_certificate }) = line else { return findings };
        let began = self.clock.now();
        let response = get(stream, &self.url.authority(), self.url.target(), LIMIT);
        let now = self.clock.now();
        let took = now.monotonic.saturating_sub(began.monotonic);
        let mut finding = assess(&response, &self.url, self.has_password, took);
        if self.has_succeeded && response.as_ref().is_ok_and(|head| head.content != Content::Fit) {
            // Sessions are POSTs, and show more than a GET.
            finding.verdict = Verdict::Ok;
            finding.text.push_str("; but the last session has succeeded");
        }
        findings.push(if lacks_certificate { without_certificate(finding, response.as_ref().ok()) } else { finding });
        if let Ok(head) = response {
            findings.push(clock::beside_acs(head.date.as_deref(), now.wall));
        }
        findings
    }
}

/// The part of a response header from which the findings are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProbeResponse {
    pub(super) status: u16,
    pub(super) date: Option<String>,
    /// The values of all `WWW-Authenticate` fields.
    pub(super) challenges: Vec<String>,
    pub(super) location: Option<String>,
    pub(super) content: Content,
}

/// The body of a response with status 200.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Content {
    /// No text, or an envelope, as an ACS sends it; or the status is another one.
    #[default]
    Fit,
    /// A page in HTML, with its first words.
    Page(String),
    /// Another text, with its first words.
    Other(String),
}

impl Content {
    /// Recognises a body by its first bytes.
    fn of(body: &[u8], content_type: &str) -> Content {
        let begin = body.trim_ascii_start();
        let begins = |tag: &[u8]| begin.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag));
        let is_page =
            content_type.to_ascii_lowercase().contains("html") || begins(b"<!doctype html") || begins(b"<html");
        match () {
            () if begin.is_empty() || contains(begin, b"Envelope") => Content::Fit,
            () if is_page => Content::Page(words_of(body)),
            () => Content::Other(words_of(body)),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl ProbeResponse {
    /// Picks the fields of interest from a header.
    fn new(status: u16, headers: &HeaderMap) -> ProbeResponse {
        let texts = |name| {
            let values = headers.get_all(name).iter();
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect::<Vec<_>>()
        };
        ProbeResponse {
            status,
            date: texts(header::DATE).into_iter().next(),
            challenges: texts(header::WWW_AUTHENTICATE),
            location: texts(header::LOCATION).into_iter().next(),
            content: Content::Fit,
        }
    }
}

/// Sends one GET without credentials, reads the header of the response and closes the connection.
pub(super) fn get(
    mut stream: Stream,
    authority: &str,
    target: &str,
    limit: Duration,
) -> Result<ProbeResponse, HttpError> {
    // No credentials: the probe must not show the password to a server whose identity is still in question.
    let fields = [("Host", authority), ("User-Agent", USER_AGENT), ("Connection", "close")];
    let request = fields
        .into_iter()
        .fold(Request::get(target), |builder, (name, value)| header_raw(builder, name, value.as_bytes()))
        .body(())
        .map_err(|_| unsendable())?;
    // A stray server may send its header byte by byte; without an end for the whole probe, each byte would start the
    // limit of silence anew.
    stream.end_within(limit);
    let is_tls = !matches!(stream, Stream::Plain(_));
    let mut connection = HttpConnection::new(stream);
    let mut response = connection.exchange(request, &mut RequestBody::Bytes(&[]), false)?;
    let mut head = ProbeResponse::new(response.status, &response.headers);
    if matches!(response.status, 200 | 400) {
        let mut body = vec![0; MAX_BODY];
        let mut length = 0;
        // An error is ignored: a body that is cut short says no less than the part that came.
        while let Ok(read @ 1..) = connection.read(&mut response, &mut body[length..]) {
            length += read;
        }
        body.truncate(length);
        if let Some(error) = tls_port(response.status, is_tls, &String::from_utf8_lossy(&body)) {
            return Err(error);
        }
        if response.status == 200 {
            let kind = response.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
            head.content = Content::of(&body, &String::from_utf8_lossy(kind));
        }
    }
    Ok(head)
}

/// Turns the response to a GET into a finding.
fn assess(
    response: &Result<ProbeResponse, HttpError>,
    url: &Url,
    has_password: Option<bool>,
    took: Duration,
) -> Finding {
    let took = took.as_millis();
    let head = match response {
        Ok(head) => head,
        // Some servers of TLS close the connection on plain HTTP without a word.
        Err(HttpError::Closed) if !url.is_tls() => {
            let text = closed_at_once().to_string();
            return Finding::failed(SUBJECT, format!("{text} ({took} ms)"));
        }
        Err(error) => return Finding::failed(SUBJECT, format!("{error} ({took} ms)")),
    };
    let (mut verdict, meaning) = match &head.content {
        Content::Fit => meaning(head.status),
        Content::Page(_) => (Verdict::Failed, NO_ACS),
        Content::Other(_) => (Verdict::Warning, "it answers, but with no CWMP message: is the URL that of the ACS?"),
    };
    let mut text = format!("GET is answered with {}: {meaning}", head.status);
    if let Content::Page(words) | Content::Other(words) = &head.content {
        text = with_words(&text, words);
    }
    match head.status {
        // A challenge is the best result: an ACS asks for credentials before CWMP begins.
        401 => {
            let schemes: Vec<&str> = head.challenges.iter().filter_map(|text| text.split_whitespace().next()).collect();
            match schemes.is_empty() {
                true => text.push_str(", but does not name a scheme"),
                false => text.push_str(&format!(" ({})", schemes.join(", "))),
            }
            if has_password == Some(false) {
                verdict = Verdict::Warning;
                text.push_str("; ManagementServer.Password is empty");
            }
        }
        301 | 302 | 307 | 308 => {
            let target = head.location.as_deref().map(|location| url.join(location));
            match target {
                Some(Ok(target)) => text.push_str(&format!(", {target}")), // printed without its query
                _ => verdict = Verdict::Warning,
            }
        }
        _ => {}
    }
    Finding { verdict, subject: SUBJECT, text: format!("{text} ({took} ms)") }
}

/// The meaning of a web page in place of an answer of the ACS.
const NO_ACS: &str = "a web page, so that it answers, but is no ACS: correct ManagementServer.URL; if the URL is right, a \
                      portal or a proxy answers in place of the ACS";

/// Changes the finding about a server that has asked for a client certificate, and has received none.
fn without_certificate(mut finding: Finding, head: Option<&ProbeResponse>) -> Finding {
    match head.map(|head| head.status) {
        // TLS 1.3: the server ends the connection instead of an answer, by an alert that may be lost with it.
        None => finding.text.push_str("; the ACS has asked for a client certificate"),
        // 400 is the answer of nginx, 403 that of Apache, and 495 and 496 are those of load balancers.
        Some(400 | 403 | 495 | 496) => {
            finding.verdict = Verdict::Warning;
            finding.text.push_str("; or the ACS demands the client certificate that it has asked for");
        }
        Some(_) => {}
    }
    finding
}

/// Returns the meaning of a status, given that an ACS is expected at the URL.
fn meaning(status: u16) -> (Verdict, &'static str) {
    match status {
        401 => (Verdict::Ok, "it asks for user name and password, as in a session"),
        405 | 501 => (Verdict::Ok, "it takes no GET, as an ACS that wants a POST"),
        400 | 411 | 415 => (Verdict::Ok, "it expects a CWMP message there"),
        200 | 204 => (Verdict::Ok, "HTTP is served there"),
        301 | 302 | 307 | 308 => (Verdict::Ok, "it redirects to another URL"),
        403 => {
            (Verdict::Warning, "it rejects the request: the address of this device, its client certificate, or a GET")
        }
        404 | 410 => (Verdict::Warning, "the server has no such path: is the path of the URL right?"),
        407 => (Verdict::Warning, "a proxy asks for authentication"),
        429 | 503 => (Verdict::Warning, "it is overloaded or down for maintenance"),
        502 | 504 => (Verdict::Warning, "a proxy answers, but the ACS behind it does not"),
        500..=599 => (Verdict::Warning, "it has an internal error"),
        _ => (Verdict::Warning, "an ACS does not use this status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(head: ProbeResponse, has_password: Option<bool>) -> String {
        let url = Url::parse("http://acs.example/a/b?key=hunter2").unwrap();
        assess(&Ok(head), &url, has_password, Duration::from_millis(7)).to_string()
    }

    fn status(status: u16) -> ProbeResponse {
        ProbeResponse { status, ..ProbeResponse::default() }
    }

    #[test]
    fn a_page_is_no_answer_of_an_acs() {
        let told = |body: &str, content_type| {
            line(ProbeResponse { content: Content::of(body.as_bytes(), content_type), ..status(200) }, None)
        };
        let page = told("\n<!DOCTYPE HTML><title>Router</title><h1>Log in</h1>", "");
        assert!(page.starts_with(
            "FAILED   ACS answer     GET is answered with 200: a web page, so that it answers, but is no ACS: "
        ));
        assert!(page.ends_with(": \"Router Log in\" (7 ms)"), "{page}");
        assert!(told("It works", "text/html; charset=utf-8").starts_with("FAILED "));
        assert!(
            told("OK", "text/plain")
                .starts_with("warning  ACS answer     GET is answered with 200: it answers, but with no")
        );
        for (body, content_type) in
            [("", "text/html"), (" \r\n", "text/html"), ("<a:Envelope/>", "text/html"), ("<x:Envelope", "")]
        {
            assert!(told(body, content_type).starts_with("ok "), "{body}");
        }
    }

    #[test]
    fn every_status_has_a_meaning() {
        for (code, beginning) in
            [(200, "ok "), (405, "ok "), (400, "ok "), (403, "warning "), (404, "warning "), (418, "warning ")]
        {
            assert!(line(status(code), None).starts_with(beginning), "{code}");
        }
        let busy = "warning  ACS answer     GET is answered with 503: it is overloaded or down for maintenance (7 ms)";
        assert_eq!(line(status(503), None), busy);
    }

    #[test]
    fn a_challenge_is_told_with_its_scheme_and_a_missing_password() {
        let challenges = vec!["Digest realm=\"a\", nonce=\"n\"".into(), "Basic realm=\"a\"".into()];
        let asks = ProbeResponse { challenges, ..status(401) };
        assert!(line(asks.clone(), Some(true)).ends_with("as in a session (Digest, Basic) (7 ms)"));
        let unable = line(asks, Some(false));
        assert!(unable.starts_with("warning") && unable.contains("Password is empty"), "{unable}");
        assert!(line(status(401), None).contains("does not name a scheme"));
    }

    #[test]
    fn a_redirect_is_told_without_its_query() {
        let to = |location: &str| line(ProbeResponse { location: Some(location.into()), ..status(302) }, None);
        assert!(to("https://other/x?token=hunter2").contains("it redirects to another URL, https://other/x (7 ms)"));
        assert!(to("c").contains("http://acs.example/a/c"));
        assert!(to("ftp://other/").starts_with("warning"));
        let lost = assess(&Err(HttpError::Closed), &Url::parse("http://a/").unwrap(), None, Duration::ZERO);
        assert_eq!(lost.verdict, Verdict::Failed);
    }
}
