//! The place of `xmpp.rs` in a build without the feature: no connection is ever configured.

use std::time::Duration;

use super::Agent;
use crate::clock::Now;

/// No connection.
#[derive(Default)]
pub(super) struct XmppLink {}

/// No state.
#[derive(Clone, Debug)]
pub(super) enum XmppState {}

impl XmppLink {
    pub(super) fn state(&self) -> Option<&XmppState> {
        None
    }

    pub(super) fn held_until(&self, _: Now) -> Option<Duration> {
        None
    }
}

impl Agent {
    pub(super) fn begin_xmpp(&mut self) {}

    pub(super) fn apply_xmpp_settings(&mut self, _: Now) {}

    pub(super) fn close_xmpp(&mut self) {}

    pub(super) fn on_xmpp_changed(&mut self, state: XmppState, _: Now) {
        match state {}
    }
}
