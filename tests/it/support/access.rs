//! Access control of the ACS: challenges, nonces, and the check of the credentials that come.

use rand::RngCore as _;
use rand::rngs::OsRng;

use super::acs_state::AcsState;
use super::digest::{Algorithm, Authorization, Challenge, DigestAnswer, Kind, Secret, hex};
use super::options::AcsOptions;
use super::record::Exchange;

/// A nonce that a challenge has carried.
pub(super) struct Nonce {
    challenge: Challenge,
    connection: usize,
    last_count: u32,
    used: u32,
}

pub(super) enum Verdict {
    Granted,
    /// `wrong`: the request had credentials, and they are wrong.
    Refused {
        wrong: bool,
        stale: bool,
    },
}

const ASK: Verdict = Verdict::Refused { wrong: false, stale: false };
const WRONG: Verdict = Verdict::Refused { wrong: true, stale: false };

/// 16 random bytes as text.
pub(super) fn random_hex() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    hex(&bytes)
}

impl AcsState {
    /// Returns the headers of a 401.
    pub(super) fn challenge(&mut self, options: &AcsOptions, connection: usize, stale: bool) -> Vec<(String, String)> {
        let mut challenges = Vec::new();
        for challenge in &options.challenges {
            let nonce = random_hex();
            challenges.push(challenge.header(&nonce, stale));
            if matches!(challenge.kind, Kind::Digest { .. }) {
                let nonce_state = Nonce { challenge: challenge.clone(), connection, last_count: 0, used: 0 };
                self.nonces.insert(nonce, nonce_state);
            }
        }
        if options.challenges_in_one_header {
            challenges = vec![challenges.join(", ")];
        }
        challenges.into_iter().map(|value| ("WWW-Authenticate".into(), value)).collect()
    }

    /// Checks the credentials of a request against the options.
    pub(super) fn authorize(&mut self, options: &AcsOptions, exchange: &Exchange) -> Verdict {
        let header = exchange.request.header("Authorization");
        if exchange.request.headers_named("Authorization").count() > 1 {
            self.violate("RFC 7235: several Authorization headers".into());
        }
        let authorization = match header.map(Authorization::parse) {
            Some(Err(problem)) => {
                self.violate(format!("Authorization header: {problem}"));
                return WRONG;
            }
            Some(Ok(authorization)) => Some(authorization),
            None => None,
        };
        self.check_secrecy(options, authorization.as_ref());
        let connection = self.connection(exchange.connection);
        let granted = connection.granted && options.once_per_connection;
        let challenged = connection.challenged;
        let verdict = match authorization {
            _ if options.challenges.is_empty() => Verdict::Granted,
            None if granted => Verdict::Granted,
            None => {
                if challenged {
                    self.violate("R59: no Authorization after a challenge".into());
                }
                ASK
            }
            Some(Authorization::Basic { username, password }) => {
                let offered = options.challenges.iter();
                let offered = offered.clone().any(|c| matches!(c.kind, Kind::Basic));
                match (offered, username == options.username && password == options.password) {
                    (true, true) => Verdict::Granted,
                    (true, false) => WRONG,
                    (false, _) => ASK,
                }
            }
            Some(Authorization::Digest(answer)) => self.judge(options, exchange, &answer),
        };
        if matches!(verdict, Verdict::Granted) {
            self.connection(exchange.connection).granted = true;
        }
        verdict
    }

    /// Notes a violation if a password is sent in clear text over plain HTTP without a Basic challenge of the ACS.
    fn check_secrecy(&mut self, options: &AcsOptions, authorization: Option<&Authorization>) {
        let asked = options.challenges.iter().any(|challenge| matches!(challenge.kind, Kind::Basic));
        let basic = matches!(authorization, Some(Authorization::Basic { .. }));
        if basic && !asked && options.tls.is_none() {
            self.violate("R58: Basic credentials in clear that nobody asked for".into());
        }
    }

    fn judge(&mut self, options: &AcsOptions, exchange: &Exchange, answer: &DigestAnswer) -> Verdict {
        let nonce = answer.get("nonce").unwrap_or_default();
        let Some(known) = self.nonces.get(nonce) else {
            return ASK; // a nonce of an ACS that is no more
        };
        let Kind::Digest { algorithm, uses, bound, .. } = known.challenge.kind.clone() else {
            return ASK;
        };
        let elsewhere = known.connection != exchange.connection;
        let origin = &self.connections[known.connection - 1];
        let first = known.used == 0;
        if elsewhere && first && !origin.closing {
            self.violate("R47: a 401 is answered on another TCP connection".into());
        }
        if bound && elsewhere {
            return ASK;
        }
        self.check_digest(options, exchange, answer, algorithm).unwrap_or_else(|| self.count(nonce, answer, uses))
    }

    /// Checks an answer to a digest challenge; returns `None` if it is right.
    fn check_digest(
        &mut self,
        options: &AcsOptions,
        exchange: &Exchange,
        answer: &DigestAnswer,
        algorithm: Algorithm,
    ) -> Option<Verdict> {
        let nonce = answer.get("nonce").unwrap_or_default();
        let challenge = self.nonces.get(nonce)?.challenge.clone();
        for problem in answer.problems(&challenge.kind, &exchange.request.target) {
            self.violate(format!("R61: {problem}"));
        }
        let secret =
            Secret { username: &options.username, password: &options.password, realm: &challenge.realm, algorithm };
        let right = answer.verifies(&secret, &exchange.request.method, &exchange.request.body);
        (!right).then_some(WRONG)
    }

    /// Counts a correct use of a nonce: `nc` must grow by one each time (R61), and the options may limit the number of
    /// uses.
    fn count(&mut self, nonce: &str, answer: &DigestAnswer, uses: Option<u32>) -> Verdict {
        let Some(known) = self.nonces.get_mut(nonce) else {
            return ASK;
        };
        let last = known.last_count;
        known.used += 1;
        let worn = uses.is_some_and(|limit| known.used > limit);
        if let Some(count) = answer.count() {
            known.last_count = count;
            if count != last + 1 {
                self.violate(format!("R61: nc {count} after {last}"));
            }
        }
        match worn {
            true => Verdict::Refused { wrong: false, stale: true },
            false => Verdict::Granted,
        }
    }
}
