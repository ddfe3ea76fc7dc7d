use super::*;

/// Returns the bytes of words in hexadecimal form.
fn bytes(words: &str) -> Vec<u8> {
    let digits: Vec<u8> = words.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Messages as a real bus sends them.
const HELLO: &str = "00000000 cec9608a 00000004";
const LOOKUP_UCI: &str = "00040001 00000000 0000000c 02000008 75636900";
const END_OF_LOOKUP: &str = "00010001 00000000 0000000c 01000008 00000000";
const GET: &str = "00050005 3f12f7d1 00000030 03000008 3f12f7d1 04000008 67657400 0700001c 83000017 0006636f 6e666967 \
                   00000000 6e6f7375 63680000";
const NOT_FOUND: &str = "00010005 3f12f7d1 00000014 01000008 00000004 03000008 3f12f7d1";
const VALUE: &str = "00020003 3f12f7d1 00000020 03000008 3f12f7d1 07000014 8300000e 00057661 6c756500 36000000";

fn read(bytes: &[u8]) -> Message<'_> {
    let (message, length) = Message::read(bytes).unwrap().expect("a whole message");
    assert_eq!(length, bytes.len());
    message
}

#[test]
fn messages_of_a_real_bus_are_read() {
    assert_eq!(read(&bytes(HELLO)).kind, 0);
    let (end, status) = (bytes(END_OF_LOOKUP), bytes(NOT_FOUND));
    let (end, status) = (read(&end), read(&status));
    assert_eq!((end.kind, end.sequence, end.status()), (STATUS, 1, Some(0)));
    assert_eq!((status.kind, status.sequence, status.status()), (STATUS, 5, Some(4)));
    let value = bytes(VALUE);
    let value = read(&value);
    assert_eq!((value.kind, value.sequence, value.status()), (DATA, 3, None));
    assert_eq!(value.data().unwrap().root().member("value").unwrap().text().as_deref(), Some("6"));
    assert!(end.data().is_err(), "no values");
}

const EVENT: &str = "00050001 00000000 00000054 03000008 4399b8f6 04000016 6e657477 6f726b2e 696e7465 72666163 65000000 \
                     07000030 83000015 00066163 74696f6e 00000000 69667570 00000000 83000014 0009696e 74657266 61636500 \
                     77616e00";

#[test]
fn an_event_of_a_real_bus_is_read() {
    let event = bytes(EVENT);
    let event = read(&event);
    assert_eq!((event.kind, event.sequence, event.peer, event.wants_no_reply()), (INVOKE, 1, 0, false));
    assert_eq!((event.method(), event.object_id()), (Some("network.interface"), Some(0x4399_b8f6)));
    let data = event.data().unwrap();
    let texts = ["action", "interface"].map(|name| data.root().member(name).unwrap().text().unwrap().into_owned());
    assert_eq!(texts, ["ifup", "wan"]);
    let mut answer = Vec::new();
    put_status(&mut answer, 5, 0x3f12_f7d1, 4, 0x3f12_f7d1);
    assert_eq!(answer, bytes(NOT_FOUND));
}

#[test]
fn requests_are_written_as_a_real_client_does() {
    let (mut lookup, mut get) = (Vec::new(), Vec::new());
    put_lookup(&mut lookup, 1, "uci");
    assert_eq!(lookup, bytes(LOOKUP_UCI));
    let object = Object { id: 0x3f12_f7d1, signature: Blob::new(&[]).unwrap() };
    let args = [("config".to_owned(), Argument::Text("nosuch".to_owned()))];
    put_invoke(&mut get, 5, object.id, "get", &object.arguments("get", &args).unwrap());
    assert_eq!(get, bytes(GET));
}

#[test]
fn a_part_of_a_message_is_none_and_a_wrong_one_is_an_error() {
    for words in [HELLO, LOOKUP_UCI, END_OF_LOOKUP, GET, NOT_FOUND, VALUE] {
        let whole = bytes(words);
        for length in 0..whole.len() {
            assert_eq!(Message::read(&whole[..length]), Ok(None), "{length} of {words}");
        }
        // No flipped bit panics, and what is accepted can be read.
        for place in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            if let Ok(Some((message, length))) = Message::read(&flipped) {
                assert!(length <= flipped.len());
                let _ = (message.status(), message.object(), message.data());
            }
        }
    }
    let with = |place: usize, byte: u8| {
        let mut message = bytes(VALUE);
        message[place] = byte;
        message
    };
    assert_eq!(Message::read(&with(0, 1)), Err(MALFORMED), "another version");
    assert_eq!(Message::read(&with(11, 3)), Err(MALFORMED), "shorter than its own head");
    assert_eq!(Message::read(&with(9, 0x10)), Err("a message of more than 1 MiB"));
    assert!(read(&with(15, 9)).data().is_err(), "an attribute whose end lies behind the message");
    assert!(read(&with(23, 99)).data().is_err(), "values whose end lies behind the attribute");
}

/// The signature decides on the integer type: an object drops an argument of another type without a word.
#[test]
fn numbers_get_the_type_of_the_signature() {
    let types =
        [("s", TEXT), ("q", WHOLE_64), ("w", WHOLE_32), ("h", WHOLE_16), ("b", BOOLEAN), ("d", DOUBLE), ("any", 0)];
    let (mut policy, mut methods) = (Vec::new(), Vec::new());
    for (name, kind) in types {
        put_element(&mut policy, WHOLE_32, name, &u32::from(kind).to_be_bytes());
    }
    put_element(&mut methods, crate::model::source::blob::TABLE, "get", &policy);
    let object = Object { id: 1, signature: Blob::new(&methods).unwrap() };
    let written = |name: &str, argument: Argument<String>| {
        let bytes = object.arguments("get", &[(name.to_owned(), argument)]).ok()?;
        let attribute = take_attribute(&mut &bytes[..]).unwrap();
        Some((attribute.id, attribute.content[4..].to_vec()))
    };
    let whole = |name: &str, number: i64| written(name, Argument::Whole(number));
    assert_eq!(whole("q", 7), Some((WHOLE_64, 7_u64.to_be_bytes().to_vec())));
    assert_eq!(whole("w", 7), Some((WHOLE_32, 7_u32.to_be_bytes().to_vec())));
    assert_eq!(whole("w", u32::MAX.into()), Some((WHOLE_32, vec![0xFF; 4])));
    assert_eq!(whole("w", 1 << 32), None);
    assert_eq!(whole("h", -2), Some((WHOLE_16, vec![0xFF, 0xFE])));
    assert_eq!(whole("h", 1 << 15), None);
    assert_eq!(whole("b", 1), Some((BOOLEAN, vec![1])));
    assert_eq!(whole("d", 2), Some((DOUBLE, 2_f64.to_be_bytes().to_vec())));
    assert_eq!(whole("s", 7), None);
    assert_eq!(whole("x", 7).map(|(kind, _)| kind), Some(WHOLE_32), "no type is known");
    assert_eq!(whole("x", i64::MAX).unwrap().0, WHOLE_64);
    assert_eq!(written("s", Argument::Text("a".into())), Some((TEXT, b"a\0".to_vec())));
    assert_eq!(written("any", Argument::Boolean(true)).unwrap().0, BOOLEAN);
    // A text of the device that sets a field has the type of the signature too.
    let text = |name: &str, text: &str| written(name, Argument::Text(text.into()));
    assert_eq!(text("w", "7"), Some((WHOLE_32, 7_u32.to_be_bytes().to_vec())));
    assert_eq!(text("h", "-2"), Some((WHOLE_16, vec![0xFF, 0xFE])));
    assert_eq!((text("b", "true"), text("b", "0")), (Some((BOOLEAN, vec![1])), Some((BOOLEAN, vec![0]))));
    assert_eq!((text("w", "seven"), text("b", "2"), text("h", "70000")), (None, None, None));
    assert_eq!(written("s", Argument::Text("a\0b".into())), None);
}
