//! Servers that are hostile or broken: the agent gives each up with a reason, keeps its password, and goes on.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::hostile_server::{ADDRESS, BIND, HEADER, PROCEED, Peer, STARTTLS, Step, await_end, mechanisms, sasl, start};
use super::*;
use crate::gateway::{BOOT, BOOTSTRAP};
use crate::support::tls::ServerTls;
use crate::support::{AcsOptions, ManualAcs};

/// Starts a gateway beside a server that does these steps.
fn beside(steps: Vec<Step>) -> (ManualAcs, Agent, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let authority = Authority::new("the authority of the server");
    let (chain, key) = authority.server_files(&[DOMAIN], directory.path());
    let port = start(ServerTls::of_files(&chain, &key).config(), steps);
    let acs = ManualAcs::start(AcsOptions::new());
    let ca = authority.ca_file(directory.path());
    let agent = gateway(&acs.url(), port, directory.path())
        .args(&["--ca-file", ca.to_str().expect("a path")])
        .log_level("debug")
        .start();
    (acs, agent, directory)
}

fn step(reason: &'static str, act: impl FnOnce(Peer) + Send + 'static) -> Step {
    (reason, Box::new(act))
}

/// Sends a text before TLS, and waits for the end.
fn first(reason: &'static str, text: String) -> Step {
    step(reason, move |mut peer| {
        peer.stream.read_to("<stream:stream");
        peer.stream.try_send(&text);
        let rest = peer.stream.rest().unwrap_or_default();
        assert!(!rest.contains("<auth"), "no authentication without TLS");
    })
}

/// Sends a text in place of the features behind TLS.
fn behind_tls(reason: &'static str, text: String) -> Step {
    step(reason, move |peer| {
        let mut peer = peer.secured();
        peer.stream.try_send(&text);
        await_end(peer);
    })
}

/// Every step ends with its reason in the log, and the agent connects again.
fn each_is_given_up(mut steps: Vec<Step>) {
    let reasons: Vec<&str> = steps.iter().map(|(reason, _)| *reason).collect();
    let (done, is_done) = mpsc::channel();
    steps.push(step("", move |peer| {
        let peer = peer.ready();
        done.send(()).expect("the test waits");
        await_end(peer);
    }));
    let (acs, mut agent, _directory) = beside(steps);
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    is_done.recv_timeout(SOON * 2).unwrap_or_else(|_| panic!("a server is not given up:\n{}", agent.log()));
    // The lines are written before the last connection begins, and may reach the test after it.
    let end = Instant::now() + SOON;
    while let Some(reason) = missing(&agent.log(), &reasons) {
        assert!(Instant::now() < end, "{reason} is missing in its place:\n{}", agent.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    let log = agent.log();
    assert!(!log.contains(CPE.1), "the password is in no log");
    assert!(agent.is_running());
}

/// Returns the first reason that does not stand behind the ones before it.
fn missing<'a>(log: &str, reasons: &[&'a str]) -> Option<&'a str> {
    let mut rest = log;
    for reason in reasons {
        match rest.find(reason) {
            Some(at) => rest = &rest[at + reason.len()..],
            None => return Some(reason),
        }
    }
    None
}

#[test]
fn streams_that_are_no_xmpp() {
    let endless = format!("{HEADER}<a>{}", "b".repeat(200_000));
    let deep = format!("{HEADER}{}", "<a>".repeat(200));
    each_is_given_up(vec![
        first("no well-formed XML", "HTTP/1.1 400 Bad Request\r\n\r\n".into()),
        first("a DTD", format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{HEADER}")),
        first("a processing instruction", format!("{HEADER}<?php?>")),
        first("a stanza of more than 10000 bytes", endless.clone()),
        first("nested more than 12 deep", deep.clone()),
        first("offers no TLS", format!("{HEADER}{}", mechanisms(&["PLAIN", "SCRAM-SHA-256"]))),
        first("closed the stream", format!("{HEADER}</stream:stream>")),
        behind_tls("a stanza of more than 10000 bytes", endless),
        behind_tls("nested more than 12 deep", deep),
        behind_tls("offers none of SCRAM-SHA-256", format!("{HEADER}{}", mechanisms(&["DIGEST-MD5", "EXTERNAL"]))),
    ]);
}

#[test]
fn tls_that_is_tampered_with() {
    each_is_given_up(vec![
        // STARTTLS injection: features that an attacker sends in advance.
        step("bytes between the consent to TLS and its start", |mut peer| {
            peer.stream.read_to("<stream:stream");
            peer.stream.send(&format!("{HEADER}{STARTTLS}"));
            peer.stream.read_to("<starttls");
            peer.stream.try_send(&format!("{PROCEED}{HEADER}{}", mechanisms(&["PLAIN"])));
            await_end(peer);
        }),
        step("a refusal of TLS", |mut peer| {
            peer.stream.read_to("<stream:stream");
            peer.stream.send(&format!("{HEADER}{STARTTLS}"));
            peer.stream.read_to("<starttls");
            peer.stream.try_send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            await_end(peer);
        }),
        step("no secure connection", |mut peer| {
            peer.stream.read_to("<stream:stream");
            peer.stream.send(&format!("{HEADER}{STARTTLS}"));
            peer.stream.read_to("<starttls");
            peer.stream.send(PROCEED);
            peer.stream.read_to("\u{16}"); // the begin of a handshake
            peer.stream.try_send("<stream:features/>");
            await_end(peer);
        }),
    ]);
}

/// A server that does not know the password cannot go on, whatever it sends.
#[test]
fn a_server_that_only_claims_to_know_the_password() {
    let challenged = |reason: &'static str, challenge: &'static str, last: Option<String>| {
        step(reason, move |peer| {
            let mut peer = peer.secured();
            let nonce = peer.scram();
            peer.stream.send(&sasl("challenge", &challenge.replace("NONCE", &nonce)));
            if let Some(last) = last {
                peer.stream.read_to("</response>");
                peer.stream.try_send(&last);
            }
            await_end(peer);
        })
    };
    let usual = "r=NONCEx,s=c2FsdA==,i=4096";
    each_is_given_up(vec![
        challenged(
            "its signature is wrong",
            usual,
            Some(sasl("success", "v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        ),
        challenged("its signature is wrong", usual, Some(sasl("success", ""))),
        challenged("a second challenge", usual, Some(sasl("challenge", "r=x,s=c2FsdA==,i=4096"))),
        challenged("another client", "r=x,s=c2FsdA==,i=4096", None),
        challenged("would occupy the device", "r=NONCEx,s=c2FsdA==,i=4000000000", None),
        step("its signature is wrong", |peer| {
            let mut peer = peer.secured();
            peer.scram();
            peer.stream.try_send(&sasl("success", "v="));
            await_end(peer);
        }),
    ]);
}

/// A connection that ends anywhere in the setup, and one that ends when it is ready.
#[test]
fn connections_that_are_cut() {
    let whole = format!("{HEADER}{STARTTLS}");
    let cuts = [0, 1, 40, HEADER.len(), HEADER.len() + 20, whole.len()];
    let mut steps: Vec<Step> = cuts
        .into_iter()
        .map(|cut| {
            let text = whole[..cut].to_owned();
            step("no XMPP connection requests", move |mut peer: Peer| {
                peer.stream.read_to("<stream:stream");
                peer.stream.try_send(&text);
            })
        })
        .collect();
    for last in [HEADER.to_owned(), format!("{HEADER}{}", mechanisms(&["PLAIN"])), format!("{HEADER}{BIND}")] {
        steps.push(step("no XMPP connection requests", move |peer| {
            peer.secured().stream.try_send(&last);
        }));
    }
    steps.push(step("no XMPP connection requests", |peer| drop(peer.ready())));
    each_is_given_up(steps);
}

/// Bytes of a stream that is ready: what is no request is ignored, and what is no XML ends it.
#[test]
fn stanzas_that_are_no_requests() {
    each_is_given_up(vec![
        step("closed the stream with system-shutdown", |peer| {
            let mut peer = peer.ready();
            for ignored in ["<message/>", "<presence/>", "<iq type='get'/>", ADDRESS, " \n "] {
                peer.stream.send(ignored);
            }
            peer.stream.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
            assert!(peer.stream.read_to("</iq>").contains("id='p'"));
            peer.stream
                .send("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
            await_end(peer);
        }),
        step("a DTD, a comment or CDATA", |peer| {
            let mut peer = peer.ready();
            peer.stream.send("<message><!-- a --></message>");
            await_end(peer);
        }),
    ]);
}

/// A server that is silent keeps nothing waiting: neither the session with the ACS nor the end of the agent.
#[test]
fn a_silent_server_delays_nothing() {
    let (acs, mut agent, _directory) = beside(vec![step("", await_end)]);
    acs.expect_events(&[BOOTSTRAP, BOOT]);
    await_status(&agent, "Connecting");
    agent.succeeds(&["status"]);
    let begun = Instant::now();
    assert!(agent.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}
