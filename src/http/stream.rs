//! A byte stream to a server, plain or over TLS, and what it takes to open one.

use std::io::{IoSlice, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::error::HttpError;
use super::io_limits::IoLimits;
use super::tcp::{Readiness, Tcp, http_error};
use super::tls_settings::TlsSettings;
use crate::url::Url;

#[cfg(feature = "tls")]
use super::tls::{TlsClient, TlsStream};

/// Opens streams. The trusted roots are read with the first `https` URL, not before: on slow flash
/// they cost more than the rest of a session.
#[derive(Debug)]
pub struct Connector {
    limits: IoLimits,
    #[cfg(feature = "tls")]
    tls: TlsSettings,
    #[cfg(feature = "tls")]
    clock_is_set: bool,
    #[cfg(feature = "tls")]
    client: Option<TlsClient>,
}

impl Connector {
    /// `clock_is_set`: false leaves the dates of certificates unchecked (R32).
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS uses them"))]
    pub fn new(limits: IoLimits, tls: TlsSettings, clock_is_set: bool) -> Connector {
        Connector {
            limits,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "tls")]
            clock_is_set,
            #[cfg(feature = "tls")]
            client: None,
        }
    }

    /// Connects, and for `https` sets up TLS and checks the certificate against the host of this very
    /// URL (R31). `preferred` is tried before the host's other addresses.
    pub fn open(&mut self, url: &Url, preferred: Option<SocketAddr>) -> Result<Stream, HttpError> {
        if !url.is_tls() {
            return Tcp::connect(url, preferred, &self.limits).map(Stream::Plain);
        }
        #[cfg(feature = "tls")]
        {
            // Before the connection, so that a wrong file does not leave a trace at the server.
            let client = match self.client.take() {
                Some(client) => client,
                None => TlsClient::load(&self.tls, self.clock_is_set)?,
            };
            let client = self.client.insert(client);
            let tcp = Tcp::connect(url, preferred, &self.limits)?;
            let stream = client.handshake(url.host(), tcp)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
        #[cfg(not(feature = "tls"))]
        Err(HttpError::Tls("this build has no TLS".into()))
    }
}

/// An open stream.
#[derive(Debug)]
pub enum Stream {
    /// TCP alone.
    Plain(Tcp),
    /// TLS over TCP.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Sends the parts one after the other, in one write to the socket if it takes them: two writes
    /// would wait for each other through Nagle's algorithm and delayed acknowledgement.
    pub fn send(&mut self, head: &[u8], body: &[u8]) -> Result<(), HttpError> {
        match self {
            Stream::Plain(tcp) => write_all(tcp, head, body).map_err(http_error),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.send(&[head, body]).map_err(http_error),
        }
    }

    /// Waits for bytes; 0 means that the server closed the stream.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HttpError> {
        match self {
            Stream::Plain(tcp) => tcp.read(buffer).map_err(http_error),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.read(buffer).map_err(http_error),
        }
    }

    /// Looks without waiting.
    pub fn peek(&mut self) -> Readiness {
        match self {
            Stream::Plain(tcp) => tcp.peek(),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.peek(),
        }
    }

    /// As [`Tcp::begin`].
    pub fn begin(&mut self, phase: &'static str, limit: Duration) {
        self.tcp_mut().begin(phase, limit);
    }

    /// The connection under it.
    pub fn tcp(&self) -> &Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.tcp(),
        }
    }

    fn tcp_mut(&mut self) -> &mut Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.tcp_mut(),
        }
    }
}

/// Both parts without copying the second, however large.
fn write_all(tcp: &mut Tcp, head: &[u8], body: &[u8]) -> std::io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut left = parts.as_mut_slice();
    IoSlice::advance_slices(&mut left, 0); // drops what is empty
    while !left.is_empty() {
        let sent = tcp.write_vectored(left)?;
        IoSlice::advance_slices(&mut left, sent);
    }
    Ok(())
}
