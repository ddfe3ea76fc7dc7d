//! The switch of DHCP for IPv4, which OpenWrt has in each pool of the package `dhcp`.

use super::{OFF, ON, set_option};
use crate::model::source::Row;
use crate::model::source::uci::Sections;
use crate::model::source::uci::edit::Change;

/// The option of a pool that tells whether it serves DHCP; `ignore` is the one by which the pool alone is off.
const SWITCH: &str = "dhcpv4";
const DISABLED: &str = "disabled";
const SERVER: &str = "server";

/// The option with the earlier text of a pool that the agent has switched off. dnsmasq does not know it.
const EARLIER: &str = "cpe_dhcpv4";

/// Returns the row with the switch: on, if one of the pools serves DHCP unless it is off itself.
pub(super) fn row(dhcp: &Sections) -> Row {
    let mut row = Row::new("");
    let is_on = dhcp.of_type("dhcp").any(serves);
    row.set("enabled", if is_on { ON } else { OFF });
    row
}

fn serves(pool: &Row) -> bool {
    pool.get(SWITCH) != Some(DISABLED)
}

/// Returns the changes by which no pool serves DHCP, or those do again that did before.
pub(super) fn set(text: Option<&str>, dhcp: &[Row]) -> Result<Vec<Change>, String> {
    let pools: Vec<&Row> = dhcp.iter().filter(|row| row.get(".type") == Some("dhcp")).collect();
    if pools.is_empty() {
        return Err("there is no pool".to_owned());
    }
    if text == Some(OFF) {
        let off = |pool: &&Row| {
            [(SWITCH, DISABLED), (EARLIER, pool.get(SWITCH).unwrap_or(SERVER))]
                .map(|(option, text)| set_option(pool, option, Some(text)))
        };
        return Ok(pools.iter().filter(|pool| serves(pool)).flat_map(off).collect());
    }
    // Another program may have switched all pools off, which have no earlier text then.
    let is_any = pools.iter().any(|pool| pool.get(EARLIER).is_some());
    let on = |pool: &&&Row| !is_any || pool.get(EARLIER).is_some();
    let change = |pool: &&Row| {
        let earlier = pool.get(EARLIER).filter(|text| *text != DISABLED).unwrap_or(SERVER);
        [set_option(pool, SWITCH, Some(earlier)), set_option(pool, EARLIER, None)]
    };
    Ok(pools.iter().filter(on).flat_map(change).collect())
}

/// Returns the changes by which new pools serve no DHCP while it is off.
pub(super) fn keep_off(old: &[Row], new: &[Row]) -> Vec<Change> {
    let is_pool = |row: &&Row| row.get(".type") == Some("dhcp");
    let is_off = |rows: &[Row]| {
        let mut pools = rows.iter().filter(is_pool).peekable();
        pools.peek().is_some() && pools.all(|pool| !serves(pool))
    };
    let is_new = |pool: &&Row| !old.iter().any(|known| known.key == pool.key);
    if !is_off(old) {
        return Vec::new();
    }
    let added: Vec<&Row> = new.iter().filter(is_pool).filter(is_new).filter(|pool| serves(pool)).collect();
    added
        .into_iter()
        .flat_map(|pool| {
            [(SWITCH, DISABLED), (EARLIER, SERVER)].map(|(option, text)| set_option(pool, option, Some(text)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::package;
    use super::*;
    use crate::model::source::uci::edit::edit;

    const DHCP: &str = "config dhcp 'lan'\n\toption dhcpv4 'server'\n\nconfig dhcp 'wan'\n\toption ignore '1'\n\n\
        config dhcp 'six'\n\toption dhcpv4 'disabled'\n";

    fn switched(text: &str, to: &str) -> String {
        let changes = set(Some(to), &package(text).rows(None)).expect("changes");
        String::from_utf8(edit(text.as_bytes(), &changes).expect("edited")).expect("a text")
    }

    #[test]
    fn all_pools_are_switched_and_come_back() {
        let is_on = |text: &str| row(&package(text)).get("enabled") == Some(ON);
        assert!(is_on(DHCP));
        let off = switched(DHCP, OFF);
        assert!(!is_on(&off));
        assert_eq!(
            off,
            "config dhcp 'lan'\n\toption dhcpv4 'disabled'\n\toption cpe_dhcpv4 'server'\n\nconfig dhcp 'wan'\n\
             \toption ignore '1'\n\toption dhcpv4 'disabled'\n\toption cpe_dhcpv4 'server'\n\nconfig dhcp 'six'\n\
             \toption dhcpv4 'disabled'\n"
        );
        let on = switched(&off, ON);
        // The one that was off before stays off.
        assert_eq!(on, DHCP.replace("ignore '1'\n", "ignore '1'\n\toption dhcpv4 'server'\n"));
        let foreign = switched("config dhcp 'lan'\n\toption dhcpv4 'disabled'\n", ON);
        assert_eq!(foreign, "config dhcp 'lan'\n\toption dhcpv4 'server'\n");
        assert!(set(Some(ON), &package("c dnsmasq\n").rows(None)).is_err());
        assert!(!is_on("c dnsmasq\n"));
    }

    #[test]
    fn a_new_pool_is_off_with_the_others() {
        let (off, new) = (switched(DHCP, OFF), "\nconfig dhcp 'new'\n\toption ignore '1'\n");
        let rows = |text: &str| package(text).rows(None);
        assert_eq!(keep_off(&rows(&off), &rows(&(off.clone() + new))).len(), 2);
        assert_eq!(keep_off(&rows(DHCP), &rows(&(DHCP.to_owned() + new))), []);
        assert_eq!(keep_off(&rows(&off), &rows(DHCP)), [], "those that are switched on stay on");
    }
}
