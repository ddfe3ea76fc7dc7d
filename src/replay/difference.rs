//! The difference of two messages, line by line: an element stands on each line.

use std::fmt::Write as _;

/// The elements whose text depends on the time of the session.
const OF_TIME: [&str; 4] = ["CurrentTime", "RetryCount", "StartTime", "CompleteTime"];
/// The last part of the names of parameters whose value the agent finds anew after each start, or counts.
const VOLATILE: [&str; 4] = ["UpTime", "CurrentLocalTime", "ConnectionRequestURL", "UDPConnectionRequestAddress"];
/// The most pairs of lines that are compared, beyond which the rest of the messages counts as different.
const MAX_PAIRS: usize = 4_000_000;
/// The most lines that are shown of one message.
const MAX_SHOWN: usize = 40;

/// Returns the lines in which two messages differ, with `-` for the recorded one, `+` for the replayed one, and the line before
/// each; `None` if they are the same but for the time.
pub(super) fn difference(recorded: &str, replayed: &str) -> Option<String> {
    let (recorded, replayed): (Vec<&str>, Vec<&str>) = (recorded.lines().collect(), replayed.lines().collect());
    let (plain, other) = (timeless(&recorded), timeless(&replayed));
    if plain == other {
        return None;
    }
    let same_at_start = plain.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let rest = plain.len().min(other.len()) - same_at_start;
    let same_at_end = plain.iter().rev().zip(other.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let middle = (same_at_start..plain.len() - same_at_end, same_at_start..other.len() - same_at_end);
    let steps = steps(&plain[middle.0], &other[middle.1]);
    Some(show(&recorded, &replayed, same_at_start, &steps))
}

/// A step from the recorded lines to the replayed ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Same,
    Removed,
    Added,
}

/// Returns the shortest way from one list of lines to another.
fn steps(from: &[String], to: &[String]) -> Vec<Step> {
    let width = to.len() + 1;
    if (from.len() + 1).saturating_mul(width) > MAX_PAIRS {
        return [vec![Step::Removed; from.len()], vec![Step::Added; to.len()]].concat();
    }
    // The number of common lines behind each pair of positions.
    let mut common = vec![0_u16; (from.len() + 1) * width];
    for (at, line) in from.iter().enumerate().rev() {
        for (other_at, other) in to.iter().enumerate().rev() {
            common[at * width + other_at] = match line == other {
                true => common[(at + 1) * width + other_at + 1].saturating_add(1),
                false => common[(at + 1) * width + other_at].max(common[at * width + other_at + 1]),
            };
        }
    }
    let (mut at, mut other_at, mut steps) = (0, 0, Vec::new());
    while at < from.len() || other_at < to.len() {
        let can_remove = at < from.len();
        let can_add = other_at < to.len();
        let step = match () {
            () if can_remove && can_add && from[at] == to[other_at] => Step::Same,
            () if !can_add => Step::Removed,
            () if !can_remove => Step::Added,
            () if common[(at + 1) * width + other_at] >= common[at * width + other_at + 1] => Step::Removed,
            () => Step::Added,
        };
        at += usize::from(step != Step::Added);
        other_at += usize::from(step != Step::Removed);
        steps.push(step);
    }
    steps
}

fn show(recorded: &[&str], replayed: &[&str], start: usize, steps: &[Step]) -> String {
    let mut text = String::new();
    let (mut at, mut other_at) = (start, start);
    let mut last = Step::Same;
    let mut shown = 0;
    for step in steps {
        if *step != Step::Same {
            shown += 1;
            // The name of a parameter stands on the line before its value.
            if last == Step::Same && at > 0 && shown <= MAX_SHOWN {
                // Writing to a String cannot fail, here and below.
                let _ = writeln!(text, "      {}", recorded[at - 1].trim());
            }
            let (sign, line) = match step {
                Step::Removed => ('-', recorded[at]),
                _ => ('+', replayed[other_at]),
            };
            if shown <= MAX_SHOWN {
                let _ = writeln!(text, "    {sign} {}", line.trim());
            }
        }
        at += usize::from(*step != Step::Added);
        other_at += usize::from(*step != Step::Removed);
        last = *step;
    }
    if shown > MAX_SHOWN {
        let _ = writeln!(text, "    and {} lines more", shown - MAX_SHOWN);
    }
    text
}

/// Returns the lines without the texts that depend on the time and on the start of the agent.
fn timeless(lines: &[&str]) -> Vec<String> {
    let mut is_volatile = false;
    let plain = lines.iter().map(|line| {
        let line = line.trim();
        let element = line.strip_prefix('<').and_then(|rest| rest.split(['>', ' ', '/']).next()).unwrap_or_default();
        let text = line.split_once('>').and_then(|(_, rest)| rest.split_once('<')).map_or("", |(text, _)| text);
        if element == "Name" {
            is_volatile = VOLATILE.contains(&text.rsplit('.').next().unwrap_or_default());
        }
        match OF_TIME.contains(&element) || element == "Value" && is_volatile {
            true => format!("<{element}>"),
            false => line.to_owned(),
        }
    });
    plain.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str =
        "<a>\n  <Name>x.UpTime</Name>\n  <Value t='1'>1</Value>\n  <Name>y</Name>\n  <Value>1</Value>\n</a>";

    #[test]
    fn time_makes_no_difference() {
        assert_eq!(difference(MESSAGE, &MESSAGE.replace("'1'>1<", "'1'>2<")), None);
        assert_eq!(difference("<CurrentTime>1</CurrentTime>", "<CurrentTime>2</CurrentTime>"), None);
        assert_eq!(difference("", ""), None);
    }

    #[test]
    fn a_value_shows_with_its_name() {
        let shown = difference(MESSAGE, &MESSAGE.replace("<Value>1", "<Value>2")).expect("a difference");
        assert_eq!(shown, "      <Name>y</Name>\n    - <Value>1</Value>\n    + <Value>2</Value>\n");
        let shown = difference(MESSAGE, "").expect("a difference");
        assert_eq!(shown.lines().count(), 6, "{shown}");
    }

    #[test]
    fn added_and_removed_lines_leave_the_others_alone() {
        let shown = difference("a\nb\nc\nd", "a\nx\nc\ny\nd").expect("a difference");
        assert_eq!(shown, "      a\n    - b\n    + x\n      c\n    + y\n");
        let long: String = (0..5000).map(|n| format!("{n}\n")).collect();
        let shown = difference(&long, &long.replace('1', "x")).expect("a difference");
        assert!(shown.lines().count() < 100 && shown.contains("lines more"), "{shown}");
    }
}
