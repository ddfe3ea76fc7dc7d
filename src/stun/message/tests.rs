use super::*;

/// The transaction id of these tests, with which Python's `hmac` computed the vectors.
const ID: TransactionId = TransactionId([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);

const HEADER_OF_ID: &str = "000102030405060708090a0b0c0d0e0f";

/// Messages of a server, for the simulated servers in the tests of the binding.
impl Encoder {
    pub(in crate::stun) fn response(transaction: TransactionId, mapped: SocketAddr) -> Encoder {
        let mut encoder = Encoder::new(MessageKind::Response, transaction);
        encoder.address(attribute::MAPPED_ADDRESS, mapped);
        encoder
    }

    pub(in crate::stun) fn error(transaction: TransactionId, code: u16) -> Encoder {
        let mut encoder = Encoder::new(MessageKind::Error, transaction);
        let [hundreds, rest] = [code / 100, code % 100].map(|part| u8::try_from(part).expect("three digits"));
        encoder.attribute(attribute::ERROR_CODE, &[0, 0, hundreds, rest, b'N', b'o', b'.', b' ']);
        encoder
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn request<'a>(username: &'a str, password: Option<&'a Secret>) -> BindingRequest<'a> {
    BindingRequest {
        transaction: ID,
        connection_request_binding: true,
        binding_change: false,
        response_address: None,
        username,
        password,
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn a_plain_request_is_these_bytes() {
    let bytes = request("", None).encode();
    // R270, R274: no magic cookie, and the trailing space of the value.
    let expected = format!("00010018{HEADER_OF_ID}c001001464736c666f72756d2e6f72672f54522d31313120");
    assert_eq!(hex(&bytes), expected);
}

#[test]
fn a_signed_announcement_is_these_bytes() {
    let secret = Secret::from("secret");
    let bytes = BindingRequest { binding_change: true, ..request("CPE01", Some(&secret)) }.encode();
    let expected = [
        "00010040",
        HEADER_OF_ID,
        "c001001464736c666f72756d2e6f72672f54522d31313120", // R274
        "c0020000",                                         // R275
        "000600084350453031202020",                         // R276: three spaces
        "00080014a90d24f3713425201b982ef4271776d4cc8419c5", // R279: last, 20 bytes
    ];
    assert_eq!(hex(&bytes), expected.concat());
}

#[test]
fn a_signed_probe_is_these_bytes() {
    let secret = Secret::from("secret");
    let probe = BindingRequest {
        connection_request_binding: false,
        response_address: Some(address("203.0.113.9:40000")),
        ..request("CPE01", Some(&secret))
    };
    let expected = [
        "00010030",
        HEADER_OF_ID,
        "0002000800019c40cb007109", // R283
        "000600084350453031202020",
        "00080014340e175efdec0035cf031fd57f7f48421479484e",
    ];
    assert_eq!(hex(&probe.encode()), expected.concat());
}

/// R279: a text whose length is a multiple of 64 already gets no further zeros.
#[test]
fn a_text_of_64_bytes_is_signed_as_it_is() {
    let secret = Secret::from("k");
    let bytes = request("0123456789abcdef", Some(&secret)).encode();
    assert_eq!(hex(&bytes[64..]), "00080014bcdc830085d6a093819b2cb0ad10b51264191eab");
}

/// R276: USERNAME is padded with spaces.
#[test]
fn user_names_are_padded_with_spaces_to_a_multiple_of_four() {
    for (name, padded) in [("a", "a   "), ("abc", "abc "), ("abcd", "abcd"), ("abcde", "abcde   "), ("é", "é  ")] {
        let bytes = request(name, None).encode();
        let message = Message::parse(&bytes).expect("our own message");
        assert_eq!(message.username, Some(padded.as_bytes()), "{name}");
        assert_eq!(bytes.len() % 4, 0);
    }
}

/// R296: FreeACS receives at most 200 bytes.
#[test]
fn requests_stay_within_200_bytes() {
    let secret = Secret::from("secret");
    let name = "n".repeat(124);
    let bytes = BindingRequest { binding_change: true, ..request(&name, Some(&secret)) }.encode();
    assert_eq!(bytes.len(), 200);
    let absurd = "é".repeat(100_000);
    assert!(request(&absurd, None).encode().len() < 1100);
}

#[test]
fn requests_read_back_as_they_were_written() {
    let secret = Secret::from("secret");
    for mapped in ["203.0.113.9:40000", "[2001:db8::7]:1", "0.0.0.0:0"] {
        let bytes = BindingRequest {
            binding_change: true,
            response_address: Some(address(mapped)),
            ..request("abcd", Some(&secret))
        }
        .encode();
        let message = Message::parse(&bytes).expect("our own message");
        assert_eq!(message.kind, MessageKind::Request);
        assert_eq!(message.transaction, ID);
        assert_eq!(message.response_address, Some(address(mapped)));
        assert_eq!(message.username, Some("abcd".as_bytes()));
        assert!(message.connection_request_binding && message.binding_change);
        assert!(message.is_signed_with(&secret));
        assert!(!message.is_signed_with(&Secret::from("Secret"))); // R278
    }
    let bytes = request("", None).encode();
    let message = Message::parse(&bytes).expect("our own message");
    assert_eq!((message.response_address, message.username), (None, None));
    assert!(!message.binding_change);
    assert!(!message.is_signed_with(&Secret::default()), "no signature is no signature"); // R278
}

#[test]
fn answers_read_back_as_they_were_written() {
    for mapped in ["203.0.113.9:40000", "[2001:db8::7]:65535"] {
        let bytes = Encoder::response(ID, address(mapped)).finish();
        let message = Message::parse(&bytes).expect("a response");
        assert_eq!((message.kind, message.mapped_address), (MessageKind::Response, Some(address(mapped))));
    }
    for code in [100, 401, 431, 600, 799] {
        let bytes = Encoder::error(ID, code).finish();
        let message = Message::parse(&bytes).expect("an error");
        assert_eq!((message.kind, message.error_code), (MessageKind::Error, Some(code)));
    }
}

/// A response as another implementation would write it, signed over zero-padded text (R279).
#[test]
fn a_signed_response_of_another_making_is_verified() {
    let tag = "c5dcf5fbd982335b5abe1094c59fa5e50b457d71";
    let text = format!(
        "0101002c{HEADER_OF_ID}0001000800019c40cb007109{}00080014{tag}",
        "8022000474657374" // SERVER: optional, ignored
    );
    let mut bytes = unhex(&text);
    let secret = Secret::from("secret");
    let message = Message::parse(&bytes).expect("a response");
    assert_eq!(message.mapped_address, Some(address("203.0.113.9:40000")));
    assert_eq!(message.unknown_mandatory, None);
    assert!(message.is_signed_with(&secret));

    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        let forged = Message::parse(&bytes).is_ok_and(|message| message.is_signed_with(&secret));
        assert!(!forged, "byte {at} is not covered"); // R278
        bytes[at] ^= 1;
    }
}

/// R279: attributes after MESSAGE-INTEGRITY are not signed, and are not read.
#[test]
fn attributes_behind_the_signature_are_not_read() {
    let secret = Secret::from("secret");
    let mut bytes = Encoder::response(ID, address("203.0.113.9:1")).finish_signed(&secret);
    bytes.extend_from_slice(&unhex("00090004000004010001000800010001c0000201"));
    let length = u16::try_from(bytes.len() - HEADER).expect("short");
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&bytes).expect("a response");
    assert_eq!(message.error_code, None);
    assert_eq!(message.mapped_address, Some(address("203.0.113.9:1")));
}

#[test]
fn what_must_be_understood_and_is_not_makes_a_message_unusable() {
    let with = |kind: u16| {
        let mut encoder = Encoder::response(ID, address("203.0.113.9:1"));
        encoder.attribute(kind, &[0; 4]);
        let bytes = encoder.finish();
        Message::parse(&bytes).expect("a response").unknown_mandatory
    };
    assert_eq!(with(0x7FFF), Some(0x7FFF));
    assert_eq!(with(0x000C), Some(0x000C));
    assert_eq!(with(0x8000), None);
    assert_eq!(with(0xFFFF), None);
    assert_eq!(with(0x0005), None); // CHANGED-ADDRESS
    assert_eq!(with(0x0020), None); // XOR-MAPPED-ADDRESS beside MAPPED-ADDRESS does no harm
}

/// RFC 3489 does not define XOR-MAPPED-ADDRESS, and stund sends a wrong one.
#[test]
fn an_xor_mapped_address_is_not_taken() {
    for kind in [0x0020, 0x8020] {
        let mut encoder = Encoder::new(MessageKind::Response, ID);
        encoder.address(kind, address("198.51.100.1:9"));
        let bytes = encoder.finish();
        assert_eq!(Message::parse(&bytes).expect("a response").mapped_address, None);
    }
}

#[test]
fn the_first_of_two_equal_attributes_holds() {
    let mut encoder = Encoder::response(ID, address("203.0.113.9:1"));
    encoder.address(attribute::MAPPED_ADDRESS, address("198.51.100.1:9"));
    let bytes = encoder.finish();
    assert_eq!(Message::parse(&bytes).expect("a response").mapped_address, Some(address("203.0.113.9:1")));
}

#[test]
fn optional_text_of_any_length_is_stepped_over_with_its_padding() {
    // SOFTWARE of three bytes, padded as coturn does, before MAPPED-ADDRESS; and the same at the end.
    for text in ["80220003616263000001000800010001c0000201", "0001000800010001c0000201802200036162630a"] {
        let text = format!("01010014{HEADER_OF_ID}{text}");
        let bytes = unhex(&text);
        assert_eq!(Message::parse(&bytes).expect("a response").mapped_address, Some(address("192.0.2.1:1")));
    }
}

#[test]
fn attributes_of_the_wrong_shape_are_malformed() {
    let with = |kind: u16, value: &[u8]| {
        let mut encoder = Encoder::new(MessageKind::Response, ID);
        encoder.attribute(kind, value);
        let bytes = encoder.finish();
        Message::parse(&bytes).err()
    };
    assert_eq!(with(attribute::MAPPED_ADDRESS, &[0, 3, 0, 1, 1, 2, 3, 4]), Some(Malformed)); // family
    assert_eq!(with(attribute::MAPPED_ADDRESS, &[0, 2, 0, 1, 1, 2, 3, 4]), Some(Malformed)); // IPv6 of 4 bytes
    assert_eq!(with(attribute::MAPPED_ADDRESS, &[0, 1, 0, 1]), Some(Malformed));
    assert_eq!(with(attribute::MAPPED_ADDRESS, &[]), Some(Malformed));
    assert_eq!(with(attribute::ERROR_CODE, &[0, 0, 0, 1]), Some(Malformed));
    assert_eq!(with(attribute::ERROR_CODE, &[0, 0, 4, 100]), Some(Malformed));
    assert_eq!(with(attribute::MESSAGE_INTEGRITY, &[0; 16]), Some(Malformed));
    assert_eq!(with(attribute::MESSAGE_INTEGRITY, &[0; 24]), Some(Malformed));
}

/// Cut and damaged messages cause no panic, and a cut message is never accepted.
#[test]
fn no_truncation_and_no_flipped_byte_panics() {
    let secret = Secret::from("secret");
    let mut response = Encoder::response(ID, address("[2001:db8::7]:65535"));
    response.username("somebody");
    let whole = [
        response.finish_signed(&secret),
        Encoder::error(ID, 401).finish_signed(&secret),
        BindingRequest { response_address: Some(address("1.2.3.4:5")), ..request("abc", Some(&secret)) }.encode(),
    ];
    for mut bytes in whole {
        for end in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..end]).err(), Some(Malformed), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                bytes[at] ^= 1 << bit;
                if let Ok(message) = Message::parse(&bytes) {
                    assert!(!message.is_signed_with(&secret), "byte {at}, bit {bit}");
                }
                bytes[at] ^= 1 << bit;
            }
            for length in [0, 1, 0x7f, 0xff] {
                let before = std::mem::replace(&mut bytes[at], length);
                let _ = Message::parse(&bytes);
                bytes[at] = before;
            }
        }
    }
    let _ = Message::parse(&[0; 65_507]);
    let _ = Message::parse(&[0xff; 65_507]);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).expect("hex"), 16).expect("hex")).collect()
}
