//! The clocks of an agent, which a test advances by libfaketime: waits of minutes, without waiting.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::agent::{AgentBuilder, is_replaced};
use super::skip::skip_for_lack_of;
use super::{Agent, skip::skip};

/// The clocks of an agent. A wait that has begun does not see that they are advanced: see [`FakeClock::hurry`].
pub struct FakeClock(TempDir);

impl FakeClock {
    /// Returns an agent with such clocks. Returns `None`, and records the test as skipped, without libfaketime.
    pub fn of(agent: AgentBuilder) -> Option<(AgentBuilder, FakeClock)> {
        if is_replaced() {
            skip("libfaketime cannot be loaded into another program");
            return None;
        }
        let library = library()?;
        let clock = FakeClock(tempfile::tempdir().expect("a directory"));
        clock.advance(0);
        let file = clock.0.path().join("offset");
        let agent = agent
            .env("LD_PRELOAD", &library)
            .env("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("UTF-8"))
            .env("FAKETIME_NO_CACHE", "1");
        Some((agent, clock))
    }

    /// Sets the clocks these seconds before those of the machine.
    pub fn advance(&self, seconds: u32) {
        let new = self.0.path().join("new");
        fs::write(&new, format!("+{seconds}")).expect("written");
        fs::rename(new, self.0.path().join("offset")).expect("renamed");
    }

    /// Wakes the agent until the condition holds, so that it looks at its clocks.
    pub fn hurry(agent: &Agent, limit: Duration, mut condition: impl FnMut() -> bool) {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < limit, "not within {limit:?}");
            agent.command(&["get", "Device.DeviceInfo.Manufacturer"]);
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Returns the path of libfaketime, for `LD_PRELOAD`: that of `CPE_AGENT_FAKETIME`, which an emulator can load, or else that of
/// the system. Returns `None`, and records the test as skipped, without it.
pub fn library() -> Option<String> {
    let named = std::env::var_os("CPE_AGENT_FAKETIME").map(PathBuf::from);
    if named.is_none() && is_replaced() {
        skip("CPE_AGENT_FAKETIME does not name a libfaketime.so.1 for the emulator");
        return None;
    }
    let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut places = places.map(|place| place.path().join("faketime/libfaketime.so.1"));
    let Some(library) = named.or_else(|| places.find(|library| library.exists())) else {
        skip_for_lack_of("libfaketime");
        return None;
    };
    Some(library.to_str().expect("UTF-8").to_owned())
}
