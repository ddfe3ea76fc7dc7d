//! The records of type SRV, which name the servers of a service (RFC 2782).

use std::ops::Range;

use super::{host, name_at, u16_at};

/// A server of a service.
#[cfg_attr(not(feature = "xmpp"), allow(dead_code, reason = "only XMPP asks for servers"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    pub(crate) port: u16,
    pub(crate) host: String,
}

impl Service {
    /// Reads the data of a record; `None` for one that names no server, as the root of the names does.
    pub(super) fn read(message: &[u8], data: Range<usize>) -> Option<Service> {
        let word = |at: usize| u16_at(message, data.start + at);
        let (name, end) = name_at(message, data.start + 6)?;
        let host = host(&name).filter(|_| end <= data.end)?;
        Some(Service { priority: word(0)?, weight: word(2)?, port: word(4)?, host })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_a_server() {
        let data = b"\x00\x05\x00\x0a\x14\x66\x04Xmpp\x07example\x00";
        let found = Service::read(data, 0..data.len()).expect("a server");
        assert_eq!(found, Service { priority: 5, weight: 10, port: 5222, host: "xmpp.example".into() });
        for bad in [
            b"\x00\x05\x00\x0a\x14\x66\x00".as_slice(),
            b"\x00\x05\x00\x0a\x14\x66\x04a b.\x00",
            b"\x00\x05\x00\x0a\x14\x66\x04Xm",
            b"\x00\x05\x00\x0a\x14\x66",
            b"\x00\x05",
            b"",
        ] {
            assert_eq!(Service::read(bad, 0..bad.len()), None, "{bad:?}");
        }
        assert_eq!(Service::read(data, 0..data.len() - 1), None, "the name ends behind the data");
    }
}
