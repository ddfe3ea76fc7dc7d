//! The settings that all access points of a radio share, in the package `wireless`.

use super::set_option;
use crate::model::source::Row;
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::Change;

/// The option of each access point with the period of its DTIM.
const DTIM: &str = "dtim_period";

/// Returns the radios; the key is the section. The value is that of the first access point.
pub(super) fn rows(wireless: &Sections) -> Vec<Row> {
    let row = |radio: &Row| {
        let mut row = Row::new(&radio.key);
        let first = wireless.of_type("wifi-iface").find(|interface| is_access_point(interface, &radio.key));
        first.and_then(|first| first.get(DTIM)).into_iter().for_each(|text| row.set(DTIM, text));
        row
    };
    wireless.of_type("wifi-device").map(row).collect()
}

/// Returns the changes by which all access points of a radio have a period.
pub(super) fn set(radio: &str, text: Option<&str>, wireless: &[Row]) -> Result<Vec<Change>, String> {
    let is_its =
        |row: &&Row| row.get(".type") == Some("wifi-iface") && is_access_point(row, radio) && row.get(DTIM) != text;
    let is_any = wireless.iter().any(|row| row.get(".type") == Some("wifi-iface") && is_access_point(row, radio));
    if !is_any {
        return Err(format!("`{radio}` has no access point"));
    }
    Ok(wireless.iter().filter(is_its).map(|interface| set_option(interface, DTIM, text)).collect())
}

fn is_access_point(interface: &Row, radio: &str) -> bool {
    interface.get("device") == Some(radio) && interface.get("mode") == Some("ap")
}

#[cfg(test)]
mod tests {
    use super::super::{fields, package};
    use super::*;
    use crate::model::source::uci::edit::Action;

    const WIRELESS: &str = "c wifi-device radio0\nc wifi-device radio1\nc wifi-iface sta\no device radio0\no mode sta\n\
        o dtim_period 9\nc wifi-iface one\no device radio0\no mode ap\no dtim_period 3\n\
        c wifi-iface two\no device radio0\no mode ap\n";

    #[test]
    fn all_access_points_of_a_radio_have_one_period() {
        let wireless = package(WIRELESS);
        assert_eq!(fields(&rows(&wireless), [".", DTIM]), [["radio0", "3"], ["radio1", "-"]]);
        let change = |section: &str| Change { section: section.into(), action: Action::Set(DTIM.into(), "5".into()) };
        let wireless = wireless.rows(None);
        assert_eq!(set("radio0", Some("5"), &wireless), Ok(vec![change("one"), change("two")]));
        assert_eq!(set("radio0", Some("3"), &wireless).map(|changes| changes.len()), Ok(1));
        assert!(set("radio1", Some("5"), &wireless).is_err());
    }
}
