//! The request of the commands `download` and `upload`.

use super::message::MAX_VALUE;
use crate::secret::Secret;

/// A transfer that is started at the device and not by the ACS (R247).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalTransfer {
    /// True for a download to the device, false for an upload.
    pub is_download: bool,
    /// The FileType argument of Download or Upload, such as `1 Firmware Upgrade Image`.
    pub file_type: String,
    /// The URL of the file.
    pub url: String,
    /// The user name at the file server; empty for none.
    pub username: String,
    /// The password at the file server; empty for none.
    pub password: Secret,
    /// The size of the file in bytes; 0 if it is unknown.
    pub size: u32,
    /// The TargetFileName that the ACS reads in AutonomousTransferComplete.
    pub target: String,
}

impl LocalTransfer {
    /// Reads `TYPE URL [username=…] [password=…] [size=…] [target=…]`. Returns a message for the user if a word is wrong.
    pub(crate) fn parse(is_download: bool, words: &[String]) -> Result<LocalTransfer, String> {
        let [file_type, url, options @ ..] = words else { return Err("a file type and a URL are needed".into()) };
        let mut transfer =
            LocalTransfer { is_download, file_type: file_type.clone(), url: url.clone(), ..LocalTransfer::default() };
        for option in options {
            let (name, value) = option.split_once('=').ok_or_else(|| format!("`{option}` is not NAME=VALUE"))?;
            // The limit counts characters and not bytes, as the data types of TR-069 do.
            if value.chars().count() > MAX_VALUE {
                return Err(format!("{name} is longer than {MAX_VALUE} characters"));
            }
            match name {
                "username" => transfer.username = value.to_owned(),
                "password" => transfer.password = value.into(),
                // An upload has no size and no target: the device itself makes the file.
                "size" if is_download => {
                    transfer.size = value.parse().map_err(|_| format!("size: `{value}` is not a number of bytes"))?;
                }
                "target" if is_download => transfer.target = value.to_owned(),
                _ => {
                    return Err(format!(
                        "`{name}` is not username, password, password-file, or for a download size or target"
                    ));
                }
            }
        }
        Ok(transfer)
    }

    /// Returns the words that [`parse`](Self::parse) reads.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![self.file_type.clone(), self.url.clone()];
        let size = if self.size > 0 { self.size.to_string() } else { String::new() };
        let options = [
            ("username", &*self.username),
            ("password", self.password.expose()),
            ("size", &size),
            ("target", &self.target),
        ];
        words.extend(
            options.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")),
        );
        words
    }
}
