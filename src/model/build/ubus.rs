//! Builds calls on the bus of OpenWrt: the object, its method, and the part of the answer that counts.

use super::{Built, SchemaBuilder, pointer};
use crate::model::raw::{Number, Object, Raw};
use crate::model::source::path::{self, ITSELF, Step};
use crate::model::source::{Argument, Arguments, Call, Location, SetCall, SourceId, Template, is_object_name};

/// The members that only this kind has.
pub(super) const UBUS_MEMBERS: [&str; 4] = ["args", "key", "method", "optional"];

impl<'a> SchemaBuilder<'a> {
    /// Reads a call.
    pub(super) fn call(&self, raw: &Object<'a>) -> Built<Location> {
        let wrong_name = || self.error(raw.file, "/ubus", "the name of an object has letters, digits and `_.:-`");
        let object = self.text_with_blanks(self.text(raw, "ubus")?.unwrap_or_default(), raw.file, "/ubus")?;
        // A placeholder stands for a plain text, which the driver checks.
        let example = object.fill(&mut |_| Ok::<_, std::convert::Infallible>("x".into()));
        if !example.is_ok_and(|example| is_object_name(&example)) {
            return Err(wrong_name());
        }
        let method = match self.text(raw, "method")? {
            Some(method) if !method.is_empty() && !method.contains(char::is_control) => method.into(),
            Some(_) => return Err(self.error(raw.file, "/method", "not the name of a method")),
            None => return Err(self.error(raw.file, "", "`method` is needed: the method of the object")),
        };
        let part = self.steps(raw, "at")?;
        let is_optional = self.flag(raw, "optional")?;
        let args = self.args(raw)?;
        Ok(Location::Ubus(Box::new(Call { object, method, args, part, key: ITSELF.into(), is_optional })))
    }

    /// Reads `set` of a field: the method by which it is set.
    pub(super) fn set_call(&self, raw: &Object<'a>, source: SourceId) -> Built<Option<Box<SetCall>>> {
        let Some(Raw::Object(set)) = raw.get("set") else { return Ok(None) };
        let wrong = |reason: &str| Err(self.error(raw.file, "/set", reason));
        if !matches!(self.sources.source_of(source).location, Location::Ubus(_)) {
            return wrong("only a field of a `ubus` has a method");
        }
        let method = match set.get("method") {
            Some(Raw::Text(method)) if !method.is_empty() && !method.contains(char::is_control) => method,
            _ => return wrong("`method` is needed: the method of the object that sets the field"),
        };
        if let Some((member, _)) = set.members().find(|(member, _)| !["method", "args"].contains(member)) {
            return wrong(&format!("`{member}` is no member; there are `method` and `args`"));
        }
        let Some(Raw::Object(args)) = set.get("args") else { return wrong("`args` is needed, with `{value}` in it") };
        let is_value = |value: &Raw<'_>| matches!(value, Raw::Text("{value}"));
        let values: Vec<&str> = args.members().filter(|(_, value)| is_value(value)).map(|(name, _)| name).collect();
        let [value] = values[..] else { return wrong("one argument is needed that is `{value}`") };
        let others = args.members().filter(|(_, value)| !is_value(value));
        let args = self.arguments(others, raw.file, "/set/args")?;
        Ok(Some(Box::new(SetCall { method: method.into(), args, value: value.into() })))
    }

    /// Reads the arguments of a call.
    fn args(&self, raw: &Object<'a>) -> Built<Arguments> {
        match raw.get("args") {
            None => Ok(Box::default()),
            Some(Raw::Object(args)) => self.arguments(args.members(), raw.file, "/args"),
            Some(_) => Err(self.error(raw.file, "/args", "an object is needed")),
        }
    }

    fn arguments<'r>(
        &self,
        args: impl Iterator<Item = (&'r str, Raw<'r>)>,
        file: usize,
        place: &str,
    ) -> Built<Arguments> {
        let argument = |(name, value): (&str, Raw<'_>)| {
            let at = format!("{place}{}", pointer(name));
            let argument = match value {
                Raw::Text(text) if !text.contains('\0') => Argument::Text(self.text_with_blanks(text, file, &at)?),
                Raw::Boolean(flag) => Argument::Boolean(flag),
                Raw::Number(Number::Integer(number)) if i64::try_from(number).is_ok() => Argument::Whole(number as i64),
                _ => return Err(self.error(file, &at, "a text, a whole number or a boolean is needed")),
            };
            Ok((name.into(), argument))
        };
        args.map(argument).collect()
    }

    /// Reads a path with placeholders.
    fn steps(&self, raw: &Object<'a>, member: &str) -> Built<Box<[Step<Template>]>> {
        let Some(text) = self.text(raw, member)? else { return Ok(Box::default()) };
        let at = pointer(member);
        let steps = path::parse(text).map_err(|reason| self.error(raw.file, &at, reason))?;
        steps.iter().map(|step| step.map(|text| self.text_with_blanks(text, raw.file, &at))).collect()
    }

    /// Reads `rows` and `key`: the part of the answer that has the rows, and the member that is the key of a row.
    pub(super) fn rows_of_call(&mut self, raw: &Object<'a>, id: SourceId) -> Built<()> {
        let part = self.steps(raw, "rows")?;
        let key = match self.text(raw, "key")? {
            Some(key) if !key.is_empty() => key,
            _ => return Err(self.error(raw.file, "", "`key` is needed: the member that is the key, or `.`")),
        };
        if let Location::Ubus(call) = self.sources.location_mut(id) {
            (call.part, call.key) = (part, key.into());
        }
        Ok(())
    }
}

/// Returns the reason for which a text is no field of an answer.
pub(super) fn wrong_field(name: &str) -> Option<String> {
    match path::parse(name) {
        _ if name == ITSELF => None,
        _ if name.contains('{') => Some("placeholders stand in `at`, and not in a field".to_owned()),
        Err(reason) => Some(reason),
        Ok(_) => None,
    }
}
