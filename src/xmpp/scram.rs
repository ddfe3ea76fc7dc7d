//! SASL SCRAM with SHA-256 and SHA-1 (RFC 5802, RFC 7677), the side of the client. Without channel binding.
//!
//! ```text
//!   Scram::first ─▶ n,,n=user,r=nonce          r=nonce…,s=salt,i=iterations ─▶ respond ─▶ c=biws,r=nonce…,p=proof
//!                                              v=signature of the server ────▶ verify
//! ```
//!
//! Only a server that knows the password, or what the client has stored with it, can make the signature.

use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::digest::Digest;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

use crate::digest::equal_in_constant_time;
use crate::secret::Secret;

/// The most iterations that a server may ask for: some seconds on a MIPS processor of 400 MHz.
const MAX_ITERATIONS: u32 = 100_000;
/// The longest salt in bytes.
const MAX_SALT: usize = 256;
/// The iterations between two looks at the stop flag: some milliseconds of such a processor.
const UNCHECKED: u32 = 256;
/// The header without channel binding, and its form in Base64.
const GS2_HEADER: &str = "n,,";
const GS2_BASE64: &str = "biws";

/// The hash of a mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha1,
}

/// The reason for which an authentication cannot go on.
pub(super) type ScramError = &'static str;

/// One authentication.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    password: Secret,
    nonce: String,
    /// `n=…,r=…`, the first message without its header.
    first: String,
    /// The signature with which the server proves itself, as soon as it can be computed.
    expected: Vec<u8>,
}

impl Scram {
    /// Begins an authentication. `nonce` must be random, without a comma.
    pub(super) fn new(hash: Hash, username: &str, password: Secret, nonce: String) -> Scram {
        let first = format!("n={},r={nonce}", username.replace('=', "=3D").replace(',', "=2C"));
        Scram { hash, password, nonce, first, expected: Vec::new() }
    }

    /// Returns the first message.
    pub(super) fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first)
    }

    /// Returns the answer to the challenge of the server. `stop` ends the computation early.
    pub(super) fn respond(&mut self, challenge: &str, stop: &AtomicBool) -> Result<String, ScramError> {
        if !self.expected.is_empty() {
            return Err("a second challenge");
        }
        let mut fields = challenge.split(',');
        let mut field = |name: &str| fields.next().and_then(|field| field.strip_prefix(name));
        // An extension in the first place (`m=`) would be one that the client must know.
        let nonce = field("r=").ok_or("a malformed challenge")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() || nonce.len() > 1024 {
            return Err("a challenge for another client");
        }
        let salt = field("s=").and_then(|salt| BASE64_STANDARD.decode(salt).ok()).ok_or("a challenge without salt")?;
        let iterations = field("i=").and_then(|count| count.parse().ok()).ok_or("a challenge without iterations")?;
        if salt.is_empty() || salt.len() > MAX_SALT {
            return Err("a challenge with an unusable salt");
        }
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err("a number of iterations that would occupy the device");
        }
        let last = format!("c={GS2_BASE64},r={nonce}");
        let signed = format!("{},{challenge},{last}", self.first);
        let (salt, signed) = (salt.as_slice(), signed.as_bytes());
        let (proof, expected) = match self.hash {
            Hash::Sha256 => prove::<Sha256, Hmac<Sha256>>(&self.password, salt, iterations, signed, stop),
            Hash::Sha1 => prove::<Sha1, Hmac<Sha1>>(&self.password, salt, iterations, signed, stop),
        }
        .ok_or("stopped")?;
        self.expected = expected;
        Ok(format!("{last},p={}", BASE64_STANDARD.encode(proof)))
    }

    /// Checks the last message of the server.
    pub(super) fn verify(&self, last: &str) -> Result<(), ScramError> {
        let given = last.split(',').next().and_then(|field| field.strip_prefix("v="));
        let given = given.and_then(|signature| BASE64_STANDARD.decode(signature).ok()).unwrap_or_default();
        match !self.expected.is_empty() && equal_in_constant_time(&given, &self.expected) {
            true => Ok(()),
            false => Err("the server does not know the password either: its signature is wrong"),
        }
    }
}

/// Returns the proof of the client and the signature of the server; `None` once `stop` is set.
fn prove<D: Digest, M: Mac + KeyInit + Clone>(
    password: &Secret,
    salt: &[u8],
    iterations: u32,
    signed: &[u8],
    stop: &AtomicBool,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let salted = pbkdf2::<M>(password.expose().as_bytes(), salt, iterations, stop)?;
    let client_key = hmac::<M>(&salted, b"Client Key");
    let signature = hmac::<M>(&D::digest(&client_key), signed);
    let proof = client_key.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
    let server_key = hmac::<M>(&salted, b"Server Key");
    Some((proof, hmac::<M>(&server_key, signed)))
}

/// PBKDF2 of RFC 8018 with one block of output, which RFC 5802 calls Hi.
fn pbkdf2<M: Mac + KeyInit + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    stop: &AtomicBool,
) -> Option<Vec<u8>> {
    // The key is expanded once; each iteration starts with a copy.
    let keyed = keyed::<M>(password);
    let mut block = keyed.clone().chain_update(salt).chain_update(1_u32.to_be_bytes()).finalize().into_bytes();
    let mut sum = block.to_vec();
    for round in 1..iterations {
        if round % UNCHECKED == 0 && stop.load(Ordering::Relaxed) {
            return None;
        }
        block = keyed.clone().chain_update(&block).finalize().into_bytes();
        sum.iter_mut().zip(&block).for_each(|(sum, byte)| *sum ^= byte);
    }
    Some(sum)
}

fn hmac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    keyed::<M>(key).chain_update(message).finalize().into_bytes().to_vec()
}

fn keyed<M: Mac + KeyInit>(key: &[u8]) -> M {
    let Ok(keyed) = <M as KeyInit>::new_from_slice(key) else { unreachable!("HMAC takes a key of any length") };
    keyed
}

#[cfg(test)]
mod tests;
