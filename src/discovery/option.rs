//! The vendor options: encapsulated values of options 43 and 125 of DHCPv4, and of option 17 of DHCPv6 (R14, R15).
//!
//! ```text
//! option 43            (number, length, value)…
//! option 125           (enterprise: 4 bytes, length, (number, length, value)…)…
//! option 17 (DHCPv6)   enterprise: 4 bytes, (number: 2 bytes, length: 2 bytes, value)…
//! ```

use super::URL;
use super::lease::{DhcpOption, Family, Lease};
use crate::url::Url;

/// The enterprise number of the Broadband Forum, to which the options of TR-069 belong (R14).
const ENTERPRISE: [u8; 4] = 3561_u32.to_be_bytes();

/// The number of values for the agent: URL, ProvisioningCode, CWMPRetryMinimumWaitInterval, CWMPRetryIntervalMultiplier.
pub(crate) const OFFERED: usize = 4;

/// The ACS in one option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The values; the first is the URL.
    pub(crate) values: [Option<String>; OFFERED],
    /// The option and the interface, for messages.
    pub(crate) origin: String,
}

/// The identity of the gateway that answered: OUI, serial number, product class (R339).
pub(crate) type Gateway = [Option<String>; 3];

/// Returns what the options say about the ACS; `None` if none of them has a URL. All values come from the first option
/// with a URL that can be contacted (R10), in the order of R13: DHCPv6, the option of DHCPv4 that was requested, the other.
pub(crate) fn offer(leases: &[Lease]) -> Option<Offer> {
    by_rank(leases).into_iter().find_map(|(lease, option)| {
        let first = if (option.family, option.number) == (Family::V4, 125) { 11 } else { 1 };
        let values = texts::<OFFERED>(option, first);
        values[URL].as_deref().filter(|url| Url::parse(url).is_ok())?;
        let version = if option.family == Family::V6 { "v6" } else { "v4" };
        let origin = format!("DHCP{version} option {} on {}", option.number, lease.interface);
        Some(Offer { values, origin })
    })
}

/// Returns the identity of the gateway by which the device reaches the Internet, in the same order (R339, Annex F).
pub(crate) fn gateway(leases: &[Lease]) -> Option<Gateway> {
    let numbered = |option: &DhcpOption| match (option.family, option.number) {
        (Family::V6, _) => Some(14),
        (Family::V4, 125) => Some(4),
        _ => None,
    };
    let mut identities =
        by_rank(leases).into_iter().filter_map(|(_, option)| Some(texts::<3>(option, numbered(option)?)));
    // The product class may be missing; OUI and serial number together identify a device (R93).
    identities.find(|[oui, serial, _]| oui.is_some() && serial.is_some())
}

fn by_rank(leases: &[Lease]) -> Vec<(&Lease, &DhcpOption)> {
    let rank = |lease: &Lease, option: &DhcpOption| match option.family {
        Family::V6 => 0,
        // R13: where neither was requested, option 43 counts.
        Family::V4 => 1 + u8::from(option.number != lease.requested.unwrap_or(43)),
    };
    let mut all: Vec<(&Lease, &DhcpOption)> =
        leases.iter().flat_map(|lease| lease.options.iter().map(move |option| (lease, option))).collect();
    all.sort_by_key(|(lease, option)| rank(lease, option));
    all
}

/// Returns the texts of the sub-options from number `first` on. The first of several sub-options with one number counts.
fn texts<const N: usize>(option: &DhcpOption, first: u16) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    visit(option, &mut |number, bytes| {
        let slot = number.checked_sub(first).and_then(|at| values.get_mut(usize::from(at)));
        // Unknown sub-options are skipped (R15).
        if let Some(slot @ None) = slot {
            *slot = text(bytes);
        }
    });
    values
}

/// Returns the text of a sub-option without the NUL that some servers append (R16); `None` if it is empty or no text.
fn text(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Calls `see` with number and value of each sub-option of the enterprise. A damaged length ends the reading: what comes
/// before it counts, and no value is cut.
fn visit(option: &DhcpOption, see: &mut dyn FnMut(u16, &[u8])) {
    let mut rest = option.data.as_slice();
    match (option.family, option.number) {
        (Family::V6, _) => {
            if let Some(mut rest) = rest.strip_prefix(&ENTERPRISE) {
                while let Some((number, value)) = take_wide(&mut rest) {
                    see(number, value);
                }
            }
        }
        (Family::V4, 125) => {
            while let Some((enterprise, after)) = rest.split_first_chunk::<4>() {
                rest = after;
                let Some(mut inner) = take_sized(&mut rest) else { return };
                while let (true, Some((number, value))) = (*enterprise == ENTERPRISE, take_narrow(&mut inner)) {
                    see(number, value);
                }
            }
        }
        _ => loop {
            match rest {
                [0, after @ ..] => rest = after, // padding (RFC 2132)
                [255, ..] => return,             // the end
                _ => match take_narrow(&mut rest) {
                    Some((number, value)) => see(number, value),
                    None => return,
                },
            }
        },
    }
}

/// Takes one byte of length and that many bytes.
fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&length, after) = rest.split_first()?;
    let (value, after) = after.split_at_checked(length.into())?;
    *rest = after;
    Some(value)
}

fn take_narrow<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (&number, after) = rest.split_first()?;
    *rest = after;
    Some((number.into(), take_sized(rest)?))
}

fn take_wide<'a>(rest: &mut &'a [u8]) -> Option<(u16, &'a [u8])> {
    let (&[a, b, c, d], after) = rest.split_first_chunk::<4>()?;
    let (value, after) = after.split_at_checked(u16::from_be_bytes([c, d]).into())?;
    *rest = after;
    Some((u16::from_be_bytes([a, b]), value))
}
