//! A single transfer attempt, as the tests make it.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cpe_agent::http::TlsSettings;
use cpe_agent::transfer::{Downloaded, FileRequest, Progress, TransferError, TransferLimits, download, upload};

use crate::support::{FileServer, FileServerOptions, FileSpec};

/// A limit that no step reaches, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
/// The timeout of tests with a server that sends nothing.
pub const IMPATIENT: Duration = Duration::from_millis(700);
pub const SIZE: u64 = 300_000;

/// A transfer attempt, and the directory for its file.
pub struct Attempt {
    pub request: FileRequest,
    pub directory: tempfile::TempDir,
    pub expected_size: u64,
    pub progress: Progress,
    pub stop: Arc<AtomicBool>,
}

impl Attempt {
    pub fn at(url: &str) -> Attempt {
        let limits = TransferLimits { silence: SOON, attempt: 4 * SOON, redirects: 5, pause: Duration::from_millis(1) };
        let request = FileRequest {
            url: url.into(),
            username: "cpe".into(),
            password: "s3cret".into(),
            tls: TlsSettings::default(),
            clock_is_set: true,
            limits,
        };
        let directory = tempfile::tempdir().expect("a directory");
        Attempt { request, directory, expected_size: 0, progress: Progress::new(), stop: Arc::default() }
    }

    pub fn impatient(mut self) -> Attempt {
        self.request.limits.silence = IMPATIENT;
        self
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("file")
    }

    pub fn download(&self) -> Result<Downloaded, TransferError> {
        let result = download(&self.request, &self.file(), self.expected_size, &self.progress, &self.stop);
        assert_eq!(result.is_ok(), self.file().exists(), "{result:?}");
        result
    }

    /// Returns the content of the file; panics if the attempt fails.
    pub fn content(&self) -> Vec<u8> {
        let downloaded = self.download().unwrap_or_else(|error| panic!("{}: {error}", self.request.url));
        let content = fs::read(self.file()).expect("the file");
        assert_eq!(downloaded.size, content.len() as u64);
        assert_eq!(self.progress.moved().bytes, downloaded.size);
        content
    }

    /// Returns the code and the text of the failure; panics if the attempt succeeds.
    pub fn failure(&self) -> (u16, String) {
        told(self.download())
    }

    pub fn upload(&self, content: &[u8]) -> Result<(), TransferError> {
        fs::write(self.file(), content).expect("a file");
        upload(&self.request, &self.file(), &self.progress, &self.stop)
    }
}

pub fn told<T: std::fmt::Debug>(result: Result<T, TransferError>) -> (u16, String) {
    let error = result.expect_err("a failure");
    let sentence = error.to_string();
    // R238: TransferComplete allows no other code.
    assert!(
        [9001, 9002, 9010, 9011, 9012].contains(&error.fault().number())
            || (9014..=9020).contains(&error.fault().number())
    );
    assert!(!sentence.is_empty() && sentence.chars().count() <= 256 && !sentence.contains("s3cret"), "{sentence}");
    (error.fault().number(), sentence)
}

/// Returns a server with one file, and an attempt to download it.
pub fn serving(file: FileSpec) -> (FileServer, Attempt) {
    let server = FileServer::start(FileServerOptions::new());
    server.serves("/fw.bin", file);
    let attempt = Attempt::at(&server.url("/fw.bin"));
    (server, attempt)
}
