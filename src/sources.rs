//! Driver: asks the device for the values of sources.
//!
//! | file | part |
//! |---|---|
//! | `sources/change.rs` | texts that programs and files take, and reloads |
//! | `sources/file.rs` | files |
//! | `sources/exec.rs` | programs, side by side |
//! | `sources/lines.rs` | the lines that programs read and write |
//! | `sources/kernel.rs` | the providers of the agent, with the files beside it |
//! | `sources/openwrt.rs` | the providers that join UCI packages |
//! | `sources/ubus.rs` | calls on the bus of OpenWrt |
//! | `sources/uci.rs` | UCI packages |
//! | `sources/changes.rs` | the events that tell of changes |
//! | `sources/uci/store.rs` | their lock, their replacement, and their old texts |
//!
//! All questions of one round are asked at the same time, and one wait covers them. Nothing is written to the
//! device but the texts of a change.

#![cfg_attr(
    not(all(
        feature = "source-builtin",
        feature = "source-exec",
        feature = "source-file",
        feature = "source-ubus",
        feature = "source-uci"
    )),
    allow(
        dead_code,
        unused_imports,
        unused_mut,
        unused_variables,
        reason = "the kinds of sources share parts, and a build may lack some of them"
    )
)]

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::clock::Clock;
use crate::cwmp::device::{KeptFile, Prepared, Refusal, Sources, StagedFile, WayBack};
use crate::foreign_text::owned_lossy;
use crate::model::reloads::Reload;
use crate::model::source::{Answer, Query, Response, Target, Write};

pub(crate) use self::lines::parse as program_rows;

mod change;
mod changes;
#[cfg(any(feature = "source-exec", feature = "diagnostics"))]
mod exec;
#[cfg(feature = "source-file")]
mod file;
#[cfg(feature = "source-builtin")]
mod kernel;
mod lines;
#[cfg(all(feature = "source-builtin", feature = "source-uci"))]
mod openwrt;
#[cfg(feature = "source-ubus")]
mod ubus;
#[cfg(feature = "source-uci")]
mod uci;

pub(crate) use change::{await_condition, awaits_event, run_reload};
pub(crate) use changes::{Changes, link_states};
#[cfg(feature = "diagnostics")]
pub(crate) use exec::run_program;

/// Calls a method on the bus of OpenWrt outside of a request, and waits for its answer.
///
/// # Errors
/// The reason: the call has failed or hangs, or the test was stopped.
#[cfg(feature = "diagnostics")]
pub(crate) fn call_bus(query: &Query, stop: &AtomicBool) -> Result<Answer, String> {
    #[cfg(feature = "source-ubus")]
    {
        let clock = Clock::new();
        let deadline = clock.now().monotonic + Duration::from_secs(query.limit.into());
        let responses = ubus::Bus::default().ask(std::slice::from_ref(query), clock, deadline, stop);
        responses.into_iter().next().map_or(Err("no answer".to_owned()), |(_, response)| response.answer)
    }
    #[cfg(not(feature = "source-ubus"))]
    Err("this build lacks the cargo feature `source-ubus`".to_owned())
}

/// The time for all questions of one request. The sources that have not answered by then count as hung.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of a file that are read; a longer one is no source of single values.
const MAX_SIZE: u64 = 256 * 1024;

/// The room for the text of a file.
const ROOM: usize = 4096;

/// The drivers of this device.
pub(crate) struct DeviceSources {
    clock: Clock,
    /// Set when the agent is to end, which no source may delay.
    stop: Arc<AtomicBool>,
    /// The instant of the monotonic clock at which the present request has used up its time.
    deadline: Duration,
    #[cfg(feature = "source-builtin")]
    kernel: kernel::Kernel,
    #[cfg(feature = "source-ubus")]
    bus: ubus::Bus,
    /// The row that a program has added for the present change: the program, its limit, and the key.
    added: Option<(Vec<String>, u32, String)>,
    #[cfg(feature = "source-uci")]
    packages: uci::Packages,
    /// The packages as the present request has read them.
    #[cfg(feature = "source-uci")]
    configuration: uci::Configuration,
}

impl DeviceSources {
    /// Creates the drivers. They open nothing before the first question.
    pub(crate) fn new(clock: Clock, stop: Arc<AtomicBool>) -> DeviceSources {
        DeviceSources {
            clock,
            deadline: Duration::ZERO,
            #[cfg(feature = "source-builtin")]
            kernel: kernel::Kernel::default(),
            #[cfg(feature = "source-ubus")]
            bus: ubus::Bus::default(),
            added: None,
            #[cfg(feature = "source-uci")]
            packages: uci::Packages::new(Arc::clone(&stop)),
            #[cfg(feature = "source-uci")]
            configuration: uci::Configuration::default(),
            stop,
        }
    }
}

impl Sources for DeviceSources {
    fn begin(&mut self) {
        self.deadline = self.clock.now().monotonic + REQUEST_LIMIT;
        #[cfg(feature = "source-builtin")]
        self.kernel.begin(self.clock.now());
    }

    fn ask(&mut self, queries: &[Query]) -> Vec<Response> {
        // The programs run while the agent reads files and lists of the kernel.
        #[cfg(feature = "source-exec")]
        let mut programs = exec::Programs::start(queries, self.clock, self.deadline);
        let mut responses: Vec<Response> = queries
            .iter()
            .map(|query| {
                let began = self.clock.now().monotonic;
                let answer = self.ask_at_once(&query.target);
                Response { answer, took: self.clock.now().monotonic.saturating_sub(began) }
            })
            .collect();
        // Before the programs, since ubusd cuts off a client that does not read, and a program waits until its output is read.
        #[cfg(feature = "source-ubus")]
        for (number, response) in self.bus.ask(queries, self.clock, self.deadline, &self.stop) {
            responses[number] = response;
        }
        #[cfg(feature = "source-exec")]
        for (number, response) in programs.finish(&self.stop) {
            responses[number] = response;
        }
        responses
    }

    fn end(&mut self) {
        #[cfg(feature = "source-ubus")]
        self.bus.close();
        #[cfg(feature = "source-builtin")]
        self.kernel.end();
        #[cfg(feature = "source-uci")]
        {
            self.configuration = uci::Configuration::default();
        }
    }

    fn prepare(&mut self, writes: &[Write], kept: Option<&[KeptFile]>) -> Result<Prepared, Vec<Refusal>> {
        let mut refused = self.check_programs(writes);
        #[cfg(feature = "source-uci")]
        let mut prepared = self.packages.stage(writes, kept).unwrap_or_else(|more| {
            refused.extend(more);
            Prepared::default()
        });
        #[cfg(not(feature = "source-uci"))]
        let mut prepared = Prepared::default();
        if !refused.is_empty() {
            self.discard();
            return Err(refused);
        }
        // The last step: nothing but the record can fail behind it.
        #[cfg(feature = "source-exec")]
        if let Some(key) = self.change_row(writes)? {
            prepared.added = Some(key);
        }
        Ok(prepared)
    }

    fn check(&mut self, writes: &[Write]) -> Vec<Refusal> {
        self.check_programs(writes)
    }

    fn set(&mut self, writes: &[Write]) -> Vec<Refusal> {
        // A value that cannot be set back comes last: a refusal before it leaves nothing behind.
        let refused = self.set_directly(writes, false);
        if refused.is_empty() { self.set_directly(writes, true) } else { refused }
    }

    fn commit(&mut self) -> Result<(), String> {
        self.added = None;
        #[cfg(feature = "source-uci")]
        return self.packages.commit();
        #[cfg(not(feature = "source-uci"))]
        Ok(())
    }

    fn discard(&mut self) {
        #[cfg(feature = "source-exec")]
        self.delete_added();
        #[cfg(feature = "source-uci")]
        self.packages.discard();
    }

    #[cfg(feature = "source-uci")]
    fn prepare_old(&mut self, files: &[KeptFile]) -> Result<WayBack, String> {
        self.packages.stage_old(files)
    }

    #[cfg(feature = "source-uci")]
    fn recover(&mut self, staged: &[StagedFile], kept: &[KeptFile]) -> Vec<String> {
        self.packages.recover(staged, kept)
    }

    #[cfg(feature = "source-uci")]
    fn is_undecided(&self) -> bool {
        self.packages.is_undecided()
    }

    fn reload(&mut self, reload: &Reload) -> Result<(), String> {
        run_reload(reload, self.clock, &self.stop)
    }
}

impl DeviceSources {
    /// Answers a question that takes no time.
    fn ask_at_once(&mut self, target: &Target) -> Result<Answer, String> {
        match target {
            #[cfg(feature = "source-file")]
            Target::File { path, rows } => file::read(path, rows.as_deref()),
            #[cfg(all(feature = "source-builtin", feature = "source-uci"))]
            Target::BuiltIn { provider, .. } if openwrt::has(provider) => {
                openwrt::rows(provider, &mut self.configuration).map(Answer::Rows)
            }
            #[cfg(feature = "source-builtin")]
            Target::BuiltIn { provider, argument } => {
                // The forwarder of OpenWrt asks the servers of the device, if it has none of its own.
                let asked = match provider.as_str() {
                    "dns_forwarder" => "resolver",
                    "device_link" | "port" => "link",
                    other => other,
                };
                let rows = self.kernel.rows(asked, argument);
                #[cfg(feature = "source-uci")]
                let rows = rows.map(|rows| openwrt::complete(provider, rows, &mut self.configuration));
                rows.map(Answer::Rows)
            }
            #[cfg(feature = "source-uci")]
            Target::Uci { package, identity } => self.configuration.rows(package, identity.as_ref()),
            // The loader refuses the kinds that this build does not have, and programs and the bus answer later.
            #[allow(unreachable_patterns, reason = "a build may have all kinds")]
            _ => Err("it has not answered".to_owned()),
        }
    }
}

/// Reads a text. Bytes that are no UTF-8 become U+FFFD.
fn read_text(path: &str) -> Result<String, String> {
    // Without NONBLOCK, a pipe or a device would block the agent.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path);
    // With room, one call reads a usual file, and a second one finds its end.
    let mut bytes = Vec::with_capacity(ROOM);
    let read = file.and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_SIZE => Err(format!("longer than {} KiB", MAX_SIZE >> 10)),
        Ok(_) => Ok(owned_lossy(bytes)),
        Err(error) => Err(error.to_string()),
    }
}
