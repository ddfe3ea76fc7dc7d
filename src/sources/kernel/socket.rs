//! The provider `socket`: the TCP sockets that listen or are connected.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::source::Row;
use crate::sources::MAX_SIZE;

/// The lists of the kernel. One without IPv6 has the first alone.
const FILES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

/// The room for a list, which a quiet device fills with one read.
const ROOM: usize = 32 << 10;

/// Returns the rows of all sockets. The key has both ends.
pub(super) fn rows() -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut failure = None;
    for path in FILES {
        match read(path) {
            Ok(text) => rows.extend(text.lines().filter_map(row)),
            Err(error) => failure = failure.or(Some(format!("{path}: {error}"))),
        }
    }
    // A kernel without TCP has neither list.
    if rows.is_empty() { failure.map_or(Ok(rows), Err) } else { Ok(rows) }
}

/// Reads the begin of a list, which a busy device has longer than a table takes.
fn read(path: &str) -> Result<String, std::io::Error> {
    // The kernel searches its whole table for each read, so that small ones would cost the most of a request.
    let mut bytes = Vec::with_capacity(ROOM);
    File::open(path)?.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a line: number, local end, remote end, state and more.
fn row(line: &str) -> Option<Row> {
    let mut words = line.split_whitespace().skip(1);
    let ((local, local_port), (remote, remote_port)) = (end(words.next()?)?, end(words.next()?)?);
    let status = match words.next()? {
        "01" => "ESTABLISHED",
        "0A" => "LISTEN",
        _ => return None,
    };
    let mut row = Row::new(format!("{local}:{local_port} {remote}:{remote_port}"));
    row.set("local", local.to_string());
    row.set("local_port", local_port.to_string());
    // TR-181 has no remote end for a socket that listens.
    if status == "ESTABLISHED" {
        row.set("remote", remote.to_string());
        row.set("remote_port", remote_port.to_string());
    }
    row.set("status", status);
    Some(row)
}

/// Reads one end of a connection: the address as words of 32 bits in the byte order of the machine, a colon and the port.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        // A socket for both families shows an address of IPv4 in the form of IPv6.
        _ => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the address as the kernel of this machine writes it.
    fn words(bytes: &[u8]) -> String {
        let word = |word: &[u8]| format!("{:08X}", u32::from_ne_bytes(word.try_into().expect("four bytes")));
        bytes.chunks(4).map(word).collect()
    }

    #[test]
    fn both_families_are_read() {
        let line = format!("  0: {}:1D7B {}:0000 0A 00000000:00000000 00:00", words(&[0; 16]), words(&[0; 16]));
        let listening = row(&line).expect("a row");
        let fields =
            |row: &Row| ["local", "local_port", "remote", "status"].map(|f| row.get(f).unwrap_or("").to_owned());
        assert_eq!(fields(&listening), ["::", "7547", "", "LISTEN"]);
        let mut mapped = [0; 16];
        mapped[10..].copy_from_slice(&[255, 255, 192, 0, 2, 9]);
        let line = format!("  1: {}:1D7B {}:0050 01 x", words(&[192, 0, 2, 1]), words(&mapped));
        let connected = row(&line).expect("a row");
        assert_eq!(fields(&connected), ["192.0.2.1", "7547", "192.0.2.9", "ESTABLISHED"]);
        assert_eq!(connected.get("remote_port"), Some("80"));
        // A socket that waits for its end, the heading, and every beginning of a line.
        assert!(row(&line.replace(" 01 ", " 06 ")).is_none());
        assert!(row("  sl  local_address rem_address   st tx_queue").is_none());
        assert!(row("  0: 0100007F0:1 00000000:0000 0A").is_none());
        for end in 0..line.len() {
            let _ = row(&line[..end]);
        }
    }

    #[test]
    fn an_own_socket_is_listed() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("an address").port().to_string();
        assert!(rows().expect("rows").iter().any(|row| row.get("local_port") == Some(&port)));
    }
}
