//! Writes: the texts that the device must hold, so that parameters have the values of a request.

use super::query::Argument;
use super::uci::{Identity, POSITION};

/// A text for one field of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The full name of the parameter.
    pub name: String,
    /// The field on the device.
    pub place: Place,
    /// The text; `None` removes the field.
    pub text: Option<String>,
    /// The text that the device holds.
    pub old: Option<String>,
    /// The name of the reload by which the device begins to use the text; `None` if it does so at once.
    pub reload: Option<String>,
    /// True if no log may show the text.
    pub hidden: bool,
}

/// The form of a text in a UCI section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionForm {
    /// The text is the option.
    Whole,
    /// The words of the text are the items of a list.
    List,
    /// The text stands behind one of these texts in an item of a list, whose other items stay.
    Item(Box<[Box<str>]>),
}

/// A field on the device that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An option of a UCI section.
    Uci {
        /// The name of the package.
        package: String,
        /// The options that tell anonymous sections apart.
        identity: Option<Identity>,
        /// The key or the place of the section.
        section: String,
        /// The name of the option.
        option: String,
        /// The form of the text in the section.
        form: OptionForm,
        /// The number of the instance, if the section is a row of a table: an anonymous section gets a name with it.
        number: Option<u32>,
    },
    /// A new section of a UCI package.
    NewSection {
        /// The name of the package.
        package: String,
        /// The type of the section.
        section_type: String,
        /// The name; another one if the package has it.
        name: String,
        /// The options with their values.
        options: Vec<(String, String)>,
    },
    /// A section of a UCI package that is deleted.
    OldSection {
        /// The name of the package.
        package: String,
        /// The options that tell anonymous sections apart.
        identity: Option<Identity>,
        /// The key of the section.
        section: String,
    },
    /// A new row of a program, which gives it its key.
    NewRow {
        /// The program and its arguments, without the verb.
        command: Vec<String>,
        /// The seconds after which the program counts as hung.
        limit: u32,
    },
    /// A row of a program that is deleted.
    OldRow {
        /// The program and its arguments, without the verb.
        command: Vec<String>,
        /// The seconds after which the program counts as hung.
        limit: u32,
        /// The key of the row.
        row: String,
    },
    /// A field of a provider, for which sections of a UCI package are changed.
    Provided {
        /// The name of the package.
        package: String,
        /// The name of the provider.
        provider: &'static str,
        /// The key of the row; empty in a provider with one row.
        row: String,
        /// The name of the field.
        field: String,
    },
    /// A field of a program.
    Exec {
        /// The program and its arguments, without the verb.
        command: Vec<String>,
        /// The seconds after which the program counts as hung.
        limit: u32,
        /// The key of the row, in a table.
        row: Option<String>,
        /// The name of the field.
        field: String,
        /// True if the program has the verb `check`.
        has_check: bool,
    },
    /// A field of an object on the bus of OpenWrt.
    Ubus {
        /// The name of the object.
        object: String,
        /// The method that sets the field.
        method: String,
        /// The arguments by name, but for that of the text.
        args: Vec<(String, Argument<String>)>,
        /// The name of the argument that is the text.
        value: String,
        /// The seconds after which the call counts as hung.
        limit: u32,
    },
    /// The whole text of a file.
    File {
        /// The path.
        path: String,
        /// True if a new file takes the place of the old one; false for one write into the file, as the kernel needs it.
        replaces: bool,
    },
}

impl Place {
    /// Returns true if a row comes or goes, and no text is set.
    pub fn is_row(&self) -> bool {
        let is_section = matches!(self, Place::NewSection { .. } | Place::OldSection { .. });
        is_section || matches!(self, Place::NewRow { .. } | Place::OldRow { .. })
    }

    /// Returns true if a section is moved to another place.
    pub fn is_position(&self) -> bool {
        matches!(self, Place::Uci { option, .. } if *option == *POSITION)
    }

    /// Returns true if the text is stored by the rename of a file that was written before.
    pub fn is_staged(&self) -> bool {
        self.package().is_some()
    }

    /// Returns the name of the UCI package.
    pub fn package(&self) -> Option<&str> {
        match self {
            Place::Uci { package, .. }
            | Place::NewSection { package, .. }
            | Place::OldSection { package, .. }
            | Place::Provided { package, .. } => Some(package),
            Place::NewRow { .. } | Place::OldRow { .. } => None,
            Place::Exec { .. } | Place::Ubus { .. } | Place::File { .. } => None,
        }
    }
}
