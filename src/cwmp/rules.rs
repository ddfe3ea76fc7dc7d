//! What the data model prohibits beyond the facets of a single parameter (R168).

use super::device::management_server::{parameter, short_name};
use super::event::EventCode;
use crate::model::path::Path;
use crate::model::tree::Tree;
use crate::model::value::{Value, ValueError};
use crate::url::Url;

/// Holds a value that somebody wants to set against the rules that the standard has for this very parameter.
pub(crate) fn check(tree: &Tree, name: &str, value: &Value) -> Result<(), ValueError> {
    match short_name(tree, name) {
        Some(parameter::URL) => acs_url(value.as_str()),
        Some(name) if name.starts_with(parameter::INFORM_PARAMETER) => inform_parameter(tree, name, value.as_str()),
        _ if name.ends_with(".DiagnosticsState") => Err(ValueError::Prohibited("this device does not run diagnostics")), // R308
        _ => Ok(()),
    }
}

/// R108: a full name with `*` for instance numbers, of a parameter that is not in every Inform already; and events that
/// leave room for it.
fn inform_parameter(tree: &Tree, name: &str, text: &str) -> Result<(), ValueError> {
    if name.ends_with(".EventList") {
        let mut codes = text.split(',').map(str::trim).filter(|code| !code.is_empty());
        let fits = |code| EventCode::parse(code).is_some_and(|code| code != EventCode::ValueChange);
        return if codes.all(fits) {
            Ok(())
        } else {
            Err(ValueError::Prohibited("not a list of event codes that can be used here"))
        };
    }
    if !name.ends_with(".ParameterName") || text.is_empty() {
        return Ok(());
    }
    let example = text.replace(".*.", ".1.");
    if Path::parse(&example).map_or(true, |path| path.is_partial()) {
        return Err(ValueError::Prohibited(
            "a full parameter name is needed, with * in place of instance numbers at most",
        ));
    }
    let mut forced = false;
    tree.visit_pattern(text, &mut |parameter| forced |= parameter.spec.inform);
    if forced { Err(ValueError::Prohibited("this parameter is in every Inform already")) } else { Ok(()) }
}

/// R10, R335: an absolute HTTP or HTTPS URL with a host, and without user information.
fn acs_url(text: &str) -> Result<(), ValueError> {
    // Credentials are parameters of their own.
    let authority = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
    let good = Url::parse(text).is_ok() && text.trim() == text && !authority.contains('@');
    if good { Ok(()) } else { Err(ValueError::Prohibited("an absolute http or https URL is needed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acs_url_is_absolute() {
        for good in ["http://acs.example/", "https://[2001:db8::1]:7547/cwmp?a=b", "HTTP://10.0.0.1"] {
            assert_eq!(acs_url(good), Ok(()), "{good}");
        }
        for bad in
            ["", "acs.example", "/cwmp", "ftp://acs.example/", "http://", "http:///x", "http://a b/x", "http://u:p@h/"]
        {
            assert!(acs_url(bad).is_err(), "{bad}");
        }
    }
}
