//! The options of the command line that belong to the configuration.

use std::path::PathBuf;

use super::Config;
use super::setting::{Setting, ValueForm, path};
use crate::control::parse_assignment;
use crate::secret::Secret;

/// The options of the command line, each checked when it was added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The file of `--config`.
    pub(super) config: Option<PathBuf>,
    // In the order of the command line, so that a later option overlays an earlier one.
    pub(super) values: Vec<(&'static Setting, OptionValue)>,
}

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OptionValue {
    /// The text of an option with a single value.
    Text(String),
    /// The files of all options of one name, such as `--data-model`.
    Files(Vec<PathBuf>),
    /// The path and the value of one `--set` option.
    Set(String, Secret),
}

impl Options {
    /// Sets the file of `--config FILE`; the last such option is used.
    pub(crate) fn set_config(&mut self, text: &str) -> Result<(), String> {
        self.config = Some(path(text)?);
        Ok(())
    }

    /// Adds an option. The error is the reason why its value is not valid.
    pub(crate) fn add(&mut self, setting: &'static Setting, text: &str) -> Result<(), String> {
        let value = match setting.form {
            ValueForm::Text(set) | ValueForm::Number(set) => {
                // Checked on a configuration that is dropped, so that the error names the option and not the file.
                set(&mut Config::default(), text)?;
                OptionValue::Text(text.to_owned())
            }
            ValueForm::Files(_) => {
                let file = path(text)?;
                // All these options are one list, which replaces the list of the file.
                let list = self.values.iter_mut().find_map(|(known, value)| match value {
                    OptionValue::Files(files) if *known == setting => Some(files),
                    _ => None,
                });
                if let Some(files) = list {
                    files.push(file);
                    return Ok(());
                }
                OptionValue::Files(vec![file])
            }
            ValueForm::Set => {
                let (name, value) = parse_assignment(text)?;
                OptionValue::Set(name, value)
            }
        };
        self.values.push((setting, value));
        Ok(())
    }
}
