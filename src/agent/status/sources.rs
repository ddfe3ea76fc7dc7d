//! The sources of values on the device that fail, and the reloads of services, in the status.

use std::time::Duration;

use serde_json::Value as Json;

use super::rows::StatusRows;
use super::{StatusView, format_span};
use crate::agent::confirmation::ConfirmationStatus;
use crate::agent::service_reloads::ReloadStatus;
use crate::cwmp::device::Device;
use crate::json::object;

/// The most sources and values that are shown.
const MAX_SHOWN: usize = 16;

/// The sources that fail, and the texts of the device that are no values.
#[derive(Clone, Debug, Default)]
pub(in crate::agent) struct SourceProblems {
    failing: Vec<FailingSource>,
    /// The parameters whose text on the device is no value, each with the reason.
    unfit: Vec<(String, String)>,
    reloads: ReloadStatus,
    confirmation: ConfirmationStatus,
}

#[derive(Clone, Debug)]
struct FailingSource {
    source: String,
    reason: String,
    /// The first failure in a row, on the monotonic clock.
    since: Duration,
    failures: u32,
}

impl SourceProblems {
    /// Returns the problems of a device.
    pub(in crate::agent) fn of(
        device: &Device,
        reloads: ReloadStatus,
        confirmation: ConfirmationStatus,
    ) -> SourceProblems {
        let failing = device.source_failures().take(MAX_SHOWN).map(|(source, failure)| FailingSource {
            source,
            reason: failure.reason.clone(),
            since: failure.since,
            failures: failure.count,
        });
        let unfit = device.unfit_values().take(MAX_SHOWN).map(|(name, reason)| (name.to_owned(), reason.to_owned()));
        SourceProblems { failing: failing.collect(), unfit: unfit.collect(), reloads, confirmation }
    }
}

impl StatusView<'_> {
    pub(super) fn add_sources(&self, rows: &mut StatusRows) {
        let SourceProblems { failing, unfit, reloads, .. } = &self.status.sources;
        for FailingSource { source, reason, since, failures } in failing {
            let since = format_span(self.since(*since));
            rows.add_line("source fails", format!("{source}: {reason}, {failures} in a row, for {since}"));
        }
        unfit.iter().for_each(|(name, reason)| rows.add_line("value unfit", format!("{name}: {reason}")));
        let failing = failing.iter().map(|failing| {
            object([
                ("source", failing.source.as_str().into()),
                ("reason", failing.reason.as_str().into()),
                ("secondsAgo", self.since(failing.since).as_secs().into()),
                ("failures", failing.failures.into()),
            ])
        });
        rows.add_member("sources.failing", failing.collect::<Vec<Json>>());
        let unfit = unfit
            .iter()
            .map(|(name, reason)| object([("name", name.as_str().into()), ("reason", reason.as_str().into())]));
        rows.add_member("sources.unfit", unfit.collect::<Vec<Json>>());
        if !reloads.owed.is_empty() {
            rows.add_line("reload owed", reloads.owed.join(", "));
        }
        for (name, reason, at) in &reloads.failed {
            let ago = format_span(self.since(*at));
            rows.add_line("reload failed", format!("{name}: {reason}, {ago} ago"));
        }
        let owed: Vec<Json> = reloads.owed.iter().map(|name| name.as_str().into()).collect();
        rows.add_member("sources.reloadsOwed", owed);
        let failed = reloads.failed.iter().map(|(name, reason, at)| {
            object([
                ("name", name.as_str().into()),
                ("reason", reason.as_str().into()),
                ("secondsAgo", self.since(*at).as_secs().into()),
            ])
        });
        rows.add_member("sources.reloadsFailed", failed.collect::<Vec<Json>>());
        self.add_confirmation(rows);
    }

    fn add_confirmation(&self, rows: &mut StatusRows) {
        let ConfirmationStatus { names, deadline, last } = &self.status.sources.confirmation;
        let list = |names: &[String]| Json::from(names.to_vec());
        let left = deadline.map(|deadline| deadline.saturating_sub(self.now.monotonic));
        if !names.is_empty() {
            let left = left.map_or("after a reload".to_owned(), |left| format!("within {}", format_span(left)));
            rows.add_line("unconfirmed", format!("{}; the ACS must be reached {left}", names.join(", ")));
        }
        let open = object([
            ("parameters", list(names)),
            ("secondsLeft", left.map_or(Json::Null, |left| left.as_secs().into())),
        ]);
        rows.add_member("sources.unconfirmed", if names.is_empty() { Json::Null } else { open });
        let last = last.as_ref().map(|(end, at)| {
            let (label, names) = ("taken back", end.names.join(", "));
            let ago = format_span(self.since(*at));
            let stays = (!end.stays.is_empty()).then(|| end.stays.join("; "));
            let reason = stays.as_ref().map(|stays| format!("; on the device stays {stays}"));
            rows.add_line(label, format!("{names}: {ago} ago{}", reason.unwrap_or_default()));
            object([
                ("parameters", list(&end.names)),
                ("secondsAgo", self.since(*at).as_secs().into()),
                ("obstacle", stays.into()),
            ])
        });
        rows.add_member("sources.takenBack", last.unwrap_or_default());
    }
}
