//! Options of an ACS. The default is a plain, well-behaved one on 127.0.0.1 without authentication.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::digest::Challenge;
use super::envelope::Dialect;
use super::tls::ServerTls;

/// Which `cwmp:ID` the ACS gives to its own requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    /// A new one each time.
    #[default]
    Fresh,
    /// The one of the session's Inform, as acsrs does.
    OfInform,
    /// No ID.
    Omitted,
    /// The given ID, with any characters.
    Fixed(String),
}

/// The handling of TCP after an answer that leaves the session open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    /// Keeps it.
    #[default]
    KeepAlive,
    /// Announces `Connection: close` in each answer, and closes.
    EachAnswer,
    /// Closes after each answer without announcing it.
    EachAnswerSilently,
    /// Announces `Connection: close` in the answer that ends the session, and closes.
    LastAnswer,
    /// Announces `Connection: close` in each 401, and closes.
    Each401,
    /// Closes after each 401 without announcing it, as acsrs does.
    Each401Silently,
}

/// The answer to wrong credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// The challenge again.
    #[default]
    Challenge,
    /// A 401 without WWW-Authenticate, then the end of the connection, as of GenieACS.
    BareAndClose,
    /// A 403, as of acsrs.
    Forbidden,
}

/// The options of a listener: a builder, whose fields the ACS reads.
#[derive(Clone)]
pub struct AcsOptions {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) challenges: Vec<Challenge>,
    pub(super) challenges_in_one_header: bool,
    pub(super) once_per_connection: bool,
    pub(super) refusal: Refusal,
    pub(super) tls: Option<ServerTls>,
    pub(super) cookies: Vec<(String, String)>,
    pub(super) cookies_on_401: bool,
    pub(super) version: String,
    pub(super) dialect: Dialect,
    pub(super) ids: Ids,
    pub(super) empty_200: bool,
    pub(super) length_on_204: bool,
    pub(super) closing: Closing,
    pub(super) chunked: bool,
    pub(super) interim: bool,
    pub(super) dribble: Option<Duration>,
    pub(super) max_envelopes: u32,
    pub(super) close_limit: Duration,
    pub(super) keeps_messages: bool,
}

impl Default for AcsOptions {
    fn default() -> AcsOptions {
        AcsOptions {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            path: "/acs".into(),
            username: String::new(),
            password: String::new(),
            challenges: Vec::new(),
            challenges_in_one_header: false,
            once_per_connection: false,
            refusal: Refusal::default(),
            tls: None,
            cookies: Vec::new(),
            cookies_on_401: false,
            version: "1-0".into(),
            dialect: Dialect::default(),
            ids: Ids::default(),
            empty_200: false,
            length_on_204: false,
            closing: Closing::default(),
            chunked: false,
            interim: false,
            dribble: None,
            max_envelopes: 1,
            close_limit: Duration::from_secs(3),
            keeps_messages: true,
        }
    }
}

impl AcsOptions {
    pub fn new() -> AcsOptions {
        AcsOptions::default()
    }

    /// Returns the behaviour of GenieACS 1.2: a digest nonce bound to the connection, credentials asked once on each
    /// connection, a cookie, `Connection: close` with the last answer.
    pub fn like_genieacs(username: &str, password: &str) -> AcsOptions {
        AcsOptions::new()
            .credentials(username, password)
            .challenge(super::digest().realm("GenieACS").qop("auth,auth-int").bound_to_connection())
            .once_per_connection()
            .refusal(Refusal::BareAndClose)
            .closing(Closing::LastAnswer)
            .length_on_204()
            .cookie("session", "")
    }

    /// Returns the behaviour of acsrs 0.5: Basic on every request, TCP closed after the 401, no cookies, the ID of the
    /// Inform for every RPC.
    pub fn like_acsrs(username: &str, password: &str) -> AcsOptions {
        AcsOptions::new()
            .credentials(username, password)
            .challenge(super::basic())
            .refusal(Refusal::Forbidden)
            .closing(Closing::Each401Silently)
            .ids(Ids::OfInform)
    }

    /// Listens on `[::1]`.
    pub fn ipv6(mut self) -> AcsOptions {
        self.address = IpAddr::V6(Ipv6Addr::LOCALHOST);
        self
    }

    /// Listens on this address.
    pub fn address(mut self, address: impl Into<IpAddr>) -> AcsOptions {
        self.address = address.into();
        self
    }

    /// Listens on a loopback address that no other test uses, so that its port stays free while the ACS is stopped.
    pub fn address_of_its_own(self) -> AcsOptions {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        let number = (std::process::id() << 6) + TAKEN.fetch_add(1, Ordering::Relaxed);
        self.address(Ipv4Addr::from(0x7f80_0000 | (number & 0x3f_ffff))) // in 127.128.0.0/10
    }

    /// Listens on this port, such as that of an ACS which was dropped; 0, the default, picks a free one.
    pub fn port(mut self, port: u16) -> AcsOptions {
        self.port = port;
        self
    }

    /// Sets the path of the ACS URL; the default is `/acs`.
    pub fn path(mut self, path: &str) -> AcsOptions {
        self.path = path.into();
        self
    }

    /// Sets the credentials that the ACS accepts; without a challenge it accepts every request.
    pub fn credentials(mut self, username: &str, password: &str) -> AcsOptions {
        self.username = username.into();
        self.password = password.into();
        self
    }

    /// Sets credentials and one digest challenge.
    pub fn digest(self, username: &str, password: &str) -> AcsOptions {
        self.credentials(username, password).challenge(super::digest())
    }

    /// Sets credentials and one Basic challenge.
    pub fn basic(self, username: &str, password: &str) -> AcsOptions {
        self.credentials(username, password).challenge(super::basic())
    }

    /// Adds a challenge; several are sent in this order, each in its own header field.
    pub fn challenge(mut self, challenge: Challenge) -> AcsOptions {
        self.challenges.push(challenge);
        self
    }

    /// Sends all challenges in one WWW-Authenticate header, separated by commas.
    pub fn challenges_in_one_header(mut self) -> AcsOptions {
        self.challenges_in_one_header = true;
        self
    }

    /// Accepts credentials for the rest of the TCP connection.
    pub fn once_per_connection(mut self) -> AcsOptions {
        self.once_per_connection = true;
        self
    }

    pub fn refusal(mut self, refusal: Refusal) -> AcsOptions {
        self.refusal = refusal;
        self
    }

    pub fn tls(mut self, tls: ServerTls) -> AcsOptions {
        self.tls = Some(tls);
        self
    }

    /// Sets a cookie in each session, its value new each time; `attributes` such as `"; Path=/; HttpOnly"`.
    pub fn cookie(mut self, name: &str, attributes: &str) -> AcsOptions {
        self.cookies.push((name.into(), attributes.into()));
        self
    }

    /// Sets the cookies in the 401 already.
    pub fn cookies_on_401(mut self) -> AcsOptions {
        self.cookies_on_401 = true;
        self
    }

    /// Sets the CWMP version of its answers: `"1-0"` (the default), `"1-1"`, `"1-2"`, or one that does not exist.
    pub fn version(mut self, version: &str) -> AcsOptions {
        self.version = version.into();
        self
    }

    pub fn dialect(mut self, dialect: Dialect) -> AcsOptions {
        self.dialect = dialect;
        self
    }

    pub fn ids(mut self, ids: Ids) -> AcsOptions {
        self.ids = ids;
        self
    }

    /// Ends sessions with an empty 200 in place of the 204 of the standard.
    pub fn ends_with_200(mut self) -> AcsOptions {
        self.empty_200 = true;
        self
    }

    /// Sends `Content-Length: 0` in a 204.
    pub fn length_on_204(mut self) -> AcsOptions {
        self.length_on_204 = true;
        self
    }

    pub fn closing(mut self, closing: Closing) -> AcsOptions {
        self.closing = closing;
        self
    }

    /// Answers in chunks of odd sizes.
    pub fn chunked(mut self) -> AcsOptions {
        self.chunked = true;
        self
    }

    /// Sends a `100 Continue`, which was not requested, before each answer.
    pub fn interim(mut self) -> AcsOptions {
        self.interim = true;
        self
    }

    /// Writes each answer in 16 pieces with this pause between them.
    pub fn dribble(mut self, pause: Duration) -> AcsOptions {
        self.dribble = Some(pause);
        self
    }

    /// Sets MaxEnvelopes of InformResponse; a CPE ignores it (R96).
    pub fn max_envelopes(mut self, count: u32) -> AcsOptions {
        self.max_envelopes = count;
        self
    }

    /// Limits the time that the CPE may keep TCP open after the end of a session; 3 s by default.
    pub fn close_limit(mut self, limit: Duration) -> AcsOptions {
        self.close_limit = limit;
        self
    }

    /// Keeps received messages out of the directory that `CPE_AGENT_MESSAGES` names: for tests whose
    /// CPE is not the agent.
    pub fn keeps_no_messages(mut self) -> AcsOptions {
        self.keeps_messages = false;
        self
    }
}
