//! Rules of the standard for the values of certain parameters, beyond the facets of the data model (R168).

use super::device::management_server::{parameter, short_name};
use super::diagnostics::{CANCELED, REQUESTED, Test, object_of_state, test_at};
use super::event::EventCode;
use super::software::{check_state_request, execution_unit};
use crate::model::actions::Actions;
use crate::model::path::{Path, with_any_numbers};
use crate::model::tree::{SetError, Tree};
use crate::model::value::{Value, ValueError};
use crate::url::Url;

/// Checks a value that the ACS or a local entity wants to set, by the rules of the standard for this parameter.
///
/// # Errors
/// The standard prohibits the value; the error gives the reason.
pub(crate) fn check(tree: &Tree, actions: &Actions, name: &str, value: &Value) -> Result<(), SetError> {
    if let Some(object) = object_of_state(name) {
        return Ok(test_state(test_at(tree, actions, object), value.as_str())?);
    }
    if let Some(unit) = execution_unit(tree, name).filter(|_| actions.software.is_some()) {
        return Ok(check_state_request(tree, unit, value.as_str())?);
    }
    let result = match short_name(tree, name) {
        Some(
            parameter::URL
            | parameter::USERNAME
            | parameter::PASSWORD
            | parameter::CONNECTION_REQUEST_USERNAME
            | parameter::CONNECTION_REQUEST_PASSWORD,
        ) if has_controls(value.as_str()) => {
            Err(ValueError::Prohibited("control characters cannot be sent in a header field"))
        }
        Some(parameter::URL) => acs_url(value.as_str()),
        Some(name) if name.starts_with(parameter::INFORM_PARAMETER) => {
            return inform_parameter(tree, name, value.as_str());
        }
        _ => Ok(()),
    };
    Ok(result?)
}

/// Checks a value of DiagnosticsState. A device that accepted `Requested` for a test which it does not run would have to report
/// its end, or the ACS waits for ever (R308).
fn test_state(test: Option<Test>, value: &str) -> Result<(), ValueError> {
    match value {
        _ if test.is_none() => Err(ValueError::Prohibited("this device does not run this test")),
        REQUESTED | CANCELED => Ok(()),
        _ => Err(ValueError::Prohibited("only Requested, or Canceled, can be set")),
    }
}

/// Checks an entry of the table InformParameter (R108). ParameterName must be a full name, with `*` for instance numbers,
/// of a parameter that is not in every Inform already. EventList must not name `4 VALUE CHANGE`, with which the Inform
/// carries no requested parameters (R102).
fn inform_parameter(tree: &Tree, name: &str, text: &str) -> Result<(), SetError> {
    let prohibited = |rule| Err(ValueError::Prohibited(rule).into());
    if name.ends_with(".EventList") {
        let mut codes = text.split(',').map(str::trim).filter(|code| !code.is_empty());
        let fits = |code| EventCode::parse(code).is_some_and(|code| code != EventCode::ValueChange);
        return if codes.all(fits) {
            Ok(())
        } else {
            prohibited("a list of event codes without 4 VALUE CHANGE is needed")
        };
    }
    if !name.ends_with(".ParameterName") || text.is_empty() {
        return Ok(());
    }
    // With instance numbers in place of wildcards and aliases, it must be a valid name; the instances need not exist yet.
    let example = with_any_numbers(text);
    if Path::parse(&example).map_or(true, |path| path.is_partial()) {
        return prohibited("a full parameter name is needed, with * in place of instance numbers at most");
    }
    let mut forced = false;
    tree.visit_pattern(text, &mut |parameter| forced |= parameter.spec.inform)?;
    if forced { prohibited("this parameter is in every Inform already") } else { Ok(()) }
}

/// Returns true if a text holds a line end or another control character of ASCII. With such credentials no request would ever
/// be sent, so that the ACS would lose the device by a value that it set itself, and wait in vain for a file.
pub(crate) fn has_controls(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control())
}

/// Checks the ACS URL: an absolute HTTP or HTTPS URL with a host and without user information (R10, R335).
fn acs_url(text: &str) -> Result<(), ValueError> {
    // Username and Password are parameters of their own, and the URL appears in logs, where no password belongs.
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
