//! SetParameterAttributes (TR-069 A6 §A.3.2.4).

use std::collections::BTreeMap;

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::attributes::{ActiveNotify, Attributes, Notification};
use crate::model::change::Change;
use crate::model::path::{MAX_LENGTH, Path};

/// Sets the attributes of all entries or of none. The entries apply in the order of the list, a later one over an earlier
/// one (R195).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    // One change for each parameter, however many entries name it: the record then holds the final attributes only.
    let mut decided = BTreeMap::new();
    for entry in request.nonempty_members("ParameterList")? {
        let entry = AttributesRequest::read(entry)?;
        entry.decide(device, &mut decided)?;
    }
    let changes = decided.into_iter().map(|(name, attributes)| Change::Attributes(name, attributes)).collect();
    device.apply(changes, Author::Acs, now)?;
    Ok(())
}

/// A SetParameterAttributesStruct. `None` leaves an attribute as it is (R197).
struct AttributesRequest {
    name: String,
    notification: Option<Notification>,
    subscriber: Option<bool>,
}

impl AttributesRequest {
    fn read(entry: Element<'_>) -> Result<AttributesRequest, Fault> {
        let name = entry.string("Name", MAX_LENGTH)?.into_owned();
        let mut read = AttributesRequest { name, notification: None, subscriber: None };
        if entry.boolean("NotificationChange")? {
            let number = entry.int("Notification")?;
            let notification = Notification::from_number(number.into());
            // The lightweight notifications, 3 to 6, need a protocol that this agent does not have (R199).
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

    /// Adds the new attributes to `decided`. A partial path applies to all parameters that exist below it now (R196).
    fn decide(&self, device: &Device, decided: &mut BTreeMap<String, Attributes>) -> Result<(), Fault> {
        let path = Path::parse(&self.name).map_err(|error| super::fault_of_name(&self.name, error))?;
        let mut denied = None;
        let visited = device.tree().visit_values(&path, &mut |parameter| {
            let notify = parameter.spec.active_notify;
            if notify == ActiveNotify::CanDeny && self.notification == Some(Notification::Active) {
                // The first such parameter rejects the whole request, and the text names it (R201).
                denied.get_or_insert_with(|| parameter.name.to_owned());
                return;
            }
            let mut attributes = decided.get(parameter.name).copied().unwrap_or_else(|| parameter.attributes());
            // On a parameter with forced notification the request must succeed without effect, not fail (R202).
            if let Some(notification) = self.notification.filter(|_| notify != ActiveNotify::ForceEnabled) {
                attributes.notification = notification;
            }
            attributes.subscriber = self.subscriber.unwrap_or(attributes.subscriber);
            decided.insert(parameter.name.to_owned(), attributes);
        });
        visited.map_err(|error| super::fault_of_name(&self.name, error))?;
        match denied {
            Some(name) => {
                let text = format!("{name}: active notification is not supported");
                Err(Fault::because(FaultCode::NotificationRejected, text))
            }
            None => Ok(()),
        }
    }
}
