use super::*;

/// A message with this fixed part and attributes of four bytes.
fn message(kind: u16, fixed: &[u8], attributes: &[(u16, [u8; 4])]) -> Vec<u8> {
    let length = HEADER + fixed.len() + 8 * attributes.len();
    let mut bytes = u32::try_from(length).expect("a length").to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend([0; 10]);
    bytes.extend(fixed);
    for (kind, value) in attributes {
        bytes.extend(8u16.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
    }
    bytes
}

fn address(kind: u16, flags: u8, scope: u8, lifetime: u8) -> Vec<u8> {
    message(kind, &[2, 24, flags, scope, 7, 0, 0, 0], &[(2, [192, 0, 2, 2]), (6, [lifetime; 4])])
}

fn route(kind: u16, route_type: u8, gateway: u8) -> Vec<u8> {
    message(kind, &[2, 0, 0, 0, 254, 3, 0, route_type, 0, 0, 0, 0], &[(5, [192, 0, 2, gateway])])
}

#[test]
fn an_address_is_news_once_until_it_goes() {
    let mut seen = Vec::new();
    assert!(!note(&address(NEW_ADDRESS, 0x40, 0, 1), &mut seen), "probed still");
    assert!(note(&address(NEW_ADDRESS, 0x80, 0, 1), &mut seen));
    assert!(!note(&address(NEW_ADDRESS, 0, 0, 2), &mut seen), "renewed");
    assert!(!note(&address(DELETED_ADDRESS, 0, 0, 3), &mut seen) && seen.is_empty());
    assert!(note(&address(NEW_ADDRESS, 0, 0, 4), &mut seen));
    assert!(!note(&address(NEW_ADDRESS, 0, 253, 1), &mut seen), "of the link");
    assert!(!note(&message(16, &[0; 16], &[]), &mut seen), "of another kind");
}

#[test]
fn a_route_to_other_networks_is_news() {
    let mut seen = Vec::new();
    let both = [route(NEW_ROUTE, 2, 1), route(NEW_ROUTE, 1, 1)].concat();
    assert!(note(&both, &mut seen) && !note(&both, &mut seen));
    assert!(note(&route(NEW_ROUTE, 1, 2), &mut seen), "another gateway");
    let of_link = message(NEW_ROUTE, &[10, 64, 0, 0, 254, 2, 0, 1, 0, 0, 0, 0], &[(1, [0xfe, 0x80, 0, 0])]);
    assert!(!note(&of_link, &mut seen));
    assert!(!note(&route(DELETED_ROUTE, 1, 1), &mut seen));
    assert!(note(&route(NEW_ROUTE, 1, 1), &mut seen));
}

/// Neither a cut message nor any length in it leads out of the buffer, and the memory is bounded.
#[test]
fn garbage_is_tolerated_and_a_storm_is_bounded() {
    let mut seen = Vec::new();
    let whole = [address(NEW_ADDRESS, 0, 0, 1), route(NEW_ROUTE, 1, 1)].concat();
    for cut in 0..whole.len() {
        note(&whole[..cut], &mut seen);
    }
    for at in 0..whole.len() {
        for value in [0, 1, 3, 15, 17, 0xff] {
            let mut wrong = whole.clone();
            wrong[at] = value;
            note(&wrong, &mut seen);
        }
    }
    for number in 0..1000u32 {
        let fixed = [&[2, 24, 0, 0][..], &number.to_ne_bytes()].concat();
        note(&message(NEW_ADDRESS, &fixed, &[]), &mut seen);
    }
    assert_eq!(seen.len(), MAX_SEEN);
}
