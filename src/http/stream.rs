//! A byte stream to a server, plain or over TLS, and the connector that opens it.

use std::io::{IoSlice, Read, Write};
use std::time::Duration;

use super::error::HttpError;
use super::io_limits::IoLimits;
use super::tcp::{PreferredAddress, Readiness, Tcp, http_error};
use super::tls_settings::TlsSettings;
use crate::socket_options::SocketOptions;
#[cfg(feature = "xmpp")]
use crate::url::Host;
use crate::url::Url;

#[cfg(feature = "tls")]
use super::tls::{TlsClient, TlsStream};

/// Opens streams. The trusted roots are read with the first `https` URL and not before: on slow flash they take longer
/// than the rest of a session.
#[derive(Debug)]
pub(super) struct Connector {
    limits: IoLimits,
    options: SocketOptions,
    #[cfg(feature = "tls")]
    tls: TlsSettings,
    #[cfg(feature = "tls")]
    clock_is_set: bool,
    #[cfg(feature = "tls")]
    client: Option<TlsClient>,
}

impl Connector {
    /// Returns a connector. `clock_is_set`: false leaves the dates of certificates unchecked (R32).
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "only TLS uses them"))]
    pub(super) fn new(limits: IoLimits, options: SocketOptions, tls: TlsSettings, clock_is_set: bool) -> Connector {
        Connector {
            limits,
            options,
            #[cfg(feature = "tls")]
            tls,
            #[cfg(feature = "tls")]
            clock_is_set,
            #[cfg(feature = "tls")]
            client: None,
        }
    }

    /// Connects, and for `https` sets up TLS and checks the certificate against the host of this URL, which may be the
    /// target of a redirect (R31). `preferred` is tried before the other addresses of the host.
    pub(super) fn open(&mut self, url: &Url, preferred: Option<PreferredAddress>) -> Result<Stream, HttpError> {
        if !url.is_tls() {
            return Tcp::connect(url, preferred, &self.options, &self.limits).map(Stream::Plain);
        }
        #[cfg(feature = "tls")]
        {
            // The files are read before the connection is made, so that a wrong file never shows up in the log of the
            // server as a handshake that was broken off.
            // One client for all connections keeps the session tickets, which spare the later handshakes their key exchange.
            let client = match self.client.take() {
                Some(client) => client,
                None => TlsClient::load(&self.tls, self.clock_is_set)?,
            };
            let client = self.client.insert(client);
            let tcp = Tcp::connect(url, preferred, &self.options, &self.limits)?;
            let stream = client.handshake(url.host(), tcp)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
        #[cfg(not(feature = "tls"))]
        Err(HttpError::Tls("this build has no TLS".into()))
    }
}

/// An open stream to a server.
#[derive(Debug)]
pub enum Stream {
    /// TCP without TLS.
    Plain(Tcp),
    /// TLS over TCP.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Sends header and body, in one write to the socket if the system takes both.
    pub(crate) fn send(&mut self, head: &[u8], body: &[u8]) -> Result<(), HttpError> {
        // Two writes would wait for each other by Nagle's algorithm and delayed acknowledgements, up to 40 ms each time.
        match self {
            Stream::Plain(tcp) => write_all(tcp, head, body).map_err(http_error),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.send(&[head, body]).map_err(http_error),
        }
    }

    /// Waits for bytes and returns their number; 0 once the server has closed the stream.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, HttpError> {
        match self {
            Stream::Plain(tcp) => tcp.read(buffer).map_err(http_error),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.read(buffer).map_err(http_error),
        }
    }

    /// Receives as [`Stream::receive`] does, without waiting; `None` if no bytes are there.
    #[cfg(feature = "xmpp")]
    pub(crate) fn try_receive(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, HttpError> {
        match self {
            Stream::Plain(tcp) if tcp.peek() == Readiness::Idle => Ok(None),
            Stream::Plain(tcp) => tcp.read(buffer).map(Some).map_err(http_error),
            Stream::Tls(tls) => tls.try_read(buffer).map_err(http_error),
        }
    }

    /// Sets up TLS on an open stream. The certificate of the server is checked against `host`, as that of the ACS is.
    #[cfg(feature = "xmpp")]
    pub(crate) fn secure(self, host: &Host, settings: &TlsSettings, clock_is_set: bool) -> Result<Stream, HttpError> {
        let Stream::Plain(tcp) = self else { return Ok(self) };
        let client = TlsClient::load(settings, clock_is_set)?;
        let stream = client.handshake(host, tcp)?;
        client.forget_roots();
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Returns the state of the stream without waiting.
    pub(super) fn peek(&mut self) -> Readiness {
        match self {
            Stream::Plain(tcp) => tcp.peek(),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.peek(),
        }
    }

    /// Begins a new phase, as [`Tcp::begin`] does.
    pub(crate) fn begin(&mut self, phase: &'static str, limit: Duration) {
        self.tcp_mut().begin(phase, limit);
    }

    /// Returns the TCP connection below.
    pub fn tcp(&self) -> &Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.tcp(),
        }
    }

    /// Ends all waits on the stream after `limit` from now, whichever phase it is in.
    pub fn end_within(&mut self, limit: Duration) {
        self.tcp_mut().end_within(limit);
    }

    /// Returns the TCP connection below, to set its limits.
    pub(super) fn tcp_mut(&mut self) -> &mut Tcp {
        match self {
            Stream::Plain(tcp) => tcp,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.tcp_mut(),
        }
    }
}

/// Writes both parts without copying the second, however large it is.
fn write_all(tcp: &mut Tcp, head: &[u8], body: &[u8]) -> std::io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut left = parts.as_mut_slice();
    IoSlice::advance_slices(&mut left, 0); // drops empty parts: a write of none would return 0 for ever
    while !left.is_empty() {
        let sent = tcp.write_vectored(left)?;
        IoSlice::advance_slices(&mut left, sent);
    }
    Ok(())
}
