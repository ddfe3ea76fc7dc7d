use super::*;

static RUNNING: AtomicBool = AtomicBool::new(false);

fn pencil(hash: Hash, nonce: &str) -> Scram {
    Scram::new(hash, "user", "pencil".into(), nonce.into())
}

/// The example of RFC 5802 §5.
#[test]
fn sha_1_as_in_rfc_5802() {
    let mut scram = pencil(Hash::Sha1, "fyko+d2lbbFgONRv9qkxdawL");
    assert_eq!(scram.first(), "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
    let challenge = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let expected = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    assert_eq!(scram.respond(challenge, &RUNNING).as_deref(), Ok(expected));
    assert_eq!(scram.verify("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(()));
    assert!(scram.respond(challenge, &RUNNING).is_err(), "each answer is a computation for the device");
    for wrong in ["v=rmF9pqV8S7suAoZWja4dJRkFsKA=", "v=", "", "v=!", "e=other-error", "rmF9pqV8S7suAoZWja4dJRkFsKQ="] {
        assert!(scram.verify(wrong).is_err(), "{wrong}");
    }
}

/// The example of RFC 7677 §3.
#[test]
fn sha_256_as_in_rfc_7677() {
    let mut scram = pencil(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO");
    let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(scram.respond(challenge, &RUNNING).as_deref(), Ok(expected));
    assert_eq!(scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="), Ok(()));
}

#[test]
fn a_server_cannot_prove_itself_before_the_challenge() {
    let scram = pencil(Hash::Sha256, "nonce");
    assert!(scram.verify("v=").is_err());
}

#[test]
fn a_user_name_cannot_add_a_field() {
    let scram = Scram::new(Hash::Sha1, "a,r=b=c", Secret::default(), "nonce".into());
    assert_eq!(scram.first(), "n,,n=a=2Cr=3Db=3Dc,r=nonce");
}

#[test]
fn challenges_that_cannot_be_used() {
    let long = format!("r=nonceX,s={},i=1", BASE64_STANDARD.encode([0; MAX_SALT + 1]));
    for challenge in [
        "",
        "r=nonce,s=QSXC,i=4096",
        "r=other,s=QSXC,i=4096",
        "m=x,r=nonceX,s=QSXC,i=4096",
        "r=nonceX",
        "r=nonceX,s=QSXC",
        "r=nonceX,s=!,i=4096",
        "r=nonceX,s=,i=4096",
        "r=nonceX,s=QSXC,i=0",
        "r=nonceX,s=QSXC,i=-1",
        "r=nonceX,s=QSXC,i=100001",
        "r=nonceX,s=QSXC,i=99999999999999",
        "r=nonceX,i=4096,s=QSXC",
        long.as_str(),
    ] {
        assert!(pencil(Hash::Sha1, "nonce").respond(challenge, &RUNNING).is_err(), "{challenge}");
    }
    assert!(pencil(Hash::Sha1, "nonce").respond("r=nonceX,s=QSXC,i=1,x=later", &RUNNING).is_ok());
}

#[test]
fn the_stop_flag_ends_the_computation() {
    let stopped = AtomicBool::new(true);
    assert_eq!(pencil(Hash::Sha1, "nonce").respond("r=nonceX,s=QSXC,i=100000", &stopped), Err("stopped"));
}

/// No damaged message of a server is taken for the proof that it knows the password.
#[test]
fn every_truncation_and_every_changed_byte_is_refused() {
    let challenge = "r=nonceX,s=QSXC,i=1";
    let answered = || {
        let mut scram = pencil(Hash::Sha256, "nonce");
        scram.respond(challenge, &RUNNING).expect("a response");
        scram
    };
    let proof = format!("v={}", BASE64_STANDARD.encode([7; 32]));
    for (message, is_challenge) in [(challenge, true), (&*proof, false)] {
        for at in 0..message.len() {
            for text in [message[..at].to_owned(), format!("{}\u{fc}{}", &message[..at], &message[at + 1..])] {
                match is_challenge {
                    true => drop(pencil(Hash::Sha256, "nonce").respond(&text, &RUNNING)),
                    false => assert!(answered().verify(&text).is_err(), "{text}"),
                }
            }
        }
    }
}
