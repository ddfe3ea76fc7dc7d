//! The statuses of a redirect, and the words for an unusable target.

use ureq_proto::http::Method;

use super::error::HttpError;
use crate::url::Url;

/// Returns true if a redirect with this status is followed (RFC 9110 §15.4). 303 names a page about the result, which
/// only a GET asks for.
pub(super) fn is_followed(method: &Method, status: u16) -> bool {
    match status {
        301 | 302 | 307 | 308 => true,
        303 => *method == Method::GET,
        _ => false,
    }
}

/// Names the target of a redirect without its query, which may hold a key.
pub(super) fn invalid_location(location: &str) -> HttpError {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    HttpError::Redirect(match Url::parse(path) {
        Err(error) => error.to_string(),
        Ok(_) => "it leads to no valid URL".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_follows_a_303() {
        assert!(is_followed(&Method::GET, 303) && !is_followed(&Method::PUT, 303) && !is_followed(&Method::POST, 303));
        assert!(is_followed(&Method::POST, 302) && !is_followed(&Method::GET, 304));
    }

    #[test]
    fn an_invalid_target_is_named_without_its_query() {
        let text = invalid_location("ftp://other/x?key=hunter2").to_string();
        assert!(text.contains("ftp://other/x") && !text.contains("hunter2"), "{text}");
    }
}
