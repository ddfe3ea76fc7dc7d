//! NSLookupDiagnostics: questions for the addresses of a name to one name server, by the agent itself.
//!
//! ```text
//!   LookupTest ──▶ server, name ──▶ repetition: A, AAAA ──▶ exchange.rs: UDP, then TCP ──▶ message.rs ──▶ LookupResult
//! ```
//!
//! The resolver of the system is asked for nothing but the address of the server, because it caches, asks several servers,
//! and tells neither the server nor the time.

mod exchange;
mod message;
mod names;
pub(super) mod order;
mod resolv_conf;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rand::RngCore;
use rand::rngs::OsRng;

use self::exchange::{NoAnswer, ask};
#[cfg(feature = "xmpp")]
use self::message::SRV;
#[cfg(feature = "xmpp")]
pub(crate) use self::message::Service;
use self::message::{A, AAAA, Answer, MAX_ADDRESSES, NO_SUCH_NAME, Question, SERVER_FAILURE};
pub(super) use self::names::Names;
use self::resolv_conf::ResolvConf;
use super::clock::now;
use crate::http::{HttpError, IoLimits, literal, resolve};
use crate::socket_options::SocketOptions;

/// The port of name servers.
const PORT: u16 = 53;
/// The status of a lookup that found no address.
const NOT_RESOLVED: &str = "Error_HostNameNotResolved";
/// The longest wait for the address of the server.
const RESOLVE_LIMIT: Duration = Duration::from_secs(30);

/// The inputs of a test.
#[derive(Clone, Debug)]
pub(crate) struct LookupTest {
    /// The name to look up. Without a dot it is looked up in the domain of the device first.
    pub(crate) host: String,
    /// The name or address of the server, or an address with a port; empty for the default server of the device.
    pub(crate) server: String,
    /// The longest wait for the answer to a question.
    pub(crate) timeout: Duration,
    /// The number of lookups.
    pub(crate) repetitions: u32,
    /// The interface and the marks of the packets.
    pub(crate) options: SocketOptions,
    /// The flag that ends the test early.
    pub(crate) stop: Arc<AtomicBool>,
}

/// The result of one lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LookupResult {
    /// `Success` or the error, by its name in the data model.
    pub(crate) status: &'static str,
    /// The error in words; empty without one.
    pub(crate) reason: String,
    /// True if the server is an authority for the name.
    pub(crate) authoritative: bool,
    /// The full name that was looked up; empty without an answer.
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
    /// The address of the server.
    pub(crate) server: IpAddr,
    /// The time until the first answer; zero without one.
    pub(crate) time: Duration,
}

/// The reason why a test has no result.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LookupError {
    /// The name of the server has no address, or the device knows no server.
    ServerNotResolved(String),
    /// The test was stopped.
    Stopped,
}

impl LookupResult {
    /// The status of a lookup that found an address.
    pub(crate) const SUCCESS: &str = "Success";

    /// Returns true if an address was found.
    pub(crate) fn is_success(&self) -> bool {
        self.status == LookupResult::SUCCESS
    }

    /// Returns the value of `AnswerType`.
    pub(crate) fn answer_type(&self) -> &'static str {
        match (self.is_success(), self.authoritative) {
            (false, _) => "None",
            (true, true) => "Authoritative",
            (true, false) => "NonAuthoritative",
        }
    }
}

/// Runs the test and gives each result to `done`.
pub(crate) fn run(test: &LookupTest, done: &mut dyn FnMut(LookupResult)) -> Result<(), LookupError> {
    let conf = ResolvConf::read();
    let server = server_of(test, &conf)?;
    let names = names_of(&test.host, conf.domain.as_deref());
    for _ in 0..test.repetitions {
        done(look_up(test, &names, server)?);
    }
    Ok(())
}

/// Returns the servers of a service that the name server of the device knows; none if it does not answer.
#[cfg(feature = "xmpp")]
pub(crate) fn services(name: &str, limit: Duration, stop: &Arc<AtomicBool>) -> Vec<Service> {
    let test = LookupTest {
        host: name.to_owned(),
        server: String::new(),
        timeout: limit,
        repetitions: 1,
        options: SocketOptions::default(),
        stop: Arc::clone(stop),
    };
    let Ok(server) = server_of(&test, &ResolvConf::read()) else { return Vec::new() };
    ask_once(&test, name, SRV, server, &mut || {}).map(|answer| answer.services).unwrap_or_default()
}

/// Returns the address of the server.
fn server_of(test: &LookupTest, conf: &ResolvConf) -> Result<SocketAddr, LookupError> {
    if test.server.is_empty() {
        // A system without such a line has its server on the device itself, as the system's resolver assumes.
        return Ok(SocketAddr::new(conf.server.unwrap_or(Ipv4Addr::LOCALHOST.into()), PORT));
    }
    if let Ok(address) = test.server.parse::<SocketAddr>() {
        return Ok(address);
    }
    if let Some(address) = literal(&test.server) {
        return Ok(SocketAddr::new(address, PORT));
    }
    let limits = IoLimits { timeout: RESOLVE_LIMIT, stop: Arc::clone(&test.stop), end: None };
    match resolve(&test.server, PORT, &limits.end_within(RESOLVE_LIMIT)) {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses[0]),
        Ok(_) => Err(LookupError::ServerNotResolved(format!("the host name {} has no address", test.server))),
        Err(HttpError::Stopped) => Err(LookupError::Stopped),
        Err(error) => Err(LookupError::ServerNotResolved(error.to_string())),
    }
}

/// Returns the full names to look up, in their order. A name without a dot is one of the domain of the device.
fn names_of(host: &str, domain: Option<&str>) -> Vec<String> {
    let host = host.trim();
    match domain.filter(|domain| !host.contains('.') && *domain != ".") {
        Some(domain) => vec![format!("{host}.{}", domain.trim_end_matches('.')), host.to_owned()],
        None => vec![host.trim_end_matches('.').to_owned()],
    }
}

/// Looks the names up until one exists.
fn look_up(test: &LookupTest, names: &[String], server: SocketAddr) -> Result<LookupResult, LookupError> {
    let mut result = failed(server.ip(), NOT_RESOLVED, "the host name is empty".into());
    for name in names {
        result = look_up_name(test, name, server)?;
        if result.is_success() || result.status != NOT_RESOLVED {
            break;
        }
    }
    Ok(result)
}

/// Asks for the addresses of both versions of IP.
fn look_up_name(test: &LookupTest, name: &str, server: SocketAddr) -> Result<LookupResult, LookupError> {
    let begun = now();
    let mut answered = None;
    let mut result: Option<LookupResult> = None;
    for kind in [A, AAAA] {
        let answer = ask_once(test, name, kind, server, &mut || {
            answered.get_or_insert_with(now);
        });
        let one = match answer {
            Ok(answer) => read_answer(name, server, answer),
            Err(NoAnswer::Stopped) => return Err(LookupError::Stopped),
            Err(NoAnswer::Failed(status, reason)) => failed(server.ip(), status, reason),
        };
        result = Some(match result {
            None => one,
            Some(first) => joined(first, one),
        });
        // A server that is silent would be so again.
        if answered.is_none() {
            break;
        }
    }
    let time = answered.map_or(Duration::ZERO, |at: Instant| at.saturating_duration_since(begun));
    let none = || failed(server.ip(), "Error_Other", "no question was asked".into()); // not reached: two kinds
    Ok(LookupResult { time, ..result.unwrap_or_else(none) })
}

/// Asks one question with a new id.
fn ask_once(
    test: &LookupTest,
    name: &str,
    kind: u16,
    server: SocketAddr,
    first: &mut dyn FnMut(),
) -> Result<Answer, NoAnswer> {
    let mut id = [0; 2];
    // A known id would let an attacker answer in place of the server.
    OsRng
        .try_fill_bytes(&mut id)
        .map_err(|error| NoAnswer::Failed("Error_Other", format!("no random bytes: {error}")))?;
    let no_name = || NoAnswer::Failed(NOT_RESOLVED, format!("{name} is no name of the DNS"));
    let question = Question::new(name, kind, u16::from_ne_bytes(id)).ok_or_else(no_name)?;
    let limits = IoLimits { timeout: test.timeout, stop: Arc::clone(&test.stop), end: None };
    ask(&question, server, &test.options, &limits.end_within(test.timeout), first)
}

fn read_answer(name: &str, server: SocketAddr, answer: Answer) -> LookupResult {
    let (status, reason) = match answer.code {
        0 if !answer.addresses.is_empty() => (LookupResult::SUCCESS, String::new()),
        0 => (NOT_RESOLVED, "the name has no address".to_owned()),
        NO_SUCH_NAME => (NOT_RESOLVED, "the name does not exist".to_owned()),
        SERVER_FAILURE => (NOT_RESOLVED, "the name server has failed to find an answer".to_owned()),
        code => ("Error_Other", format!("the name server refuses the question with code {code}")),
    };
    LookupResult {
        status,
        reason,
        authoritative: answer.authoritative,
        name: name.to_owned(),
        addresses: answer.addresses,
        server: server.ip(),
        time: Duration::ZERO,
    }
}

/// Joins the results of both versions of IP: one that succeeded counts.
fn joined(first: LookupResult, second: LookupResult) -> LookupResult {
    match (first.is_success(), second.is_success()) {
        (true, true) => {
            let addresses = first.addresses.iter().chain(&second.addresses).copied().take(MAX_ADDRESSES).collect();
            LookupResult { addresses, ..first }
        }
        (false, true) => second,
        _ => first,
    }
}

fn failed(server: IpAddr, status: &'static str, reason: String) -> LookupResult {
    let (name, addresses, time) = (String::new(), Vec::new(), Duration::ZERO);
    LookupResult { status, reason, authoritative: false, name, addresses, server, time }
}
