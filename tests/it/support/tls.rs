//! A certificate authority of the test's own making, and servers with every flaw a CPE must notice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};

/// The flaw of a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    /// Valid for `elsewhere.example` only.
    WrongName,
    /// Expired in 2001.
    Expired,
    /// Not valid before 2999.
    NotYetValid,
    /// Names the host in the subject's common name only; an IP host must be an IP SAN (R30).
    OnlyCommonName,
}

/// A certificate authority; a client that trusts one authority does not know another.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.self_signed(&key).expect("a CA certificate");
        Authority { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Returns the CA's certificate in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes the CA's certificate to `ca.pem` in `directory`, for `--ca-file`.
    pub fn ca_file(&self, directory: &Path) -> PathBuf {
        let path = directory.join("ca.pem");
        std::fs::write(&path, &self.pem).expect("ca.pem can be written");
        path
    }

    /// Returns an identity for the ACS at 127.0.0.1, ::1 and localhost.
    pub fn server(&self, flaw: Flaw) -> ServerTls {
        let names: &[&str] = match flaw {
            Flaw::WrongName => &["elsewhere.example"],
            Flaw::OnlyCommonName => &[],
            _ => &["localhost", "127.0.0.1", "::1"],
        };
        let mut params = params(names, "127.0.0.1");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match flaw {
            Flaw::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Flaw::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let (certificate, key) = self.sign(&params);
        ServerTls {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key: key.serialize_der(),
            clients: None,
        }
    }

    /// Writes `client.pem` and `client.key` for a CPE of that common name (R33).
    pub fn client_files(&self, common_name: &str, directory: &Path) -> (PathBuf, PathBuf) {
        let mut params = params(&[], common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.sign(&params);
        let files = (directory.join("client.pem"), directory.join("client.key"));
        std::fs::write(&files.0, certificate.pem()).expect("client.pem can be written");
        std::fs::write(&files.1, key.serialize_pem()).expect("client.key can be written");
        files
    }

    fn sign(&self, params: &CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        (certificate, key)
    }
}

/// The certificate and key of a TLS server, and its settings.
#[derive(Clone)]
pub struct ServerTls {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    clients: Option<CertificateDer<'static>>,
}

impl ServerTls {
    /// Refuses clients that have no certificate of this authority.
    pub fn require_client_of(mut self, authority: &Authority) -> ServerTls {
        self.clients = Some(authority.certificate.clone());
        self
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.clone()).expect("a CA certificate");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .expect("a verifier of clients");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        let config = builder.with_single_cert(self.chain.clone(), key).expect("certificate and key fit");
        Arc::new(config)
    }
}

fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of a certificate");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2999, 12, 31);
    params
}
