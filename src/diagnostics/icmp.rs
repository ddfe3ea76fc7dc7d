//! Echo messages of ICMP and ICMPv6, as bytes.

/// The length of the header of an echo message.
pub(super) const HEADER: usize = 8;

/// The types of echo messages.
const REQUEST_V4: u8 = 8;
const REPLY_V4: u8 = 0;
const REQUEST_V6: u8 = 128;
const REPLY_V6: u8 = 129;

/// Returns an echo request with so many bytes of data. The kernel fills in the checksum of ICMPv6, which covers its addresses.
pub(super) fn request(is_v6: bool, identifier: u16, sequence: u16, size: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER + size);
    message.extend([if is_v6 { REQUEST_V6 } else { REQUEST_V4 }, 0, 0, 0]);
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend((0..size).map(|at| at as u8));
    if !is_v6 {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// Returns the identifier and the sequence number of an echo reply; `None` for any other message. A raw socket of IPv4 also
/// receives the header of IP, which is skipped.
pub(super) fn reply(is_v6: bool, has_ip_header: bool, packet: &[u8]) -> Option<(u16, u16)> {
    let skipped = match packet.first() {
        Some(first) if has_ip_header => usize::from(first & 0x0F) * 4,
        _ => 0,
    };
    let message = packet.get(skipped..)?;
    let expected = if is_v6 { REPLY_V6 } else { REPLY_V4 };
    match message {
        [kind, 0, _, _, id_high, id_low, high, low, ..] if *kind == expected => {
            Some((u16::from_be_bytes([*id_high, *id_low]), u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// Returns the checksum of the Internet (RFC 1071) of a message whose field for it is zero.
fn checksum(message: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_ipv4_has_a_checksum_that_makes_its_sum_zero() {
        for size in [0, 1, 2, 56, 1473, 65_507] {
            let message = request(false, 0xBEEF, 7, size);
            assert_eq!((message.len(), &message[..2]), (HEADER + size, &[8, 0][..]));
            assert_eq!(checksum(&message), 0, "{size} bytes");
        }
        assert_eq!(request(true, 1, 2, 0), [128, 0, 0, 0, 0, 1, 0, 2]);
    }

    #[test]
    fn only_an_echo_reply_is_a_reply() {
        let mut v4 = request(false, 0x1234, 9, 3);
        assert_eq!(reply(false, false, &v4), None, "our own request, which the loopback interface delivers");
        v4[0] = 0;
        assert_eq!(reply(false, false, &v4), Some((0x1234, 9)));
        let mut packet = vec![0x46; 24];
        packet.extend(&v4);
        assert_eq!(reply(false, true, &packet), Some((0x1234, 9)), "behind an IP header with an option");
        let mut v6 = request(true, 5, 6, 0);
        v6[0] = 129;
        assert_eq!((reply(true, false, &v6), reply(false, false, &v6)), (Some((5, 6)), None));
        for length in 0..packet.len() {
            reply(false, true, &packet[..length]);
            reply(true, false, &packet[..length]);
        }
        assert_eq!(reply(false, true, &[0xFF; 20]), None, "a header that is longer than the packet");
    }
}
