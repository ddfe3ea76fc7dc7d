//! The extent of an HTTP header, and its folded fields; for responses and for requests.

/// Returns the length of the header with its line ends, without the blank line that ends it; `None` if that line is not
/// there. The first `searched` bytes are known to hold none.
pub(crate) fn header_length(input: &[u8], searched: usize) -> Option<usize> {
    // Blank lines before the status line are none that end the header.
    let begin = input.iter().position(|b| !b"\r\n".contains(b))?;
    let ends = |at: &usize| input[at + 1..].starts_with(b"\n") || input[at + 1..].starts_with(b"\r\n");
    (begin.max(searched.saturating_sub(3))..input.len()).find(|at| input[*at] == b'\n' && ends(at)).map(|at| at + 1)
}

/// Replaces the line ends of folded fields by spaces (RFC 7230 §3.2.4), since httparse rejects a line that begins with
/// white space. The length stays the same, so that the limit of the header holds for folded fields too.
pub(crate) fn unfold(header: &mut [u8]) {
    for at in 1..header.len() {
        if header[at - 1] == b'\n' && b" \t".contains(&header[at]) {
            header[at - 1] = b' ';
            if at > 1 && header[at - 2] == b'\r' {
                header[at - 2] = b' ';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_lines_become_one() {
        let cases: [(&str, &str); 4] = [
            ("HTTP/1.1 200 OK\r\nA: b,\r\n\tc\r\nD: e\r\n", "HTTP/1.1 200 OK\r\nA: b,  \tc\r\nD: e\r\n"),
            ("H\r\nA: b\r\n \r\n  c\r\n", "H\r\nA: b       c\r\n"),
            ("H\nA: b\n c\n", "H\nA: b  c\n"),
            ("\n x", "  x"),
        ];
        for (folded, whole) in cases {
            let mut header = folded.as_bytes().to_vec();
            unfold(&mut header);
            assert_eq!(String::from_utf8(header).unwrap(), whole);
        }
    }

    #[test]
    fn the_header_ends_at_its_first_blank_line() {
        assert_eq!(header_length(b"H\r\nA: b\r\n\r\nbody\n\n", 0), Some(9));
        assert_eq!(header_length(b"\r\n\r\nH\nA: b\n\n", 0), Some(11));
        assert_eq!(header_length(b"H\r\nA: b\r\n\r", 0), None);
        assert_eq!(header_length(b"\r\n\r\n", 0), None);
    }
}
