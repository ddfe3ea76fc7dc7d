//! The provider `process`: the processes of the device.

use std::fs::{self, File};
use std::io::Read;

use crate::foreign_text::lossy;
use crate::model::source::Row;

/// The most processes; a table takes fewer still.
const MAX_PROCESSES: usize = 4096;

/// The units of processor time in a second. Linux shows 100 to programs on every processor that the agent is built for.
const TICKS: u64 = 100;

/// Returns the rows of all processes. The key is the number with the start time, since numbers are used again.
pub(super) fn rows() -> Result<Vec<Row>, String> {
    let entries = fs::read_dir("/proc").map_err(|error| error.to_string())?;
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let page = rustix::param::page_size() as u64;
    // A process that has ended meanwhile is left out.
    Ok(pids.iter().take(MAX_PROCESSES).filter_map(|pid| row(&stat(*pid)?, page)).collect())
}

/// Returns the line of a process, which one call reads whole: there may be hundreds of processes.
fn stat(pid: u32) -> Option<String> {
    let mut buffer = [0; 1024];
    let length = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut buffer).ok()?;
    Some(lossy(&buffer[..length]).into_owned())
}

/// Reads the line of a process (proc(5)).
fn row(stat: &str, page: u64) -> Option<Row> {
    // The command is in parentheses and may hold any character, so that the last one ends it.
    let (begin, rest) = stat.rsplit_once(')')?;
    let (pid, command) = begin.split_once('(')?;
    // The state is field 3 of proc(5), and the others are taken in their order.
    let mut fields = rest.split_ascii_whitespace();
    let mut skip = |count: usize| fields.nth(count);
    let (letter, user, system) = (skip(0)?, skip(10)?, skip(0)?);
    let (priority, start, pages) = (skip(2)?, skip(3)?, skip(1)?);
    let number = |text: &str| text.parse::<u64>().ok();
    let pid = pid.trim();
    let mut row = Row::new(format!("{pid}-{start}"));
    row.set("pid", pid);
    row.set("command", command);
    row.set_number("size", number(pages)?.saturating_mul(page) / 1024);
    // TR-181 counts from 0, the highest, to 99; real-time processes have negative numbers on Linux.
    row.set_number("priority", priority.parse::<i64>().ok()?.clamp(0, 99) as u64);
    row.set_number("cpu_time", number(user)?.saturating_add(number(system)?).saturating_mul(1000) / TICKS);
    row.set("state", state(letter));
    Some(row)
}

fn state(letter: &str) -> &'static str {
    match letter {
        "R" => "Running",
        "D" => "Uninterruptible",
        "T" | "t" => "Stopped",
        "Z" | "X" => "Zombie",
        "I" => "Idle",
        _ => "Sleeping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_hold_any_character() {
        let line = "17 (a) (b)) S 1 17 17 0 -1 4194304 10 0 0 0 250 50 0 0 20 0 1 0 4711 8192000 300 0";
        let row = row(line, 4096).expect("a row");
        assert_eq!((row.key.as_str(), row.get("command")), ("17-4711", Some("a) (b)")));
        assert_eq!((row.get("size"), row.get("cpu_time")), (Some("1200"), Some("3000")));
        assert_eq!((row.get("priority"), row.get("state")), (Some("20"), Some("Sleeping")));
        for end in 0..line.len() {
            let _ = super::row(&line[..end], 4096);
        }
    }

    #[test]
    fn this_process_is_listed() {
        let own = std::process::id().to_string();
        assert!(rows().expect("rows").iter().any(|row| row.get("pid") == Some(&own)));
    }
}
