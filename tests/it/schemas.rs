//! The JSON Schemas of data-model files and of the configuration file, against the files of the repository and against the
//! agent. Unit tests compare the names of the members with those of the loaders.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::documents::json_examples;

fn read(file: &Path) -> Json {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// A schema, of which this validator knows the keywords that the two files use.
struct Schema(Json);

impl Schema {
    fn of(file: &str) -> Schema {
        Schema(read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(file)))
    }

    /// Returns the JSON pointer of the first value that the schema forbids.
    fn check(&self, value: &Json) -> Result<(), String> {
        self.node(&self.0, value, "")
    }

    fn node(&self, schema: &Json, value: &Json, at: &str) -> Result<(), String> {
        if schema == &Json::Bool(false) {
            return Err(format!("{at}: a member without a schema"));
        }
        let keywords = schema.as_object().unwrap_or_else(|| panic!("{at}: no schema: {schema}"));
        for (keyword, wanted) in keywords {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "then" | "else" => true,
                "properties" | "patternProperties" => true,
                "additionalProperties" => self.members(keywords, value, at).map(|()| true)?,
                "type" => is_of(wanted, value),
                "enum" => wanted.as_array().is_some_and(|known| known.contains(value)),
                "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().expect("a number")),
                "maximum" => value.as_i64().is_none_or(|number| number <= wanted.as_i64().expect("a number")),
                "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
                "minItems" => {
                    value.as_array().is_none_or(|list| list.len() as u64 >= wanted.as_u64().expect("a number"))
                }
                "maxItems" => {
                    value.as_array().is_none_or(|list| list.len() as u64 <= wanted.as_u64().expect("a number"))
                }
                "required" => wanted
                    .as_array()
                    .into_iter()
                    .flatten()
                    .all(|name| !value.is_object() || value.get(name.as_str().expect("a name")).is_some()),
                "items" => {
                    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.node(wanted, item, &format!("{at}/{number}"))?;
                    }
                    true
                }
                "anyOf" => wanted.as_array().expect("a list").iter().any(|one| self.node(one, value, at).is_ok()),
                "$ref" => {
                    let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#')).expect("a reference");
                    let target = self.0.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"));
                    self.node(target, value, at).map(|()| true)?
                }
                "if" => {
                    let branch = if self.node(wanted, value, at).is_ok() { "then" } else { "else" };
                    self.node(&keywords[branch], value, at).map(|()| true)?
                }
                other => panic!("{at}: the keyword {other} is not known here"),
            };
            if !holds {
                return Err(format!("{at}: {keyword} {wanted}"));
            }
        }
        Ok(())
    }

    /// Checks the members of an object by the three keywords that belong together.
    fn members(&self, keywords: &Map<String, Json>, value: &Json, at: &str) -> Result<(), String> {
        let patterns = keywords.get("patternProperties").and_then(Json::as_object);
        for (name, member) in value.as_object().into_iter().flatten() {
            let named = keywords.get("properties").and_then(|properties| properties.get(name));
            let by_pattern = || patterns?.iter().find(|(pattern, _)| matches(pattern, name)).map(|(_, schema)| schema);
            let schema = named.or_else(by_pattern).unwrap_or(&keywords["additionalProperties"]);
            self.node(schema, member, &format!("{at}/{name}"))?;
        }
        Ok(())
    }
}

fn is_of(types: &Json, value: &Json) -> bool {
    let kind = match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) if value.is_i64() || value.is_u64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    types == kind || types.as_array().is_some_and(|types| types.iter().any(|known| known == kind))
}

/// The two regular expressions of the schemas.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern {
        "^[A-Z_]" => name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'),
        "^[1-9][0-9]*$" => !name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()),
        other => panic!("the expression {other} is not known here"),
    }
}

fn schemas() -> (Schema, Schema) {
    (Schema::of("data-model/schema.json"), Schema::of("docs/config.schema.json"))
}

/// Every file and every example that the agent loads is valid.
#[test]
fn the_files_and_examples_are_valid() {
    let (model, config) = schemas();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [
        "data-model/tr-181.json",
        "data-model/tr-098.json",
        "data-model/linux.json",
        "data-model/linux-098.json",
        "data-model/manageable-devices.json",
        "data-model/software.json",
        "data-model/software-098.json",
        "data-model/openwrt-software.json",
        "tests/it/gateway/examples-181.json",
        "tests/it/gateway/examples-098.json",
        "cross/debian/device.json",
        "cross/debian/config.json",
        "cross/buildroot/package/cpe-agent/device.json",
        "cross/buildroot/package/cpe-agent/config.json",
        "data-model/openwrt.json",
        "cross/openwrt/files/openwrt-098.json",
        "cross/firmware/actions.json",
    ];
    let mut texts: Vec<(String, Json)> =
        files.iter().map(|file| ((*file).to_owned(), read(&root.join(file)))).collect();
    texts.extend(json_examples());
    assert!(texts.len() > files.len() + 4);
    for (place, json) in &texts {
        let schema = if json.get("dataModel").is_some() { &config } else { &model };
        schema.check(json).unwrap_or_else(|wrong| panic!("{place}: {wrong}"));
    }
}

/// What the schemas refuse is what the agent refuses.
#[test]
fn mistakes_are_invalid() {
    let (model, config) = schemas();
    let place = tempfile::tempdir().expect("a directory");
    let at = |name: &str| place.path().join(name).display().to_string();
    let check = |arguments: &[&str]| {
        let mut agent = std::process::Command::new(env!("CARGO_BIN_EXE_cpe-agent"));
        agent.arg("check").args(arguments).output().expect("cpe-agent starts").status.code()
    };
    let shipped = crate::gateway::model_file("tr-181.json").display().to_string();
    for node in [
        json!({ "type": "text" }),
        json!({ "type": "string", "acces": "readWrite" }),
        json!({ "type": "string", "access": "writeOnly" }),
        json!({ "type": "string", "value": 1 }),
        json!({ "type": "string", "Child": { "type": "string" } }),
        json!({ "type": "unsignedInt", "min": "1" }),
        json!({ "type": "string", "enum": "a" }),
        json!({ "type": "string", "notify": "always" }),
        json!({ "type": "string", "source": { "file": "/a", "fields": "x" } }),
        json!({ "type": "boolean", "source": { "file": "/a", "as": "bool" } }),
        json!({ "type": "string", "source": { "file": "/a", "scale": [1] } }),
        json!({ "source": { "exec": "/bin/true" } }),
        json!({ "source": { "builtin": "linkss" } }),
        json!({ "source": { "file": "/a", "limit": 61 } }),
        json!({ "source": { "file": "/a", "poll": 9 } }),
        json!({ "{i}": { "A": { "type": "string" } }, "maxEntries": -1 }),
        json!({ "{i}": { "A": { "type": "string" } }, "hidden": true }),
        json!({ "{i}": { "A": { "type": "string" } }, "1": { "A": 1 } }),
        json!({ "{i}": { "A": { "type": "string" } }, "1": { "a": "x" } }),
    ] {
        let overlay = json!({ "$schema": "schema.json", "Device": { "X_00D09E_Node": node } });
        assert!(model.check(&overlay).is_err(), "{overlay}");
        fs::write(at("overlay.json"), overlay.to_string()).expect("a file");
        assert_eq!(check(&["--data-model", &shipped, "--data-model", &at("overlay.json")]), Some(78), "{overlay}");
    }
    for mistake in [
        json!({ "stateDirr": "x" }),
        json!({ "dataModel": "x" }),
        json!({ "dataModel": [] }),
        json!({ "log": "loud" }),
        json!({ "set": { "Device.A": 1 } }),
        json!({ "acsTimeout": 0 }),
        json!({ "logTo": "/dev/log" }),
    ] {
        assert!(config.check(&mistake).is_err(), "{mistake}");
        fs::write(at("config.json"), mistake.to_string()).expect("a file");
        assert_eq!(check(&["--config", &at("config.json")]), Some(78), "{mistake}");
    }
    // `$schema` leads editors to the schema; both kinds of files may have it.
    let overlay = json!({ "$schema": "schema.json", "examples": [], "Device": { "Hosts": { "Host": { "1": null } } } });
    let settings = json!({ "$schema": "x", "dataModel": [&shipped, at("overlay.json")], "optionalDataModel": [] });
    assert_eq!((model.check(&overlay), config.check(&settings)), (Ok(()), Ok(())));
    fs::write(at("overlay.json"), overlay.to_string()).expect("a file");
    fs::write(at("config.json"), settings.to_string()).expect("a file");
    assert_eq!(check(&["--config", &at("config.json")]), Some(0));
}
