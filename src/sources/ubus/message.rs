//! Messages of the bus, to bytes and from bytes.
//!
//! ```text
//! version 0 │ kind │ 16 bits sequence │ 32 bits peer │ one attribute that holds the others
//! ```

use crate::model::source::Argument;
use crate::model::source::blob::{
    BOOLEAN, Blob, DOUBLE, TABLE, TEXT, Value, WHOLE_16, WHOLE_32, WHOLE_64, put_attribute, put_element, take_attribute,
};

/// The kinds of messages.
pub(super) const STATUS: u8 = 1;
pub(super) const DATA: u8 = 2;
const LOOKUP: u8 = 4;
pub(super) const INVOKE: u8 = 5;
const ADD_OBJECT: u8 = 6;
const SUBSCRIBE: u8 = 8;

/// The attributes of messages.
const ATTRIBUTE_STATUS: u8 = 1;
const ATTRIBUTE_PATH: u8 = 2;
const ATTRIBUTE_OBJECT: u8 = 3;
const ATTRIBUTE_METHOD: u8 = 4;
const ATTRIBUTE_SIGNATURE: u8 = 6;
const ATTRIBUTE_DATA: u8 = 7;
const ATTRIBUTE_TARGET: u8 = 8;
const ATTRIBUTE_NO_REPLY: u8 = 10;

/// The length of the head of a message, and of the head of the attribute behind it.
const HEAD: usize = 8;
const HEAD_OF_CONTAINER: usize = 4;

/// The most bytes of a message.
pub(super) const MAX_MESSAGE: usize = 1 << 20;

/// The reason for which the connection cannot be read any further.
pub(super) const MALFORMED: &str = "a malformed message";

/// A message from the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u8,
    pub(super) sequence: u16,
    /// The object that is called, or the client that calls.
    pub(super) peer: u32,
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Takes the first message off the bytes, with its length; `None` if more bytes must come.
    ///
    /// # Errors
    /// The bytes are no message, or one that is too long. The next message cannot be found.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Option<(Message<'a>, usize)>, &'static str> {
        let Some(head) = bytes.first_chunk::<{ HEAD + HEAD_OF_CONTAINER }>() else { return Ok(None) };
        let [version, kind, high, low, a, b, c, d, container @ ..] = *head;
        let length = (u32::from_be_bytes(container) & 0x00FF_FFFF) as usize;
        if version != 0 || length < HEAD_OF_CONTAINER {
            return Err(MALFORMED);
        }
        if length > MAX_MESSAGE {
            return Err("a message of more than 1 MiB");
        }
        let Some(attributes) = bytes.get(HEAD + HEAD_OF_CONTAINER..HEAD + length) else { return Ok(None) };
        let (sequence, peer) = (u16::from_be_bytes([high, low]), u32::from_be_bytes([a, b, c, d]));
        Ok(Some((Message { kind, sequence, peer, attributes }, HEAD + length)))
    }

    /// Returns the content of an attribute; `None` if the message does not have it, or a part before it is malformed.
    fn attribute(&self, wanted: u8) -> Option<&'a [u8]> {
        let mut rest = self.attributes;
        loop {
            let attribute = take_attribute(&mut rest)?;
            if attribute.id == wanted {
                return Some(attribute.content);
            }
        }
    }

    fn number(&self, wanted: u8) -> Option<u32> {
        Some(u32::from_be_bytes(self.attribute(wanted)?.try_into().ok()?))
    }

    /// Returns the result of a request.
    pub(super) fn status(&self) -> Option<u32> {
        self.number(ATTRIBUTE_STATUS)
    }

    /// Returns the object that a look-up has found.
    pub(super) fn object(&self) -> Option<Object> {
        let signature = self.attribute(ATTRIBUTE_SIGNATURE).unwrap_or_default();
        Some(Object { id: self.object_id()?, signature: Blob::new(signature).ok()? })
    }

    /// Returns the id of an object.
    pub(super) fn object_id(&self) -> Option<u32> {
        self.number(ATTRIBUTE_OBJECT)
    }

    /// Returns the name of an event or notification.
    pub(super) fn method(&self) -> Option<&'a str> {
        std::str::from_utf8(self.attribute(ATTRIBUTE_METHOD)?.strip_suffix(&[0])?).ok()
    }

    /// Returns true if nobody waits for an answer.
    pub(super) fn wants_no_reply(&self) -> bool {
        self.attribute(ATTRIBUTE_NO_REPLY).is_some_and(|content| content.iter().any(|byte| *byte != 0))
    }

    /// Returns the values of an answer or event.
    pub(super) fn data(&self) -> Result<Blob, String> {
        Blob::new(self.attribute(ATTRIBUTE_DATA).ok_or(MALFORMED)?)
    }
}

/// An object on the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) id: u32,
    /// The methods, each with the types of its arguments.
    signature: Blob,
}

impl Object {
    /// Returns the arguments of a method, with the types of its signature.
    ///
    /// # Errors
    /// An argument has another type. The object would drop it without a word, and answer about something else.
    pub(super) fn arguments(&self, method: &str, args: &[(String, Argument<String>)]) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for (name, argument) in args {
            let wanted = match self.signature.root().member(method).and_then(|policy| policy.member(name)) {
                // 0 stands for any type.
                Some(Value::Whole(kind)) if kind != 0 => Some(u8::try_from(kind).unwrap_or(u8::MAX)),
                _ => None,
            };
            let (kind, value) =
                encode(argument, wanted).ok_or_else(|| format!("`{method}` takes `{name}` as another type"))?;
            put_element(&mut bytes, kind, name, &value);
        }
        Ok(bytes)
    }
}

/// Returns the type and the bytes of an argument; `None` if the type that is wanted cannot hold it.
fn encode(argument: &Argument<String>, wanted: Option<u8>) -> Option<(u8, Vec<u8>)> {
    let kind = wanted.unwrap_or(match argument {
        Argument::Text(_) => TEXT,
        Argument::Boolean(_) => BOOLEAN,
        Argument::Whole(number) if i32::try_from(*number).is_ok() => WHOLE_32,
        Argument::Whole(_) => WHOLE_64,
        Argument::Table(_) => TABLE,
    });
    let value = match (argument, kind) {
        // A text on the bus ends with NUL, and cannot have one within.
        (Argument::Text(text), TEXT) if !text.contains('\0') => [text.as_bytes(), &[0]].concat(),
        // A text of the device that a field had: the object has it as a number or a truth value.
        (Argument::Text(text), BOOLEAN) => vec![u8::from(truth(text)?)],
        (Argument::Text(text), WHOLE_16 | WHOLE_32 | WHOLE_64 | DOUBLE) => {
            encode(&Argument::Whole(text.parse().ok()?), wanted)?.1
        }
        (Argument::Boolean(flag), BOOLEAN) => vec![u8::from(*flag)],
        (Argument::Whole(number), BOOLEAN) => u8::try_from(*number).ok()?.to_be_bytes().to_vec(),
        (Argument::Whole(number), WHOLE_16) => i16::try_from(*number).ok()?.to_be_bytes().to_vec(),
        (Argument::Whole(number), WHOLE_32) => match (i32::try_from(*number), u32::try_from(*number)) {
            (Ok(number), _) => number.to_be_bytes().to_vec(),
            (_, Ok(number)) => number.to_be_bytes().to_vec(),
            _ => return None,
        },
        (Argument::Whole(number), WHOLE_64) => number.to_be_bytes().to_vec(),
        (Argument::Table(members), TABLE) => {
            let mut bytes = Vec::new();
            for (name, member) in members {
                let (kind, value) = encode(member, None)?;
                put_element(&mut bytes, kind, name, &value);
            }
            bytes
        }
        (Argument::Whole(number), DOUBLE) => (*number as f64).to_be_bytes().to_vec(),
        _ => return None,
    };
    Some((kind, value))
}

/// Reads a truth value.
fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// Appends the request for an object by its name.
pub(super) fn put_lookup(bytes: &mut Vec<u8>, sequence: u16, name: &str) {
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, ATTRIBUTE_PATH, &[name.as_bytes(), &[0]].concat());
    put_message(bytes, LOOKUP, sequence, 0, &attributes);
}

/// Appends a call.
pub(super) fn put_invoke(bytes: &mut Vec<u8>, sequence: u16, object: u32, method: &str, arguments: &[u8]) {
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, ATTRIBUTE_OBJECT, &object.to_be_bytes());
    put_attribute(&mut attributes, ATTRIBUTE_METHOD, &[method.as_bytes(), &[0]].concat());
    put_attribute(&mut attributes, ATTRIBUTE_DATA, arguments);
    put_message(bytes, INVOKE, sequence, object, &attributes);
}

/// Appends the request for an object without a name, which can get events.
pub(super) fn put_add_object(bytes: &mut Vec<u8>, sequence: u16) {
    put_message(bytes, ADD_OBJECT, sequence, 0, &[]);
}

/// Appends the request for the notifications of an object.
pub(super) fn put_subscribe(bytes: &mut Vec<u8>, sequence: u16, own: u32, target: u32) {
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, ATTRIBUTE_OBJECT, &own.to_be_bytes());
    put_attribute(&mut attributes, ATTRIBUTE_TARGET, &target.to_be_bytes());
    put_message(bytes, SUBSCRIBE, sequence, 0, &attributes);
}

/// Appends the answer to a call.
pub(super) fn put_status(bytes: &mut Vec<u8>, sequence: u16, peer: u32, status: u32, object: u32) {
    let mut attributes = Vec::new();
    put_attribute(&mut attributes, ATTRIBUTE_STATUS, &status.to_be_bytes());
    put_attribute(&mut attributes, ATTRIBUTE_OBJECT, &object.to_be_bytes());
    put_message(bytes, STATUS, sequence, peer, &attributes);
}

fn put_message(bytes: &mut Vec<u8>, kind: u8, sequence: u16, peer: u32, attributes: &[u8]) {
    bytes.extend([0, kind]);
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(peer.to_be_bytes());
    put_attribute(bytes, 0, attributes);
}

#[cfg(test)]
mod tests;
