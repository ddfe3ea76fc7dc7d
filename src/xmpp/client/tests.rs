use super::*;

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
     id='1' from='x' version='1.0'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const BIND: &str = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
const ADDRESS: &str =
    "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>u@x/r</jid></bind></iq>";

fn client() -> Client {
    let account = Account { username: "u".into(), password: "p".into(), domain: "x".into(), resource: "<r>".into() };
    Client::new(account, [0; 18], Arc::default())
}

fn features(content: &str) -> String {
    format!("<stream:features>{content}</stream:features>")
}

fn mechanisms(names: &[&str]) -> String {
    let list: String = names.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    features(&format!("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{list}</mechanisms>"))
}

fn sasl(name: &str, message: &str) -> String {
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</{name}>", BASE64_STANDARD.encode(message))
}

/// Gives the text to the client and returns its only step.
fn step(client: &mut Client, text: &str) -> Result<Option<Action>, StreamError> {
    client.receive(text.as_bytes());
    let action = client.poll()?;
    assert_eq!(client.poll()?, None);
    Ok(action)
}

fn sent(client: &mut Client, text: &str) -> String {
    match step(client, text) {
        Ok(Some(Action::Send(sent))) => sent,
        other => panic!("{other:?} after {text}"),
    }
}

/// Returns a client whose stream has TLS and the header of the server.
fn secured() -> Client {
    let mut client = client();
    assert!(sent(&mut client, &format!("{HEADER}{}", features(STARTTLS))).starts_with("<starttls "));
    assert_eq!(step(&mut client, PROCEED), Ok(Some(Action::StartTls)));
    assert_eq!(client.secured(), client.header());
    client
}

/// Returns a client whose stream is ready.
fn ready() -> Client {
    let mut client = secured();
    let auth = sent(&mut client, &format!("{HEADER}{}", mechanisms(&["PLAIN"])));
    assert_eq!(auth, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHUAcA==</auth>");
    assert_eq!(sent(&mut client, &sasl("success", "")), client.header());
    let bind = sent(&mut client, &format!("{HEADER}{}", features(BIND)));
    assert!(bind.contains("<resource>&lt;r&gt;</resource>"), "{bind}");
    assert_eq!(step(&mut client, ADDRESS), Ok(Some(Action::Ready("u@x/r".into()))));
    client
}

#[test]
fn without_tls_there_is_no_authentication() {
    let mut client = client();
    let offer = format!("{HEADER}{}", mechanisms(&["PLAIN", "SCRAM-SHA-256"]));
    assert_eq!(step(&mut client, &offer), Err(StreamError::NoTls));
}

#[test]
fn bytes_before_tls_end_the_stream() {
    let mut client = client();
    sent(&mut client, &format!("{HEADER}{}", features(STARTTLS)));
    let injected = format!("{PROCEED}{HEADER}{}", mechanisms(&["PLAIN"]));
    assert!(matches!(step(&mut client, &injected), Err(StreamError::Protocol(_))));
}

#[test]
fn the_best_mechanism_is_chosen_and_the_server_must_prove_itself() {
    let mut client = secured();
    let names = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "X"];
    let auth = sent(&mut client, &format!("{HEADER}{}", mechanisms(&names)));
    assert!(auth.contains("mechanism='SCRAM-SHA-256'"), "{auth}");
    let nonce = BASE64_STANDARD.encode([0; 18]);
    let response = sent(&mut client, &sasl("challenge", &format!("r={nonce}X,s=QSXC,i=1")));
    assert!(response.starts_with("<response "), "{response}");
    for wrong in ["", "v=AAAA", "e=no"] {
        let error = step(&mut client, &sasl("success", wrong)).expect_err("no proof");
        assert!(matches!(error, StreamError::Authentication(_)), "{error}");
    }
}

#[test]
fn a_success_without_a_challenge_proves_nothing() {
    let mut client = secured();
    sent(&mut client, &format!("{HEADER}{}", mechanisms(&["SCRAM-SHA-1"])));
    assert!(matches!(step(&mut client, &sasl("success", "v=")), Err(StreamError::Authentication(_))));
}

#[test]
fn answers_that_end_the_stream() {
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>";
    for (answer, expected) in [
        (failure, "the authentication at the XMPP server failed: the server refuses it with not-authorized"),
        ("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>!</challenge>", "Base64"),
        (&sasl("challenge", "r=x,s=QSXC,i=1"), "another client"),
        (&sasl("challenge", "v=AAAA"), "signature"),
        ("<message/>", "unexpected element message"),
        ("<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "with conflict"),
        ("</stream:stream>", "closed the stream"),
        ("<a><b></a></b>", "well-formed"),
        ("<a>&entity;</a>", "well-formed"),
        ("<x:a/>", "well-formed"),
    ] {
        let mut client = secured();
        sent(&mut client, &format!("{HEADER}{}", mechanisms(&["SCRAM-SHA-1"])));
        let error = step(&mut client, answer).expect_err("the end").to_string();
        assert!(error.contains(expected), "{error}");
    }
    for header in [
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='other' version='1.0'>",
        "<html version='1.0'>",
    ] {
        assert!(matches!(step(&mut client(), header), Err(StreamError::Protocol(_))), "{header}");
    }
}

#[test]
fn addresses_that_cannot_be_used() {
    let authenticated = || {
        let mut client = secured();
        sent(&mut client, &format!("{HEADER}{}", mechanisms(&["PLAIN"])));
        sent(&mut client, &sasl("success", ""));
        client
    };
    assert!(matches!(step(&mut authenticated(), &format!("{HEADER}{}", features(""))), Err(StreamError::Protocol(_))));
    let long = format!("u@x/{}", "r".repeat(MAX_ADDRESS));
    let refused = "<iq type='error' id='bind'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                   </error></iq>";
    for answer in [
        refused.to_owned(),
        ADDRESS.replace("u@x/r", ""),
        ADDRESS.replace("/r", "/ r"),
        ADDRESS.replace("u@x/r", &long),
    ] {
        let mut client = authenticated();
        sent(&mut client, &format!("{HEADER}{}", features(BIND)));
        // A stanza of another entity may come first.
        assert_eq!(step(&mut client, "<message/>"), Ok(None));
        assert!(matches!(step(&mut client, &answer), Err(StreamError::Protocol(_))), "{answer}");
    }
}

/// R298, R299.
#[test]
fn requests_are_reported_and_other_stanzas_answered_or_ignored() {
    let mut client = ready();
    let request = "<iq type='get' id='7' from='acs@x/1'><connectionRequest \
                   xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>a</username><password>b</password>\
                   </connectionRequest></iq>";
    match step(&mut client, request) {
        Ok(Some(Action::Request(request))) => assert_eq!(request.from(), "acs@x/1"),
        other => panic!("{other:?}"),
    }
    let refused = sent(&mut client, "<iq type='get' id='8' from='acs@x/1'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert!(refused.contains("<service-unavailable "), "{refused}");
    for ignored in [
        "<message from='a@x'><body>b</body></message>",
        "<presence/>",
        "<iq type='result' id='9'/>",
        "<iq type='error' id='9'/>",
        "<iq type='get'/>",
        "<a xmlns='urn:xmpp:sm:3'/>",
    ] {
        assert_eq!(step(&mut client, ignored), Ok(None), "{ignored}");
    }
    assert_eq!(step(&mut client, "</stream:stream>"), Err(StreamError::Ended));
}

/// Whatever the server sends in place of each element, and wherever its bytes are cut, the client ends or waits: before TLS, in an
/// authentication by SCRAM, in the binding of the address, and among stanzas.
#[test]
fn every_truncation_and_every_changed_byte_is_survived() {
    let bound = || {
        let mut client = secured();
        sent(&mut client, &format!("{HEADER}{}", mechanisms(&["PLAIN"])));
        sent(&mut client, &sasl("success", ""));
        client
    };
    let scram = [mechanisms(&["SCRAM-SHA-1"]), sasl("challenge", "r=AAAAAAAAAAAAAAAAAAAAAAAAx,s=QSXC,i=1")].concat();
    let request = "<iq type='get' id='1' from='a@x/b'><connectionRequest xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'>\
                   <username>u</username><password>p</password></connectionRequest></iq>";
    let stages: [(&dyn Fn() -> Client, String); 4] = [
        (&client, format!("{HEADER}{}", features(STARTTLS))),
        (&secured, format!("{HEADER}{scram}{}", sasl("success", "v=AAAA"))),
        (&bound, format!("{HEADER}{}{ADDRESS}", features(BIND))),
        (&ready, request.to_owned()),
    ];
    for (client, whole) in stages {
        for at in 0..whole.len() {
            for byte in [b'<', b'>', b'\'', b'=', 0] {
                let mut bytes = whole.clone().into_bytes();
                bytes[at] = byte;
                for end in [at + 1, bytes.len()] {
                    let mut client = client();
                    client.receive(&bytes[..end]);
                    while let Ok(Some(action)) = client.poll() {
                        // R298: no damage makes right credentials of wrong ones.
                        let Action::Request(request) = action else { continue };
                        assert!(!request.has_credentials("u", &"q".into()), "{at} {byte}");
                    }
                }
            }
        }
    }
}
