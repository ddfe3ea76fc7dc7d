//! Questions and answers on bytes as a server sends them, and as none should.

use super::*;

const ID: u16 = 0xBEEF;

fn question() -> Question {
    Question::new("WWW.example.com.", A, ID).expect("a name")
}

/// The name of the question begins at this place of each message.
const NAME: [u8; 2] = [0xC0, 12];

/// A message with the question and these records.
fn answer(flags: u16, records: &[&[u8]]) -> Vec<u8> {
    let mut message = question().encode();
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    message[7] = records.len() as u8;
    records.iter().for_each(|record| message.extend(*record));
    message
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let fixed = [kind.to_be_bytes(), [0, 1], [0, 0], [0, 60], (data.len() as u16).to_be_bytes()].concat();
    [owner, &fixed, data].concat()
}

#[test]
fn a_question_is_a_message_of_rfc_1035() {
    let expected = b"\xBE\xEF\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
    assert_eq!(question().encode(), expected);
    for bad in ["", ".", "a..b", ".a", &"a".repeat(64), &["a"; 128].join(".")] {
        assert!(Question::new(bad, A, 0).is_none(), "{bad}");
    }
    assert!(Question::new(&["a"; 127].join("."), A, 0).is_some());
}

#[test]
fn addresses_are_those_of_the_name_and_of_its_aliases() {
    let edge = b"\x04edge\xC0\x10"; // edge.example.com, by a pointer into the question
    let message = answer(
        0x8580,
        &[
            &record(b"\x05other\xC0\x10", A, &[192, 0, 2, 9]),
            &record(&edge[..], A, &[192, 0, 2, 1]),
            &record(&edge[..], A, &[192, 0, 2, 2]),
            &record(&NAME, CNAME, edge),
        ],
    );
    let read = question().read(&message).expect("an answer");
    let addresses = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from).to_vec();
    assert_eq!(read, Answer { code: 0, authoritative: true, addresses, ..Answer::default() });
    let many: Vec<Vec<u8>> = (0..40).map(|last| record(&NAME, A, &[192, 0, 2, last])).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    assert_eq!(question().read(&answer(0x8180, &many)).expect("an answer").addresses.len(), MAX_ADDRESSES);
    // An alias of itself ends.
    let circle = answer(0x8180, &[&record(&NAME, CNAME, &NAME)]);
    assert!(question().read(&circle).expect("an answer").addresses.is_empty());
}

#[test]
fn codes_and_truncation_are_read_without_records() {
    let read = |flags| question().read(&answer(flags, &[])).expect("an answer");
    assert_eq!((read(0x8183).code, read(0x8182).code), (NO_SUCH_NAME, SERVER_FAILURE));
    let cut = &answer(0x8380, &[&record(&NAME, A, &[192, 0, 2, 1])])[..40];
    assert!(question().read(cut).expect("an answer").truncated);
    // A server that could not read the question has none to repeat.
    let bare = [&ID.to_be_bytes()[..], &[0x81, 0x81], &[0; 8]].concat();
    assert_eq!(question().read(&bare).expect("an answer").code, 1);
}

#[test]
fn answers_to_other_questions_are_refused() {
    let right = answer(0x8180, &[&record(&NAME, A, &[192, 0, 2, 1])]);
    assert!(question().read(&right).is_ok());
    let other = Question::new("www.example.net", A, ID).expect("a name");
    assert_eq!(other.read(&right), Err(Unusable::Foreign));
    assert_eq!(Question { kind: AAAA, ..question() }.read(&right), Err(Unusable::Foreign));
    assert_eq!(Question { id: ID + 1, ..question() }.read(&right), Err(Unusable::Foreign));
    // The question itself, another opcode, no question, two questions.
    for (at, byte) in [(2, 0x01), (2, 0x91), (5, 0), (5, 2)] {
        let mut wrong = right.clone();
        wrong[at] = byte;
        assert_eq!(question().read(&wrong), Err(Unusable::Foreign), "{at}");
    }
}

#[test]
fn pointers_that_never_end_are_refused() {
    let mut itself = answer(0x8180, &[]);
    itself[7] = 1;
    let at = itself.len() as u8;
    for pointers in [vec![0xC0, at], vec![0xC0, at + 2, 0xC0, at], vec![1, b'a', 0xC0, at]] {
        let message = [&itself[..], &pointers, &[0; 10]].concat();
        assert_eq!(question().read(&message), Err(Unusable::Malformed));
    }
    // A chain that ends, but after more hops than a name has labels.
    let mut chain = answer(0x8180, &[]);
    chain[7] = 2;
    let start = chain.len() + 11;
    let hops: Vec<u8> =
        (0..400_u16).flat_map(|hop| (0xC000 | (start as u16 + 2 * hop.max(1) - 2)).to_be_bytes()).collect();
    chain.extend(record(b"\x00", 16, &[&[0, 0][..], &hops].concat()));
    let last = (0xC000 | (chain.len() as u16 - 2)).to_be_bytes();
    chain.extend(record(&last, A, &[192, 0, 2, 1]));
    assert_eq!(question().read(&chain), Err(Unusable::Malformed));
}

#[test]
fn no_truncation_and_no_changed_byte_is_a_panic() {
    let message =
        answer(0x8180, &[&record(&NAME, CNAME, b"\x01e\xC0\x10"), &record(b"\x01e\xC0\x10", A, &[1, 2, 3, 4])]);
    let mut random = 1_u32;
    for at in 0..message.len() {
        let _ = question().read(&message[..at]);
        for _ in 0..20 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut damaged = message.clone();
            damaged[at] = (random >> 24) as u8;
            damaged[(random >> 8) as usize % message.len()] ^= random as u8;
            let _ = question().read(&damaged);
        }
    }
}

#[test]
fn the_name_of_an_address_is_that_of_a_host() {
    let question = Question::new("1.2.0.192.in-addr.arpa", PTR, ID).expect("a name");
    let named = |records: &[&[u8]]| {
        let mut message = question.encode();
        message[2] = 0x81;
        message[7] = records.len() as u8;
        records.iter().for_each(|record| message.extend(*record));
        question.read(&message).expect("an answer").host
    };
    let router = b"\x06Router\x07example\x00";
    assert_eq!(named(&[&record(&NAME, PTR, router)]).as_deref(), Some("router.example"));
    // RFC 2317: the name is an alias in the zone of the owner of the addresses.
    let alias = b"\x011\x040-25\xC0\x0E";
    assert_eq!(named(&[&record(&NAME, CNAME, alias), &record(alias, PTR, router)]).as_deref(), Some("router.example"));
    for odd in [&b"\x00"[..], b"\x03a\x1bb\x00", b"\x03<b>\x00", b"\x02\xC3\xBC\x00"] {
        assert_eq!(named(&[&record(&NAME, PTR, odd)]), None, "no text for a terminal or an ACS: {odd:?}");
    }
    assert_eq!(named(&[&record(&NAME, A, &[192, 0, 2, 1])]), None);
}

#[test]
fn servers_are_those_of_the_service() {
    let question = Question::new("www.example.com", SRV, ID).expect("a name");
    let records = [record(&NAME, SRV, b"\0\x01\0\x02\x14\x66\x01a\xC0\x10"), record(&NAME, SRV, b"\0\0\0")];
    let mut message = answer(0x8180, &[&records[0], &records[1]]);
    // The helper repeats the question for an address.
    let kind_at = HEADER + question.name.len();
    message[kind_at..kind_at + 2].copy_from_slice(&SRV.to_be_bytes());
    let read = question.read(&message).expect("an answer");
    let expected = Service { priority: 1, weight: 2, port: 5222, host: "a.example.com".into() };
    assert_eq!((read.services, read.addresses), (vec![expected], vec![]));
}
