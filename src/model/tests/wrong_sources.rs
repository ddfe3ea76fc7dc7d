//! Wrong sources: each is refused with its place and the reason.

use super::*;

/// Returns a model whose `Device.A` is `node`, with a source above it.
fn under_source(node: &str) -> String {
    format!(
        r#"{{ "Device": {{ "O": {{ "source": {{ "exec": ["/bin/p"], "also": {{ "link": {{ "builtin": "link", "at": "eth0" }} }} }},
            "A": {node} }}, "T": {{ "{{i}}": {{ "B": {{ "type": "string" }} }} }} }} }}"#
    )
}

/// Returns a model with a parameter that has these members.
fn text(members: &str) -> String {
    under_source(&format!(r#"{{ "type": "string", {members} }}"#))
}

/// Returns a model with a table that has this source, and these members behind it.
fn table(source: &str, rest: &str) -> String {
    format!(r#"{{ "Device": {{ "T": {{ "source": {source}, "{{i}}": {{ "B": {{ "type": "string" }} }} {rest} }} }} }}"#)
}

/// Returns a model whose root has these members.
fn device(members: &str) -> String {
    format!(r#"{{ "Device": {{ {members} }} }}"#)
}

/// Checks that each model is refused at this pointer, with this text in the reason.
fn refuses(models: &[(String, &str, &str)]) {
    for (model, pointer, reason) in models {
        let error = load(&[file(model)], &[]).expect_err(model);
        // A misspelt member leaves the right one out, which is another mistake.
        let mistake = &error.list()[0];
        assert_eq!(mistake.pointer, *pointer, "{error}");
        assert!(mistake.reason.contains(reason), "{error}");
    }
}

#[test]
fn a_wrong_source_of_a_parameter_names_the_place_and_the_reason() {
    refuses(&[
        (text(r#""source": 1"#), "/Device/O/A/source", "the name of a field or an object is needed"),
        (text(r#""source": "no:mode""#), "/Device/O/A/source", "no source `no` in an `also` above"),
        (text(r#""source": "link:speed""#), "/Device/O/A/source", "has no field `speed`; it has name, kind"),
        (text(r#""source": "a\tb""#), "/Device/O/A/source", "not a name"),
        (text(r#""source": { "feild": "x" }"#), "/Device/O/A/source/feild", "an unknown member"),
        (text(r#""source": { "absent": "x" }"#), "/Device/O/A/source", "`field` is needed"),
        (text(r#""source": { "field": "x", "at": "y" }"#), "/Device/O/A/source/at", "only a source of its own has it"),
        (text(r#""source": { "field": "x", "word": 1 }"#), "/Device/O/A/source/word", "no part of a text"),
        (text(r#""source": { "field": "x", "match": "[" }"#), "/Device/O/A/source/match", "not a regular expression"),
        (text(r#""source": { "field": "x", "fields": [] }"#), "/Device/O/A/source/fields", "only a `view` has"),
        (
            text(r#""source": { "view": "port-range" }"#),
            "/Device/O/A/source/view",
            "there are both, channel.automatic, ",
        ),
        (text(r#""source": { "view": "port-range.to", "field": "x" }"#), "/Device/O/A/source/field", "has `fields`"),
        (
            text(r#""source": { "view": "dhcp-range.last", "fields": ["a", "b"] }"#),
            "/Device/O/A/source/fields",
            "needs the fields start, limit, address, and may have netmask",
        ),
        (
            text(r#""source": { "view": "port-range.to", "fields": ["x", "y"] }"#),
            "/Device/O/A/source/fields",
            "needs the fields ports",
        ),
        (
            text(r#""source": { "view": "port-range.to", "fields": ["link:speed"] }"#),
            "/Device/O/A/source/fields",
            "has no field `speed`",
        ),
        (text(r#""source": { "field": "x", "as": "hexx" }"#), "/Device/O/A/source/as", "one of boolean, !boolean"),
        (
            text(r#""enum": ["Up", "Down"], "source": { "field": "x", "map": { "1": "up" } }"#),
            "/Device/O/A/source/map/1",
            "`up` is not one of the values allowed; did you mean `Up`?",
        ),
        // A parameter without its type counts as an object.
        (
            under_source(r#"{ "source": { "file": "/x", "word": 2 } }"#),
            "/Device/O/A/source/word",
            "only the source of a parameter has it; is the `type` of this node missing?",
        ),
        (
            text(r#""source": { "field": "x", "scale": [1, 0] }"#),
            "/Device/O/A/source/scale",
            "two positive whole numbers",
        ),
        (
            text(r#""source": { "field": "x", "scale": [1, 2] }"#),
            "/Device/O/A/source/scale",
            "only a number has a scale",
        ),
        (text(r#""source": { "field": "x", "match": "a" }"#), "/Device/O/A/source/match", "needs a group"),
        (text(r#""source": { "field": "x", "path": "Device.T." }"#), "/Device/O/A/source/path", "with `*` for its"),
        (
            text(r#""source": { "field": "x", "path": "Device.T.*" }"#),
            "/Device/O/A/source/path",
            "no table with a source",
        ),
        (text(r#""source": { "field": "x", "map": { "a": 1 } }"#), "/Device/O/A/source/map/a", "a string is needed"),
        (
            text(r#""source": { "field": "x", "map": { "a": "\u0000" } }"#),
            "/Device/O/A/source/map/a",
            "a text has no NUL",
        ),
        (
            text(r#""source": { "file": "/x", "exec": ["/y"] }"#),
            "/Device/O/A/source/file",
            "a second kind beside `exec`",
        ),
        (text(r#""source": { "file": "x" }"#), "/Device/O/A/source/file", "an absolute path is needed"),
        (text(r#""source": { "file": "/x/{key}" }"#), "/Device/O/A/source/file", "no table above it has a source"),
        (text(r#""source": { "file": "/x/{name}" }"#), "/Device/O/A/source/file", "`{name}` is no placeholder"),
        (text(r#""source": { "file": "/x/{no:name}" }"#), "/Device/O/A/source/file", "no source `no` above"),
        (text(r#""source": { "file": "/x", "at": "y" }"#), "/Device/O/A/source/at", "a file has no rows"),
        (text(r#""source": { "file": "/x", "field": "y" }"#), "/Device/O/A/source/field", "a file has no fields"),
        (text(r#""source": { "file": "/x", "word": 0 }"#), "/Device/O/A/source/word", "a number from 1"),
        (text(r#""source": { "file": "/x", "match": "(" }"#), "/Device/O/A/source/match", "not a regular expression"),
        (text(r#""source": { "file": "/x", "age": 3601 }"#), "/Device/O/A/source/age", "seconds up to 3600"),
        (text(r#""source": { "file": "/x", "fault": 1 }"#), "/Device/O/A/source/fault", "true or false is needed"),
        (text(r#""source": { "file": "/x", "poll": 9 }"#), "/Device/O/A/source/poll", "seconds from 10 to 86400"),
        (text(r#""source": { "file": "/x", "poll": 86401 }"#), "/Device/O/A/source/poll", "seconds from 10 to 86400"),
        (
            text(r#""source": { "file": "/x", "watch": true }"#),
            "/Device/O/A/source/watch",
            "only an `exec` or `ubus` source",
        ),
        (
            text(r#""source": { "ubus": "a", "method": "b", "watch": "*", "field": "x" }"#),
            "/Device/O/A/source/watch",
            "may end in `*`",
        ),
        (
            text(r#""source": { "exec": ["/x"], "watch": "a", "field": "x" }"#),
            "/Device/O/A/source/watch",
            "true or false",
        ),
        (text(r#""source": { "field": "x", "age": 5 }"#), "/Device/O/A/source/age", "only a source of its own has it"),
        (text(r#""source": { "file": "/x", "limit": 0 }"#), "/Device/O/A/source/limit", "seconds from 1 to 60"),
        (
            text(r#""source": { "exec": ["p"], "field": "x" }"#),
            "/Device/O/A/source/exec",
            "the absolute path of a program",
        ),
        (
            text(r#""source": { "builtin": "lnik", "field": "x" }"#),
            "/Device/O/A/source/builtin",
            "no provider `lnik`; there are",
        ),
        (
            text(r#""source": { "builtin": "system", "at": "x", "field": "uptime" }"#),
            "/Device/O/A/source/at",
            "takes no argument",
        ),
        (
            text(r#""source": { "builtin": "storage", "field": "free" }"#),
            "/Device/O/A/source",
            "this provider needs `at`",
        ),
        (
            text(r#""enum": ["Up"], "source": { "field": "x", "map": { "1": "up" } }"#),
            "/Device/O/A/source/map/1",
            "not one of",
        ),
        (
            text(r#""maxLength": 1, "source": { "field": "x", "absent": "long" }"#),
            "/Device/O/A/source/absent",
            "too long",
        ),
        (text(r#""source": { "uci": "/etc/x", "at": "y" }"#), "/Device/O/A/source/uci", "the name of a package"),
        (text(r#""source": { "uci": "x", "field": "y" }"#), "/Device/O/A/source", "`at` is needed: the name"),
        (text(r#""source": { "uci": "x", "at": "@y", "field": "z" }"#), "/Device/O/A/source/at", "or `@type[n]`"),
        (text(r#""source": { "uci": "x", "at": "y" }"#), "/Device/O/A/source", "`field` is needed"),
        (
            text(r#""source": { "uci": "x", "at": "y", "field": "a-b" }"#),
            "/Device/O/A/source/field",
            "nor `.`, `.name`",
        ),
        (text(r#""source": { "uci": "x", "at": "y", "rows": "z" }"#), "/Device/O/A/source/rows", "an unknown member"),
    ]);
}

#[test]
fn a_wrong_source_of_a_table_names_the_place_and_the_reason() {
    refuses(&[
        (table(r#""uci""#, ""), "/Device/T/source", "an object is needed, not a string"),
        (table("{}", ""), "/Device/T/source", "one of `builtin`, `exec`, `file`, "),
        (table(r#"{ "file": "/x" }"#, ""), "/Device/T/source/rows", "a file needs `rows`"),
        (table(r#"{ "file": "/x", "rows": "a" }"#, ""), "/Device/T/source/rows", "no group `key`"),
        (
            table(r#"{ "exec": ["/x"], "rows": "a" }"#, ""),
            "/Device/T/source/rows",
            "only `file`, `ubus` and `uci` have `rows`",
        ),
        (table(r#"{ "builtin": "system" }"#, ""), "/Device/T/source/builtin", "one row, which is no table"),
        (table(r#"{ "builtin": "link", "at": "x" }"#, ""), "/Device/T/source/at", "a table has all rows"),
        (table(r#"{ "builtin": "link", "numbers": "lose" }"#, ""), "/Device/T/source/numbers", "`kept` or `loose`"),
        (
            table(r#"{ "builtin": "link", "where": { "knd": "bridge" } }"#, ""),
            "/Device/T/source/where/knd",
            "`link` has no field `knd`",
        ),
        (
            table(
                r#"{ "builtin": "link" }"#,
                r#", "1": { "source": { "key": "a" } }, "2": { "source": { "key": "a" } }"#,
            ),
            "/Device/T/2/source/key",
            "the instance 1 is the row `a` already",
        ),
        (table(r#"{ "exec": ["/x"], "can": ["list"] }"#, ""), "/Device/T/source/can", "`get` is needed"),
        (table(r#"{ "exec": ["/x"], "can": ["get", "check"] }"#, ""), "/Device/T/source/can", "without `set`"),
        (table(r#"{ "builtin": "link", "where": "x" }"#, ""), "/Device/T/source/where", "an object is needed"),
        (table(r#"{ "builtin": "link", "also": { "x": {} } }"#, ""), "/Device/T/source/also/x", "one of `builtin`"),
        (table(r#"{ "uci": "x" }"#, ""), "/Device/T/source", "a table needs `rows`"),
        (table(r#"{ "uci": "x", "at": "y" }"#, ""), "/Device/T/source/at", "a table has all rows"),
        (table(r#"{ "uci": "x", "rows": "a b" }"#, ""), "/Device/T/source/rows", "a type of sections"),
        (table(r#"{ "uci": "x", "rows": "{key}" }"#, ""), "/Device/T/source/rows", "a type of sections"),
        (
            table(r#"{ "uci": "x", "rows": "a", "where": { "b-c": "" } }"#, ""),
            "/Device/T/source/where",
            "\"b-c\" is not the name of an option",
        ),
        (table(r#"{ "uci": "x", "rows": "a", "identity": [] }"#, ""), "/Device/T/source/identity", "names of options"),
        (
            table(r#"{ "uci": "x", "rows": "a", "identity": "b" }"#, ""),
            "/Device/T/source/identity",
            "a list of strings is needed",
        ),
        (
            table(r#"{ "follows": "Device.U" }"#, ""),
            "/Device/T/source/follows",
            "`Device.U.` is no table with a source",
        ),
        (table(r#"{ "follows": "Device.T" }"#, ""), "/Device/T/source/follows", "that comes before this one"),
        (
            table(r#"{ "follows": "Device.U", "where": {} }"#, ""),
            "/Device/T/source/where",
            "has the rows and the source",
        ),
        (table(r#"{ "builtin": "link", "identity": ["b"] }"#, ""), "/Device/T/source/identity", "only a `uci` has it"),
        (table(r#"{ "builtin": "link" }"#, r#", "1": {}"#), "/Device/T/1", "an overlay removes it by `null`"),
        (table(r#"{ "builtin": "link" }"#, r#", "1": { "B": "x" }"#), "/Device/T/1", "are rows of its source"),
    ]);
}

#[test]
fn a_wrong_source_of_an_object_names_the_place_and_the_reason() {
    refuses(&[
        (
            device(r#""O": { "source": { "follows": "Device.T" } }"#),
            "/Device/O/source/follows",
            "only the source of a table has it",
        ),
        (
            device(
                r#""A": { "source": { "builtin": "link" }, "{i}": {} },
                   "B": { "source": { "follows": "Device.A" }, "{i}": {}, "3": {} }"#,
            ),
            "/Device/B/source/follows",
            "an overlay removes the instance 3 by `null`",
        ),
        (
            device(
                r#""A": { "source": { "builtin": "link" }, "{i}": {
                   "B": { "source": { "follows": "Device.A" }, "{i}": {} } } }"#,
            ),
            "/Device/A/{i}/B/source/follows",
            "a table within a table",
        ),
        (
            device(r#""O": { "source": { "builtin": "link", "rows": "x" } }"#),
            "/Device/O/source/rows",
            "only the source of a table has it",
        ),
        (
            device(r#""ManagementServer": { "URL": { "type": "string", "source": { "file": "/x" } } }"#),
            "/Device/ManagementServer/URL/source",
            "the agent itself keeps",
        ),
        (
            device(r#""T": { "{i}": {} }, "N": { "type": "unsignedInt", "counts": "T", "source": { "file": "/x" } }"#),
            "/Device/N/source",
            "it counts instances",
        ),
    ]);
}
