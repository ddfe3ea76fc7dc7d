//! Reloads: the calls by which services of the device begin to use a new configuration. They are the object `reloads` of a
//! data-model file.

use std::fmt;
use std::time::Duration;

use super::actions::NO_PROGRAM;
use super::raw::{Number, Raw};
use super::source::blob::Value;
use super::source::{Answer, Argument, path};
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
    /// The condition after which the device counts as back.
    pub up: Option<Condition>,
    /// The time within which the ACS must be reached after it, or else the change that it was for is taken back.
    pub confirm: Option<Duration>,
}

/// The call that a reload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadCall {
    /// A program and its arguments, which run without a shell.
    Run(Vec<String>),
    /// An object on the bus of OpenWrt, a method, and its arguments.
    Ubus(String, String, Vec<(String, Argument<String>)>),
}

/// A truth value in the answer of a method on the bus of OpenWrt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The object.
    pub object: String,
    /// The method of the object.
    pub method: String,
    /// The path in the answer.
    pub at: String,
}

impl Condition {
    /// Returns true if the answer has the truth value, and it is true.
    pub fn holds(&self, answer: &Answer) -> bool {
        let Answer::Tree(blob) = answer else { return false };
        // The loader has read the path, so that it is one.
        let found = path::parse(&self.at).ok().and_then(|path| path::find(blob.root(), &path));
        found == Some(Value::Boolean(true))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ubus {} {}: {}", self.object, self.method, self.at)
    }
}

/// The package whose event stands behind all others in the queue of procd.
const LAST: &str = "cpe-agent-applied";

/// The type of the events of procd that reload services.
const CONFIG_CHANGE: &str = "config.change";

/// The reloads of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloads(Vec<Reload>);

/// The most time that `settle` and `limit` give a reload, in seconds: the next session waits for it.
const MAX_SECONDS: u32 = 600;

/// The entry that gives the parameters of ManagementServer their time, by which the device reaches its ACS.
pub const MANAGEMENT_SERVER: &str = "ManagementServer";

/// The values of `confirmMinutes`: in less than two minutes a connection may not be back, and fewer than three attempts are made.
const CONFIRM_MINUTES: std::ops::RangeInclusive<u32> = 2..=60;

/// The JSON pointer from the top of the file, and the reason.
type Mistake = (String, String);

impl Reloads {
    /// Returns the reload of this name: that of the model, or the event by which OpenWrt tells services of a changed package.
    pub fn get(&self, name: &str) -> Reload {
        let of_model = self.0.iter().find(|reload| reload.name == name).cloned();
        of_model.unwrap_or_else(|| Reload::new(name, of_package(name)))
    }

    /// Returns the time within which the ACS must be reached after the reload of this name.
    pub fn confirm(&self, name: &str) -> Option<Duration> {
        self.0.iter().find(|reload| reload.name == name)?.confirm
    }

    /// Returns the event for which procd runs `cpe-agent applied` after the scripts of all events before it.
    pub fn last_event(&self) -> Reload {
        self.get(LAST)
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
        let name = name.to_owned();
        Reload { name, call, settle, limit, order: 50, at_answer: false, up: None, confirm: None }
    }
}

impl Reload {
    /// Returns true if the reload is an event, for which procd runs scripts after the call has ended.
    pub fn is_in_queue(&self) -> bool {
        let ReloadCall::Ubus(object, method, args) = &self.call else { return false };
        let is_change = |(name, argument): &(String, Argument<String>)| {
            name == "type" && *argument == Argument::Text(CONFIG_CHANGE.to_owned())
        };
        object == "service" && method == "event" && args.iter().any(is_change)
    }
}

/// Returns the event by which OpenWrt tells services of a changed package.
fn of_package(name: &str) -> ReloadCall {
    let text = |text: &str| Argument::Text(text.to_owned());
    let data = Argument::Table(vec![("package".to_owned(), text(name))]);
    let args = vec![("type".to_owned(), text(CONFIG_CHANGE)), ("data".to_owned(), data)];
    ReloadCall::Ubus("service".to_owned(), "event".to_owned(), args)
}

fn read_one(name: &str, raw: &Raw<'_>, at: &str, mistakes: &mut Vec<Mistake>) -> Result<Reload, Mistake> {
    let Raw::Object(object) = raw else {
        return Err((at.to_owned(), format!("an object is needed, not {}", raw.json_type())));
    };
    let call = match (object.get("run"), object.get("ubus")) {
        (Some(run), None) => read_run(&run).ok_or_else(|| (format!("{at}/run"), NO_PROGRAM.to_owned()))?,
        (None, Some(ubus)) => read_ubus(&ubus).ok_or_else(|| {
            (format!("{at}/ubus"), "a list of an object, a method and an object with arguments is needed".to_owned())
        })?,
        (None, None) if object.get("confirmMinutes").is_some() => of_package(name),
        _ => return Err((at.to_owned(), "one of `run` and `ubus` is needed".to_owned())),
    };
    let mut reload = Reload::new(name, call);
    for (member, value) in object.members() {
        if let Err(wrong) = read_member(&mut reload, member, &value) {
            mistakes.push((format!("{at}/{}", escape(member)), wrong));
        }
    }
    Ok(reload)
}

/// Reads a member beside the call into the reload.
///
/// # Errors
/// The reason why the member is wrong.
fn read_member(reload: &mut Reload, member: &str, value: &Raw<'_>) -> Result<(), String> {
    let number = match value {
        Raw::Number(Number::Integer(number)) => u32::try_from(*number).ok(),
        _ => None,
    };
    let seconds = |from: u32| {
        let seconds = number.filter(|seconds| (from..=MAX_SECONDS).contains(seconds));
        let seconds = seconds.ok_or_else(|| format!("seconds up to {MAX_SECONDS} are needed"))?;
        Ok::<_, String>(Duration::from_secs(seconds.into()))
    };
    match member {
        "run" | "ubus" => {}
        "settle" => reload.settle = seconds(0)?,
        "limit" => reload.limit = seconds(1)?,
        "order" => reload.order = number.ok_or("a whole number is needed")?,
        "confirmMinutes" => {
            let minutes = number.filter(|minutes| *minutes == 0 || CONFIRM_MINUTES.contains(minutes));
            let minutes = minutes.ok_or_else(|| {
                format!("0 or minutes from {} to {} are needed", CONFIRM_MINUTES.start(), CONFIRM_MINUTES.end())
            })?;
            reload.confirm = Some(Duration::from_secs(60) * minutes).filter(|time| !time.is_zero());
        }
        "up" => {
            let condition =
                read_condition(value).ok_or("an object is needed with `ubus`, `method` and `at`, a path")?;
            reload.up = Some(condition);
        }
        "when" => match value {
            Raw::Text("end") => {}
            Raw::Text("answer") => reload.at_answer = true,
            _ => return Err("`end` or `answer` is needed".to_owned()),
        },
        _ => {
            let known = ["run", "ubus", "settle", "limit", "order", "when", "up", "confirmMinutes"];
            return Err(format!("not a member of a reload{}", hint(member, &known, "members", "")));
        }
    }
    Ok(())
}

fn read_run(raw: &Raw<'_>) -> Option<ReloadCall> {
    let Raw::List(items) = raw else { return None };
    let text = |item: Raw<'_>| if let Raw::Text(text) = item { Some(text.to_owned()) } else { None };
    let command: Vec<String> = items.items().map(text).collect::<Option<_>>()?;
    command.first().is_some_and(|program| program.starts_with('/')).then_some(ReloadCall::Run(command))
}

fn read_condition(raw: &Raw<'_>) -> Option<Condition> {
    let Raw::Object(raw) = raw else { return None };
    let members = ["ubus", "method", "at"];
    let [object, method, at] = members.map(|member| match raw.get(member) {
        Some(Raw::Text(text)) if !text.is_empty() && !text.contains('\0') => Some(text.to_owned()),
        _ => None,
    });
    let condition = Condition { object: object?, method: method?, at: at? };
    let is_known = raw.members().all(|(name, _)| members.contains(&name)) && path::parse(&condition.at).is_ok();
    is_known.then_some(condition)
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
