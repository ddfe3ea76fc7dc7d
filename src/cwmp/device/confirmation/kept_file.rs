//! Packages that can go back, and the way back of them.

use serde_json::Value as Json;

use super::StagedFile;
use crate::json;
use crate::model::source::uci::edit::Former;

/// A package that goes back without a contact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptFile {
    /// The name of the UCI package.
    pub package: String,
    /// The digest of the text before all changes, which is kept beside the file; empty if another program has changed the file between
    /// two changes: that text does not have its settings.
    pub old: String,
    /// The digest of the text after the last change.
    pub new: String,
    /// The settings before all changes, for a file that another program has changed since.
    pub former: Vec<Former>,
}

/// The way back of packages, which needs renames only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WayBack {
    /// The files that have other texts now.
    pub staged: Vec<StagedFile>,
    /// The packages that another program has changed since. The sections in them keep their names.
    pub merged: Vec<String>,
    /// The settings that stay as they are, each with the reason.
    pub stays: Vec<String>,
}

impl KeptFile {
    /// Returns the form in the journal, which earlier versions of the agent read without the settings.
    pub(super) fn to_json(&self) -> Json {
        let former = |known: &Former| {
            let Former { section, option, old, new, behind } = known;
            Json::Array(vec![
                section.as_str().into(),
                option.as_str().into(),
                old.as_str().into(),
                (*new).into(),
                behind.as_str().into(),
            ])
        };
        let mut list: Vec<Json> = [&self.package, &self.old, &self.new].map(|text| text.as_str().into()).into();
        list.push(self.former.iter().map(former).collect());
        Json::Array(list)
    }

    /// Reads the form of the journal. A malformed one is none.
    pub(super) fn from_json(json: &Json) -> Option<KeptFile> {
        let former = |json: &Json| {
            let text = |at: usize| json::text(json.get(at));
            let new = json::number(json.get(3))?;
            Some(Former { section: text(0)?, option: text(1)?, old: text(2)?, new, behind: text(4)? })
        };
        let text = |at: usize| json::text(json.get(at));
        let former = json::items(json.get(3)).iter().filter_map(former).collect();
        Some(KeptFile { package: text(0)?, old: text(1)?, new: text(2)?, former })
    }
}
