//! The header of a request in the form in which ureq-proto writes it.

use ureq_proto::Error;
use ureq_proto::client::Call;
use ureq_proto::client::state::{RecvResponse, SendBody, SendRequest};
use ureq_proto::http::{HeaderValue, Request};

use super::request_body::RequestBody;

/// The value of `Authorization`, an extension of the request. ureq-proto would take ASCII alone, while the user name and the
/// realm go out in the octets in which they came.
#[derive(Clone)]
pub(super) struct AuthorizationField(pub(super) HeaderValue);

/// Returns the request line and the header fields as they are sent, and the call that goes on with the body.
pub(super) fn request_head(mut request: Request<()>) -> Result<(Vec<u8>, Call<SendRequest>), Error> {
    let authorization = request.extensions_mut().remove::<AuthorizationField>();
    let mut call = Call::new(request)?.proceed();
    let mut head = vec![0; 1024];
    let mut written = 0;
    loop {
        match call.write(&mut head[written..]) {
            Ok(length) => written += length,
            Err(Error::OutputOverflow) => {}
            Err(error) => return Err(error),
        }
        if call.can_proceed() {
            break;
        }
        // Doubling ends: the cookies and the credentials, which make up most of the header, are bounded.
        head.resize(head.len() * 2, 0);
    }
    head.truncate(written);
    if let Some(AuthorizationField(value)) = authorization {
        head.truncate(written - b"\r\n".len());
        head.extend([b"Authorization: ", value.as_bytes(), b"\r\n\r\n"].concat());
    }
    Ok((head, call))
}

/// Tells ureq-proto that the body was sent, so that it goes on to the response.
pub(super) fn skip_body(mut call: Call<SendBody>, body: &RequestBody<'_>) -> Result<Option<Call<RecvResponse>>, Error> {
    if body.is_chunked() {
        call.write(&[], &mut [0; 8])?; // the last chunk, which was sent already
        return Ok(call.proceed());
    }
    let mut left = body.length();
    loop {
        let some = usize::try_from(left).unwrap_or(usize::MAX); // a file may be larger than the address space
        call.consume_direct_write(some)?;
        left -= some as u64;
        if left == 0 {
            return Ok(call.proceed());
        }
    }
}
