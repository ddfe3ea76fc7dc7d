//! What the command line says of the configuration.

use std::path::PathBuf;

use super::Config;
use super::setting::{Setting, ValueForm, path};
use crate::control::parse_assignment;
use crate::secret::Secret;

/// What the command line says, checked one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub(super) config: Option<PathBuf>,
    pub(super) values: Vec<(&'static Setting, OptionValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OptionValue {
    Text(String),
    DataModel(Vec<PathBuf>),
    Set(String, Secret),
}

impl Options {
    /// `--config FILE`; the last one counts.
    pub(crate) fn set_config(&mut self, text: &str) -> Result<(), String> {
        self.config = Some(path(text)?);
        Ok(())
    }

    /// Takes the value of an option, or says what is wrong with it.
    pub(crate) fn add(&mut self, setting: &'static Setting, text: &str) -> Result<(), String> {
        let value = match setting.form {
            ValueForm::Text(set) | ValueForm::Number(set) => {
                set(&mut Config::default(), text)?;
                OptionValue::Text(text.to_owned())
            }
            ValueForm::DataModel => {
                let file = path(text)?;
                // The options make one list, which replaces that of the file.
                let list = self.values.iter_mut().find_map(|(_, value)| match value {
                    OptionValue::DataModel(files) => Some(files),
                    _ => None,
                });
                if let Some(files) = list {
                    files.push(file);
                    return Ok(());
                }
                OptionValue::DataModel(vec![file])
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
