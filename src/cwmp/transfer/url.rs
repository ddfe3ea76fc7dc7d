//! The check of a transfer's URL before the transfer is queued.

use crate::cwmp::fault::{Fault, FaultCode};
use crate::cwmp::rules::has_controls;
use crate::url::Url;

/// Checks the URL of a transfer and returns it parsed.
///
/// An `@` after the authority is a part of the path, as some servers use it, and is accepted.
///
/// # Errors
/// Returns fault 9003 if the URL contains a user name or a control character or is malformed, and 9013 if this build does not support its
/// scheme (R229).
pub fn check_url(url: &str) -> Result<Url, Fault> {
    let refuse = |text: String| Fault::because(FaultCode::InvalidArguments, text);
    // White space around the URL comes from the layout of the XML, and is not sent.
    let trimmed = url.trim();
    if has_controls(trimmed) {
        return Err(refuse("the URL holds a control character, which HTTP cannot carry".into()));
    }
    let Some((scheme, rest)) = trimmed.split_once("://") else {
        return Err(refuse("the URL does not begin with http:// or https://".into()));
    };
    let is_scheme = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !is_scheme("http") && !is_scheme("https") {
        // The scheme comes from the ACS and returns to it in a fault; control characters would break the log line.
        let shown: String = scheme.chars().filter(|c| c.is_ascii_graphic()).take(20).collect();
        let text = format!("files are transferred by http and https, not by '{shown}'");
        return Err(Fault::because(FaultCode::UnsupportedProtocol, text));
    }
    if is_scheme("https") && !cfg!(feature = "tls") {
        return Err(Fault::because(FaultCode::UnsupportedProtocol, "this build has no TLS, and so no https"));
    }
    // The user name is searched in the text itself, so that a fault never repeats a password of a URL.
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(refuse("the URL has a user name in it; Username and Password are arguments of their own".into()));
    }
    Url::parse(trimmed).map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> u16 {
        check_url(url).expect_err(url).code.number()
    }

    /// R229: user names and unsupported schemes.
    #[test]
    fn refuses_user_names_and_foreign_schemes() {
        for url in ["http://user@h/f", "http://user:pass@h/f", "HTTP://@h", "http://u@[::1]/f"] {
            assert_eq!(refused(url), 9003, "{url}");
        }
        for url in ["ftp://h/f", "tftp://user@h/f", "sftp://h", "file:///etc/passwd", "httpx://h/"] {
            assert_eq!(refused(url), 9013, "{url}");
        }
        for url in [
            "",
            "/f",
            "h/f",
            "http:/h",
            "http://",
            "http://h:0/",
            "http://a b/",
            "mailto:x@y",
            "http://h/a\r\nb",
            "http://h/\x7f",
        ] {
            assert_eq!(refused(url), 9003, "{url}");
        }
        let fault = check_url("http://user:s3cret@h/f").expect_err("a user name");
        assert!(!fault.text.contains("s3cret"), "{}", fault.text);
    }

    #[test]
    fn takes_what_servers_are_called() {
        for (url, target) in [
            ("http://h/fw@2.0/a%20b%2Fc.bin?x=a@b&y=%40", "/fw@2.0/a%20b%2Fc.bin?x=a@b&y=%40"),
            ("http://[2001:db8::1]:8080/f", "/f"),
            ("http://h?x@y", "/?x@y"),
            ("\r\n\thttp://h/f\n", "/f"),
        ] {
            assert_eq!(check_url(url).expect(url).target(), target);
        }
        assert_eq!(check_url("https://h/").is_ok(), cfg!(feature = "tls"));
    }
}
