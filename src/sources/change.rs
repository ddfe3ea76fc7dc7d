//! Changes of the device: programs that set fields, single files, and reloads. `sources/uci.rs` has the packages.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::DeviceSources;
#[cfg(feature = "source-exec")]
use super::exec::{ADD, CHECK, DELETE, Programs, REFUSES, SET};
use super::lines;
use crate::clock::Clock;
use crate::cwmp::device::Refusal;
use crate::cwmp::fault::FaultCode;
use crate::log;
use crate::model::reloads::{Condition, Reload, ReloadCall};
use crate::model::source::{Answer, Argument, Place, Query, Target, Watching, Write};
use crate::process;

/// The member of the list of procd's services that has the events for which their scripts run.
const TRIGGER: &str = "triggers";

/// The longest wait for that list.
const LIST_LIMIT: Duration = Duration::from_secs(5);

/// The wait between two looks at a condition.
const LOOK: Duration = Duration::from_millis(500);

impl DeviceSources {
    /// Asks the programs that can check whether they take these texts.
    pub(super) fn check_programs(&mut self, writes: &[Write]) -> Vec<Refusal> {
        let can_check = |write: &Write| matches!(write.place, Place::Exec { has_check: true, .. });
        let mut refused = Vec::new();
        #[cfg(feature = "source-exec")]
        for group in programs(writes, can_check) {
            refused.extend(self.run_program(writes, &group, CHECK));
        }
        refused
    }

    /// Sets the texts of programs and files, group by group, up to the first refusal: those without a known text before, or the
    /// others.
    pub(super) fn set_directly(&mut self, writes: &[Write], is_unknown: bool) -> Vec<Refusal> {
        let is_meant = |write: &Write| write.old.is_none() == is_unknown;
        #[cfg(feature = "source-exec")]
        for group in programs(writes, |_| true) {
            // One run of a program decides on all of its values.
            if group.iter().any(|at| writes[*at].old.is_none()) != is_unknown {
                continue;
            }
            let refused = self.run_program(writes, &group, SET);
            if !refused.is_empty() {
                return refused;
            }
        }
        for (write, Write { place, text, .. }) in writes.iter().enumerate().filter(|(_, write)| is_meant(write)) {
            let Place::Ubus { object, method, args, value, limit } = place else { continue };
            let mut args = args.clone();
            args.push((value.clone(), Argument::Text(text.clone().unwrap_or_default())));
            let limit = Duration::from_secs((*limit).into());
            let deadline = self.deadline.saturating_sub(self.clock.now().monotonic);
            if let Err(reason) = call(object, method, args, limit.min(deadline), self.clock, &self.stop) {
                return vec![Refusal { write, code: code_of_call(&reason), text: format!("ubus {object}: {reason}") }];
            }
        }
        #[cfg(feature = "source-file")]
        for (write, Write { place, text, .. }) in writes.iter().enumerate().filter(|(_, write)| is_meant(write)) {
            let Place::File { path, replaces } = place else { continue };
            if let Err(error) = super::file::write(path, text.as_deref().unwrap_or_default(), *replaces) {
                return vec![Refusal { write, code: code_of(&error), text: format!("{path}: {error}") }];
            }
        }
        Vec::new()
    }

    /// Adds or deletes the row of a program. Returns the key of a new one.
    ///
    /// # Errors
    /// The refusal of the program.
    #[cfg(feature = "source-exec")]
    pub(super) fn change_row(&mut self, writes: &[Write]) -> Result<Option<String>, Vec<Refusal>> {
        let row = writes.iter().position(|write| matches!(write.place, Place::NewRow { .. } | Place::OldRow { .. }));
        let Some(write) = row else { return Ok(None) };
        let (name, answer, command) = match &writes[write].place {
            Place::NewRow { command, limit } => {
                let (name, answer) = self.call(command, *limit, ADD, String::new());
                (name, answer, Some((command, *limit)))
            }
            Place::OldRow { command, limit, row } => {
                let (name, answer) = self.call(command, *limit, DELETE, format!("{}\n", lines::escape(row)));
                (name, answer, None)
            }
            _ => return Ok(None),
        };
        let refuse =
            |code: FaultCode, reason: &str| Err(vec![Refusal { write, code, text: format!("{name}: {reason}") }]);
        let output = match answer {
            Ok(Answer::Text(output)) => output,
            Ok(_) => String::new(),
            Err(reason) if reason.starts_with(REFUSES) => return refuse(FaultCode::RequestDenied, &reason),
            Err(reason) => return refuse(FaultCode::InternalError, &reason),
        };
        let Some((command, limit)) = command else { return Ok(None) };
        match lines::key(&output) {
            Some(key) => {
                self.added = Some((command.clone(), limit, key.clone()));
                Ok(Some(key))
            }
            None => refuse(FaultCode::InternalError, "it gives the new row no key"),
        }
    }

    /// Deletes the row that a program has added for a change that was not made.
    #[cfg(feature = "source-exec")]
    pub(super) fn delete_added(&mut self) {
        let Some((command, limit, key)) = self.added.take() else { return };
        let (name, answer) = self.call(&command, limit, DELETE, format!("{}\n", lines::escape(&key)));
        if let Err(reason) = answer {
            log::warn!("{name}: the row `{key}` could not be deleted: {reason}");
        }
    }

    /// Runs a program with a verb. Returns its name for the log, and its answer.
    #[cfg(feature = "source-exec")]
    fn call(&mut self, command: &[String], limit: u32, verb: &str, input: String) -> (String, Result<Answer, String>) {
        let command: Vec<String> = command.iter().cloned().chain([verb.to_owned()]).collect();
        let queries = [Query { target: Target::Exec { command, input }, limit, age: 0, watching: Watching::default() }];
        let mut responses = Programs::start(&queries, self.clock, self.deadline).finish(&self.stop);
        let answer = responses.pop().map_or(Err("it has not answered".to_owned()), |(_, response)| response.answer);
        (queries[0].target.to_string(), answer)
    }

    /// Runs one program for the texts of a group, given by their indexes.
    #[cfg(feature = "source-exec")]
    fn run_program(&mut self, writes: &[Write], group: &[usize], verb: &str) -> Vec<Refusal> {
        let (mut input, mut query) = (String::new(), None);
        for at in group {
            let Write { place: Place::Exec { command, limit, row, field, .. }, text, .. } = &writes[*at] else {
                continue;
            };
            row.iter().for_each(|row| input.push_str(&format!("{}\t", lines::escape(row))));
            input.push_str(&format!(
                "{}\t{}\n",
                lines::escape(field),
                lines::escape(text.as_deref().unwrap_or_default())
            ));
            query = Some((command, *limit));
        }
        let Some((command, limit)) = query else { return Vec::new() };
        let (name, answer) = self.call(command, limit, verb, input);
        let whole = |code: FaultCode, reason: &str| {
            group.iter().map(|write| Refusal { write: *write, code, text: format!("{name}: {reason}") }).collect()
        };
        let refused = match &answer {
            Ok(Answer::Text(output)) => lines::refusals(output),
            Ok(_) => Ok(Vec::new()),
            Err(reason) if reason.starts_with(REFUSES) => return whole(FaultCode::RequestDenied, reason),
            Err(reason) => Err(reason.clone()),
        };
        let refused = match refused {
            Ok(refused) => refused,
            Err(reason) => return whole(FaultCode::InternalError, &reason),
        };
        let place = |wanted: &lines::RefusedField| {
            group.iter().copied().find(|at| {
                matches!(&writes[*at].place, Place::Exec { row, field, .. } if *field == wanted.field && *row == wanted.row)
            })
        };
        // A refusal that names no field of the group refuses all of it.
        if refused.iter().any(|refusal| place(refusal).is_none()) {
            return whole(FaultCode::InternalError, "it refuses a field that it was not asked for");
        }
        let refusal = |refusal: lines::RefusedField| {
            let write = place(&refusal)?;
            Some(Refusal { write, code: allowed_code(refusal.code), text: refusal.text })
        };
        refused.into_iter().filter_map(refusal).collect()
    }
}

/// Returns the writes of each program, by their indexes.
#[cfg(feature = "source-exec")]
fn programs(writes: &[Write], counts: impl Fn(&Write) -> bool) -> Vec<Vec<usize>> {
    let mut groups: Vec<(&[String], Vec<usize>)> = Vec::new();
    for (at, write) in writes.iter().enumerate() {
        let Place::Exec { command, .. } = &write.place else { continue };
        if !counts(write) {
            continue;
        }
        match groups.iter_mut().find(|(known, _)| *known == command.as_slice()) {
            Some((_, group)) => group.push(at),
            None => groups.push((command, vec![at])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Returns the fault of a program, which may only give those of one parameter.
#[cfg(feature = "source-exec")]
fn allowed_code(number: u16) -> FaultCode {
    FaultCode::from_number(number).filter(|_| (9001..=9008).contains(&number)).unwrap_or(FaultCode::InternalError)
}

/// Returns the fault for the reason by which an object on the bus refuses a call.
fn code_of_call(reason: &str) -> FaultCode {
    match reason {
        _ if reason.ends_with("(status 2)") || reason.ends_with("as another type") => FaultCode::InvalidParameterValue,
        _ if reason.ends_with("(status 6)") => FaultCode::RequestDenied,
        _ => FaultCode::InternalError,
    }
}

/// Returns the fault for an error of a file.
pub(super) fn code_of(error: &io::Error) -> FaultCode {
    match error.kind() {
        io::ErrorKind::PermissionDenied => FaultCode::RequestDenied,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FaultCode::ResourcesExceeded,
        // The kernel does not take the value.
        io::ErrorKind::InvalidInput => FaultCode::InvalidParameterValue,
        _ => FaultCode::InternalError,
    }
}

/// Runs a reload to its end.
///
/// # Errors
/// The reason of the failure.
pub(crate) fn run_reload(reload: &Reload, clock: Clock, stop: &AtomicBool) -> Result<(), String> {
    match &reload.call {
        ReloadCall::Run(command) => process::run(command, reload.limit, stop).map_err(|error| error.to_string()),
        ReloadCall::Ubus(object, method, args) => {
            call(object, method, args.clone(), reload.limit, clock, stop).map(|_| ())
        }
    }
}

/// Returns true if an init script has asked procd for the events of this package; `None` if procd does not tell.
pub(crate) fn awaits_event(package: &str, clock: Clock, stop: &AtomicBool) -> Option<bool> {
    let verbose = vec![("verbose".to_owned(), Argument::Boolean(true))];
    match call("service", "list", verbose, LIST_LIMIT, clock, stop) {
        // The triggers of a service are lists within lists, whose form differs between releases.
        Ok(Answer::Tree(services)) if services.has_text(TRIGGER) => Some(services.has_text(package)),
        _ => None,
    }
}

/// Waits until a condition is true.
///
/// # Errors
/// It is not true within the limit, with the reason if it cannot be read.
pub(crate) fn await_condition(
    condition: &Condition,
    limit: Duration,
    clock: Clock,
    stop: &AtomicBool,
) -> Result<(), String> {
    let deadline = clock.now().monotonic + limit;
    loop {
        let left = deadline.saturating_sub(clock.now().monotonic);
        let answer = call(&condition.object, &condition.method, Vec::new(), left, clock, stop);
        if answer.as_ref().is_ok_and(|answer| condition.holds(answer)) {
            return Ok(());
        }
        if left.is_zero() || stop.load(Ordering::Relaxed) {
            let reason = answer.err().map(|reason| format!(": {reason}")).unwrap_or_default();
            return Err(format!("not true within {} s{reason}", limit.as_secs()));
        }
        std::thread::sleep(LOOK.min(left));
    }
}

/// Calls a method on the bus of OpenWrt.
#[cfg(feature = "source-ubus")]
fn call(
    object: &str,
    method: &str,
    args: Vec<(String, Argument<String>)>,
    limit: Duration,
    clock: Clock,
    stop: &AtomicBool,
) -> Result<Answer, String> {
    let target = Target::Ubus { object: object.to_owned(), method: method.to_owned(), args, is_optional: false };
    let deadline = clock.now().monotonic + limit;
    let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    let query = Query { target, limit, age: 0, watching: Watching::default() };
    let mut responses = super::ubus::Bus::default().ask(&[query], clock, deadline, stop);
    responses.pop().map_or(Err("no answer".to_owned()), |(_, response)| response.answer)
}

/// Refuses a call: this build has no bus.
#[cfg(not(feature = "source-ubus"))]
fn call(
    _: &str,
    _: &str,
    _: Vec<(String, Argument<String>)>,
    _: Duration,
    _: Clock,
    _: &AtomicBool,
) -> Result<Answer, String> {
    Err("this build does not know the bus of OpenWrt".to_owned())
}
