//! The measurements of an exchange, for a test of the speed of a connection.

use std::time::Instant;

use super::io_limits::now;

/// The measurements of the last exchange on a connection.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeRecord {
    /// The instants at which the TCP connection was requested and accepted.
    pub opened: [Instant; 2],
    /// The instant at which the request was sent.
    pub requested: Instant,
    /// The length of the header of the request in bytes.
    pub request_head: usize,
    /// The instant at which the first bytes of the response were received.
    pub answered: Option<Instant>,
    /// The bytes of the response that were received, with its header and without TLS.
    pub received: u64,
}

impl ExchangeRecord {
    /// Returns the record of a connection without an exchange.
    pub(super) fn new(opened: [Instant; 2]) -> ExchangeRecord {
        ExchangeRecord { opened, requested: opened[1], request_head: 0, answered: None, received: 0 }
    }

    /// Begins an exchange, whose request has a header of this length.
    pub(super) fn begin(&mut self, request_head: usize) {
        *self = ExchangeRecord { requested: now(), request_head, ..ExchangeRecord::new(self.opened) };
    }

    /// Adds bytes that were received.
    pub(super) fn add(&mut self, received: usize) {
        self.received += received as u64;
        if received > 0 && self.answered.is_none() {
            self.answered = Some(now());
        }
    }
}
