//! DER (X.690): the values of a certificate one after the other. No byte of a certificate can make the reader panic.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The part of a DER text that is not read yet.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// Returns the next tag without reading it.
    pub(super) fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// Reads the next value and returns its tag and content.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], mut rest) = self.0.split_first_chunk()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            // Zero digits mean an indefinite length, which DER forbids. Three digits suffice, since no certificate has
            // 16 MiB; more would overflow the length.
            let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
            if !matches!(digits.len(), 1..=3) {
                return None;
            }
            length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            rest = behind;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// Reads the next value, which must have this tag, and returns its content.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// Reads the next value, which must have this tag, as a sequence of values.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Der<'a>> {
        self.take(tag).map(Der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_by_hand() {
        let mut long = Der(&[0x04, 0x81, 0x01, 0xaa, 0x05, 0x00]);
        assert_eq!(long.next(), Some((0x04, &[0xaa][..])));
        assert_eq!(long.next(), Some((0x05, &[][..])));
        assert_eq!(long.next(), None);
        assert_eq!(Der(&[0x04, 0x84, 0, 0, 0, 1, 0xaa]).next(), None);
        assert_eq!(Der(&[0x30, 0x80, 0, 0]).next(), None); // indefinite: not DER
    }
}
