//! The client of a local transfer or operation on software: starts it, shows its progress, and waits for its end.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::client::{ask, usual_limit};
use super::message::Request;

/// The interval at which the agent is asked for the progress.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The width of the progress bar in characters.
const WIDTH: usize = 40;

/// Starts the transfer or operation by the agent behind the socket `path` and waits until the file was moved and is in use. Shows
/// the progress if stderr is a terminal. Returns the reason of a failure.
pub(super) fn transfer(path: &Path, wanted: &Request) -> Result<(), String> {
    // A log file or a pipe must not collect a line for each step.
    let mut bar = ProgressBar { is_shown: io::stderr().is_terminal(), drawn: false };
    let result = follow(path, wanted, &mut bar);
    // The bar goes before the message of a failure, which would start in the middle of its line.
    bar.clear();
    result
}

/// Starts the transfer and reads the status until it lists the transfer as ended.
fn follow(path: &Path, wanted: &Request, bar: &mut ProgressBar) -> Result<(), String> {
    let (running, ended) = match wanted {
        Request::Software(_) => ("software", "endedSoftware"),
        _ => ("transfers", "endedTransfers"),
    };
    let send = |request: &Request| ask(path, request, usual_limit(request)).map_err(|error| error.reason);
    let id: u32 =
        send(wanted)?.trim().parse().map_err(|_| "the agent does not return the number of the transfer".to_owned())?;
    loop {
        let status = send(&Request::Status { json: true })?;
        let status: Value = serde_json::from_str(&status).map_err(|_| "the status is not JSON".to_owned())?;
        let find = |list: &str| status[list].as_array()?.iter().find(|entry| entry["id"] == id).cloned();
        // The list of ended transfers comes first: while the ACS has not confirmed the end, both lists have the transfer.
        match (find(ended), find(running)) {
            (Some(ended), _) => return ended["error"].as_str().map_or(Ok(()), |reason| Err(reason.to_owned())),
            (None, Some(transfer)) => bar.draw(&transfer),
            (None, None) => return Err("the agent no longer knows the transfer: it was restarted".into()),
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// The progress bar: one line of the terminal that is drawn over and over.
struct ProgressBar {
    is_shown: bool,
    drawn: bool,
}

impl ProgressBar {
    fn draw(&mut self, transfer: &Value) {
        if self.is_shown {
            self.drawn = true;
            // A bar that cannot be drawn must not fail the transfer. ESC [ K clears the line.
            let _ = write!(io::stderr(), "\r\x1b[K{}", line(transfer)).and_then(|()| io::stderr().flush());
        }
    }

    fn clear(&mut self) {
        if self.drawn {
            let _ = write!(io::stderr(), "\r\x1b[K").and_then(|()| io::stderr().flush());
        }
    }
}

/// Returns the line for a transfer as the JSON of `status` describes it. Without a total size there is no bar.
fn line(transfer: &Value) -> String {
    let state = transfer["state"].as_str().unwrap_or_default();
    let number = |name: &str| transfer[name].as_u64();
    let Some(bytes) = number("bytes") else { return state.to_owned() };
    let rate = number("bytesPerSecond").map_or_else(String::new, |rate| format!(" {} kB/s", rate >> 10));
    match number("totalBytes").filter(|total| *total > 0) {
        None => format!("{state} {} kB{rate}", bytes >> 10),
        Some(total) => {
            let share = |of: u64| bytes.min(total).saturating_mul(of) / total;
            let full = usize::try_from(share(WIDTH as u64)).unwrap_or(WIDTH);
            let left = number("secondsLeft").map_or_else(String::new, |seconds| format!(", {seconds} s left"));
            format!("[{:<WIDTH$}] {}%{rate}{left}", "=".repeat(full), share(100))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_bar_grows() {
        let at = |bytes: u64| {
            line(
                &json!({ "state": "moving", "bytes": bytes, "totalBytes": 1000, "bytesPerSecond": 2048, "secondsLeft": 3 }),
            )
        };
        assert_eq!(at(0), format!("[{}] 0% 2 kB/s, 3 s left", " ".repeat(40)));
        assert_eq!(at(500), format!("[{}{}] 50% 2 kB/s, 3 s left", "=".repeat(20), " ".repeat(20)));
        assert_eq!(at(2000), format!("[{}] 100% 2 kB/s, 3 s left", "=".repeat(40)));
        assert_eq!(line(&json!({ "state": "moving", "bytes": 4096, "totalBytes": null })), "moving 4 kB");
        assert_eq!(line(&json!({ "state": "applying", "bytes": null })), "applying");
    }
}
