//! The head of a request.

use ureq_proto::client::header_raw;
use ureq_proto::http::{HeaderValue, Method, Request};

use super::HttpClient;
use crate::http::USER_AGENT;
use crate::http::error::{HttpError, unsendable};
use crate::http::request_body::RequestBody;
use crate::http::request_head::AuthorizationField;

impl HttpClient {
    /// Returns the request to the present URL, with the fields of the caller, the cookies and the credentials.
    pub(super) fn build_request(
        &mut self,
        method: &Method,
        fields: &[(&str, &str)],
        body: Option<&RequestBody<'_>>,
    ) -> Result<Request<()>, HttpError> {
        let url = &self.url;
        // `header_raw` keeps the usual spelling of the names: some servers do not ignore their case.
        let add = |builder, name: &str, value: &str| header_raw(builder, name, value.as_bytes());
        let mut request = Request::builder().method(method).uri(url.target());
        request = add(request, "Host", &url.authority());
        request = add(request, "User-Agent", USER_AGENT);
        // Without this field a server may choose any compression (RFC 7231 §5.3.4), and a decoder costs flash.
        request = add(request, "Accept-Encoding", "identity");
        for (name, value) in fields {
            request = add(request, name, value);
        }
        request = match body {
            Some(body) if body.is_chunked() => add(request, "Transfer-Encoding", "chunked"),
            Some(body) => add(request, "Content-Length", &body.length().to_string()),
            None => request,
        };
        if let Some(cookies) = self.cookies.header(url, self.has_left_tls) {
            request = header_raw(request, "Cookie", &cookies);
        }
        if let Some(credentials) = self.authentication.authorization(method.as_str(), url.target()) {
            // Controls are refused here as in every other field: a line end would begin another field.
            let value = HeaderValue::from_bytes(&credentials).map_err(|_| HttpError::UnusableCredentials)?;
            request = request.extension(AuthorizationField(value));
        }
        request.body(()).map_err(|_| unsendable())
    }
}
