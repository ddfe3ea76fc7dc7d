//! Commands of the control socket, from `get` to `inform`, by which an operator or a program on the device acts on it.

mod get;
mod printed;
mod watch;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

pub(super) use self::get::{MAX_OUTPUT, OneLine};
use self::printed::{Printed, compare};
pub(super) use self::watch::Watchers;
use super::Agent;
use super::inbox::Inbox;
use super::status::LatestStatus;
use crate::clock::Now;
use crate::control::{self, CommandResult, LocalTransfer, PendingRequest, Request, SetRequest};
use crate::cwmp::device::{Author, Changed, Device, unfit_aliases};
use crate::cwmp::event::{ConfirmedBy, Cumulative, Event, EventCode};
use crate::cwmp::fault::Fault;
use crate::cwmp::rules;
use crate::cwmp::software::{Operation, Requester};
use crate::cwmp::transfer::{DownloadRequest, Origin, Timing, TransferQueue, TransferRequest, admit, check_url};
use crate::log;
use crate::model::actions::is_file_type;
use crate::model::change::Change;
use crate::model::facets::PatternCache;
use crate::model::path::{Path, PathError};
use crate::model::tree::{DeclaredType, SetError, Wanted};
use crate::model::value::Value;
use crate::suggest::hint;

/// The most errors that `set` lists.
const MAX_REASONS: usize = 20;

/// The handler through which the control socket reaches the agent thread.
pub(super) struct ControlHandler {
    pub(super) inbox: Arc<Inbox>,
    pub(super) latest_status: Arc<LatestStatus>,
}

impl control::RequestHandler for ControlHandler {
    fn submit(&self, request: PendingRequest) -> Result<(), PendingRequest> {
        self.inbox.submit(request)
    }

    fn status(&self, json: bool) -> String {
        self.latest_status.describe(json)
    }

    fn check(&self) -> CommandResult {
        self.latest_status.check()
    }
}

impl Agent {
    /// Executes a command, unless its client has given up, and sends the result.
    pub(super) fn execute(&mut self, command: PendingRequest, now: Now) {
        let Some((request, reply)) = command.take() else { return };
        let answer = match request {
            Request::Get(request) => {
                let paths = self.device.numbered(request.paths.clone(), now);
                let failure = self.device.refresh(&Wanted::values(paths), now);
                return reply.send(failure.map_or_else(|| get::get(&self.device, &request), Err));
            }
            Request::Source { paths, json } => {
                return reply.send(super::sources::describe(&mut self.device, &paths, json, now));
            }
            // The control thread answers `status` without the agent, so that it works during a session. This arm serves a
            // request that reached the agent nevertheless.
            Request::Status { json } => return reply.send(Ok(self.latest_status.describe(json))),
            Request::Check => return reply.send(self.latest_status.check()),
            Request::Dhcp => {
                // The hook of a DHCP client does not wait for the end of a session, which goes on with its ACS (R336).
                self.discovery.outdate();
                if self.session_began.is_none() {
                    self.discover(now);
                }
                Ok(String::new())
            }
            Request::Trace => return self.start_trace(reply, now),
            Request::Watch(paths) => return self.start_watch(paths, reply, now),
            Request::Applied => {
                self.note_applied(now);
                return reply.send(Ok(String::new()));
            }
            Request::Set(request) => self.local_change(now, |device| set(device, &request, now)),
            Request::Add(table) => self.local_change(now, |device| add(device, &table, now)),
            Request::Delete(instance) => self.local_change(now, |device| delete(device, &instance, now)),
            Request::Inform(event) => self.inform(&event, now),
            Request::Transfer(transfer) => self.local_transfer(&transfer, now),
            Request::Software(operation) => self.local_operation(*operation, now),
            Request::RequestDownload(file_type, arguments) => self.request_download(file_type, arguments, now),
        };
        // The status precedes the reply: a client that runs `status` after it must see the effect of its command.
        self.publish(now);
        reply.send(answer);
        self.report_to_watchers();
        self.compact();
    }

    /// Performs a change on behalf of a local client, and schedules the notification that the ACS receives of it.
    fn local_change(
        &mut self,
        now: Now,
        change: impl FnOnce(&mut Device) -> Result<LocalChange, String>,
    ) -> CommandResult {
        let done = change(&mut self.device)?;
        if done.notify {
            self.schedule.notification.session_wanted(now.monotonic);
        }
        // R25: a new ACS is contacted at once. The retry wait concerns the old ACS only.
        self.session_wanted |= self.device.state().events.is_new(&EventCode::Bootstrap);
        Ok(done.output)
    }

    /// Raises an event, which starts a session: at once, or after the running one. Returns a line for the user if the
    /// event does not start a session of its own now.
    fn inform(&mut self, event: &str, now: Now) -> CommandResult {
        let code = event_code(event)?;
        self.require_sessions()?;
        if code == EventCode::Bootstrap {
            let url = self.device.acs_url();
            self.device.state_mut().bootstrap(url);
        }
        self.raise(Event::new(code.clone()));
        // The queue drops an event that finds no room.
        if !self.device.state().events.contains(&code) {
            return Err("too many events are queued".into());
        }
        let held_until = self.held_until(now);
        if self.session_began.is_none() && held_until.is_none() {
            return Ok(String::new());
        }
        // The command ends long before the session that reports the event, which must survive a power cut (R141).
        self.save();
        if let Some(until) = held_until {
            let seconds = until.saturating_sub(now.monotonic).as_secs() + 1;
            let cause = match self.identity_wait {
                Some(_) => "or once the sources give the identity",
                None => "(Retry-After or a restart)",
            };
            return Ok(format!("the event is queued; the next session starts in {seconds} s {cause}\n"));
        }
        Ok("a session is running: this session or the next one, right after it, reports the event\n".into())
    }

    /// Refuses a command that needs a session while sessions are disabled.
    fn require_sessions(&self) -> Result<(), String> {
        match self.why_disabled() {
            None => Ok(()),
            Some(why) => Err(format!("{}: no session is started", why.reason())),
        }
    }
}

/// The longest TransferURL of AutonomousTransferComplete, in bytes (R247).
const MAX_URL: usize = 1024;

/// Transfers and operations that are requested at the device.
impl Agent {
    /// Queues an autonomous transfer (R247). Returns the number by which `status` lists it.
    fn local_transfer(&mut self, wanted: &LocalTransfer, now: Now) -> CommandResult {
        let LocalTransfer { is_download, file_type, url, username, password, size, target } = wanted;
        if url.len() > MAX_URL {
            return Err(format!("the URL is longer than {MAX_URL} bytes"));
        }
        let request = TransferRequest {
            origin: if *is_download { Origin::LocalDownload } else { Origin::LocalUpload },
            command_key: String::new(),
            file_type: file_type.clone(),
            url: url.clone(),
            username: username.clone(),
            password: password.clone(),
            file_size: *size,
            target_file_name: target.clone(),
        };
        // The checks of Download and Upload hold here, too: the URL scheme, and an action for the file type.
        admit(&request, &self.device).map_err(|fault| fault.text)?;
        let queued = self.device.change_transfers(now, |transfers| transfers.add(request, Timing::delayed(0, now)));
        let id = queued.map_err(|error| error.to_string())?.map_err(|full| full.to_string())?;
        // The first step starts before the reply, so that `status` after it shows the transfer at work.
        self.poll_transfers(now);
        Ok(format!("{id}\n"))
    }

    /// Queues an autonomous operation on software (R356). Returns the number by which `status` lists it.
    fn local_operation(&mut self, operation: Operation, now: Now) -> CommandResult {
        let Some(action) = &self.device.actions().software else {
            return Err("the data model has no action `software`".into());
        };
        if !operation.url.is_empty() && !action.fetches {
            check_url(&operation.url).map_err(|fault| fault.text)?;
        }
        let operations = vec![(operation, None)];
        let queued = self.device.change_units(now, |units| units.add(Requester::Local, operations, now));
        let id = queued.map_err(|error| error.to_string())?.map_err(|full| full.to_string())?;
        self.poll_software(now);
        Ok(format!("{id}\n"))
    }

    /// Asks the ACS for a download with `9 REQUEST DOWNLOAD` (R248).
    fn request_download(&mut self, file_type: String, arguments: Vec<(String, String)>, now: Now) -> CommandResult {
        self.require_sessions()?;
        if !is_file_type(&file_type) {
            return Err(format!("`{file_type}` is no file type, such as `1 Firmware Upgrade Image`"));
        }
        let request = DownloadRequest { file_type, arguments };
        let taken = self
            .device
            .change_transfers(now, |transfers| transfers.request_download(request))
            .map_err(|error| error.to_string())?;
        if !taken {
            return Err(format!("{} downloads are requested already", TransferQueue::MAX_DOWNLOAD_REQUESTS));
        }
        self.session_wanted = true;
        Ok(String::new())
    }
}

/// The result of a local change.
#[derive(Debug, PartialEq, Eq)]
struct LocalChange {
    /// The output of the command.
    output: String,
    /// True if the change requires an active notification.
    notify: bool,
}

/// Sets all of the values, or none and returns all errors.
fn set(device: &mut Device, request: &SetRequest, now: Now) -> Result<LocalChange, String> {
    let SetRequest { assignments, is_printed } = request;
    if assignments.iter().any(|(name, _)| device.requests_state(name)) {
        device.refresh_software(now);
    }
    let paths = device.numbered(assignments.iter().map(|(name, _)| name.clone()).collect(), now);
    device.refresh(&Wanted::changes(paths), now);
    // The same type as in `cwmp::rpc::set_parameter_values`, since each is compiled anew.
    let mut names: HashSet<Cow<'_, str>> = HashSet::new();
    let mut changes = Vec::with_capacity(assignments.len());
    let (mut refused, mut left) = (Vec::new(), Vec::new());
    let patterns = PatternCache::default();
    for (name, text) in assignments {
        // A name without an instance is unknown, which the check tells.
        let path = device.tree().by_number(name).unwrap_or(name.into());
        if *is_printed {
            match compare(device, &path, text.expose()) {
                Printed::Present => continue,
                Printed::ReadOnly => {
                    left.push(format!("{name}: read-only, and stays as it is"));
                    continue;
                }
                Printed::Other => {}
            }
        }
        match check_assignment(device, &path, text.expose(), &patterns) {
            Ok(value) => changes.push(Change::Set(path.clone().into_owned(), value)),
            // The loop goes on, so that the operator sees all errors at once.
            Err(reason) => refused.push(reason),
        }
        // With two values for one name, the result would depend on their request.
        if !names.insert(path.into_owned().into()) {
            refused.push(format!("{name}: it is in the list more than once"));
        }
    }
    let taken = unfit_aliases(device.tree(), &changes).map_err(|error| error.to_string())?;
    let unfit = device.unready_tests(&changes).into_iter().chain(taken);
    refused.extend(unfit.map(|fault| format!("{}: {}", fault.name, fault.text)));
    if !refused.is_empty() {
        let found = device.refusals(&changes);
        refused.extend(found.into_iter().map(|fault| format!("{}: {}", fault.name, fault.text)));
        return Err(join_reasons(refused));
    }
    // The names only: a value may be a password.
    let names = changes.iter().map(Change::name).collect::<Vec<_>>().join(", ");
    let changed = device.change(changes, Author::Other, now).map_err(|fault| local_reason(&fault))?;
    if !names.is_empty() {
        log::info!("set locally: {names}");
    }
    let output = if left.is_empty() { String::new() } else { join_reasons(left) + "\n" };
    Ok(LocalChange { output, notify: changed.notify })
}

/// Returns the reasons of a fault, a line for each parameter.
fn local_reason(fault: &Fault) -> String {
    match fault.parameters.is_empty() {
        true => fault.text.clone(),
        false => join_reasons(fault.parameters.iter().map(|p| format!("{}: {}", p.name, p.text)).collect()),
    }
}

/// Joins error texts, one a line, and cuts a list that is too long to be read.
fn join_reasons(mut reasons: Vec<String>) -> String {
    if reasons.len() > MAX_REASONS {
        let more = format!("and {} more", reasons.len() - MAX_REASONS);
        reasons.truncate(MAX_REASONS);
        reasons.push(more);
    }
    reasons.join("\n")
}

/// Checks one assignment by the rules that SetParameterValues follows, and by the access list.
fn check_assignment(device: &Device, name: &str, text: &str, patterns: &PatternCache) -> Result<Value, String> {
    let tree = device.tree();
    // A command line carries text only, so that the type comes from the model.
    let value = tree.check_set(name, DeclaredType::Any, text, patterns).and_then(|value| {
        rules::check(tree, device.actions(), name, &value)?;
        Ok(value)
    });
    let value = value.map_err(|error| match error {
        SetError::Path(error) => path_error_text(device, name, error),
        SetError::Value(error) => {
            let reason = tree.parameter(name).map(|parameter| parameter.spec.explain(&error, text));
            format!("{name}: {}", reason.unwrap_or_else(|_| error.to_string()))
        }
    })?;
    match tree.parameter(name) {
        Ok(parameter) if parameter.attributes().subscriber => Ok(value),
        _ => Err(format!("{name}: {DENIED}")),
    }
}

/// The error for a parameter whose access list lacks Subscriber (R204).
const DENIED: &str = "its access list reserves it for the ACS";

/// Creates an instance. Its number is the output.
fn add(device: &mut Device, table: &str, now: Now) -> Result<LocalChange, String> {
    let error_text = |device: &Device, error| path_error_text(device, table, error);
    let paths = device.numbered(vec![table.to_owned()], now);
    device.refresh(&Wanted::instances(paths), now);
    let (path, ..) = device.tree().new_instance(table).map_err(|error| error_text(device, error))?;
    // R204: the access list does not restrict the creation of instances.
    let added = device.add_instance(table, Vec::new(), Author::Other, now);
    let (number, Changed { notify, .. }) = added.map_err(|fault| local_reason(&fault))?;
    log::info!("added locally: {path}{number}.");
    Ok(LocalChange { output: format!("{number}\n"), notify })
}

/// Deletes an instance. A parameter in it that is reserved for the ACS prevents that (R204).
fn delete(device: &mut Device, instance: &str, now: Now) -> Result<LocalChange, String> {
    let error_text = |device: &Device, error| path_error_text(device, instance, error);
    let paths = device.numbered(vec![instance.to_owned()], now);
    device.refresh(&Wanted::instances(paths), now);
    let instance = device.tree().by_number(instance).map_err(|error| error_text(device, error))?.into_owned();
    let path = Path::parse(&instance).map_err(|error| error_text(device, error))?;
    device.tree().check_delete(&path).map_err(|error| error_text(device, error))?;
    let mut denied = None;
    let visited = device.tree().visit_values(&path, &mut |parameter| {
        if denied.is_none() && !parameter.attributes().subscriber {
            denied = Some(format!("{}: {DENIED}", parameter.name));
        }
    });
    visited.map_err(|error| error_text(device, error))?;
    if let Some(reason) = denied {
        return Err(reason);
    }
    let deleted = device.delete_instance(&instance, Vec::new(), Author::Other, now);
    let Changed { notify, .. } = deleted.map_err(|fault| local_reason(&fault))?;
    log::info!("deleted locally: {instance}");
    Ok(LocalChange { output: String::new(), notify })
}

/// Parses an event code that `inform` may raise: one that the Inform alone delivers, without another RPC after it.
fn event_code(text: &str) -> Result<EventCode, String> {
    let code = EventCode::parse(text).ok_or_else(|| {
        let end = hint(text, &EventCode::standard(), "codes", "");
        format!("there is no event code `{text}`{end}; one of a vendor is `X OUI event`")
    })?;
    let rule = code.rule();
    // The others carry the CommandKey of a request, or are followed by TransferComplete with a result.
    if rule.confirmed_by != ConfirmedBy::Inform || rule.cumulative == Cumulative::Multiple {
        return Err(format!("`{text}` is raised only by the operation that it reports"));
    }
    if code == EventCode::ValueChange {
        // R101: the event goes with a changed value in the ParameterList.
        return Err(format!("`{text}` needs a value that has changed: use `set`"));
    }
    Ok(code)
}

/// Returns the error text for a name. It points out a missing dot at the end of an object, the most frequent mistake.
pub(super) fn path_error_text(device: &Device, name: &str, error: PathError) -> String {
    let object = format!("{name}.");
    let is_object = |path: Path<'_>| device.tree().visit_names(&path, true, &mut |_, _| {}).is_ok();
    match error {
        PathError::Unknown | PathError::NotAnObject | PathError::NotDeletable
            if !name.ends_with('.') && Path::parse(&object).is_ok_and(is_object) =>
        {
            format!("{name}: an object is named with a dot at its end")
        }
        _ if name.is_empty() => error.to_string(),
        PathError::Unknown => format!("{name}: {error}{}", device.tree().near_name(name)),
        _ => format!("{name}: {error}"),
    }
}

#[cfg(test)]
mod tests;
