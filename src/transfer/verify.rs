//! The checks of a downloaded file before its action runs: a SHA-256 sum and an Ed25519 signature. A file that fails is
//! reported with fault 9019.
//!
//! Both checks read the file from the disk, because the action reads it from there as well. The sum and the signature
//! are beside the file on the server: `URL.sha256` and `URL.sig`, with the suffix in front of a query. A sum shows that
//! the file was transferred without damage; a signature also shows its origin.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq_proto::http::Method;

use super::error::{FaultContext, TransferError};
use super::file_request::{FileRequest, TransferLimits};
use super::file_server::FileServer;
use super::signature::{PublicKey, Signature};
use crate::cwmp::fault::FaultCode;
use crate::http::HttpError;

/// The largest list of sums, or signature with comments, in bytes.
const MAX_COMPANION: usize = 16 * 1024;
/// The longest transfer of such a small file: the limit of a whole firmware image would be too generous.
const COMPANION_LIMIT: Duration = Duration::from_secs(5 * 60);
/// The number of bytes that are read at a time.
const PIECE: usize = 8 * 1024;

/// The checks that a file must pass before its action runs; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// True if the file must have the SHA-256 sum that `URL.sha256` names.
    pub sha256: bool,
    /// The key by which `URL.sig` must be a signature of the file.
    pub signed_by: Option<PublicKey>,
}

/// Fetches the sum and the signature that the checks need, and runs the checks. `request` is that of the download.
pub fn verify(
    request: &FileRequest,
    file: &Path,
    checks: &Checks,
    stop: &Arc<AtomicBool>,
) -> Result<(), TransferError> {
    if checks.sha256 {
        let text = fetch_companion(request, ".sha256", stop)?;
        let expected = Sha256Sum::parse(&text, file_name(&request.url)).map_err(not_authentic)?;
        verify_sha256(file, &expected, stop)?;
    }
    // A valid sum does not replace the signature: an attacker with access to the server can replace the sum together
    // with the file.
    if let Some(key) = &checks.signed_by {
        let signature = Signature::parse(&fetch_companion(request, ".sig", stop)?).map_err(not_authentic)?;
        verify_signature(file, &signature, key, stop)?;
    }
    Ok(())
}

/// Fetches the small file whose URL is that of the request with `suffix` behind its path.
///
/// # Errors
/// 9019 if there is no such file, since the downloaded file then cannot be shown to be authentic.
pub fn fetch_companion(request: &FileRequest, suffix: &str, stop: &Arc<AtomicBool>) -> Result<Vec<u8>, TransferError> {
    let limits = TransferLimits { attempt: request.limits.attempt.min(COMPANION_LIMIT), ..request.limits };
    let request = FileRequest { limits, ..request.clone() };
    let explained = |error: TransferError| {
        let sentence = format!("the {suffix} file of the download: {error}");
        match error.fault() {
            _ if error.is_stopped() => error,
            // A file that does not exist is no failure of the transfer: it means that nothing authenticates the download.
            FaultCode::FileInaccessible if error.is_permanent() => not_authentic(sentence),
            fault => TransferError::transient(fault, sentence),
        }
    };
    let url = with_suffix(&request.url, suffix);
    let mut server =
        FileServer::open(&request, &url, stop).map_err(|error| explained(FaultContext::Download.error(error)))?;
    let result = fetch(&mut server);
    result.map_err(|error| match error {
        HttpError::TooLarge { .. } => not_authentic(format!("the {suffix} file of the download is too long for one")),
        error => explained(server.error(FaultContext::Download, error)),
    })
}

/// Fetches the whole body of a 200.
fn fetch(server: &mut FileServer<'_>) -> Result<Vec<u8>, HttpError> {
    let mut response = server.request(&Method::GET, &[], None)?;
    if response.status != 200 {
        return Err(HttpError::Status { code: response.status, retry_after: None, text: String::new() });
    }
    let body = server.read_body(&mut response, MAX_COMPANION)?;
    match response.compression() {
        // Of a plain text beside `fw.tar.gz`, some servers say that it is compressed, too.
        Some(coding) if body.starts_with(&[0x1f, 0x8b]) => Err(HttpError::Compressed(coding)),
        _ => Ok(body),
    }
}

/// Fails with 9019 if the file has another SHA-256 sum.
pub fn verify_sha256(file: &Path, expected: &Sha256Sum, stop: &AtomicBool) -> Result<(), TransferError> {
    let mut hasher = Sha256::new();
    for_each_piece(file, stop, &mut |piece| hasher.update(piece))?;
    match hasher.finalize().as_slice() == expected.0 {
        true => Ok(()),
        false => Err(not_authentic("the file has another SHA-256 sum than its .sha256 file names")),
    }
}

/// Fails with 9019 unless the signature is one of this file by this key: Ed25519 over the whole file (RFC 8032), as
/// `openssl pkeyutl -sign -rawin` and OpenWrt's `usign` make it.
pub fn verify_signature(
    file: &Path,
    signature: &Signature,
    key: &PublicKey,
    stop: &AtomicBool,
) -> Result<(), TransferError> {
    let refused = || not_authentic("the signature of the file was not made with the key that this device trusts");
    let mut state = key.verify_incremental(signature).map_err(|_| refused())?;
    for_each_piece(file, stop, &mut |piece| state.absorb(piece))?;
    state.verify().map_err(|_| refused())
}

/// The SHA-256 that a file must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sha256Sum([u8; 32]);

impl Sha256Sum {
    /// Parses the output of `sha256sum` (`sum  name`), its BSD form (`SHA256 (name) = sum`), or the sum alone. In a list of
    /// several files, the line that names `file_name` counts.
    pub fn parse(text: &[u8], file_name: &str) -> Result<Sha256Sum, String> {
        let text = String::from_utf8_lossy(text);
        let found: Vec<(Sha256Sum, bool)> = text
            .lines()
            .filter_map(|line| {
                let sum = line.split_ascii_whitespace().find_map(Sha256Sum::of_hex)?;
                Some((sum, names(line, file_name)))
            })
            .collect();
        let mut named = found.iter().filter(|(_, is_named)| *is_named);
        // A single sum counts under any name: the build may have named the file differently from the server.
        match (found.as_slice(), named.next(), named.next()) {
            ([], _, _) => Err("the .sha256 file holds no SHA-256 sum".into()),
            ([(sum, _)], _, _) | (_, Some((sum, _)), None) => Ok(*sum),
            _ => Err("the .sha256 file holds several sums, and does not say which is that of the file".into()),
        }
    }

    /// Parses 64 hexadecimal digits.
    fn of_hex(word: &str) -> Option<Sha256Sum> {
        let word = word.strip_prefix('\\').unwrap_or(word); // `sha256sum` escapes odd names so
        let mut sum = [0; 32];
        if word.len() != 64 || !word.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        for (byte, digits) in sum.iter_mut().zip(word.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Sha256Sum(sum))
    }
}

/// Returns true if a line of the list names this file, with or without a directory.
fn names(line: &str, file_name: &str) -> bool {
    let is_name = |word: &str| {
        let word = word.trim_start_matches(['*', '(']).trim_end_matches(')');
        !file_name.is_empty() && word.rsplit('/').next() == Some(file_name)
    };
    line.split_ascii_whitespace().any(is_name)
}

/// Returns the last segment of a URL's path.
fn file_name(url: &str) -> &str {
    let path = &url[..path_end(url)];
    path.rsplit('/').next().unwrap_or_default()
}

/// Returns the URL with a suffix behind its path, in front of the query.
fn with_suffix(url: &str, suffix: &str) -> String {
    let (path, query) = url.split_at(path_end(url));
    format!("{path}{suffix}{query}")
}

/// Returns the index at which the path of a URL ends.
fn path_end(url: &str) -> usize {
    url.find(['?', '#']).unwrap_or(url.len())
}

/// Reads a file piece by piece, so that a firmware image never has to fit into memory.
fn for_each_piece(path: &Path, stop: &AtomicBool, take: &mut dyn FnMut(&[u8])) -> Result<(), TransferError> {
    let failed =
        |error: io::Error| TransferError::of_disk(FaultContext::Download, "reading the downloaded file", &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut piece = [0; PIECE];
    loop {
        // A check of a large file on slow flash takes seconds, in which the agent may be stopped.
        if stop.load(Ordering::Relaxed) {
            return Err(FaultContext::Download.error(HttpError::Stopped));
        }
        match file.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(length) => take(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Returns fault 9019. It is permanent: the same file on the server would fail again.
fn not_authentic(sentence: impl Into<String>) -> TransferError {
    TransferError::permanent(FaultCode::FileNotAuthentic, sentence)
}

#[cfg(test)]
mod tests {
    use ed25519_compact::{KeyPair, Seed};

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn sum(hex: &str) -> Sha256Sum {
        Sha256Sum::of_hex(hex).expect("64 digits")
    }

    fn file_of(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, content).expect("a file");
        (directory, file)
    }

    #[test]
    fn reads_every_form_of_a_sum() {
        let other = format!("{EMPTY}  other.bin\n");
        for text in [
            ABC.to_owned(),
            format!("{}\n", ABC.to_uppercase()),
            format!("{ABC}  fw.bin\n"),
            format!("{ABC} *./out/fw.bin\r\n"),
            format!("SHA256 (fw.bin) = {ABC}\n"),
            format!("# sums\n{other}{ABC}  fw.bin\n"),
            format!("{ABC}  a-name-of-the-build.bin\n"),
        ] {
            assert_eq!(Sha256Sum::parse(text.as_bytes(), "fw.bin"), Ok(sum(ABC)), "{text}");
        }
        for text in ["", "<html>", &ABC[1..], &format!("{ABC}0"), &format!("{other}{ABC}  third.bin")] {
            assert!(Sha256Sum::parse(text.as_bytes(), "fw.bin").is_err(), "{text}");
        }
        assert!(Sha256Sum::parse(b"\xff\xfe\0", "").is_err());
    }

    #[test]
    fn companions_lie_beside_the_file() {
        assert_eq!(with_suffix("http://h/a@b/fw.bin?key=1.2#x", ".sig"), "http://h/a@b/fw.bin.sig?key=1.2#x");
        assert_eq!(with_suffix("http://h/fw.bin", ".sha256"), "http://h/fw.bin.sha256");
        assert_eq!(file_name("http://h/a/fw.bin?x=/y"), "fw.bin");
    }

    #[test]
    fn a_sum_must_be_right() {
        let (_directory, file) = file_of(b"abc");
        let stop = AtomicBool::new(false);
        assert!(verify_sha256(&file, &sum(ABC), &stop).is_ok());
        let error = verify_sha256(&file, &sum(EMPTY), &stop).expect_err("another sum");
        assert!(error.fault().number() == 9019 && error.is_permanent());
        stop.store(true, Ordering::Relaxed);
        assert!(verify_sha256(&file, &sum(ABC), &stop).expect_err("stopped").is_stopped());
    }

    #[test]
    fn a_signature_must_be_that_of_the_file_by_the_key() {
        let pair = |byte| KeyPair::from_seed(Seed::new([byte; 32]));
        let content = vec![7; 3 * PIECE + 1];
        let (_directory, file) = file_of(&content);
        let key = PublicKey::parse(&*pair(1).pk).expect("a key");
        let stop = AtomicBool::new(false);
        let check = |signature: [u8; 64]| {
            verify_signature(&file, &Signature::parse(&signature).expect("64 bytes"), &key, &stop)
        };
        let right = *pair(1).sk.sign(&content, None);
        assert!(check(right).is_ok());
        let mut damaged = right;
        for at in [0, 31, 32, 63] {
            damaged[at] ^= 1;
            assert_eq!(check(damaged).expect_err("damaged").fault().number(), 9019);
            damaged[at] ^= 1;
        }
        assert!(check(*pair(2).sk.sign(&content, None)).is_err());
        assert!(check(*pair(1).sk.sign(&content[1..], None)).is_err());
        assert!(check([0; 64]).is_err());
    }

    /// RFC 8032 §7.1, test 3: a signature that another implementation made.
    #[test]
    fn agrees_with_the_standard() {
        let hex = |text: &str| -> Vec<u8> {
            let digits = text.as_bytes().chunks(2);
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).expect("ASCII"), 16).expect("hex")).collect()
        };
        let key = hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
        let signature = hex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac\
             18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
        let (_directory, file) = file_of(&[0xaf, 0x82]);
        let key = PublicKey::parse(&key).expect("a key");
        let signature = Signature::parse(&signature).expect("a signature");
        assert!(verify_signature(&file, &signature, &key, &AtomicBool::new(false)).is_ok());
    }
}
