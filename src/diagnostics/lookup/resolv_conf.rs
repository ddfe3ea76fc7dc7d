//! The name servers of the device: `/etc/resolv.conf`.

use std::net::{IpAddr, Ipv4Addr};

/// The file in which a DHCP client, netifd or an administrator lists the name servers.
const FILE: &str = "/etc/resolv.conf";
/// The most of the file that is read, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// The lines of the file that a lookup needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ResolvConf {
    /// The address of the first name server.
    server: Option<IpAddr>,
    /// The domain of the device: the first one that names are looked up in.
    pub(super) domain: Option<String>,
}

impl ResolvConf {
    /// Reads the file. Without it, the device has neither name server nor domain.
    pub(super) fn read() -> ResolvConf {
        use std::io::Read;
        let mut text = Vec::new();
        let result = std::fs::File::open(FILE).and_then(|file| file.take(MAX_FILE).read_to_end(&mut text));
        result.map(|_| ResolvConf::parse(&String::from_utf8_lossy(&text))).unwrap_or_default()
    }

    /// Returns the address of the name server. A system without such a line has its server on the device itself, as the system's
    /// resolver assumes.
    pub(super) fn server(&self) -> IpAddr {
        self.server.unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    fn parse(text: &str) -> ResolvConf {
        let mut read = ResolvConf::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match (words.next(), words.next()) {
                // An address of a link, such as fe80::1%eth0, is no address for a result.
                (Some("nameserver"), Some(address)) if read.server.is_none() => read.server = address.parse().ok(),
                // The last of these lines counts, as for the system's resolver.
                (Some("domain" | "search"), Some(domain)) => read.domain = Some(domain.to_owned()),
                _ => {}
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_and_the_last_domain_count() {
        let read = ResolvConf::parse(
            "# a comment\nnameserver fe80::1%eth0\nnameserver\t192.0.2.53 \nnameserver ::1\ndomain a\nsearch lan b\n",
        );
        let expected = ResolvConf { server: Some([192, 0, 2, 53].into()), domain: Some("lan".into()) };
        assert_eq!(read, expected);
        assert_eq!(ResolvConf::parse("nameserver\nsearch\nsortlist 1\n"), ResolvConf::default());
    }
}
