//! The client's side of HTTP authentication towards one server.
//!
//! ```text
//!   no scheme ──401──▶ Basic or Digest ──401──▶ the next challenge, or rejected
//! ```
//!
//! The server chooses the scheme by its challenge. All later requests carry credentials (R59), also those on a new TCP
//! connection. A server that binds its nonce to the connection responds to those with a fresh challenge, which is
//! answered in turn. Only a challenge to a request that was itself the answer to one means that the credentials are
//! wrong (R60).

use rand::RngCore;
use rand::rngs::OsRng;

use super::error::HttpError;
use crate::digest::{self, Algorithm, Challenge, DigestChallenge};
use crate::secret::Secret;

/// The number of fresh nonces in a row that one request accepts from a server which calls ours stale.
const MAX_STALE: u8 = 2;

/// The user name and password for a server.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// The credentials, and the scheme that the server chose.
#[derive(Debug)]
pub(super) struct Authentication {
    credentials: Option<Credentials>,
    scheme: Option<Scheme>,
}

#[derive(Debug)]
enum Scheme {
    Basic,
    Digest {
        challenge: DigestChallenge,
        cnonce: String,
        /// The number of requests sent with this nonce.
        nc: u32,
    },
}

/// The schemes that may be answered at the current URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AllowedSchemes {
    /// Basic and Digest.
    All,
    /// Digest alone, as the password must not reach this server in clear text.
    DigestOnly,
    /// No scheme: a redirect has led away from TLS.
    None,
}

/// The challenges that one request has answered so far.
#[derive(Debug, Default)]
pub(super) struct AnsweredChallenges {
    any: bool,
    stale: u8,
}

impl Authentication {
    /// Returns the state before the first challenge. Without credentials, a challenge is an error.
    pub(super) fn new(credentials: Option<Credentials>) -> Authentication {
        Authentication { credentials, scheme: None }
    }

    /// Returns the value of `Authorization` for the next request, and counts the use of the nonce.
    pub(super) fn authorization(&mut self, method: &str, uri: &str) -> Option<Vec<u8>> {
        let Credentials { username, password } = self.credentials.as_ref()?;
        match self.scheme.as_mut()? {
            Scheme::Basic => Some(digest::basic(username, password.expose()).into_bytes()),
            Scheme::Digest { challenge, cnonce, nc } => {
                // Saturates instead of wrapping: a count that starts again at 1 would look like a replay to the server.
                *nc = nc.saturating_add(1);
                let answer = challenge.answer(username, password.expose(), method, uri, cnonce, *nc);
                Some(digest::header_octets(&answer))
            }
        }
    }

    /// Notes that a new TCP connection was opened. It gets a client nonce of its own (R61).
    pub(super) fn connected(&mut self) -> Result<(), HttpError> {
        // The key of a session algorithm contains the client nonce, so that a new one would invalidate the key.
        if let Some(Scheme::Digest { challenge, cnonce, .. }) = &mut self.scheme
            && !challenge.algorithm.is_some_and(Algorithm::is_session)
        {
            *cnonce = fresh_cnonce()?;
        }
        Ok(())
    }

    /// Takes the challenges of a 401. On success the request is to be sent again, with the value that
    /// [`Authentication::authorization`] returns now.
    ///
    /// # Errors
    /// The challenge shows that the credentials are wrong, or there is none that may be answered.
    pub(super) fn challenged(
        &mut self,
        offered: Vec<Challenge>,
        allowed: AllowedSchemes,
        answered: &mut AnsweredChallenges,
    ) -> Result<(), HttpError> {
        if self.credentials.is_none() {
            return Err(HttpError::NoCredentials);
        }
        // Even a digest lets an eavesdropper try passwords at leisure, from which the `https` of the URL protects them.
        if allowed == AllowedSchemes::None {
            return Err(HttpError::LeftTls);
        }
        let Some(challenge) = digest::strongest(offered) else {
            return Err(match self.scheme {
                Some(_) => HttpError::Authentication { text: String::new() },
                None => HttpError::Protocol("status 401 without a supported challenge".into()),
            });
        };
        if self.is_rejection(&challenge, answered) {
            return Err(HttpError::Authentication { text: String::new() });
        }
        answered.any = true;
        self.scheme = Some(match challenge {
            // A response over plain HTTP may come from an attacker, and the request for Basic would be the way to the
            // password.
            Challenge::Basic if allowed != AllowedSchemes::All => return Err(HttpError::InsecureBasic),
            Challenge::Basic => Scheme::Basic,
            Challenge::Digest(challenge) => Scheme::Digest { challenge, cnonce: fresh_cnonce()?, nc: 0 },
        });
        Ok(())
    }

    /// Takes the value of `Authentication-Info`: the server may name the nonce of the next request, which saves a challenge.
    pub(super) fn informed(&mut self, value: &str) {
        // The key of a session algorithm contains the first nonce, so that another one would need a challenge.
        if let Some(Scheme::Digest { challenge, nc, .. }) = &mut self.scheme
            && !challenge.algorithm.is_some_and(Algorithm::is_session)
            && let Some(nonce) = digest::next_nonce(value)
            && nonce != challenge.nonce
        {
            challenge.nonce = nonce;
            *nc = 0;
        }
    }

    /// Returns to the state before the first challenge, since another server has not chosen a scheme yet.
    pub(super) fn forget(&mut self) {
        self.scheme = None;
    }

    /// Behaves as if the server had asked for Basic already.
    pub(super) fn assume_basic(&mut self) {
        self.scheme = Some(Scheme::Basic);
    }

    /// Returns true if Basic is in use.
    pub(super) fn is_basic(&self) -> bool {
        matches!(self.scheme, Some(Scheme::Basic))
    }

    /// Returns true if there are credentials and the server has not asked for them yet, so that a challenge is likely.
    pub(super) fn is_unchallenged(&self) -> bool {
        self.credentials.is_some() && self.scheme.is_none()
    }

    /// Returns true if this challenge means that the credentials are wrong.
    fn is_rejection(&self, challenge: &Challenge, answered: &mut AnsweredChallenges) -> bool {
        match (challenge, &self.scheme) {
            // Basic has no nonce that could be stale: the same credentials would be rejected again.
            (Challenge::Basic, Some(Scheme::Basic)) => true,
            // The number of stale nonces is limited, since a broken server may call every nonce stale.
            (Challenge::Digest(new), Some(Scheme::Digest { challenge: old, .. }))
                if answered.any && new.stale && new.nonce != old.nonce =>
            {
                answered.stale += 1;
                answered.stale > MAX_STALE
            }
            _ => answered.any,
        }
    }
}

/// Returns 128 random bits in hexadecimal digits.
fn fresh_cnonce() -> Result<String, HttpError> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| HttpError::Io(format!("no random bytes: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
