//! Diagnostic tests: starts the next one after a session, stops those that do not count any more, and stores the results.
//!
//! ```text
//! Device::tests ──the next request──▶ TestWorker ──▶ a thread: diagnostics::run
//!       ▲                                              │
//!       └─ finish_test: journal, 8 DIAGNOSTICS COMPLETE ◀── Wake::TestFinished ◀── Inbox
//! ```
//!
//! One test runs at a time, so that no test disturbs the measurement of another one. Sessions, connection requests and STUN go on
//! meanwhile. A request whose agent ends before the test runs again with the next agent, until the device boots.

mod echo;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use self::echo::EchoState;
use super::Agent;
use super::acs_settings::tls_settings;
use super::inbox::Inbox;
use super::status::RunningTest;
use crate::clock::Now;
use crate::cwmp::diagnostics::{Progress, Run};
use crate::cwmp::version;
use crate::diagnostics::{Order, Outcome, run};
use crate::log;
use crate::model::path::Path;
use crate::model::tree::Wanted;
use crate::thread;

/// The pause after a journal write that failed.
const JOURNAL_RETRY: Duration = Duration::from_secs(10);

/// The stack size in bytes: TLS and a few buffers. Only pages that are touched cost memory.
const STACK: usize = 512 << 10;

/// The time that a dropped worker waits for its thread, and the interval of its looks.
const JOIN_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// Runs one diagnostic test at a time on its own thread.
#[derive(Default)]
pub(super) struct TestWorker {
    job: Option<Job>,
    echo: EchoState,
    /// The instant of the next attempt after a journal error, on the monotonic clock.
    retry_at: Duration,
}

/// The test that the thread runs, or has run.
struct Job {
    object: String,
    /// The number of the request.
    number: u32,
    /// The instant at which the thread began, on the monotonic clock.
    began: Duration,
    stop: Arc<AtomicBool>,
    /// The outcome, until the journal has stored it.
    outcome: Option<Outcome>,
    thread: Option<JoinHandle<()>>,
}

/// A test that ended on the thread.
#[derive(Debug)]
pub(super) struct FinishedTest {
    /// Identifies the test: a thread may outlive the agent that ended with a factory reset.
    stop: Arc<AtomicBool>,
    outcome: Outcome,
}

impl TestWorker {
    /// Keeps the outcome of the test until the journal has stored it.
    pub(super) fn finish(&mut self, finished: FinishedTest) {
        if let Some(job) = self.job.as_mut().filter(|job| Arc::ptr_eq(&job.stop, &finished.stop)) {
            job.outcome = Some(finished.outcome);
        }
    }

    /// Returns the instant at which an outcome that could not be stored, or the port of the echo service, is tried again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let outcome = self.job.as_ref().filter(|job| job.outcome.is_some()).map(|_| self.retry_at);
        outcome.into_iter().chain(self.echo.deadline()).min()
    }

    fn start(&mut self, (object, number): (String, u32), order: Box<Order>, inbox: Arc<Inbox>, now: Now) {
        let stop = Arc::clone(&order.stop);
        let shared = Arc::clone(&stop);
        let work = move || {
            let outcome = run(&order);
            inbox.finish_test(FinishedTest { stop: shared, outcome });
        };
        let thread = thread::spawn("test", STACK, Box::new(work));
        let outcome = thread.as_ref().err().map(|error| {
            log::error!("{object}: no thread can be started: {error}");
            Outcome { state: "Error_Internal".to_owned(), results: Vec::new() }
        });
        self.job = Some(Job { object, number, began: now.monotonic, stop, outcome, thread: thread.ok() });
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        job.stop.store(true, Ordering::Relaxed);
        // A look-up may block the thread until the process ends.
        let mut waited = Duration::ZERO;
        while waited < JOIN_LIMIT && job.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            std::thread::sleep(POLL);
            waited += POLL;
        }
    }
}

impl Agent {
    /// Stores the outcome of the test that has ended, and starts the next one. No session runs (R310).
    pub(super) fn poll_tests(&mut self, now: Now) {
        self.apply_echo_settings(now);
        if self.tests.job.is_none() && self.device.tests().next().is_none() {
            return;
        }
        self.stop_outdated_test();
        if now.monotonic < self.tests.retry_at || self.stop.load(Ordering::Relaxed) {
            return;
        }
        self.store_outcome(now);
        if self.tests.job.is_some() || self.is_restarting() {
            return;
        }
        let Some((object, number)) = self.device.tests().next().map(|run| (run.object.clone(), run.number)) else {
            return;
        };
        log::info!("diagnostic test {object}: it begins");
        if let Some(order) = self.order(&object, now) {
            self.tests.start((object, number), order, Arc::clone(&self.inbox), now);
        }
    }

    /// Returns the test that runs, for `status`.
    pub(super) fn running_test(&self) -> Option<RunningTest> {
        let job = self.tests.job.as_ref().filter(|job| job.outcome.is_none())?;
        let is_waiting = |run: &&Run| run.number != job.number && matches!(run.progress, Progress::Requested { .. });
        let waiting = self.device.tests().iter().filter(is_waiting).count();
        Some(RunningTest { object: job.object.clone(), began: job.began, waiting })
    }

    /// Ends a running test that was cancelled, or requested anew with other inputs (R314).
    pub(super) fn stop_outdated_test(&self) {
        if let Some(job) = &self.tests.job
            && !self.device.tests().is_requested(&job.object, job.number)
            && !job.stop.swap(true, Ordering::Relaxed)
        {
            log::info!("diagnostic test {}: it is stopped", job.object);
        }
    }

    /// Stores the outcome of the test that has ended.
    fn store_outcome(&mut self, now: Now) {
        let Some(job) = &self.tests.job else { return };
        let Some(Outcome { state, results }) = &job.outcome else { return };
        if self.device.tests().is_requested(&job.object, job.number) {
            log::info!("diagnostic test {}: {state}", job.object);
        }
        if let Err(error) = self.device.finish_test(&job.object, job.number, (state, results), now) {
            log::error!("cannot store the results, retrying in {} s: {error}", JOURNAL_RETRY.as_secs());
            self.tests.retry_at = now.monotonic.saturating_add(JOURNAL_RETRY);
            return;
        }
        self.tests.job = None;
        self.request_follow_up(version::newest(version::ALL));
    }

    /// Returns the test of an object with its inputs.
    fn order(&mut self, object: &str, now: Now) -> Option<Box<Order>> {
        let test = self.device.test_at(object)?;
        let mut inputs = Vec::new();
        let path = Path::parse(object).ok()?;
        // Cannot fail: the object was found when the test was requested.
        let _ = self.device.tree().visit_values(&path, &mut |parameter| {
            let name = &parameter.name[object.len()..];
            if parameter.spec.writable && !name.contains('.') {
                inputs.push((name.to_owned(), parameter.stored().to_string()));
            }
        });
        let interface = inputs.iter().find(|(name, _)| name == "Interface").map(|(_, path)| path.clone());
        let devices = self.devices_of(&interface.unwrap_or_default(), now);
        let program = self.device.actions().diagnostic(object).cloned();
        let is_scan = program.as_ref().is_some_and(|action| action.scan.is_some());
        let radios = if is_scan { self.radios(now) } else { Vec::new() };
        let (tls, clock_is_set) = (tls_settings(&self.config), now.clock_is_set());
        Some(Box::new(Order { test, inputs, program, devices, radios, tls, clock_is_set, stop: Arc::default() }))
    }

    /// Returns the names by which the kernel may know the interface of this path, the likeliest first; none for the empty path.
    fn devices_of(&mut self, path: &str, now: Now) -> Vec<String> {
        // A weak reference has the text of the ACS, which may be one with aliases (R321).
        let path = self.device.tree().by_number(path).unwrap_or(path.into()).into_owned();
        let path = path.trim_end_matches('.');
        if path.is_empty() {
            return Vec::new();
        }
        let wanted = ["Name", "LowerLayers"].map(|name| format!("{path}.{name}"));
        self.device.refresh(&Wanted::values(wanted.to_vec()), now);
        let lower = self.device.tree().get(&wanted[1]).map(|layers| layers.to_string()).unwrap_or_default();
        let lower = lower.split(',').next().unwrap_or_default().trim_end_matches('.').to_owned();
        let mut names = Vec::new();
        // An IP interface of OpenWrt is named after its section, and the layer below it after the kernel's device.
        if !lower.is_empty() {
            self.device.refresh(&Wanted::values(vec![format!("{lower}.Name")]), now);
            self.add_names(&lower, &mut names);
        }
        self.add_names(path, &mut names);
        // A name that no interface has, so that the test fails instead of taking another way.
        if names.is_empty() { vec![path.to_owned()] } else { names }
    }

    /// Returns the radios of the device, each with its path and its name.
    fn radios(&mut self, now: Now) -> Vec<(String, String)> {
        const TABLE: &str = "Device.WiFi.Radio.";
        self.device.refresh(&Wanted::values(vec![TABLE.to_owned()]), now);
        let mut radios = Vec::new();
        let Ok(path) = Path::parse(TABLE) else { return radios };
        // A model without radios has none.
        let _ = self.device.tree().visit_values(&path, &mut |parameter| {
            let radio = parameter.name.strip_suffix(".Name").filter(|radio| !radio[TABLE.len()..].contains('.'));
            radios.extend(radio.map(|radio| (radio.to_owned(), parameter.value().to_string())));
        });
        radios
    }

    /// Adds the names of one interface: its parameter Name, and the key of its row.
    fn add_names(&self, path: &str, names: &mut Vec<String>) {
        let tree = self.device.tree();
        let name = tree.get(&format!("{path}.Name")).map(|name| name.to_string());
        let key = tree.row_key(&format!("{path}.")).map(str::to_owned);
        for name in [name, key].into_iter().flatten().filter(|name| !name.is_empty()) {
            if path.contains(".PPP.") {
                names.push(format!("pppoe-{name}")); // the device of OpenWrt
            }
            names.push(name);
        }
    }
}
