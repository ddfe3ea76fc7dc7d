//! Events on the bus of OpenWrt that tell of changes: broadcasts, and the notifications of objects.
//!
//! ```text
//! waiting ──connect──▶ own object ──▶ patterns registered, objects looked up and subscribed to ──▶ events
//!    ▲                                                                                               │
//!    └──── back-off ◀── end of the connection ───────────────────────────────────────────────────────┘
//! ```
//!
//! An object that comes later is announced by the event `ubus.object.add`, and subscribed to then: ids change when a program or
//! ubusd restarts.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::message::{
    DATA, INVOKE, Message, STATUS, put_add_object, put_invoke, put_lookup, put_status, put_subscribe,
};
use super::{connect, receive, send};
use crate::change_watch::{BackOff, EventSource, SourceEvent};
use crate::log;
use crate::model::source::blob::{TEXT, Value, WHOLE_32, put_element};
use crate::readiness::PollFlags;

/// The object of ubusd itself that broadcasts events.
const BROADCASTS: u32 = 1;

/// The events by which ubusd tells that objects come and go.
const OBJECT_EVENTS: &str = "ubus.object.*";
const OBJECT_COMES: &str = "ubus.object.add";
const OBJECT_GOES: &str = "ubus.object.remove";

/// The notifications of hostapd about stations that are not associated: each search of a telephone is one.
const NO_CHANGES: [&str; 2] = ["probe", "auth"];

/// The sequence numbers of requests; that of the look-up of an object follows from its place.
const ADD_OBJECT: u16 = 1;
const REGISTER: u16 = 2;
const SUBSCRIBE: u16 = 3;
const FIRST_LOOK_UP: u16 = 16;

/// The most bytes that wait for ubusd, or for the rest of a message: events are short.
const MAX_WAITING: usize = 64 << 10;

/// A connection for events.
pub(in crate::sources) struct BusEvents {
    /// The names of the objects whose notifications count.
    objects: Vec<String>,
    /// The names of the events that count; a star at the end stands for any rest.
    patterns: Vec<String>,
    stream: Option<UnixStream>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// The id of the object that gets the events.
    own: u32,
    /// The requests without a status. At zero everything is registered.
    open: usize,
    back_off: BackOff,
    was_connected: bool,
}

impl BusEvents {
    pub(in crate::sources) fn new(objects: Vec<String>, patterns: Vec<String>) -> BusEvents {
        BusEvents {
            objects,
            patterns,
            stream: None,
            input: Vec::new(),
            output: Vec::new(),
            own: 0,
            open: 0,
            back_off: BackOff::default(),
            was_connected: false,
        }
    }

    fn fail(&mut self, reason: &str, now: Duration) {
        let (wait, is_first) = self.back_off.fail(now);
        self.stream = None;
        // A device without ubusd has told so when the values were read.
        let level = if is_first { log::Level::Info } else { log::Level::Debug };
        log::log!(level, "events of the bus: {reason}; the next attempt is in {} s", wait.as_secs());
    }

    /// Reads and writes the socket as far as it is ready, and handles the messages.
    fn exchange(&mut self) -> Result<Option<SourceEvent>, String> {
        let Some(stream) = &self.stream else { return Ok(None) };
        let is_open = receive(stream, &mut self.input, MAX_WAITING)?;
        let (input, mut at, mut event) = (std::mem::take(&mut self.input), 0, None);
        while let Some((message, length)) = Message::read(&input[at..])? {
            at += length;
            event = self.handle(message).or(event);
        }
        self.input = input;
        self.input.drain(..at);
        if let Some(stream) = self.stream.as_ref().filter(|_| !self.output.is_empty()) {
            send(stream, &mut self.output)?;
        }
        match self.input.len() > MAX_WAITING || self.output.len() > MAX_WAITING {
            true => Err("a message of more than 64 KiB".to_owned()),
            false if is_open => Ok(event),
            false => Err("ubusd has closed the connection".to_owned()),
        }
    }

    fn handle(&mut self, message: Message<'_>) -> Option<SourceEvent> {
        match (message.kind, message.sequence) {
            (INVOKE, _) => return self.on_call(message),
            (DATA, ADD_OBJECT) if self.own == 0 => self.register(message.object_id()?),
            (DATA, FIRST_LOOK_UP..) => self.subscribe(message.object_id()?),
            (STATUS, _) => {
                self.open = self.open.saturating_sub(1);
                if self.open == 0 {
                    // What has changed before was not told.
                    let is_return = std::mem::replace(&mut self.was_connected, true);
                    return Some(if is_return { SourceEvent::Returned } else { SourceEvent::Changed });
                }
            }
            _ => {}
        }
        None
    }

    /// Registers the patterns for the own object, and looks up the others.
    fn register(&mut self, own: u32) {
        self.own = own;
        for pattern in self.patterns.iter().map(String::as_str).chain([OBJECT_EVENTS]) {
            let mut arguments = Vec::new();
            put_element(&mut arguments, WHOLE_32, "object", &own.to_be_bytes());
            put_element(&mut arguments, TEXT, "pattern", &[pattern.as_bytes(), &[0]].concat());
            put_invoke(&mut self.output, REGISTER, BROADCASTS, "register", &arguments);
            self.open += 1;
        }
        for (number, object) in (FIRST_LOOK_UP..).zip(&self.objects) {
            put_lookup(&mut self.output, number, object);
            self.open += 1;
        }
    }

    fn subscribe(&mut self, target: u32) {
        put_subscribe(&mut self.output, SUBSCRIBE, self.own, target);
        self.open += 1;
    }

    /// Answers an event or a notification, and judges it.
    fn on_call(&mut self, message: Message<'_>) -> Option<SourceEvent> {
        // Its sender may wait for the answer.
        if !message.wants_no_reply() {
            put_status(&mut self.output, message.sequence, message.peer, 0, self.own);
        }
        let name = message.method()?;
        if NO_CHANGES.contains(&name) {
            return None;
        }
        if name != OBJECT_COMES && name != OBJECT_GOES {
            return Some(SourceEvent::Changed);
        }
        let data = message.data().ok()?;
        let Some(Value::Text(path)) = data.root().member("path") else { return None };
        if !self.objects.iter().any(|object| object.as_bytes() == path) {
            return None;
        }
        match data.root().member("id") {
            // The sources that have failed without the object may be there again.
            Some(Value::Whole(id)) if name == OBJECT_COMES => {
                self.subscribe(id as u32);
                Some(SourceEvent::Returned)
            }
            _ => Some(SourceEvent::Changed),
        }
    }
}

impl EventSource for BusEvents {
    fn on_turn(&mut self, now: Duration) -> Option<SourceEvent> {
        if self.stream.is_some() || self.back_off.until() > now {
            return None;
        }
        match connect() {
            Ok(stream) => {
                self.back_off.begin(now);
                (self.own, self.open, self.stream) = (0, 1, Some(stream));
                self.input.clear();
                self.output.clear();
                put_add_object(&mut self.output, ADD_OBJECT);
            }
            Err(reason) => self.fail(&reason, now),
        }
        None
    }

    fn deadline(&self) -> Option<Duration> {
        self.stream.is_none().then(|| self.back_off.until())
    }

    fn descriptor(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let wanted = if self.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        self.stream.as_ref().map(|stream| (stream.as_fd(), wanted))
    }

    fn on_event(&mut self, now: Duration) -> Option<SourceEvent> {
        self.exchange().unwrap_or_else(|reason| {
            self.fail(&reason, now);
            None
        })
    }
}
