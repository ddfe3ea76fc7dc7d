//! Ed25519 signatures and public keys, in the forms that the usual tools write.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_compact::VerifyingState;

/// The largest key file in any of its forms, in bytes.
const MAX_KEY_FILE: u64 = 4096;

/// A detached Ed25519 signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Parses 64 raw bytes, their base64 form, or a file of `usign` and `signify` (a comment, then base64).
    pub fn parse(content: &[u8]) -> Result<Signature, String> {
        if let Ok(raw) = content.try_into() {
            return Ok(Signature(raw));
        }
        let bytes = unarmoured(content);
        of_signify(&bytes).map(Signature).ok_or_else(|| "the .sig file holds no Ed25519 signature".into())
    }
}

/// The public half of an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(ed25519_compact::PublicKey);

impl PublicKey {
    /// Reads a key file. The error names the file and the reason.
    pub fn load(file: &Path) -> Result<PublicKey, String> {
        let mut content = Vec::new();
        let read = File::open(file).and_then(|file| file.take(MAX_KEY_FILE).read_to_end(&mut content));
        read.map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        PublicKey::parse(&content).map_err(|reason| format!("{}: {reason}", file.display()))
    }

    /// Parses PEM as `openssl pkey -pubout` writes it, 32 raw bytes or their base64 form, or a public key file of `usign`
    /// and `signify`.
    pub fn parse(content: &[u8]) -> Result<PublicKey, String> {
        // A raw key may consist of any bytes, also those of a text, so that only its length identifies it.
        let bytes = if content.len() == 32 { content.to_vec() } else { unarmoured(content) };
        let raw = bytes.strip_prefix(SUBJECT_PUBLIC_KEY_INFO).and_then(|key| key.try_into().ok());
        let raw: [u8; 32] = raw.or_else(|| of_signify(&bytes)).ok_or("no Ed25519 public key")?;
        let key = ed25519_compact::PublicKey::new(raw);
        // A weak key is rejected: a signature that it accepts can be made for any file without the private key.
        key.validate().map_err(|_| "not a usable Ed25519 public key")?;
        Ok(PublicKey(key))
    }

    /// Begins the check of a signature of a message that is read piece by piece.
    pub(super) fn verify_incremental(&self, signature: &Signature) -> Result<VerifyingState, ed25519_compact::Error> {
        self.0.verify_incremental(&ed25519_compact::Signature::new(signature.0))
    }
}

/// The DER bytes in front of the 32 bytes of an Ed25519 key (RFC 8410).
const SUBJECT_PUBLIC_KEY_INFO: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Returns the decoded base64 of a text without its comment and PEM lines; empty if the text is not base64.
fn unarmoured(content: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(content);
    let is_base64 = |line: &&str| !line.starts_with("-----") && !line.contains("comment:");
    let joined: String = text.lines().map(str::trim).filter(is_base64).collect();
    BASE64_STANDARD.decode(joined).unwrap_or_default()
}

/// Returns the bytes themselves, or the last bytes of a `signify` structure: `Ed`, eight bytes of key number, the bytes.
fn of_signify<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    match bytes.strip_prefix(b"Ed").filter(|rest| rest.len() == 8 + N) {
        Some(rest) => rest[8..].try_into().ok(),
        None => bytes.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use ed25519_compact::{KeyPair, Seed};

    use super::*;

    #[test]
    fn reads_every_form_of_a_key_and_a_signature() {
        let pair = KeyPair::from_seed(Seed::new([1; 32]));
        let base64 = |parts: &[&[u8]]| BASE64_STANDARD.encode(parts.concat());
        let raw: &[u8] = &*pair.pk;
        let key = PublicKey::parse(raw);
        assert!(key.is_ok());
        for text in [
            format!("{}\n", base64(&[raw])),
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                base64(&[SUBJECT_PUBLIC_KEY_INFO, raw])
            ),
            format!("untrusted comment: public key 0102\n{}\n", base64(&[b"Ed", &[9; 8], raw])),
        ] {
            assert_eq!(PublicKey::parse(text.as_bytes()), key, "{text}");
        }
        let weak = [0; 32];
        for wrong in [&weak[..], b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &raw[1..]] {
            assert!(PublicKey::parse(wrong).is_err(), "{wrong:?}");
        }

        let raw: &[u8] = &[5; 64];
        for content in [
            raw.to_vec(),
            base64(&[raw]).into_bytes(),
            format!("untrusted comment: signed\n{}\n", base64(&[b"Ed", &[9; 8], raw])).into_bytes(),
        ] {
            assert_eq!(Signature::parse(&content), Ok(Signature([5; 64])));
        }
        for wrong in [&raw[1..], b"", b"AAAA", b"<html>not found</html>"] {
            assert!(Signature::parse(wrong).is_err());
        }
    }

    #[test]
    fn a_key_file_says_what_is_wrong_with_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, "no key").expect("a file");
        assert!(PublicKey::load(&file).expect_err("no key").ends_with("file: no Ed25519 public key"));
        assert!(PublicKey::load(&directory.path().join("missing")).expect_err("none").contains("cannot be read"));
    }
}
