//! Secrets: a type for passwords and keys that keeps them out of logs and error messages.

use std::fmt;

/// The text in place of a secret in a trace. It has the least length of most passwords, so that a replay of the request is
/// not refused for it.
pub const MASK: &str = "********";

/// A text that prints as `***`; only [`Secret::expose`] returns it.
// `Debug` is not derived: a structure that holds a secret is logged as a whole now and then.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns the text. Call it only where the text leaves the agent, such as in a digest.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Stars of a fixed number, since the length of a password helps to guess it.
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_stars_and_exposes_on_demand() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(Secret::default().expose(), "");
    }
}
