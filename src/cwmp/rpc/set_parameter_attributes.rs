//! SetParameterAttributes (TR-069 A6 §A.3.2.4).

use std::collections::BTreeMap;

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::attributes::{ActiveNotify, Notification};
use crate::model::change::Change;
use crate::model::path::{MAX_LENGTH, Path, PathError};
use crate::model::tree::{Tree, Wanted};

/// Sets the attributes of all entries or of none. The entries apply in the order of the list, a later one over an earlier
/// one (R195).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    // The values too: a change counts from the value that the device has when the ACS begins to watch it (R99).
    super::refresh(request, "ParameterList", Wanted::values, device, now);
    let mut merged = MergedEntries::default();
    for (position, entry) in request.nonempty_members("ParameterList")?.enumerate() {
        let mut entry = AttributesEntry::read(entry, device.has_lightweight_notification())?;
        entry.name =
            path_by_number(device.tree(), &entry.name).map_err(|error| super::fault_of_name(&entry.name, error))?;
        merged.add(position, entry);
    }
    let changes = merged.decide(device.tree())?;
    device.apply(changes, Author::Acs, now)?;
    Ok(())
}

/// Returns the path of an entry by numbers, if it names parameters.
fn path_by_number(tree: &Tree, name: &str) -> Result<String, PathError> {
    let name = tree.by_number(name)?;
    tree.check_values_path(&Path::parse(&name)?)?;
    Ok(name.into_owned())
}

/// A SetParameterAttributesStruct. `None` leaves an attribute as it is (R197).
struct AttributesEntry {
    name: String,
    notification: Option<Notification>,
    subscriber: Option<bool>,
}

impl AttributesEntry {
    fn read(entry: Element<'_>, has_lightweight: bool) -> Result<AttributesEntry, Fault> {
        let name = entry.string("Name", MAX_LENGTH)?.into_owned();
        let mut read = AttributesEntry { name, notification: None, subscriber: None };
        if entry.boolean("NotificationChange")? {
            let number = entry.int("Notification")?;
            let notification = Notification::from_number(number.into());
            // The lightweight notifications, 3 to 6, need a protocol in the data model (R199).
            let notification = notification.filter(|kind| has_lightweight || !kind.is_lightweight());
            read.notification = Some(notification.ok_or_else(|| {
                Fault::because(FaultCode::InvalidArguments, format!("Notification {number} is not supported"))
            })?);
        }
        if entry.boolean("AccessListChange")? {
            // Entries other than Subscriber are ignored, since a later standard may define some (R204).
            let entries = entry.members("AccessList")?.map(|entry| {
                let text = entry.text();
                text.ok_or_else(|| Fault::because(FaultCode::InvalidArguments, "an entry of AccessList must be a text"))
            });
            let entries: Vec<_> = entries.collect::<Result<_, _>>()?;
            read.subscriber = Some(entries.iter().any(|entry| entry == "Subscriber"));
        }
        Ok(read)
    }
}

/// The entries of a request by their path. Entries may overlap: applied one by one, a list of 5,000 times `Device.` would
/// visit every parameter 5,000 times.
#[derive(Default)]
struct MergedEntries(BTreeMap<String, Merged>);

/// The entries of one path. An attribute has the position of the last entry that sets it (R195).
#[derive(Clone, Copy, Default)]
struct Merged {
    notification: Option<(usize, Notification)>,
    subscriber: Option<(usize, bool)>,
    /// True if an entry asks for active notification, even if a later one asks for another.
    active: bool,
}

impl MergedEntries {
    fn add(&mut self, position: usize, entry: AttributesEntry) {
        let merged = self.0.entry(entry.name).or_default();
        merged.notification = entry.notification.map(|value| (position, value)).or(merged.notification);
        merged.subscriber = entry.subscriber.map(|value| (position, value)).or(merged.subscriber);
        merged.active |= entry.notification == Some(Notification::Active);
    }

    /// Returns the changes of all parameters that exist at or below the paths now (R196), each with its final attributes.
    fn decide(&self, tree: &Tree) -> Result<Vec<Change>, Fault> {
        let mut changes = Vec::new();
        let mut denied = None;
        let mut visited = None;
        // In the order of the map, a partial path comes before all names below it, which it covers.
        for name in self.0.keys() {
            if visited.is_some_and(|path: &str| is_below(name, path)) {
                continue;
            }
            visited = Some(name);
            let path = Path::parse(name).map_err(|error| super::fault_of_name(name, error))?;
            let walk = tree.visit_values(&path, &mut |parameter| {
                let merged = self.of_parameter(parameter.name);
                let notify = parameter.spec.active_notify;
                if notify == ActiveNotify::CanDeny && merged.active {
                    // The first such parameter rejects the whole request, and the text names it (R201).
                    denied.get_or_insert_with(|| parameter.name.to_owned());
                }
                let mut attributes = parameter.attributes();
                // On a parameter with forced notification the request must succeed without effect, not fail (R202).
                if let Some((_, value)) = merged.notification.filter(|_| notify != ActiveNotify::ForceEnabled) {
                    attributes.notification = value;
                }
                attributes.subscriber = merged.subscriber.map_or(attributes.subscriber, |(_, value)| value);
                changes.push(Change::Attributes(parameter.name.to_owned(), attributes));
            });
            walk.map_err(|error| super::fault_of_name(name, error))?;
        }
        match denied {
            Some(name) => {
                let text = format!("{name}: active notification is not supported");
                Err(Fault::because(FaultCode::NotificationRejected, text))
            }
            None => Ok(changes),
        }
    }

    /// Returns the entries that cover a parameter, merged: those of its name and of each partial path above it.
    fn of_parameter(&self, name: &str) -> Merged {
        let above = name.match_indices('.').map(|(dot, _)| &name[..=dot]);
        let mut merged = Merged::default();
        for found in above.chain(["", name]).filter_map(|path| self.0.get(path)) {
            merged.notification = max_by_position(merged.notification, found.notification);
            merged.subscriber = max_by_position(merged.subscriber, found.subscriber);
            merged.active |= found.active;
        }
        merged
    }
}

/// Returns the one of the later entry.
fn max_by_position<T: Copy>(one: Option<(usize, T)>, other: Option<(usize, T)>) -> Option<(usize, T)> {
    [one, other].into_iter().flatten().max_by_key(|(position, _)| *position)
}

/// Returns true if the partial path `path` covers `name`.
fn is_below(name: &str, path: &str) -> bool {
    (path.is_empty() || path.ends_with('.')) && name.starts_with(path)
}
