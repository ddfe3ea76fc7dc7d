//! The request of the command `software`.

use crate::cwmp::software::{Operation, OperationKind};

/// The most characters of a value: those of a URL.
const MAX_VALUE: usize = 1024;

/// Reads `install|update|uninstall [NAME=VALUE…]`. Returns a message for the user if a word is wrong.
pub(crate) fn parse(words: &[String]) -> Result<Operation, String> {
    let needed = "install, update or uninstall is needed";
    let (verb, options) = words.split_first().ok_or(needed)?;
    let kinds = [OperationKind::Install, OperationKind::Update, OperationKind::Uninstall];
    let kind = kinds.into_iter().find(|kind| kind.verb() == verb).ok_or(needed)?;
    let mut operation = Operation::new(kind);
    for option in options {
        let (name, value) = option.split_once('=').ok_or_else(|| format!("`{option}` is not NAME=VALUE"))?;
        if value.chars().count() > MAX_VALUE {
            return Err(format!("{name} is longer than {MAX_VALUE} characters"));
        }
        let has_file = kind != OperationKind::Uninstall;
        match name {
            "uuid" => operation.uuid = value.to_owned(),
            "version" if kind != OperationKind::Install => operation.version = value.to_owned(),
            "environment" if kind != OperationKind::Update => operation.target = value.to_owned(),
            "url" if has_file => operation.url = value.to_owned(),
            "username" if has_file => operation.username = value.to_owned(),
            "password" if has_file => operation.password = value.into(),
            _ => return Err(format!("`{name}` is no option of {verb}")),
        }
    }
    let (is_missing, name) = match kind {
        OperationKind::Install => (operation.url.is_empty(), "url"),
        _ => (operation.uuid.is_empty() && kind == OperationKind::Uninstall, "uuid"),
    };
    if is_missing { Err(format!("{name} is missing")) } else { Ok(operation) }
}

/// Returns the words that [`parse`] reads.
pub(super) fn words(operation: &Operation) -> Vec<String> {
    let Operation { kind, uuid, version, url, username, password, target } = operation;
    let options = [
        ("uuid", uuid.as_str()),
        ("version", version),
        ("environment", target),
        ("url", url),
        ("username", username),
        ("password", password.expose()),
    ];
    let given = options.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}"));
    std::iter::once(kind.verb().to_owned()).chain(given).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Operation, String> {
        parse(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_make_the_round_trip() {
        for text in [
            "install uuid=1-2 environment=Device.SoftwareModules.ExecEnv.1 url=http://h/f username=u password=p=q",
            "update",
            "update uuid=1-2 version=1.0 url=http://h/f",
            "uninstall uuid=1-2 version=1.0",
        ] {
            let operation = parsed(text).expect(text);
            assert_eq!(words(&operation).join(" "), text);
        }
    }

    #[test]
    fn wrong_words_are_told() {
        for (text, reason) in [
            ("", "install, update or uninstall"),
            ("start", "install, update or uninstall"),
            ("install uuid=1", "url is missing"),
            ("uninstall", "uuid is missing"),
            ("uninstall uuid=1 url=http://h/", "no option of uninstall"),
            ("install url", "not NAME=VALUE"),
        ] {
            let error = parsed(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(parsed(&format!("install url=http://{}", "x".repeat(1100))).is_err());
    }
}
