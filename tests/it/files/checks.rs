//! The checks that a file must pass before its action runs.

use cpe_agent::transfer::{Checks, PublicKey, fetch_companion, verify};

use super::attempt::{Attempt, told};
use crate::support::{FileServer, FileServerOptions, FileSpec, pattern};

/// 9019: a file without a valid signature is not used.
#[test]
fn a_file_is_held_against_its_sum_and_its_signature() {
    let content = pattern(100_000);
    let pair = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([3; 32]));
    let other = ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([4; 32]));
    let checks = Checks { sha256: true, signed_by: Some(PublicKey::parse(&*pair.pk).expect("a key")) };
    let sum = |content: &[u8]| {
        use sha2::Digest;
        let hex: String = sha2::Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        FileSpec::file(format!("{hex}  fw.bin\n"))
    };
    let signature = |pair: &ed25519_compact::KeyPair| FileSpec::file(pair.sk.sign(&content, None).to_vec());
    let run = |sum: Option<FileSpec>, signature: Option<FileSpec>| {
        let server = FileServer::start(FileServerOptions::new().digest("cpe", "s3cret"));
        server.serves("/fw.bin", FileSpec::file(content.clone()));
        for (path, companion) in [("/fw.bin.sha256", sum), ("/fw.bin.sig", signature)] {
            if let Some(companion) = companion {
                server.serves(path, companion);
            }
        }
        let attempt = Attempt::at(&server.url("/fw.bin?key=1"));
        attempt.content();
        let result = verify(&attempt.request, &attempt.file(), &checks, &attempt.stop);
        assert_eq!(
            server.requests().last().expect("a request").target.split_once('?').map(|(_, key)| key),
            Some("key=1")
        );
        result
    };
    run(Some(sum(&content)), Some(signature(&pair))).expect("a good file");
    // Apache calls everything beside `fw.gz` compressed.
    let called_gzip =
        (sum(&content).header("Content-Encoding", "gzip"), signature(&pair).header("Content-Encoding", "x-gzip"));
    run(Some(called_gzip.0), Some(called_gzip.1)).expect("a good file");
    let compressed = FileSpec::file(b"\x1f\x8b").header("Content-Encoding", "gzip");
    let (code, sentence) = told(run(Some(compressed), None));
    assert!(code == 9010 && sentence.contains("Content-Encoding gzip"), "{code} {sentence}");
    for (sum, signature) in [
        (None, Some(signature(&pair))),
        (Some(sum(b"")), Some(signature(&pair))),
        (Some(FileSpec::file("<html>")), Some(signature(&pair))),
        (Some(sum(b"").header("Content-Encoding", "gzip")), Some(signature(&pair))),
        (Some(FileSpec::file(vec![b'0'; 1 << 20])), Some(signature(&pair))),
        (Some(FileSpec::sized(1).endless()), Some(signature(&pair))),
        (Some(sum(&content)), None),
        (Some(sum(&content)), Some(signature(&other))),
        (Some(sum(&content)), Some(FileSpec::file(vec![0; 64]))),
        (Some(sum(&content)), Some(FileSpec::file(""))),
    ] {
        let (code, sentence) = told(run(sum, signature));
        assert_eq!(code, 9019, "{sentence}");
    }
    // A sum or signature that cannot be fetched has another code than a wrong one.
    assert_eq!(told(run(Some(FileSpec::status(503)), None)).0, 9016);
    let attempt = Attempt::at("http://files.invalid/fw.bin");
    assert_eq!(told(fetch_companion(&attempt.request, ".sig", &attempt.stop)).0, 9015);
    verify(&attempt.request, &attempt.file(), &Checks::default(), &attempt.stop).expect("nothing to check");
}
