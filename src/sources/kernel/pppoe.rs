//! The provider `pppoe`: the sessions of PPPoE.

use crate::model::source::Row;
use crate::sources::read_text;

/// The list of the kernel: number, address of the peer, and the link below. A kernel without PPPoE has none.
const FILE: &str = "/proc/net/pppoe";

/// Returns the sessions; the key is the link below. A link with several sessions has no row, since nothing tells them apart.
pub(super) fn rows() -> Vec<Row> {
    read_text(FILE).map(|text| parse(&text)).unwrap_or_default()
}

fn parse(text: &str) -> Vec<Row> {
    let session = |line: &str| {
        let mut words = line.split_whitespace();
        let (number, _, link) = (words.next()?, words.next()?, words.next()?);
        // The kernel prints the number, which has network byte order, as one of the machine.
        Some((link.to_owned(), u16::from_be(u32::from_str_radix(number, 16).ok()?.try_into().ok()?)))
    };
    let sessions: Vec<(String, u16)> = text.lines().filter_map(session).collect();
    let is_alone = |link: &str| sessions.iter().filter(|(other, _)| other == link).count() == 1;
    let row = |(link, number): &(String, u16)| {
        let mut row = Row::new(link);
        row.set("session", number.to_string());
        row
    };
    sessions.iter().filter(|(link, _)| is_alone(link)).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_the_number_of_its_session() {
        let printed = |number: u16| format!("{:08X}", number.to_be());
        let text = format!(
            "Id       Address              Device\n{} 02:00:00:00:00:01      wan\n{} 02:00:00:00:00:02     eth1\n\
             {} 02:00:00:00:00:03     eth1\nFFFFFFFFFF 02:00:00:00:00:01 lan1\n000A0000 02:00:00:00:00:01 lan2\nbroken\n",
            printed(0x1234),
            printed(7),
            printed(8),
        );
        let found: Vec<_> =
            parse(&text).into_iter().map(|row| (row.key.clone(), row.get("session").map(str::to_owned))).collect();
        assert_eq!(found, [("wan".to_owned(), Some("4660".to_owned()))]);
    }
}
