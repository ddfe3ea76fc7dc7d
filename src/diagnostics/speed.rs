//! DownloadDiagnostics and UploadDiagnostics of TR-143: the speed of transfers by HTTP and HTTPS over the agent's own client.
//!
//! ```text
//!   SpeedTest ──▶ address ──▶ a thread a connection (connection.rs) ──▶ Recorder ──▶ SpeedResult (result.rs)
//!                                                   samples of intervals ──▲
//! ```
//!
//! A connection has one buffer, and nothing that it receives is kept, so that memory does not grow with the transfer.

mod connection;
mod counters;
pub(super) mod order;
mod recorder;
mod result;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use self::connection::Connection;
use self::recorder::{Recorder, Sample};
pub(crate) use self::result::SpeedResult;
use super::clock::now;
use crate::http::{HttpError, IoLimits, TlsSettings, resolve};
use crate::mailbox::Mailbox;
use crate::socket_options::SocketOptions;
use crate::thread;
use crate::url::Url;

/// The most connections of a test.
pub(crate) const MAX_CONNECTIONS: u32 = 8;
/// The most intervals whose results are kept.
pub(crate) const MAX_INTERVALS: usize = 100;
/// The time for which the server may send and take nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);
/// The longest test that a file ends, and the longest time of a test by time beyond that time.
const MAX_TEST: Duration = Duration::from_secs(3600);
/// The stack of the thread of a connection in bytes: as that of a transfer.
const STACK: usize = 512 << 10;
/// The longest wait of the thread that watches the connections.
const TICK: Duration = Duration::from_millis(200);

/// The direction of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Download,
    Upload,
}

/// The inputs of a test.
#[derive(Clone, Debug)]
pub(crate) struct SpeedTest {
    pub(crate) direction: Direction,
    pub(crate) url: String,
    /// The size of the file of an upload in bytes, of each connection.
    pub(crate) length: u64,
    /// The number of connections: at least 1, and at most [`MAX_CONNECTIONS`].
    pub(crate) connections: u32,
    /// The duration of a test by time; zero for one that ends with its file.
    pub(crate) duration: Duration,
    /// The length of the intervals of a test by time; zero for none.
    pub(crate) interval: Duration,
    /// The time after the first byte at which the first interval begins.
    pub(crate) offset: Duration,
    /// The time for which the server may send and take nothing: [`SILENCE`].
    pub(crate) silence: Duration,
    /// The interface, the version of IP and the marks of the packets.
    pub(crate) options: SocketOptions,
    pub(crate) tls: TlsSettings,
    /// False leaves the dates of certificates unchecked (R32).
    pub(crate) clock_is_set: bool,
    /// The flag that ends the test early.
    pub(crate) stop: Arc<AtomicBool>,
}

/// The reason why a test has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SpeedError {
    /// The test was stopped.
    Stopped,
    /// The name of the error in the data model, and the reason in words.
    Failed(&'static str, String),
}

/// The progress of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The time since the first byte.
    pub(crate) elapsed: Duration,
    /// The bytes of all connections.
    pub(crate) bytes: u64,
}

/// Runs a test to its end and tells its progress several times a second.
pub(crate) fn run(test: &SpeedTest, tell: &mut dyn FnMut(Progress)) -> Result<SpeedResult, SpeedError> {
    let url = Url::parse(&test.url).map_err(|error| {
        let is_ftp = test.url.trim().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ftp:"));
        let reason = if is_ftp { "FTP is not supported, only HTTP and HTTPS".to_owned() } else { error.to_string() };
        SpeedError::Failed("Error_Other", reason)
    })?;
    let limits = IoLimits { timeout: test.silence, stop: Arc::clone(&test.stop), end: None };
    let limits = limits.end_within(test.duration + MAX_TEST);
    let server = address_of(&url, test, &limits)?;
    let duration = (!test.duration.is_zero()).then_some(test.duration);
    let count = test.connections.clamp(1, MAX_CONNECTIONS) as usize;
    let shared = Arc::new(test.clone());
    let recorder = Arc::new(Recorder::new(count, device_of(test)?, duration));
    // A failure of one connection ends the others by this flag: that of the caller means a cancelled test.
    let halt = Arc::new(AtomicBool::new(false));
    let ends = Mailbox::new();
    let (mut running, mut failure) = (0, None);
    for index in 0..count {
        let connection = Connection { index, test: Arc::clone(&shared), recorder: Arc::clone(&recorder) };
        let limits = IoLimits { stop: Arc::clone(&halt), ..limits.clone() };
        match start(connection, url.clone(), server, limits, ends.clone()) {
            Ok(()) => running += 1,
            Err(error) => {
                halt.store(true, Ordering::Relaxed);
                failure = Some(error);
                break;
            }
        }
    }
    let mut intervals = Intervals::new(test);
    while running > 0 {
        let wait = intervals.until_next(&recorder).min(TICK);
        if let Some(end) = ends.wait(wait) {
            running -= 1;
            if let Err(error) = end {
                halt.store(true, Ordering::Relaxed);
                failure.get_or_insert(error);
            }
        }
        if test.stop.load(Ordering::Relaxed) {
            halt.store(true, Ordering::Relaxed);
            failure = Some(SpeedError::Stopped);
        }
        intervals.take_due(&recorder);
        if let (Some(first), bytes) = recorder.progress() {
            tell(Progress { elapsed: now().saturating_duration_since(first), bytes });
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(SpeedResult::new(recorder.state(), &intervals.samples, local_address(server, test))),
    }
}

/// Starts the thread of a connection, which leaves its end in the mailbox.
fn start(
    connection: Connection,
    url: Url,
    server: SocketAddr,
    limits: IoLimits,
    ends: Mailbox<Result<(), SpeedError>>,
) -> Result<(), SpeedError> {
    let work = move || ends.post(connection.run(url, server, limits));
    let thread = thread::spawn("speed", STACK, Box::new(work));
    thread.map(drop).map_err(|error| SpeedError::Failed("Error_Internal", format!("no thread: {error}")))
}

/// Returns the first address of the host that the version of IP allows.
fn address_of(url: &Url, test: &SpeedTest, limits: &IoLimits) -> Result<SocketAddr, SpeedError> {
    let failed = |reason: String| SpeedError::Failed("Error_CannotResolveHostName", reason);
    let host = url.host().to_string();
    let found = resolve(&host, url.port(), &limits.clone().end_within(test.silence)).map_err(|error| match error {
        HttpError::Stopped => SpeedError::Stopped,
        error => failed(error.to_string()),
    })?;
    let fitting = found.into_iter().find(|address| test.options.allows(address.ip()));
    fitting.ok_or_else(|| failed(format!("{host} has no address of this version of IP")))
}

/// Returns the name of the interface whose counters are read. Tries the options of the sockets: the connections would tell no more
/// than that they failed.
fn device_of(test: &SpeedTest) -> Result<Option<String>, SpeedError> {
    let options = &test.options;
    let tried = UdpSocket::bind("0.0.0.0:0").and_then(|socket| {
        options.apply(&socket, true)?;
        Ok(options.device(&socket)?.map(str::to_owned))
    });
    tried.map_err(|error| {
        let reason = match error.kind() {
            ErrorKind::PermissionDenied => {
                "the agent may not use EthernetPriority or Interface: it does not run as root".into()
            }
            _ if options.devices.is_empty() => error.to_string(),
            _ => format!("the kernel has no interface {}", options.devices.join(" or ")),
        };
        SpeedError::Failed("Error_Other", reason)
    })
}

/// Returns the address of the device from which the server is reached.
fn local_address(server: SocketAddr, test: &SpeedTest) -> Option<IpAddr> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).ok()?;
    test.options.apply(&socket, server.is_ipv4()).ok()?;
    socket.connect(server).ok()?; // sends nothing
    Some(socket.local_addr().ok()?.ip())
}

/// The samples at the bounds of the intervals.
struct Intervals {
    interval: Duration,
    offset: Duration,
    duration: Duration,
    samples: Vec<Sample>,
}

impl Intervals {
    fn new(test: &SpeedTest) -> Intervals {
        Intervals {
            interval: if test.duration.is_zero() { Duration::ZERO } else { test.interval },
            offset: test.offset,
            duration: test.duration,
            samples: Vec::new(),
        }
    }

    /// Returns the instant of the next sample; `None` if there is none to come, or if no byte has come yet.
    fn next(&self, recorder: &Recorder) -> Option<Instant> {
        if self.interval.is_zero() || self.samples.len() > MAX_INTERVALS {
            return None;
        }
        let count = self.samples.len() as u32; // at most MAX_INTERVALS
        let after = self.offset + self.interval * count;
        (after <= self.duration).then_some(recorder.progress().0? + after)
    }

    fn until_next(&self, recorder: &Recorder) -> Duration {
        self.next(recorder).map_or(TICK, |next| next.saturating_duration_since(now()))
    }

    /// Takes the samples whose time has come. A late one has its own time.
    fn take_due(&mut self, recorder: &Recorder) {
        while let Some(due) = self.next(recorder) {
            let at = now();
            if at < due {
                break;
            }
            // The first byte comes while this thread waits.
            let first = recorder.state().first.filter(|first| first.at == due);
            self.samples.push(first.unwrap_or_else(|| recorder.sample(at)));
        }
    }
}

#[cfg(test)]
mod tests;
