//! The client's side of HTTP authentication through one session.
//!
//! ```text
//!   no scheme ──401──▶ Basic or Digest ──401──▶ the next challenge, or refused
//! ```
//!
//! The server chooses the scheme by its challenge; from then on every request carries credentials
//! (R59), also on a new TCP connection. A server that binds its nonce to the connection answers those
//! with a fresh challenge, which is answered in turn; only a challenge to a request that was itself the
//! answer to one means that the credentials are wrong (R60).

use rand::RngCore;
use rand::rngs::OsRng;

use super::error::HttpError;
use crate::digest::{self, Algorithm, Challenge, DigestChallenge};
use crate::secret::Secret;

/// Fresh nonces in a row for one request, from a server that calls ours stale.
const MAX_STALE: u8 = 2;

/// Credentials, and the scheme that the server chose.
#[derive(Debug)]
pub(crate) struct Authentication {
    username: String,
    password: Secret,
    scheme: Option<Scheme>,
}

#[derive(Debug)]
enum Scheme {
    Basic,
    Digest {
        challenge: DigestChallenge,
        cnonce: String,
        /// Requests sent with this nonce.
        nc: u32,
    },
}

/// What happened so far to one request.
#[derive(Debug, Default)]
pub(crate) struct AnsweredChallenges {
    any: bool,
    stale: u8,
}

impl Authentication {
    pub(crate) fn new(username: String, password: Secret) -> Authentication {
        Authentication { username, password, scheme: None }
    }

    /// The `Authorization` of the next request; counts the use of the nonce.
    pub(crate) fn authorization(&mut self, method: &str, uri: &str) -> Option<String> {
        let password = self.password.expose();
        match self.scheme.as_mut()? {
            Scheme::Basic => Some(digest::basic(&self.username, password)),
            Scheme::Digest { challenge, cnonce, nc } => {
                *nc = nc.saturating_add(1);
                Some(challenge.answer(&self.username, password, method, uri, cnonce, *nc))
            }
        }
    }

    /// A new TCP connection gets a new client nonce (R61), except where it is part of the session key.
    pub(crate) fn connected(&mut self) -> Result<(), HttpError> {
        if let Some(Scheme::Digest { challenge, cnonce, .. }) = &mut self.scheme
            && !challenge.algorithm.is_some_and(Algorithm::is_session)
        {
            *cnonce = fresh_cnonce()?;
        }
        Ok(())
    }

    /// Takes a 401. `Ok`: send the request again, with what [`Authentication::authorization`] gives
    /// now. `allow_basic`: the password may be told to this server in clear text.
    pub(crate) fn challenged(
        &mut self,
        offered: Vec<Challenge>,
        allow_basic: bool,
        answered: &mut AnsweredChallenges,
    ) -> Result<(), HttpError> {
        let Some(challenge) = digest::strongest(offered) else {
            return Err(match self.scheme {
                Some(_) => HttpError::Authentication,
                None => HttpError::Protocol("status 401 without a challenge that could be answered".into()),
            });
        };
        if self.is_refusal(&challenge, answered) {
            return Err(HttpError::Authentication);
        }
        answered.any = true;
        self.scheme = Some(match challenge {
            Challenge::Basic if !allow_basic => {
                return Err(HttpError::Redirect("the new host wants the password in clear text, without TLS".into()));
            }
            Challenge::Basic => Scheme::Basic,
            Challenge::Digest(challenge) => Scheme::Digest { challenge, cnonce: fresh_cnonce()?, nc: 0 },
        });
        Ok(())
    }

    /// Another server: it has not chosen yet.
    pub(crate) fn forget(&mut self) {
        self.scheme = None;
    }

    /// As if the server had asked for Basic already.
    pub(crate) fn begin_with_basic(&mut self) {
        self.scheme = Some(Scheme::Basic);
    }

    /// Whether Basic is in use.
    pub(crate) fn is_basic(&self) -> bool {
        matches!(self.scheme, Some(Scheme::Basic))
    }

    /// Whether this challenge says that the credentials are wrong.
    fn is_refusal(&self, challenge: &Challenge, answered: &mut AnsweredChallenges) -> bool {
        match (challenge, &self.scheme) {
            (Challenge::Basic, Some(Scheme::Basic)) => true,
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

/// 128 random bits in hex.
fn fresh_cnonce() -> Result<String, HttpError> {
    let mut bytes = [0; 16];
    OsRng.try_fill_bytes(&mut bytes).map_err(|error| HttpError::Io(format!("no random bytes: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
