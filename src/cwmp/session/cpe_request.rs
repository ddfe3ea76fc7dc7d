//! The requests that the CPE sends after Inform, to report transfers and changes of software and to request downloads.

use std::collections::VecDeque;

use crate::cwmp::device::{Device, DeviceState};
use crate::cwmp::event::{Event, EventCode};
use crate::cwmp::rpc::{du_state_change_complete, request_download, transfer_complete};
use crate::cwmp::transfer::DownloadRequest;
use crate::cwmp::version::Version;

/// A request that the CPE sends after Inform.
#[derive(Clone, Debug)]
pub(super) enum CpeRequest {
    /// Reports the end of the transfer with this number, by TransferComplete or AutonomousTransferComplete.
    TransferComplete(u32),
    /// Reports the end of the operations of the request with this number, by DUStateChangeComplete or its autonomous form.
    UnitsChanged(u32),
    /// Asks the ACS for a file.
    RequestDownload(DownloadRequest),
}

impl CpeRequest {
    /// Returns the requests that belong to the events of the Inform, in the order of the transfers (R240).
    pub(super) fn announced(device: &Device) -> VecDeque<CpeRequest> {
        let mut events: Vec<Event> = device.state().events.announced().cloned().collect();
        let transfers = &device.state().transfers;
        let mut requests = VecDeque::new();
        let mut is_announced = |event: Option<Event>, autonomous: EventCode| match event {
            // Each transfer has an event of its own. Transfers with the same CommandKey have equal events, so that
            // each event that is found is taken out of the list.
            Some(event) => {
                let at = events.iter().position(|announced| *announced == event);
                at.map(|at| events.swap_remove(at)).is_some()
            }
            None => events.contains(&autonomous.into()),
        };
        for transfer in transfers.finished() {
            if is_announced(transfer.method_event(), EventCode::AutonomousTransferComplete) {
                requests.push_back(CpeRequest::TransferComplete(transfer.id()));
            }
        }
        for request in device.state().units.finished() {
            if is_announced(request.method_event(), EventCode::AutonomousDuStateChangeComplete) {
                requests.push_back(CpeRequest::UnitsChanged(request.id()));
            }
        }
        if events.contains(&EventCode::RequestDownload.into()) {
            requests.extend(transfers.download_requests().iter().cloned().map(CpeRequest::RequestDownload));
        }
        requests
    }

    /// Returns the method and the message; `None` if the transfer is gone or has no report.
    pub(super) fn encode(&self, device: &Device, version: Version, id: &str) -> Option<(&'static str, Vec<u8>)> {
        match self {
            CpeRequest::TransferComplete(transfer) => {
                let transfer = device.state().transfers.get(*transfer)?;
                Some((transfer_complete::method(transfer), transfer_complete::encode(transfer, version, id)?))
            }
            CpeRequest::UnitsChanged(request) => {
                let request = device.state().units.request(*request)?;
                let message = du_state_change_complete::encode(request, version, id)?;
                Some((du_state_change_complete::method(request), message))
            }
            CpeRequest::RequestDownload(download) => {
                Some((request_download::METHOD, request_download::encode(download, version, id)))
            }
        }
    }

    /// Removes the report and its event from the state: the ACS has confirmed the request (R145, R239).
    pub(super) fn confirmed(&self, state: &mut DeviceState) {
        match self {
            CpeRequest::TransferComplete(id) => {
                let event = state.transfers.get(*id).and_then(|transfer| transfer.method_event());
                state.transfers.confirmed(*id);
                let event = event.unwrap_or_else(|| EventCode::AutonomousTransferComplete.into());
                state.events.method_confirmed(&event);
            }
            CpeRequest::UnitsChanged(id) => {
                let event = state.units.request(*id).and_then(|request| request.method_event());
                state.units.confirmed(*id);
                let event = event.unwrap_or_else(|| EventCode::AutonomousDuStateChangeComplete.into());
                state.events.method_confirmed(&event);
            }
            CpeRequest::RequestDownload(download) => {
                state.transfers.download_request_answered(download);
                state.events.method_confirmed(&EventCode::RequestDownload.into());
            }
        }
        // One event without CommandKey, such as 10 AUTONOMOUS TRANSFER COMPLETE, stands for several reports. It was
        // removed with the first of them and has to come back while others are left.
        state.raise_report_events();
    }
}
