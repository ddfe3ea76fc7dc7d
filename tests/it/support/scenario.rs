//! The requests that a test expects of the CPE, in order.
//!
//! ```ignore
//! acs.expects(inform().event("0 BOOTSTRAP").event("1 BOOT").retry_count(0)).replies(inform_response());
//! acs.expects(empty_post()).replies(get_parameter_values(&["Device.DeviceInfo."]));
//! acs.expects(response("GetParameterValues")).replies(no_content());
//! ```

use super::message::Message;

/// A kind of request, and the conditions that it must meet.
pub struct Matcher {
    what: What,
    checks: Vec<Check>,
}

#[derive(Clone, Debug)]
enum What {
    Anything,
    EmptyPost,
    Method(String),
    Fault(Option<u16>),
}

struct Check {
    description: String,
    holds: Box<dyn Fn(&Message) -> bool + Send>,
}

/// Matches an Inform.
pub fn inform() -> Matcher {
    request("Inform")
}

/// Matches the empty POST.
pub fn empty_post() -> Matcher {
    matcher(What::EmptyPost)
}

/// Matches the response to an RPC, named without `Response`.
pub fn response(method: &str) -> Matcher {
    matcher(What::Method(format!("{method}Response")))
}

/// Matches a request of the CPE, such as `TransferComplete`.
pub fn request(method: &str) -> Matcher {
    matcher(What::Method(method.into()))
}

/// Matches a SOAP fault with this FaultCode; 0 stands for any.
pub fn fault(code: u16) -> Matcher {
    matcher(What::Fault((code != 0).then_some(code)))
}

/// Matches any request.
pub fn anything() -> Matcher {
    matcher(What::Anything)
}

impl Matcher {
    /// Requires that the Inform has this event.
    pub fn event(self, code: &str) -> Matcher {
        let wanted = code.to_owned();
        self.checked(&format!("event {code:?}"), move |message| message.has_event(&wanted))
    }

    /// Requires that the Inform has this event with this CommandKey.
    pub fn event_with_key(self, code: &str, command_key: &str) -> Matcher {
        let wanted = (code.to_owned(), command_key.to_owned());
        let description = format!("event {code:?} with CommandKey {command_key:?}");
        self.checked(&description, move |message| {
            message.events.iter().any(|event| event.code == wanted.0 && event.command_key == wanted.1)
        })
    }

    /// Requires that the Inform has exactly these events, in any order.
    pub fn only_events(self, codes: &[&str]) -> Matcher {
        let mut wanted: Vec<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        wanted.sort();
        self.checked(&format!("exactly the events {codes:?}"), move |message| {
            let mut found = message.event_codes();
            found.sort_unstable();
            found == wanted
        })
    }

    /// Requires this RetryCount of the Inform.
    pub fn retry_count(self, count: u32) -> Matcher {
        self.checked(&format!("RetryCount {count}"), move |message| message.retry_count() == Some(count))
    }

    /// Requires this value of a parameter in the ParameterList.
    pub fn parameter(self, name: &str, value: &str) -> Matcher {
        let wanted = (name.to_owned(), value.to_owned());
        self.checked(&format!("{name} = {value:?}"), move |message| message.value(&wanted.0) == Some(&wanted.1))
    }

    /// Requires that the ParameterList has this name.
    pub fn has_parameter(self, name: &str) -> Matcher {
        let wanted = name.to_owned();
        self.checked(&format!("the parameter {name}"), move |message| {
            message.value(&wanted).is_some() || message.writable(&wanted).is_some()
        })
    }

    /// Requires that the ParameterList lacks this name.
    pub fn without_parameter(self, name: &str) -> Matcher {
        let unwanted = name.to_owned();
        self.checked(&format!("no parameter {name}"), move |message| {
            message.value(&unwanted).is_none() && message.writable(&unwanted).is_none()
        })
    }

    /// Requires that GetParameterNamesResponse lists this name, writable or not.
    pub fn name(self, name: &str, writable: bool) -> Matcher {
        let wanted = name.to_owned();
        let description = format!("{name} with Writable {writable}");
        self.checked(&description, move |message| message.writable(&wanted) == Some(writable))
    }

    /// Requires this text of a plain argument, such as `Status`.
    pub fn argument(self, name: &str, value: &str) -> Matcher {
        let wanted = (name.to_owned(), value.to_owned());
        self.checked(&format!("{name} = {value:?}"), move |message| message.argument(&wanted.0) == Some(&wanted.1))
    }

    /// Requires that the fault names this parameter with this code.
    pub fn fault_on(self, parameter: &str, code: u16) -> Matcher {
        let wanted = parameter.to_owned();
        self.checked(&format!("{code} on {parameter}"), move |message| {
            let faults = message.fault.iter().flat_map(|fault| &fault.parameters);
            faults.into_iter().any(|(name, found, _)| *name == wanted && *found == code)
        })
    }

    /// Requires any other condition; the text describes it.
    pub fn checked(mut self, description: &str, holds: impl Fn(&Message) -> bool + Send + 'static) -> Matcher {
        self.checks.push(Check { description: description.into(), holds: Box::new(holds) });
        self
    }

    /// Returns true if the request is of the right kind; its content is not checked.
    pub(super) fn is_of_kind(&self, message: Option<&Message>) -> bool {
        match (&self.what, message) {
            (What::Anything, _) | (What::EmptyPost, None) => true,
            (What::Method(method), Some(message)) => message.method == *method,
            (What::Fault(code), Some(message)) => {
                let found = message.fault.as_ref().map(|fault| fault.code);
                message.is_fault() && (code.is_none() || *code == found)
            }
            _ => false,
        }
    }

    /// Returns the conditions that the request does not meet.
    pub(super) fn misses(&self, message: Option<&Message>) -> Vec<String> {
        if !self.is_of_kind(message) {
            return vec![self.kind()];
        }
        let empty = Message::default();
        let message = message.unwrap_or(&empty);
        self.checks.iter().filter(|check| !(check.holds)(message)).map(|check| check.description.clone()).collect()
    }

    /// Describes the expectation.
    pub fn describe(&self) -> String {
        let mut words = self.kind();
        for check in &self.checks {
            words += &format!(", {}", check.description);
        }
        words
    }

    fn kind(&self) -> String {
        match &self.what {
            What::Anything => "anything".into(),
            What::EmptyPost => "the empty POST".into(),
            What::Method(method) => method.clone(),
            What::Fault(Some(code)) => format!("fault {code}"),
            What::Fault(None) => "a fault".into(),
        }
    }
}

fn matcher(what: What) -> Matcher {
    Matcher { what, checks: Vec::new() }
}
