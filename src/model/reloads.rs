//! Reloads: the calls by which services of the device begin to use a new configuration. They are the object `reloads` of a
//! data-model file.

use std::time::Duration;

use super::raw::{Number, Raw};
use super::source::Argument;
use crate::json::escape;
use crate::suggest::hint;

/// One reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The name by which sources refer to it.
    pub name: String,
    /// The call.
    pub call: ReloadCall,
    /// The time after its end until the device is expected back.
    pub settle: Duration,
    /// The time after which it counts as hung.
    pub limit: Duration,
    /// The place among others: lower ones run first.
    pub order: u32,
    /// True if it runs before the answer to the request, and not after the session.
    pub at_answer: bool,
}

/// The call that a reload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadCall {
    /// A program and its arguments, which run without a shell.
    Run(Vec<String>),
    /// An object on the bus of OpenWrt, a method, and its arguments.
    Ubus(String, String, Vec<(String, Argument<String>)>),
}

/// The reloads of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads(Vec<Reload>);

/// The most time that `settle` and `limit` give a reload, in seconds: the next session waits for it.
const MAX_SECONDS: u32 = 600;

/// The JSON pointer from the top of the file, and the reason.
type Mistake = (String, String);

impl Reloads {
    /// Returns the reload of this name: that of the model, or the event by which OpenWrt tells services of a changed package.
    pub fn get(&self, name: &str) -> Reload {
        let of_model = self.0.iter().find(|reload| reload.name == name).cloned();
        of_model.unwrap_or_else(|| {
            let text = |text: &str| Argument::Text(text.to_owned());
            let data = Argument::Table(vec![("package".to_owned(), text(name))]);
            let args = vec![("type".to_owned(), text("config.change")), ("data".to_owned(), data)];
            Reload::new(name, ReloadCall::Ubus("service".to_owned(), "event".to_owned(), args))
        })
    }

    /// Returns true if the model has a reload of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|reload| reload.name == name)
    }

    /// Reads the object `reloads`, and returns its mistakes.
    pub(super) fn read(raw: &Raw<'_>) -> (Reloads, Vec<Mistake>) {
        let (mut reloads, mut mistakes) = (Reloads::default(), Vec::new());
        let Raw::Object(object) = raw else {
            mistakes.push(("/reloads".into(), format!("an object is needed, not {}", raw.json_type())));
            return (reloads, mistakes);
        };
        for (name, value) in object.members() {
            let at = format!("/reloads/{}", escape(name));
            if name == "none" {
                mistakes.push((at.clone(), "`none` stands for no reload".into()));
            }
            match read_one(name, &value, &at, &mut mistakes) {
                Ok(reload) => reloads.0.push(reload),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        (reloads, mistakes)
    }
}

impl Reload {
    fn new(name: &str, call: ReloadCall) -> Reload {
        let [settle, limit] = [3, 30].map(Duration::from_secs);
        Reload { name: name.to_owned(), call, settle, limit, order: 50, at_answer: false }
    }
}

fn read_one(name: &str, raw: &Raw<'_>, at: &str, mistakes: &mut Vec<Mistake>) -> Result<Reload, Mistake> {
    let Raw::Object(object) = raw else {
        return Err((at.to_owned(), format!("an object is needed, not {}", raw.json_type())));
    };
    let call = match (object.get("run"), object.get("ubus")) {
        (Some(run), None) => read_run(&run).ok_or_else(|| {
            (format!("{at}/run"), "a list is needed that begins with the absolute path of a program".to_owned())
        })?,
        (None, Some(ubus)) => read_ubus(&ubus).ok_or_else(|| {
            (format!("{at}/ubus"), "a list of an object, a method and an object with arguments is needed".to_owned())
        })?,
        _ => return Err((at.to_owned(), "one of `run` and `ubus` is needed".to_owned())),
    };
    let mut reload = Reload::new(name, call);
    for (member, value) in object.members() {
        let number = match value {
            Raw::Number(Number::Integer(number)) => u32::try_from(number).ok(),
            _ => None,
        };
        let seconds = number.filter(|seconds| *seconds <= MAX_SECONDS);
        let wrong = match (member, seconds) {
            ("run" | "ubus", _) => continue,
            ("settle", Some(seconds)) => {
                reload.settle = Duration::from_secs(seconds.into());
                continue;
            }
            ("limit", Some(seconds)) if seconds > 0 => {
                reload.limit = Duration::from_secs(seconds.into());
                continue;
            }
            ("settle" | "limit", _) => format!("seconds up to {MAX_SECONDS} are needed"),
            ("order", _) => match number {
                Some(order) => {
                    reload.order = order;
                    continue;
                }
                None => "a whole number is needed".to_owned(),
            },
            ("when", _) => match value {
                Raw::Text("end") => continue,
                Raw::Text("answer") => {
                    reload.at_answer = true;
                    continue;
                }
                _ => "`end` or `answer` is needed".to_owned(),
            },
            _ => {
                let known = ["run", "ubus", "settle", "limit", "order", "when"];
                format!("not a member of a reload{}", hint(member, &known, "members", ""))
            }
        };
        mistakes.push((format!("{at}/{}", escape(member)), wrong));
    }
    Ok(reload)
}

fn read_run(raw: &Raw<'_>) -> Option<ReloadCall> {
    let Raw::List(items) = raw else { return None };
    let text = |item: Raw<'_>| if let Raw::Text(text) = item { Some(text.to_owned()) } else { None };
    let command: Vec<String> = items.items().map(text).collect::<Option<_>>()?;
    command.first().is_some_and(|program| program.starts_with('/')).then_some(ReloadCall::Run(command))
}

fn read_ubus(raw: &Raw<'_>) -> Option<ReloadCall> {
    let Raw::List(items) = raw else { return None };
    let items: Vec<Raw<'_>> = items.items().collect();
    let (object, method, args) = match &items[..] {
        [Raw::Text(object), Raw::Text(method)] => (object, method, Vec::new()),
        [Raw::Text(object), Raw::Text(method), args] => match argument(args)? {
            Argument::Table(args) => (object, method, args),
            _ => return None,
        },
        _ => return None,
    };
    Some(ReloadCall::Ubus((*object).to_owned(), (*method).to_owned(), args))
}

fn argument(raw: &Raw<'_>) -> Option<Argument<String>> {
    Some(match raw {
        Raw::Text(text) if !text.contains('\0') => Argument::Text((*text).to_owned()),
        Raw::Boolean(flag) => Argument::Boolean(*flag),
        Raw::Number(Number::Integer(number)) => Argument::Whole(i64::try_from(*number).ok()?),
        Raw::Object(members) => {
            let member = |(name, value): (&str, Raw<'_>)| Some((name.to_owned(), argument(&value)?));
            Argument::Table(members.members().map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
