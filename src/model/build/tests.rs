//! Tests of the lists of members against `data-model/schema.json`, by which editors complete and check a data-model file.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::field::FIELD_MEMBERS;
use super::kind::{COMMON_MEMBERS, KINDS};
use super::member::{OBJECT_MEMBERS, TABLE_MEMBERS};
use super::parameter::PARAMETER_MEMBERS;
use super::source::SOURCE_MEMBERS;
use super::ubus::UBUS_MEMBERS;
use super::writing::WRITING_MEMBERS;
use crate::model::source::provider::PROVIDERS;
use crate::model::source::{Form, VIEWS};
use crate::model::value::Type;

fn schema() -> Json {
    serde_json::from_str(include_str!("../../../data-model/schema.json")).expect("JSON")
}

/// Expects a part of the schema to have these names: the members of an object, or the texts of an enumeration.
fn has(pointer: &str, known: &[&str]) {
    let schema = schema();
    let part = schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
    let names: BTreeSet<&str> = match part {
        Json::Object(members) => members.keys().map(String::as_str).collect(),
        // `null` removes a member of an earlier file.
        part => part.as_array().expect("a list").iter().filter_map(Json::as_str).collect(),
    };
    assert_eq!(names, known.iter().copied().collect(), "{pointer} in data-model/schema.json");
}

#[test]
fn the_schema_has_every_member() {
    has("/$defs/parameter/properties", PARAMETER_MEMBERS);
    has("/$defs/table/properties", &[TABLE_MEMBERS, &["{i}"]].concat());
    has("/$defs/field/properties", &FIELD_MEMBERS);
    let named = [&KINDS[..], &COMMON_MEMBERS, &UBUS_MEMBERS, &WRITING_MEMBERS].concat();
    has("/$defs/source/properties", &[&named[..], &SOURCE_MEMBERS].concat());
    has("/$defs/namedSource/properties", &named);
    // An overlay does not tell whether its node is an object, a table or a parameter.
    has("/$defs/overlay/properties", &[OBJECT_MEMBERS, TABLE_MEMBERS, PARAMETER_MEMBERS, &["{i}"]].concat());
}

#[test]
fn the_schema_has_every_word() {
    has("/$defs/parameter/properties/type/enum", &Type::NAMES.map(|(name, _)| name));
    has("/$defs/field/properties/as/enum", &Form::NAMES.map(|(name, _)| name));
    has("/$defs/field/properties/view/enum", &VIEWS.iter().map(|view| view.name).collect::<Vec<_>>());
    has("/$defs/source/properties/builtin/enum", &PROVIDERS.iter().map(|provider| provider.name).collect::<Vec<_>>());
}
