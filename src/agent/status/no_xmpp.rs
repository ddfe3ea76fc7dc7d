//! The place of `xmpp.rs` in a build without the feature.

use super::StatusView;
use super::metrics::MetricsText;
use super::rows::StatusRows;

impl StatusView<'_> {
    pub(super) fn add_xmpp(&self, _: &mut StatusRows) {
        if let Some(state) = &self.status.xmpp {
            match *state {}
        }
    }

    pub(super) fn add_xmpp_to(&self, _: &mut MetricsText) {}
}
