//! The client as a test of the speed of a connection uses it.

use std::time::Duration;

use super::HttpClient;
use crate::http::connection::HttpConnection;
use crate::http::exchange_record::ExchangeRecord;

impl HttpClient {
    /// Ends all waits on the open connection after `limit` from now; `phase` completes "timed out while …".
    pub fn end_within(&mut self, phase: &'static str, limit: Duration) {
        if let Some(connection) = &mut self.connection {
            connection.end_within(phase, limit);
        }
    }

    /// Returns the measurements of the last exchange on the open connection.
    pub fn record(&self) -> Option<ExchangeRecord> {
        self.connection.as_ref().map(HttpConnection::record)
    }
}
