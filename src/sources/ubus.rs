//! The bus of OpenWrt: calls of methods, whose answers have values.
//!
//! ```text
//! question ──▶ waiting ──look-up──▶ LookingUp ──object──▶ Calling ──data, status──▶ answer
//!                                       ▲                    │
//!                                       └─ "not found", once ┘
//! ```
//!
//! One connection serves a request; each answer has the sequence number of its question. An answer that comes too late has a
//! number for which nothing waits, and is dropped.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::clock::Clock;
use crate::model::source::blob::Blob;
use crate::model::source::{Answer, Argument, Query, Response, Target};
use crate::readiness::{PollFlags, wait};

pub(super) mod events;
mod message;

use message::{DATA, MALFORMED, MAX_MESSAGE, Message, Object, STATUS, put_invoke, put_lookup};

/// The sockets of ubusd: that of OpenWrt since 2021, and the older one.
const SOCKETS: [&str; 2] = ["/var/run/ubus/ubus.sock", "/var/run/ubus.sock"];

/// The most questions that wait for an answer at the same time.
const MAX_OPEN: usize = 32;

/// The most bytes of all answers of a request, which are in memory together.
const MAX_ANSWERS: usize = 4 << 20;

/// The room for one read.
const PIECE: usize = 16 << 10;

/// The longest wait between two looks at whether the agent is to end.
const LOOK: Duration = Duration::from_millis(50);

/// The status by which an object is gone, or what it was asked for.
const NOT_FOUND: u32 = 4;

/// The bus, as one request sees it.
#[derive(Default)]
pub(super) struct Bus {
    stream: Option<UnixStream>,
    /// The sequence number of the last question.
    sequence: u16,
    /// The objects that were looked up, with their names.
    objects: Vec<(String, Object)>,
    /// The bytes of all answers.
    answered: usize,
    /// The bytes that are still to be sent, and those that are no whole message yet.
    output: Vec<u8>,
    input: Vec<u8>,
}

/// One question.
struct Call<'q> {
    number: usize,
    object: &'q str,
    method: &'q str,
    args: &'q [(String, Argument<String>)],
    is_optional: bool,
    limit: Duration,
    /// The instants of the monotonic clock at which the question was asked, and at which it counts as hung.
    began: Duration,
    deadline: Duration,
    sequence: u16,
    state: State,
    /// The object that was called, and the one by which it was not found.
    id: u32,
    former: Option<u32>,
}

/// The message for which a call waits.
#[derive(Debug)]
enum State {
    LookingUp,
    Calling(Option<Blob>),
    Done(Result<Answer, String>),
}

impl Bus {
    /// Ends a request.
    pub(super) fn close(&mut self) {
        *self = Bus::default();
    }

    /// Asks all questions for this kind among these. Returns the responses with the numbers of their questions.
    pub(super) fn ask(
        &mut self,
        queries: &[Query],
        clock: Clock,
        deadline: Duration,
        stop: &AtomicBool,
    ) -> Vec<(usize, Response)> {
        let mut waiting: VecDeque<Call<'_>> = queries.iter().enumerate().filter_map(call).collect();
        let (mut open, mut responses): (Vec<Call<'_>>, _) = (Vec::new(), Vec::new());
        while !waiting.is_empty() || !open.is_empty() {
            let now = clock.now().monotonic;
            while open.len() < MAX_OPEN
                && let Some(mut call) = waiting.pop_front()
            {
                call.began = now;
                call.deadline = deadline.min(now + call.limit);
                self.begin(&mut call, &open);
                open.push(call);
            }
            let next = open.iter().map(|call| call.deadline).min().unwrap_or(now);
            if open.iter().all(|call| !matches!(call.state, State::Done(_)))
                && let Err(reason) = self.exchange(&mut open, next.saturating_sub(now).min(LOOK))
            {
                self.lose(&mut open, &reason);
            }
            let (now, is_stopping) = (clock.now().monotonic, stop.load(Ordering::Relaxed));
            open.retain_mut(|call| match call.result(now, is_stopping) {
                Some(answer) => {
                    responses.push((call.number, Response { answer, took: now.saturating_sub(call.began) }));
                    false
                }
                None => true,
            });
        }
        responses
    }

    /// Sends the first message of a call.
    fn begin(&mut self, call: &mut Call<'_>, open: &[Call<'_>]) {
        if self.stream.is_none() {
            match connect() {
                Ok(stream) => self.stream = Some(stream),
                Err(reason) => return call.state = State::Done(Err(reason)),
            }
        }
        let is_same = |other: &&Call<'_>| other.object == call.object && matches!(other.state, State::LookingUp);
        match open.iter().find(is_same) {
            _ if self.object(call.object).is_some() => self.invoke(call),
            // One look-up serves all calls of an object.
            Some(other) => call.sequence = other.sequence,
            None => self.look_up(call),
        }
    }

    fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|(known, _)| known == name).map(|(_, object)| object)
    }

    fn forget(&mut self, name: &str) {
        self.objects.retain(|(known, _)| known != name);
    }

    fn look_up(&mut self, call: &mut Call<'_>) {
        call.state = State::LookingUp;
        call.sequence = self.next_sequence();
        put_lookup(&mut self.output, call.sequence, call.object);
    }

    fn invoke(&mut self, call: &mut Call<'_>) {
        let Some(object) = self.object(call.object) else {
            return call.lack("there is no such object on the bus".to_owned());
        };
        if call.former == Some(object.id) {
            return call.lack(words(NOT_FOUND));
        }
        let (id, arguments) = (object.id, object.arguments(call.method, call.args));
        match arguments {
            Ok(arguments) => {
                call.state = State::Calling(None);
                call.id = id;
                call.sequence = self.next_sequence();
                put_invoke(&mut self.output, call.sequence, id, call.method, &arguments);
            }
            Err(reason) => call.state = State::Done(Err(reason)),
        }
    }

    fn next_sequence(&mut self) -> u16 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Fails all open calls of a connection that is of no use any more.
    fn lose(&mut self, open: &mut [Call<'_>], reason: &str) {
        let unanswered = open.iter_mut().filter(|call| !matches!(call.state, State::Done(_)));
        unanswered.for_each(|call| call.state = State::Done(Err(reason.to_owned())));
        // The budget of the request holds for its next connection too.
        *self = Bus { answered: self.answered, ..Bus::default() };
    }

    /// Waits for the socket, sends what it takes, and handles the messages that it has.
    fn exchange(&mut self, open: &mut [Call<'_>], limit: Duration) -> Result<(), String> {
        let Some(stream) = &self.stream else { return Err("no connection".to_owned()) };
        let wanted = if self.output.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let ready = wait(&[(stream.as_fd(), wanted)], Some(limit))[0];
        if ready.contains(PollFlags::OUT) {
            send(stream, &mut self.output)?;
        }
        if ready.is_empty() || ready == PollFlags::OUT {
            return Ok(());
        }
        let is_open = receive(stream, &mut self.input, MAX_MESSAGE)?;
        let input = std::mem::take(&mut self.input);
        let mut at = 0;
        while let Some((message, length)) = Message::read(&input[at..])? {
            at += length;
            self.answered += length;
            if self.answered > MAX_ANSWERS {
                return Err(format!("the answers to a request are longer than {} MiB", MAX_ANSWERS >> 20));
            }
            // A call that the message makes ask again has another number afterwards.
            for call in open.iter_mut().filter(|call| call.waits_for(message.sequence)) {
                self.handle(call, message);
            }
        }
        self.input = input;
        self.input.drain(..at);
        if is_open { Ok(()) } else { Err("ubusd has closed the connection".to_owned()) }
    }

    /// Handles a message for a call.
    fn handle(&mut self, call: &mut Call<'_>, message: Message<'_>) {
        match (message.kind, &mut call.state) {
            (DATA, State::LookingUp) => match message.object() {
                Some(object) => {
                    self.forget(call.object);
                    self.objects.push((call.object.to_owned(), object));
                }
                None => call.state = State::Done(Err(MALFORMED.to_owned())),
            },
            (DATA, State::Calling(answer)) => match message.data() {
                // A method answers with one message, and a second one would not say which of them counts.
                Ok(data) => *answer = answer.take().or(Some(data)),
                Err(reason) => call.state = State::Done(Err(reason)),
            },
            (STATUS, State::LookingUp) => self.invoke(call),
            (STATUS, State::Calling(answer)) => match message.status() {
                Some(0) => {
                    let answer = answer.take().map_or_else(|| Blob::new(&[]), Ok);
                    call.state = State::Done(answer.map(Answer::Tree));
                }
                // The object may have another id: its program was started again.
                Some(NOT_FOUND) if call.former.is_none() => {
                    call.former = Some(call.id);
                    if self.object(call.object).is_some_and(|object| object.id == call.id) {
                        self.forget(call.object);
                    }
                    self.look_up(call);
                }
                Some(status) => call.state = State::Done(Err(words(status))),
                None => call.state = State::Done(Err(MALFORMED.to_owned())),
            },
            _ => {}
        }
    }
}

impl Call<'_> {
    fn waits_for(&self, sequence: u16) -> bool {
        self.sequence == sequence && !matches!(self.state, State::Done(_))
    }

    /// Ends a call of an object that is not there: with an empty answer if the device may lack it.
    fn lack(&mut self, reason: String) {
        let answer = if self.is_optional { Blob::new(&[]).map(Answer::Tree) } else { Err(reason) };
        self.state = State::Done(answer);
    }

    /// Returns the answer of a call that has ended or must end; `None` while it waits.
    fn result(&mut self, now: Duration, is_stopping: bool) -> Option<Result<Answer, String>> {
        match std::mem::replace(&mut self.state, State::LookingUp) {
            State::Done(answer) => return Some(answer),
            state => self.state = state,
        }
        match is_stopping {
            true => Some(Err("the agent is stopping".to_owned())),
            false if now >= self.deadline => Some(Err("it hangs: no answer in time".to_owned())),
            false => None,
        }
    }
}

/// Returns the call of a question for this kind.
fn call((number, query): (usize, &Query)) -> Option<Call<'_>> {
    let Target::Ubus { object, method, args, is_optional } = &query.target else { return None };
    Some(Call {
        number,
        object,
        method,
        args,
        is_optional: *is_optional,
        limit: Duration::from_secs(query.limit.into()),
        began: Duration::ZERO,
        deadline: Duration::ZERO,
        sequence: 0,
        state: State::LookingUp,
        id: 0,
        former: None,
    })
}

/// Connects with ubusd. A blocking connect would wait for one that hangs.
fn connect() -> Result<UnixStream, String> {
    let mut reason = String::new();
    for path in SOCKETS {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let connected =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).and_then(|socket| {
                rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
                Ok(UnixStream::from(socket))
            });
        match connected {
            Ok(stream) => return Ok(stream),
            // That of the newer socket says more, unless there is none.
            Err(Errno::NOENT) if !reason.is_empty() => {}
            Err(error) => reason = format!("no connection with ubusd: {error}"),
        }
    }
    Err(reason)
}

/// Sends as much as the socket takes.
fn send(mut stream: &UnixStream, output: &mut Vec<u8>) -> Result<(), String> {
    match stream.write(output) {
        Ok(length) => drop(output.drain(..length)),
        Err(error) if is_passing(error.kind()) => {}
        Err(error) => return Err(format!("ubusd does not read: {error}")),
    }
    Ok(())
}

/// Receives what the socket has, up to one message of the greatest length. Returns false at the end of the connection.
fn receive(stream: &UnixStream, input: &mut Vec<u8>, limit: usize) -> Result<bool, String> {
    while input.len() <= limit {
        input.reserve(PIECE);
        match rustix::io::read(stream, spare_capacity(input)) {
            Ok(0) => return Ok(false),
            // The socket had no more.
            Ok(length) if length < PIECE => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(format!("the connection with ubusd: {error}")),
        }
    }
    Ok(true)
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Returns the words for a status.
fn words(status: u32) -> String {
    let words = match status {
        1 => "invalid command",
        2 => "invalid argument",
        3 => "the object has no such method",
        NOT_FOUND => "not found",
        5 => "no data",
        6 => "permission denied",
        7 => "the object did not answer in time",
        8 => "not supported",
        10 => "the connection has failed",
        11 => "out of memory",
        12 => "the object does not understand the call",
        13 => "system error",
        _ => "unknown error",
    };
    format!("{words} (status {status})")
}
