//! SetParameterAttributes (TR-069 A6 §A.3.2.4).

use std::collections::BTreeMap;

use crate::clock::Now;
use crate::cwmp::device::{Author, Device};
use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::soap::{Element, EnvelopeWriter};
use crate::model::attributes::{ActiveNotify, Attributes, Notification};
use crate::model::change::Change;
use crate::model::path::{MAX_LENGTH, Path};

/// Applied in the order of the list, a later entry over an earlier one, and all or nothing (R195).
pub(super) fn handle(request: Element<'_>, device: &mut Device, now: Now, _: &mut EnvelopeWriter) -> Result<(), Fault> {
    let mut decided = BTreeMap::new();
    for entry in request.nonempty_members("ParameterList")? {
        let entry = AttributesRequest::read(entry)?;
        entry.decide(device, &mut decided)?;
    }
    let changes = decided.into_iter().map(|(name, attributes)| Change::Attributes(name, attributes)).collect();
    device.apply(changes, Author::Acs, now)?;
    Ok(())
}

/// A SetParameterAttributesStruct; `None` where the entry leaves an attribute as it is (R197).
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
            // R199: the lightweight kinds are not supported.
            read.notification = Some(notification.ok_or_else(|| {
                Fault::because(FaultCode::InvalidArguments, format!("Notification {number} is not supported"))
            })?);
        }
        if entry.boolean("AccessListChange")? {
            // R204: entries that are not known are ignored.
            read.subscriber = Some(entry.members("AccessList")?.any(|e| e.text().is_some_and(|t| t == "Subscriber")));
        }
        Ok(read)
    }

    /// R196: a partial path stands for all parameters that are below it now.
    fn decide(&self, device: &Device, decided: &mut BTreeMap<String, Attributes>) -> Result<(), Fault> {
        let path = Path::parse(&self.name).map_err(|error| super::named(&self.name, error))?;
        let mut denied = None;
        let visited = device.tree().visit_values(&path, &mut |parameter| {
            let notify = parameter.spec.active_notify;
            if notify == ActiveNotify::CanDeny && self.notification == Some(Notification::Active) {
                denied.get_or_insert_with(|| parameter.name.to_owned());
                return;
            }
            let mut attributes = decided.get(parameter.name).copied().unwrap_or_else(|| parameter.attributes());
            // R202: on a parameter whose notification is forced the request succeeds without effect.
            if let Some(notification) = self.notification.filter(|_| notify != ActiveNotify::ForceEnabled) {
                attributes.notification = notification;
            }
            attributes.subscriber = self.subscriber.unwrap_or(attributes.subscriber);
            decided.insert(parameter.name.to_owned(), attributes);
        });
        visited.map_err(|error| super::named(&self.name, error))?;
        match denied {
            Some(name) => {
                let text = format!("{name}: active notification is not supported");
                Err(Fault::because(FaultCode::NotificationRejected, text)) // R201
            }
            None => Ok(()),
        }
    }
}
