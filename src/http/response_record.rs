//! The record of a response for a trace, without secrets.

use ureq_proto::http::{HeaderMap, Request, header};

use super::request_head::AuthorizationField;
use crate::digest::header_text;
use crate::secret::MASK;
use crate::trace;

/// A response of a server, also a challenge or a redirect, as a trace shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseRecord {
    /// The status code.
    pub status: u16,
    /// The header fields that matter: those of the request with `>` before them, then those of the response.
    pub fields: Vec<String>,
}

/// The records of responses, while a trace asks for them.
#[derive(Debug, Default)]
pub(super) struct ResponseLog(Option<Vec<ResponseRecord>>);

impl ResponseLog {
    /// Begins to keep records.
    pub(super) fn start(&mut self) {
        self.0 = Some(Vec::new());
    }

    /// Returns the records since the last call.
    pub(super) fn take(&mut self) -> Vec<ResponseRecord> {
        self.0.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Returns the credentials and cookies of a request by their kind alone.
    pub(super) fn of_request(&self, request: &Request<()>) -> Vec<String> {
        if self.0.is_none() {
            return Vec::new();
        }
        let credentials = request.extensions().get::<AuthorizationField>().map(|field| {
            let text = header_text(field.0.as_bytes());
            format!("> authorization: {} {MASK}", text.split(' ').next().unwrap_or_default())
        });
        let cookies = request.headers().contains_key(header::COOKIE).then(|| format!("> cookie: {MASK}"));
        credentials.into_iter().chain(cookies).collect()
    }

    /// Keeps the record of a response to a request with these fields.
    pub(super) fn add(&mut self, mut fields: Vec<String>, status: u16, headers: &HeaderMap) {
        let Some(records) = &mut self.0 else { return };
        for (name, value) in headers {
            fields.extend(trace::field(name.as_str(), &header_text(value.as_bytes())));
        }
        records.push(ResponseRecord { status, fields });
    }
}
