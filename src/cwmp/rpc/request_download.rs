//! RequestDownload (TR-069 A6 §A.4.2.2): the request of the CPE for a file.

use crate::cwmp::soap::{EnvelopeHeader, EnvelopeWriter};
use crate::cwmp::transfer::DownloadRequest;
use crate::cwmp::version::Version;

/// The name of the method.
pub(crate) const METHOD: &str = "RequestDownload";

/// Returns the whole message (R248).
pub(crate) fn encode(wish: &DownloadRequest, version: Version, id: &str) -> Vec<u8> {
    let mut message = EnvelopeWriter::new(version, &EnvelopeHeader::with_id(Some(id)), METHOD);
    message.text("FileType", &wish.file_type);
    message.array("FileTypeArg", "cwmp:ArgStruct", |list| {
        for (name, value) in &wish.arguments {
            list.element(|entry| {
                entry.text("Name", name);
                entry.text("Value", value);
            });
        }
    });
    message.finish()
}
