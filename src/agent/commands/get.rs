//! The command `get`: values of the tree as lines, as JSON, or a value alone.

use std::fmt::{self, Write};

use super::path_error_text;
use crate::control::{CommandResult, GetForm, GetRequest};
use crate::cwmp::device::Device;
use crate::model::tree::Parameter;

/// The longest output of `get` in bytes: five times a tree of 10,000 parameters.
pub(in crate::agent) const MAX_OUTPUT: usize = 4 << 20;

/// Returns the values below the paths of the request, in its form.
pub(super) fn get(device: &Device, request: &GetRequest) -> CommandResult {
    let mut output = String::new();
    let mut count = 0usize;
    for text in &request.paths {
        let error_text = |error| path_error_text(device, text, error);
        let visited = device.tree().visit_paths(text, false, &mut |path, form| {
            device.tree().visit_values(path, &mut |parameter| {
                // The limit holds while the output grows: a client may name the whole tree many times.
                if output.len() <= MAX_OUTPUT {
                    count += 1;
                    write_parameter(&mut output, &form.of(parameter.name), parameter, request, count == 1);
                }
            })
        });
        visited.map_err(error_text)?;
        if output.len() > MAX_OUTPUT {
            return Err(format!("the answer would be longer than {} MiB; ask for less at once", MAX_OUTPUT >> 20));
        }
    }
    match request.form {
        // Two values behind each other cannot be told apart, because a value may have line ends.
        GetForm::Value if count != 1 => Err(format!("--value needs one parameter, and the paths name {count}")),
        GetForm::Json if count == 0 => Ok("{}\n".into()),
        GetForm::Json => Ok(format!("{{\n{output}\n}}\n")),
        _ => Ok(output),
    }
}

fn write_parameter(output: &mut String, name: &str, parameter: &Parameter<'_>, request: &GetRequest, is_first: bool) {
    // R175: the ACS reads a hidden parameter as an empty value, and so does a local client that does not ask for more.
    let value = match (parameter.spec.hidden, request.secret) {
        (true, false) => String::new(),
        (true, true) => parameter.stored().to_string(),
        (false, _) => parameter.with_value(ToString::to_string),
    };
    match request.form {
        GetForm::Lines => {
            output.push_str(name);
            output.push('=');
            // Writing to a String cannot fail.
            let _ = OneLine(output).write_str(&value);
            output.push('\n');
        }
        GetForm::Json => {
            let separator = if is_first { "" } else { ",\n" };
            let _ = write!(output, "{separator}  \"{name}\": {}", serde_json::Value::String(value));
        }
        GetForm::Value => {
            output.push_str(&value);
            output.push('\n');
        }
    }
}

/// Writes a value on one line: a backslash as `\\`, a line end as `\n`, other control characters alike.
pub(in crate::agent) struct OneLine<'a>(pub(in crate::agent) &'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '\\' => self.0.push_str("\\\\"),
                c if c.is_control() => self.0.extend(c.escape_default()),
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}
