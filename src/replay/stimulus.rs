//! The causes of a session, as its Inform shows them: events, time, retries, version, changed parameters.

use super::UTF_8;
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::soap::{ArgumentError, Element, EnvelopeBody, Message};
use crate::cwmp::version::Version;
use crate::model::date_time::DateTime;

/// The causes of a session, which a replay gives to the device. They are no responses, so that no difference can be in them.
#[derive(Debug)]
pub(super) struct Stimulus {
    pub(super) events: Vec<Event>,
    /// `None` if the text is no time.
    pub(super) current_time: Option<DateTime>,
    pub(super) retry_count: u32,
    /// The version of the message.
    pub(super) version: Version,
    /// The names and values of the ParameterList.
    pub(super) parameters: Vec<(String, String)>,
}

impl Stimulus {
    /// Reads an Inform.
    pub(super) fn read(inform: &str) -> Result<Stimulus, String> {
        let message = Message::decode(inform.as_bytes(), UTF_8).map_err(|error| error.to_string())?;
        let document = message.document().map_err(|error| error.to_string())?;
        let envelope = document.envelope().map_err(|error| error.to_string())?;
        match envelope.body {
            EnvelopeBody::Rpc { name: "Inform", version, element } => {
                Stimulus::of(element, version).map_err(|error| error.to_string())
            }
            EnvelopeBody::Invalid { error, .. } => Err(error.to_string()),
            _ => Err("it is no Inform".into()),
        }
    }

    fn of(inform: Element<'_>, version: Version) -> Result<Stimulus, ArgumentError> {
        let text = |element: &Element<'_>, name| element.string(name, usize::MAX).map(|text| text.into_owned());
        let mut events = Vec::new();
        for event in inform.members("Event")? {
            // A code that this version does not know shows as a difference.
            if let Some(code) = EventCode::parse(&text(&event, "EventCode")?) {
                events.push(Event::of_command(code, text(&event, "CommandKey")?));
            }
        }
        let parameter = |member: Element<'_>| Ok((text(&member, "Name")?, text(&member, "Value")?));
        Ok(Stimulus {
            events,
            current_time: DateTime::parse(&text(&inform, "CurrentTime")?),
            retry_count: inform.unsigned_int("RetryCount")?,
            version,
            parameters: inform.members("ParameterList")?.map(parameter).collect::<Result<_, ArgumentError>>()?,
        })
    }

    pub(super) fn has(&self, code: &EventCode) -> bool {
        self.events.iter().any(|event| event.code == *code)
    }
}
