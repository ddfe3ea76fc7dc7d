use super::*;

/// Returns the bytes of words in hexadecimal form.
fn bytes(words: &str) -> Vec<u8> {
    let digits: Vec<u8> = words.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Elements as a real bus sends them.
const ANONYMOUS: &str = "87000015 000a2e61 6e6f6e79 6d6f7573 00000000 01000000";
const LIST: &str = "81000018 00046c69 73740000 8300000a 00000000 78000000";
const VALUE: &str = "8300000e 00057661 6c756500 36000000";

#[test]
fn elements_of_a_real_bus_are_read() {
    let blob = Blob::new(&bytes(&[ANONYMOUS, LIST, VALUE].concat())).unwrap();
    assert_eq!(blob.root().member(".anonymous"), Some(Value::Boolean(true)));
    assert_eq!(blob.root().member("list").unwrap().text().as_deref(), Some("x"));
    assert_eq!(blob.root().member("value"), Some(Value::Text(b"6")));
    assert_eq!(blob.root().member("valu"), None);
    assert_eq!(blob.root().text(), None, "a table is no text");
    assert_eq!(blob.root().elements().unwrap().count(), 3);
    assert_eq!(Blob::new(&[]).unwrap().root().elements().unwrap().count(), 0);
}

#[test]
fn elements_are_written_as_a_real_bus_does() {
    let mut written = Vec::new();
    put_element(&mut written, BOOLEAN, ".anonymous", &[1]);
    let mut list = Vec::new();
    put_element(&mut list, TEXT, "", b"x\0");
    put_element(&mut written, ARRAY, "list", &list);
    put_element(&mut written, TEXT, "value", b"6\0");
    assert_eq!(written, bytes(&[ANONYMOUS, LIST, VALUE].concat()));
}

#[test]
fn values_become_texts() {
    let text = |kind, value: &[u8]| Value::read(kind, value).unwrap().text().map(Cow::into_owned);
    assert_eq!(text(WHOLE_64, &u64::MAX.to_be_bytes()).as_deref(), Some("-1"));
    assert_eq!(text(WHOLE_64, &5_000_000_000_u64.to_be_bytes()).as_deref(), Some("5000000000"));
    assert_eq!(text(WHOLE_32, &(-60_i32).to_be_bytes()).as_deref(), Some("-60"));
    assert_eq!(text(WHOLE_16, &(-2_i16).to_be_bytes()).as_deref(), Some("-2"));
    assert_eq!(text(BOOLEAN, &[0]).as_deref(), Some("false"));
    assert_eq!(text(DOUBLE, &0.25_f64.to_be_bytes()).as_deref(), Some("0.25"));
    assert_eq!(text(DOUBLE, &1e21_f64.to_be_bytes()).as_deref(), Some("1e+21"));
    assert_eq!(text(DOUBLE, &f64::NAN.to_be_bytes()), None);
    assert_eq!(text(TEXT, b"\xFF\0").as_deref(), Some("\u{FFFD}"));
    assert_eq!(text(0, b""), None);
    assert_eq!(text(ARRAY, b"").as_deref(), Some(""));
    let (mut numbers, mut mixed) = (Vec::new(), Vec::new());
    put_element(&mut numbers, WHOLE_32, "", &1_u32.to_be_bytes());
    put_element(&mut numbers, TEXT, "", b"b\0");
    assert_eq!(text(ARRAY, &numbers).as_deref(), Some("1 b"));
    put_element(&mut mixed, ARRAY, "", &numbers);
    assert_eq!(text(ARRAY, &mixed), None, "an array in an array");
    for (kind, value) in [(WHOLE_64, &[0; 4][..]), (WHOLE_32, &[0; 2]), (BOOLEAN, &[]), (DOUBLE, &[0; 4]), (TEXT, b"x")]
    {
        assert_eq!(Value::read(kind, value), None, "{kind}");
    }
}

#[test]
fn no_part_of_a_blob_is_a_blob() {
    let whole = bytes(&[ANONYMOUS, VALUE, LIST].concat());
    let ends = [24, 24 + 16, whole.len(), 0];
    for length in 0..whole.len() {
        assert_eq!(Blob::new(&whole[..length]).is_ok(), ends.contains(&length), "{length}");
    }
    // No flipped bit panics, and what is accepted can be read to its end.
    for place in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[place / 8] ^= 1 << (place % 8);
        if let Ok(blob) = Blob::new(&flipped) {
            blob.root().elements().unwrap().for_each(|(_, value)| drop(value.text()));
        }
    }
}

#[test]
fn the_depth_is_bounded() {
    let nested = |depth: usize| {
        (0..depth).fold(Vec::new(), |inner, _| {
            let mut outer = Vec::new();
            put_element(&mut outer, TABLE, "t", &inner);
            outer
        })
    };
    assert!(Blob::new(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(Blob::new(&nested(MAX_DEPTH)), Err(MALFORMED.to_owned()));
    // 1 MiB of nothing but nesting.
    let mut worst = Vec::new();
    (0..(1 << 20) / 8).rev().for_each(|level| {
        worst.extend((0x8200_0000 | (8 * (level + 1)) as u32).to_be_bytes());
        worst.extend([0; 4]);
    });
    assert!(Blob::new(&worst).is_err());
}
