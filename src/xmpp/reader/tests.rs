use super::*;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='s' a=\"<>/\">";
const WHOLE: &str = "<?xml version='1.0'?>\n<stream:stream xmlns='jabber:client' xmlns:stream='s' a=\"<>/\"> \
                     <a b='/>'/>\n <b><c>&lt;ü</c><d/></b> </stream:stream>";

/// Returns all that the reader finds in the pieces.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Found>, ReadError> {
    let (mut reader, mut found) = (StanzaReader::new(), Vec::new());
    for piece in pieces {
        reader.push(piece);
        while let Some(part) = reader.next()? {
            found.push(part);
        }
    }
    Ok(found)
}

fn read_text(text: &str) -> Result<Vec<Found>, ReadError> {
    read([text.as_bytes()])
}

#[test]
fn a_stream_is_cut_at_every_byte() {
    let within = |stanza: &str| format!("{HEADER}{stanza}</stream:stream>");
    let expected = vec![
        Found::Header(within("")),
        Found::Stanza(within("<a b='/>'/>")),
        Found::Stanza(within("<b><c>&lt;ü</c><d/></b>")),
        Found::End,
    ];
    assert_eq!(read_text(WHOLE).as_ref(), Ok(&expected));
    assert_eq!(read(WHOLE.as_bytes().chunks(1)).as_ref(), Ok(&expected));
    for cut in 0..WHOLE.len() {
        let (head, tail) = WHOLE.as_bytes().split_at(cut);
        assert_eq!(read([head, tail]).as_ref(), Ok(&expected), "cut at {cut}");
        assert!(read([head]).is_ok_and(|found| found.len() < expected.len()), "only {cut} bytes");
    }
    for found in &expected[..3] {
        let (Found::Header(text) | Found::Stanza(text)) = found else { panic!("a document") };
        assert!(roxmltree::Document::parse(&text.replace("a=\"<>/\"", "")).is_ok(), "{text}");
    }
}

#[test]
fn what_rfc_6120_forbids_ends_the_stream() {
    for (text, error) in [
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>", ReadError::Forbidden("a DTD, a comment or CDATA")),
        ("<a><!-- b -->", ReadError::Forbidden("a DTD, a comment or CDATA")),
        ("<a><b><![CDATA[c]]></b>", ReadError::Forbidden("a DTD, a comment or CDATA")),
        ("<?php ?><a>", ReadError::Forbidden("a processing instruction")),
        ("<a><?xml version='1.0'?>", ReadError::Forbidden("a processing instruction")),
        ("<a><b><?c ?></b>", ReadError::Forbidden("a processing instruction")),
        ("<a>text", ReadError::Malformed),
        ("text", ReadError::Malformed),
        ("</a>", ReadError::Malformed),
        ("<a/>", ReadError::Malformed),
        ("<a><b></b/>", ReadError::Malformed),
        ("<a><b <c>", ReadError::Malformed),
        ("<a><>", ReadError::Malformed),
    ] {
        assert_eq!(read_text(text), Err(error), "{text}");
    }
    assert_eq!(read([b"<a><b>\xff</b>".as_slice()]), Err(ReadError::Malformed), "no UTF-8");
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = |depth: usize| format!("<a>{}{}", "<b>".repeat(depth - 1), "</b>".repeat(depth - 1));
    assert_eq!(read_text(&deep(MAX_DEPTH)).map(|found| found.len()), Ok(2));
    assert_eq!(read_text(&deep(MAX_DEPTH + 1)), Err(ReadError::TooDeep));
    let long = |length: usize| format!("<a><b>{}</b>", "c".repeat(length - "<b></b>".len()));
    assert_eq!(read_text(&long(MAX_STANZA)).map(|found| found.len()), Ok(2));
    assert_eq!(read_text(&long(MAX_STANZA + 1)), Err(ReadError::TooLong));
    // A stanza without end fails as soon as it is too long, and so do a header and a declaration.
    for start in ["<a><b>", "<a b='", "<?xml ", "<a"] {
        let endless = std::iter::repeat_n(b"cccccccccc".as_slice(), MAX_STANZA / 10 + 1);
        assert_eq!(read(std::iter::once(start.as_bytes()).chain(endless)), Err(ReadError::TooLong), "{start}");
    }
    // White space between stanzas takes no memory.
    let mut reader = StanzaReader::new();
    reader.push(b"<a>");
    assert!(matches!(reader.next(), Ok(Some(Found::Header(_)))));
    for _ in 0..MAX_STANZA {
        reader.push(b" \n");
        assert_eq!(reader.next(), Ok(None));
        assert!(reader.is_empty());
    }
}
