//! Lightweight notification (TR-069 A6 Annex M): datagrams that report changed values without a session.

use std::fmt::Write;

use super::device::Device;
use super::soap::XmlEscaper;
use crate::clock::Now;
use crate::digest::hmac_sha1;
use crate::log;

/// The namespace of the message.
const NAMESPACE: &str = "urn:broadband-forum-org:cwmp:lwnotif-1-0";

/// The size of a body in bytes from which on a further parameter goes into the next datagram: with the header, such a datagram
/// passes each line in one piece.
const FULL: usize = 1000;

/// The largest body in bytes: UDP carries 64 KiB. A larger value cannot be reported in this way.
const MAX_BODY: usize = 60 << 10;

/// Returns the datagrams that report the present values of these parameters to a host (R306). `nonces` gives a text for each
/// datagram, by which two of the same second differ.
pub fn datagrams<'n>(
    device: &Device,
    names: impl Iterator<Item = &'n String>,
    host: &str,
    now: Now,
    mut nonce: impl FnMut() -> String,
) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut parameters = Vec::new();
    for name in names {
        // A parameter that was deleted with its object has no value to send.
        let Ok(parameter) = device.tree().parameter(name) else { continue };
        let mut entry = b"<Param>".to_vec();
        element(&mut entry, "Name", name);
        element(&mut entry, "Value", &parameter.value().to_string());
        entry.extend_from_slice(b"</Param>");
        if entry.len() > MAX_BODY {
            log::warn!("{name}: the value is too long for a lightweight notification");
            continue;
        }
        if !parameters.is_empty() && parameters.len() + entry.len() > FULL {
            found.push(datagram(device, &parameters, host, now, &nonce()));
            parameters.clear();
        }
        parameters.append(&mut entry);
    }
    if !parameters.is_empty() {
        found.push(datagram(device, &parameters, host, now, &nonce()));
    }
    found
}

/// Returns one datagram: an HTTP request, which has no response.
fn datagram(device: &Device, parameters: &[u8], host: &str, now: Now, nonce: &str) -> Vec<u8> {
    let identity = device.identity();
    let mut body =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Notification xmlns=\"{NAMESPACE}\">").into_bytes();
    element(&mut body, "TS", &now.wall.max(0).to_string());
    element(&mut body, "UN", &device.acs_username());
    element(&mut body, "CN", nonce);
    element(&mut body, "OUI", &identity.oui);
    element(&mut body, "ProductClass", &identity.product_class);
    element(&mut body, "SerialNumber", &identity.serial_number);
    body.extend_from_slice(parameters);
    body.extend_from_slice(b"</Notification>");
    let code = hmac_sha1(device.acs_password().expose().as_bytes(), &[&body]);
    let signature: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\
         Signature: {signature}\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

fn element(out: &mut Vec<u8>, name: &str, text: &str) {
    out.extend_from_slice(format!("<{name}>").as_bytes());
    // Writing to a Vec cannot fail.
    let _ = XmlEscaper(out).write_str(text);
    out.extend_from_slice(format!("</{name}>").as_bytes());
}
