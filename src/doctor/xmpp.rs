//! The XMPP connection of the running agent, or the reason for which there is none.

use serde_json::Value as Json;

use super::finding::Finding;

/// Returns the finding; `None` without a running agent, or if no connection is configured.
pub(super) fn assess(status: Option<&Json>) -> Option<Finding> {
    let connection = &status?["connectionRequests"]["xmpp"];
    let text = |name: &str| connection[name].as_str();
    let status = text("status")?;
    Some(match (text("jabberId"), text("error")) {
        (Some(jabber_id), _) => Finding::ok("XMPP", format!("connection requests to {jabber_id}")),
        (None, Some(error)) => Finding::failed("XMPP", format!("no connection ({status}): {error}")),
        (None, None) => Finding::skipped("XMPP", "the connection is being set up"),
    })
}
