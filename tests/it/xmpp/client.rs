//! A client of the server that sends connection requests as an ACS does.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::DOMAIN;
use super::stream::Stream;

/// The namespace of a connection request.
pub(super) const NAMESPACE: &str = "urn:broadband-forum-org:cwmp:xmppConnReq-1-0";

pub(super) struct Client {
    stream: Stream,
    next_id: u32,
}

impl Client {
    /// Signs in as `user@xmpp.example/acs`.
    pub(super) fn new(port: u16, ca: &Path, (user, password): (&str, &str)) -> Client {
        let header = format!(
            "<stream:stream to=\"{DOMAIN}\" version=\"1.0\" xmlns=\"jabber:client\" \
             xmlns:stream=\"http://etherx.jabber.org/streams\">"
        );
        let mut plain = Stream::new(TcpStream::connect(("127.0.0.1", port)).expect("a server"));
        plain.send(&header);
        plain.read_to("</stream:features>");
        plain.send("<starttls xmlns=\"urn:ietf:params:xml:ns:xmpp-tls\"/>");
        plain.read_to("<proceed");
        let mut stream = secured(plain, ca);
        stream.send(&header);
        stream.read_to("</stream:features>");
        let plain = BASE64_STANDARD.encode(format!("\0{user}\0{password}"));
        stream.send(&format!("<auth xmlns=\"urn:ietf:params:xml:ns:xmpp-sasl\" mechanism=\"PLAIN\">{plain}</auth>"));
        stream.read_to("<success");
        stream.send(&header);
        stream.read_to("</stream:features>");
        let bind = "<bind xmlns=\"urn:ietf:params:xml:ns:xmpp-bind\"><resource>acs</resource></bind>";
        stream.send(&format!("<iq type=\"set\" id=\"b\">{bind}</iq>"));
        stream.read_to("</iq>");
        Client { stream, next_id: 0 }
    }

    /// Sends a connection request in the form of GenieACS, and returns the answer.
    pub(super) fn requests(&mut self, to: &str, (username, password): (&str, &str)) -> String {
        self.asks(to, "get", &request(NAMESPACE, username, password))
    }

    /// Sends an `iq` and returns the answer.
    pub(super) fn asks(&mut self, to: &str, kind: &str, content: &str) -> String {
        self.next_id += 1;
        let id = self.next_id;
        self.stream
            .send(&format!("<iq from=\"acs@{DOMAIN}/acs\" to=\"{to}\" id=\"{id}\" type=\"{kind}\">{content}</iq>"));
        let answer = self.stream.read_to(">");
        let is_whole = |text: &str| text.contains("</iq>") || text.ends_with("/>") && !text.contains("<error");
        match is_whole(&answer) {
            true => answer,
            false => answer + &self.stream.read_to("</iq>"),
        }
    }
}

pub(super) fn request(namespace: &str, username: &str, password: &str) -> String {
    format!(
        "<connectionRequest xmlns=\"{namespace}\"><username>{username}</username><password>{password}</password>\
         </connectionRequest>"
    )
}

fn secured(plain: Stream, ca: &Path) -> Stream {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("a CA");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(DOMAIN).expect("a name");
    let tls = ClientConnection::new(Arc::new(config), name).expect("a client");
    Stream::Client(Box::new(StreamOwned::new(tls, plain.socket())))
}
