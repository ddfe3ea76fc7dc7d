//! The HTTP side of one session with the ACS: the client with the rules that TR-069 sets for a session.
//!
//! [`AcsConnection::post`] is one step of the session as CWMP sees it, however many requests it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use ureq_proto::http::{HeaderMap, Method, header};

use crate::foreign_text::{MAX_EXCERPT, words_of};
use crate::http::{
    ClientPolicy, ClientSettings, CookieScope, Credentials, HttpClient, HttpError, IoLimits, PreferredAddress,
    RequestBody, ResponseHead, ResponseRecord, TlsSettings, closed_at_once, tls_port,
};
use crate::model::date_time::DateTime;
use crate::secret::Secret;
use crate::socket_options::SocketOptions;
use crate::url::Url;

/// The number of consecutive redirects that are followed (R56).
const MAX_REDIRECTS: usize = 5;
/// The longest wait that a server may ask for: otherwise one wrong header would silence the device for ever.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest wait for that text: the session has failed already.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

/// The parameters of a session with the ACS.
#[derive(Clone, Debug)]
pub struct AcsSettings {
    /// `ManagementServer.URL`.
    pub url: String,
    /// `ManagementServer.Username`.
    pub username: String,
    /// `ManagementServer.Password`.
    pub password: Secret,
    /// The trusted roots and the client certificate.
    pub tls: TlsSettings,
    /// True if the device knows the absolute time; otherwise the dates of certificates are not checked (R32).
    pub clock_is_set: bool,
    /// The time within which the ACS must accept a connection, and for which it may send and take nothing during an exchange:
    /// at least 30 s (R48, R119). A whole message takes 90 s more at most, and a second for each 512 bytes.
    pub timeout: Duration,
    /// The largest body of a response, in bytes.
    pub body_limit: usize,
    /// The stop flag of the agent. Once it is set, every wait ends within about 200 ms with [`HttpError::Stopped`].
    pub stop: Arc<AtomicBool>,
}

/// A response that continues the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code: 200 or 204.
    pub status: u16,
    /// The envelope; empty if the ACS has nothing to send, with either status (R43).
    pub body: Vec<u8>,
    /// The encoding of the envelope by `Content-Type`, if the ACS names one.
    pub charset: Option<String>,
}

/// The connection of one session. Cookies, credentials in use and the target of a redirect live as long as the session
/// (R53, R55); dropping the value closes the TCP connection (R50).
#[derive(Debug)]
pub struct AcsConnection {
    client: HttpClient,
    /// True if the URL is `https`.
    is_tls: bool,
    /// True after the first response of the session.
    is_answered: bool,
    body_limit: usize,
}

impl AcsConnection {
    /// Prepares a session without sending anything.
    ///
    /// # Errors
    /// [`HttpError::Url`] if the URL cannot be contacted (R10).
    pub fn open(settings: AcsSettings) -> Result<AcsConnection, HttpError> {
        let url = Url::parse(&settings.url)?;
        let is_tls = url.is_tls();
        let client = HttpClient::new(ClientSettings {
            url,
            credentials: Some(Credentials { username: settings.username, password: settings.password }),
            tls: settings.tls,
            clock_is_set: settings.clock_is_set,
            socket: SocketOptions::default(),
            limits: IoLimits { timeout: settings.timeout, stop: settings.stop, end: None },
            policy: ClientPolicy {
                max_redirects: MAX_REDIRECTS,
                discard_limit: settings.body_limit,
                // A body that exceeds the limit ends the session with every status alike.
                must_discard: true,
                cookie_scope: CookieScope::EveryHost,
                // An envelope is small enough to be sent twice, and no ACS has to answer before it has the whole.
                hesitate_above: u64::MAX,
            },
        });
        Ok(AcsConnection { client, is_tls, is_answered: false, body_limit: settings.body_limit })
    }

    /// Sends the credentials by Basic from the first request on, if the URL is `https` (R58). Use it only if an earlier
    /// session has shown that this ACS asks for Basic: see [`HttpClient::assume_basic`].
    pub fn assume_basic(&mut self) {
        self.client.assume_basic();
    }

    /// Returns true if the ACS has asked for Basic.
    pub fn is_basic(&self) -> bool {
        self.client.is_basic()
    }

    /// Makes each request wait a moment for the ACS to close the connection, as an earlier session has shown that it
    /// does: see [`HttpClient::expect_silent_close`].
    pub fn expect_silent_close(&mut self) {
        self.client.expect_silent_close();
    }

    /// Returns true if the ACS has closed a connection without announcing it.
    pub fn closes_silently(&self) -> bool {
        self.client.closes_silently()
    }

    /// Sets the address that is tried before the others, provided that the ACS still has it (R22).
    pub fn prefer_address(&mut self, address: PreferredAddress) {
        self.client.prefer_address(address);
    }

    /// Opens the connection before the first request, so that [`AcsConnection::local_addr`] is known when Inform is
    /// written.
    pub fn connect(&mut self) -> Result<(), HttpError> {
        self.client.connect()
    }

    /// Returns our own address on the last connection to the ACS.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.client.local_addr()
    }

    /// Returns the address of the ACS on that connection.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.client.remote_addr()
    }

    /// Returns a digest of the addresses that the ACS had at that connection; `None` for fewer than two.
    pub fn address_list(&self) -> Option<u32> {
        self.client.address_list()
    }

    /// Keeps a record of each response for a trace.
    pub fn record_responses(&mut self) {
        self.client.record_responses();
    }

    /// Returns the records of the responses since the last call: those of one [`AcsConnection::post`], of which the last
    /// one is final unless the post has failed before it.
    pub fn take_responses(&mut self) -> Vec<ResponseRecord> {
        self.client.take_responses()
    }

    /// Sends an envelope, or the empty POST if `body` is empty, and waits for the response. Answers challenges and
    /// follows redirects.
    ///
    /// # Errors
    /// Every error ends the session. A status other than 200 and 204 is an error (R44).
    pub fn post(&mut self, body: &[u8]) -> Result<Response, HttpError> {
        // R35 to R37 describe a POST with an envelope; R38 forbids both fields with an empty POST.
        let fields = [("Content-Type", "text/xml; charset=utf-8"), ("SOAPAction", "")];
        let fields = if body.is_empty() { &[][..] } else { &fields[..] };
        let mut response = match self.client.request(&Method::POST, fields, Some(RequestBody::Bytes(body))) {
            Err(HttpError::Closed) if !self.is_tls && !self.is_answered => return Err(closed_at_once()),
            result => result?,
        };
        self.is_answered = true;
        match response.status {
            status @ (200 | 204) => {
                let charset = charset(&response.headers);
                let body = self.client.read_body(&mut response, self.body_limit)?;
                match response.compression() {
                    // A proxy may leave the field behind after it has decompressed the body.
                    Some(coding) if !body.is_empty() && !body.trim_ascii_start().starts_with(b"<") => {
                        Err(HttpError::Compressed(coding))
                    }
                    _ => Ok(Response { status, body, charset }),
                }
            }
            code => {
                let text = self.refusal_text(&mut response);
                if let Some(error) = tls_port(code, self.is_tls, &text) {
                    return Err(error);
                }
                Err(HttpError::Status { code, retry_after: retry_after(&response.headers), text })
            }
        }
    }

    /// Returns the words of an error response, which often name the cause. A body that does not arrive is no second error, and a
    /// compressed one has no words.
    fn refusal_text(&mut self, response: &mut ResponseHead) -> String {
        if response.compression().is_some() {
            return String::new();
        }
        let mut body = Vec::new();
        let mut piece = [0; MAX_EXCERPT / 4];
        self.client.begin("reading the refusal", REFUSAL_LIMIT);
        while let Ok(length @ 1..) = self.client.read(response, &mut piece) {
            body.extend_from_slice(&piece[..length]);
            if body.len() >= MAX_EXCERPT {
                break;
            }
        }
        words_of(&body)
    }
}

/// Returns the parameter `charset` of `Content-Type`, if it is present and not empty.
fn charset(headers: &HeaderMap) -> Option<String> {
    let parameters = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    });
    values.next().filter(|charset| !charset.is_empty()).map(str::to_owned)
}

/// Returns the wait that the server asks for (R66).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let wait = text(header::RETRY_AFTER)?;
    let seconds = if !wait.is_empty() && wait.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a u64 holds mean a very long wait, and not a header without meaning.
        wait.parse().unwrap_or(u64::MAX)
    } else {
        // A date counts from the server's own, as the clock of the device may be wrong.
        u64::try_from(http_date(wait)? - http_date(text(header::DATE)?)?).ok()?
    };
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Returns the seconds since the Unix epoch of a date such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7); `None` for
/// its obsolete forms.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_weekday, date) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let (day, rest) = date.split_once(' ')?;
    let (month, rest) = rest.split_once(' ')?;
    let (year, time) = rest.split_once(' ')?;
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Some(DateTime::parse(&format!("{year}-{month:02}-{day}T{time}Z"))?.unix())
}

#[cfg(test)]
mod tests;
