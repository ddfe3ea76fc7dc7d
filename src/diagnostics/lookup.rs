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

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rand::RngCore;
use rand::rngs::OsRng;

use self::exchange::ask;
#[cfg(feature = "xmpp")]
use self::message::SRV;
#[cfg(feature = "xmpp")]
pub(crate) use self::message::Service;
use self::message::{A, AAAA, Answer, MAX_ADDRESSES, NO_SUCH_NAME, Question, SERVER_FAILURE};
pub(super) use self::names::Names;
use self::resolv_conf::ResolvConf;
use super::Failure;
use super::clock::now;
use super::target::addresses;
use crate::http::IoLimits;
use crate::socket_options::SocketOptions;

/// The port of name servers.
const PORT: u16 = 53;
/// The status of a lookup that found no address.
const NOT_RESOLVED: &str = "Error_HostNameNotResolved";

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

impl LookupResult {
    /// The status of a lookup that found an address.
    pub(crate) const SUCCESS: &str = "Success";

    /// Returns the result of a lookup without an answer.
    fn new(server: IpAddr) -> LookupResult {
        LookupResult {
            status: "",
            reason: String::new(),
            authoritative: false,
            name: String::new(),
            addresses: Vec::new(),
            server,
            time: Duration::ZERO,
        }
    }

    /// Adds the answer to one of the questions: one version of IP that has an address is a success.
    fn add(&mut self, name: &str, answer: Answer) {
        let has_address = answer.code == 0 && !answer.addresses.is_empty();
        if self.status.is_empty() || has_address && !self.is_success() {
            self.name = name.to_owned();
            self.authoritative = answer.authoritative;
        }
        match answer.code {
            0 if has_address => {
                (self.status, self.reason) = (LookupResult::SUCCESS, String::new());
                self.addresses.extend(answer.addresses);
                self.addresses.truncate(MAX_ADDRESSES);
            }
            0 => self.add_error(NOT_RESOLVED, "the name has no address".to_owned()),
            NO_SUCH_NAME => self.add_error(NOT_RESOLVED, "the name does not exist".to_owned()),
            SERVER_FAILURE => {
                self.add_error(NOT_RESOLVED, "the name server has failed to find an answer".to_owned());
            }
            code => {
                self.add_error("Error_Other", format!("the name server refuses the question with code {code}"));
            }
        }
    }

    /// Adds the error of one of the questions. The first one counts, unless the other question has an answer.
    fn add_error(&mut self, status: &'static str, reason: String) {
        if self.status.is_empty() {
            (self.status, self.reason) = (status, reason);
        }
    }

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
///
/// # Errors
/// The name of the server has no address, or the test was stopped.
pub(crate) fn run(test: &LookupTest, done: &mut dyn FnMut(LookupResult)) -> Result<(), Box<Failure>> {
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
    let server = SocketAddr::new(ResolvConf::read().server(), PORT);
    let limits = IoLimits { timeout: limit, stop: Arc::clone(stop), end: None }.end_within(limit);
    let answer = ask_once(name, SRV, server, &SocketOptions::default(), &limits, &mut || {});
    answer.map(|answer| answer.services).unwrap_or_default()
}

/// Returns the address of the server.
fn server_of(test: &LookupTest, conf: &ResolvConf) -> Result<SocketAddr, Box<Failure>> {
    if test.server.is_empty() {
        return Ok(SocketAddr::new(conf.server(), PORT));
    }
    if let Ok(address) = test.server.parse::<SocketAddr>() {
        return Ok(address);
    }
    let found = addresses(&test.server, PORT, &test.stop).map_err(|mut failure| {
        if !failure.is_stopped() {
            failure.state = "Error_DNSServerNotResolved";
        }
        failure
    })?;
    Ok(found[0])
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
fn look_up(test: &LookupTest, names: &[String], server: SocketAddr) -> Result<LookupResult, Box<Failure>> {
    let mut result = LookupResult::new(server.ip());
    for name in names {
        result = LookupResult::new(server.ip());
        look_up_name(test, name, server, &mut result)?;
        if result.status != NOT_RESOLVED {
            break;
        }
    }
    Ok(result)
}

/// Asks for the addresses of both versions of IP.
fn look_up_name(
    test: &LookupTest,
    name: &str,
    server: SocketAddr,
    result: &mut LookupResult,
) -> Result<(), Box<Failure>> {
    let begun = now();
    let mut answered = None;
    for kind in [A, AAAA] {
        let limits = IoLimits { timeout: test.timeout, stop: Arc::clone(&test.stop), end: None };
        let limits = limits.end_within(test.timeout);
        let mut first = || _ = answered.get_or_insert_with(now);
        match ask_once(name, kind, server, &test.options, &limits, &mut first) {
            Ok(answer) => result.add(name, answer),
            Err(failure) if failure.is_stopped() => return Err(failure),
            Err(failure) => result.add_error(failure.state, failure.reason),
        }
        // A server that is silent would be so again.
        if answered.is_none() {
            break;
        }
    }
    result.time = answered.map_or(Duration::ZERO, |at: Instant| at.saturating_duration_since(begun));
    Ok(())
}

/// Asks one question with a new id.
fn ask_once(
    name: &str,
    kind: u16,
    server: SocketAddr,
    options: &SocketOptions,
    limits: &IoLimits,
    first: &mut dyn FnMut(),
) -> Result<Answer, Box<Failure>> {
    let mut id = [0; 2];
    // A known id would let an attacker answer in place of the server.
    OsRng.try_fill_bytes(&mut id).map_err(|error| Failure::other(format_args!("no random bytes: {error}")))?;
    let Some(question) = Question::new(name, kind, u16::from_ne_bytes(id)) else {
        return Err(Failure::of(NOT_RESOLVED, format_args!("{name} is no name of the DNS")));
    };
    ask(&question, server, options, limits, first)
}
