//! A certificate authority of the test's own making, and servers with every flaw a CPE must notice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, RootCertStore, SupportedProtocolVersion};

const ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];

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
        Authority::of(params)
    }

    /// Returns an authority whose certificate has these fields, also if they are not those of a CA.
    pub fn of(params: CertificateParams) -> Authority {
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.self_signed(&key).expect("a CA certificate");
        Authority { certificate: certificate.der().clone(), pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Returns an authority that this one has signed.
    pub fn signs_authority(&self, params: CertificateParams) -> Authority {
        let (certificate, key) = self.sign(&params);
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
        self.signs(&params)
    }

    /// Returns an identity with these fields.
    pub fn signs(&self, params: &CertificateParams) -> ServerTls {
        let (certificate, key) = self.sign(params);
        ServerTls::new(vec![certificate.der().clone(), self.certificate.clone()], &key)
    }

    /// Writes `client.pem` and `client.key` for a CPE of that common name (R33).
    pub fn client_files(&self, common_name: &str, directory: &Path) -> (PathBuf, PathBuf) {
        self.client_files_of(params(&[], common_name), directory)
    }

    /// Writes `client.pem` and `client.key` with these fields.
    pub fn client_files_of(&self, mut params: CertificateParams, directory: &Path) -> (PathBuf, PathBuf) {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let (certificate, key) = self.sign(&params);
        let files = (directory.join("client.pem"), directory.join("client.key"));
        std::fs::write(&files.0, certificate.pem()).expect("client.pem can be written");
        std::fs::write(&files.1, key.serialize_pem()).expect("client.key can be written");
        files
    }

    /// Writes `server.pem` and `server.key` for a server of these names.
    pub fn server_files(&self, names: &[&str], directory: &Path) -> (PathBuf, PathBuf) {
        let mut params = params(names, "the server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (certificate, key) = self.sign(&params);
        let files = (directory.join("server.pem"), directory.join("server.key"));
        std::fs::write(&files.0, certificate.pem()).expect("server.pem can be written");
        std::fs::write(&files.1, key.serialize_pem()).expect("server.key can be written");
        files
    }

    fn sign(&self, params: &CertificateParams) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        (certificate, key)
    }
}

/// The certificate and key of a TLS server, and its settings.
pub struct ServerTls {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<CertificateDer<'static>>,
    is_tls12: bool,
}

impl Clone for ServerTls {
    fn clone(&self) -> ServerTls {
        let (chain, key, clients) = (self.chain.clone(), self.key.clone_key(), self.clients.clone());
        ServerTls { chain, key, clients, is_tls12: self.is_tls12 }
    }
}

impl ServerTls {
    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> ServerTls {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerTls { chain, key, clients: None, is_tls12: false }
    }

    /// Returns an identity whose certificate is signed by its own key, and this certificate in PEM.
    pub fn self_signed(params: &CertificateParams) -> (ServerTls, String) {
        let key = KeyPair::generate().expect("a key pair");
        let certificate = params.self_signed(&key).expect("a certificate");
        (ServerTls::new(vec![certificate.der().clone()], &key), certificate.pem())
    }

    /// Returns the identity of PEM files.
    pub fn of_files(chain: &Path, key: &Path) -> ServerTls {
        let chain = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect).expect("certificates in PEM");
        ServerTls {
            chain,
            key: PrivateKeyDer::from_pem_file(key).expect("a key in PEM"),
            clients: None,
            is_tls12: false,
        }
    }

    /// Sends this number of the first certificates of the chain alone.
    pub fn sends(mut self, certificates: usize) -> ServerTls {
        self.chain.truncate(certificates);
        self
    }

    /// Sends the last certificate of the chain until the chain has this length.
    pub fn padded(mut self, certificates: usize) -> ServerTls {
        let last = self.chain.last().expect("a certificate").clone();
        self.chain.resize(certificates, last);
        self
    }

    /// Signs with the key of another identity, which is not that of the certificate.
    pub fn with_key_of(mut self, other: &ServerTls) -> ServerTls {
        self.key = other.key.clone_key();
        self
    }

    /// Offers TLS 1.2 alone.
    pub fn tls12(mut self) -> ServerTls {
        self.is_tls12 = true;
        self
    }

    /// Refuses clients that have no certificate of this authority.
    pub fn require_client_of(mut self, authority: &Authority) -> ServerTls {
        self.clients = Some(authority.certificate.clone());
        self
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(if self.is_tls12 { ONLY_TLS12 } else { ALL_VERSIONS })
            .expect("ring knows TLS 1.2 and 1.3");
        let key = provider.key_provider.load_private_key(self.key.clone_key()).expect("a usable key");
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
        // Not `with_single_cert`, which would refuse the worst certificates here already.
        let identity = SingleCertAndKey::from(CertifiedKey::new(self.chain.clone(), key));
        Arc::new(builder.with_cert_resolver(Arc::new(identity)))
    }
}

/// Returns the fields of a certificate that is valid from 2000 to 2999.
pub fn params(names: &[&str], common_name: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names of a certificate");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(2999, 12, 31);
    params
}
