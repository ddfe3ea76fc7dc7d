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

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::net::SocketType;

use self::connection::Connection;
use self::recorder::{Recorder, Sample};
pub(crate) use self::result::{Interval, SpeedResult};
use super::Failure;
use super::clock::now;
use super::socket::{self, connect_to};
use super::target::address;
use crate::http::{IoLimits, TlsSettings};
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

impl Direction {
    /// Returns the name of the input that holds the URL.
    pub(super) fn url_input(self) -> &'static str {
        match self {
            Direction::Download => "DownloadURL",
            Direction::Upload => "UploadURL",
        }
    }
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

/// The progress of a test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The time since the first byte.
    pub(crate) elapsed: Duration,
    /// The bytes of all connections.
    pub(crate) bytes: u64,
}

/// Runs a test to its end and tells its progress several times a second.
///
/// # Errors
/// The test was not completed.
pub(crate) fn run(test: &Arc<SpeedTest>, tell: &mut dyn FnMut(Progress)) -> Result<SpeedResult, Box<Failure>> {
    let url = Url::parse(&test.url).map_err(|error| {
        let is_ftp = test.url.trim().get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ftp:"));
        match is_ftp {
            true => Failure::other(format_args!("FTP is not supported, only HTTP and HTTPS")),
            false => Failure::other(format_args!("{error}")),
        }
    })?;
    let server = SocketAddr::new(address(&url.host().to_string(), &test.options, &test.stop)?, url.port());
    let duration = (!test.duration.is_zero()).then_some(test.duration);
    let count = test.connections.clamp(1, MAX_CONNECTIONS) as usize;
    // Tries the options of the sockets: the connections would tell no more than that they failed.
    let probe = socket::open(&test.options, server.ip(), SocketType::DGRAM, None)
        .map_err(|error| socket::failure(&test.options, error))?;
    let device = test.options.device(probe.as_fd()).ok().flatten().map(str::to_owned);
    let recorder = Arc::new(Recorder::new(count, device, duration));
    // A failure of one connection ends the others by this flag: that of the caller means a cancelled test.
    let halt = Arc::new(AtomicBool::new(false));
    let limits = IoLimits { timeout: test.silence, stop: Arc::clone(&halt), end: None };
    let limits = limits.end_within(test.duration + MAX_TEST);
    for index in 0..count {
        let connection = Connection { index, test: Arc::clone(test), recorder: Arc::clone(&recorder) };
        start(connection, url.clone(), server, limits.clone());
    }
    let mut intervals = Intervals::new(test);
    let mut runs = true;
    while runs {
        runs = recorder.wait(intervals.until_next(&recorder).min(TICK));
        if recorder.has_failed() || test.stop.load(Ordering::Relaxed) {
            halt.store(true, Ordering::Relaxed);
        }
        intervals.take_due(&recorder);
        if let (Some(first), bytes) = recorder.progress() {
            tell(Progress { elapsed: now().saturating_duration_since(first), bytes });
        }
    }
    if test.stop.load(Ordering::Relaxed) {
        return Err(Failure::stopped());
    }
    // The kernel chooses the address by the route; nothing is sent.
    let local = connect_to(&probe, server).ok();
    Ok(SpeedResult::new(&recorder.take()?, &intervals.samples, local))
}

/// Starts the thread of a connection, which leaves its end in the recorder.
fn start(connection: Connection, url: Url, server: SocketAddr, limits: IoLimits) {
    let recorder = Arc::clone(&connection.recorder);
    recorder.start();
    let work = move || connection.recorder.finish(connection.run(url, server, limits));
    if let Err(error) = thread::spawn("speed", STACK, Box::new(work)) {
        recorder.finish(Err(Failure::internal(format_args!("no thread: {error}"))));
    }
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
            let first = recorder.first().filter(|first| first.at == due);
            self.samples.push(first.unwrap_or_else(|| recorder.sample(at)));
        }
    }
}

#[cfg(test)]
mod tests;
