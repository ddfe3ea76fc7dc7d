//! The place of `diagnostics.rs` in a build without the feature: no test is ever requested, since no object is a test.

use std::time::Duration;

use super::Agent;
use super::status::RunningTest;
use crate::clock::Now;

/// No test runs.
#[derive(Default)]
pub(super) struct TestWorker {}

/// No test ends.
#[derive(Debug)]
pub(super) enum FinishedTest {}

impl TestWorker {
    pub(super) fn finish(&mut self, finished: FinishedTest) {
        match finished {}
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        None
    }
}

impl Agent {
    pub(super) fn poll_tests(&mut self, _: Now) {}

    pub(super) fn running_test(&self) -> Option<RunningTest> {
        None
    }

    pub(super) fn stop_outdated_test(&self) {}
}
