//! The numbers of file types, which differ between Download, Upload and the list of all transfers.

/// Returns the name of a file type in GetAllQueuedTransfers and AutonomousTransferComplete. Both use one list for the
/// two directions, in which uploads of an instance have the numbers 6 and 7, and a stored image has 8 (C13 of
/// docs/requirements.md).
pub fn reported_file_type(file_type: &str, is_download: bool) -> String {
    let renumbered = |number: &str, rest: &str| format!("{number} {rest}");
    let Some((number, rest)) = file_type.split_once(' ') else { return file_type.to_owned() };
    match (is_download, number, rest) {
        (true, "6", "Stored Firmware Image") => renumbered("8", rest),
        (false, "1", "Vendor Configuration File") => renumbered("3", rest),
        (false, "2", "Vendor Log File") => renumbered("4", rest),
        (false, "3", _) if rest.starts_with("Vendor Configuration File ") => renumbered("6", rest),
        (false, "4", _) if rest.starts_with("Vendor Log File ") => renumbered("7", rest),
        _ => file_type.to_owned(),
    }
}

/// Returns true if a FileTypeFilter, a comma-separated list, includes the file type (R247). The data model has `3
/// Vendor Configuration File` and `4 Vendor Log File` for uploads of every instance. An empty list includes no type.
pub fn filter_includes(file_type: &str, is_download: bool, list: &str) -> bool {
    let reported = reported_file_type(file_type, is_download);
    // A filter names a type without the number of an instance.
    let family = match (is_download, file_type.split_once(' ')) {
        (false, Some(("3", rest))) if rest.starts_with("Vendor Configuration File ") => "3 Vendor Configuration File",
        (false, Some(("4", rest))) if rest.starts_with("Vendor Log File ") => "4 Vendor Log File",
        _ => &reported,
    };
    list.split(',').map(str::trim).any(|entry| entry == reported || entry == family)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R243, R247: the reported name of each type.
    #[test]
    fn one_list_for_both_directions() {
        for (file_type, is_download, expected) in [
            ("1 Firmware Upgrade Image", true, "1 Firmware Upgrade Image"),
            ("3 Vendor Configuration File", true, "3 Vendor Configuration File"),
            ("6 Stored Firmware Image", true, "8 Stored Firmware Image"),
            ("1 Vendor Configuration File", false, "3 Vendor Configuration File"),
            ("2 Vendor Log File", false, "4 Vendor Log File"),
            ("3 Vendor Configuration File 2", false, "6 Vendor Configuration File 2"),
            ("4 Vendor Log File 1", false, "7 Vendor Log File 1"),
            ("X 00D09E 6 thing", false, "X 00D09E 6 thing"),
        ] {
            assert_eq!(reported_file_type(file_type, is_download), expected);
        }
    }

    /// R247: the filter contains reported names.
    #[test]
    fn the_filter_names_what_is_told() {
        let list = "1 Firmware Upgrade Image, 4 Vendor Log File";
        assert!(filter_includes("1 Firmware Upgrade Image", true, list));
        assert!(
            filter_includes("4 Vendor Log File 3", false, list) && filter_includes("2 Vendor Log File", false, list)
        );
        assert!(!filter_includes("1 Vendor Configuration File", false, list));
        assert!(!filter_includes("1 Firmware Upgrade Image", true, ""));
    }
}
