//! How records lie in a file: one line each, so that `cat` shows them.
//!
//! ```text
//! 5f0c1a2b cpe-agent journal 1 generation 7 snapshot 1234      header
//! 0a1b2c3d {"…":…}                                             snapshot, 1234 bytes of it
//! 9e8d7c6b {"…":…}                                             appended since
//! ```
//!
//! The checksum before a record covers it and, chained, every record before it back to the header
//! (once from the first of the snapshot, once from the first appended). So a line that is whole
//! but in the wrong place, such as one that a file system brings back from a freed block, does
//! not pass for a record.

use std::io::{self, BufRead, Read};

/// The largest record accepted: a SetParameterValues of 10,000 parameters with names of 256 bytes
/// and values of 1 kB fits. It bounds the memory that a damaged file can cost.
pub(super) const MAX_RECORD: usize = 16 * 1024 * 1024;

const CHECKSUM: usize = 8;
const MAX_HEADER: usize = 128;
const FORMAT: &str = "cpe-agent journal 1";

/// Appends `record` as a line to `out` and returns the chain's next link.
pub(super) fn frame(chain: u32, record: &str, out: &mut Vec<u8>) -> u32 {
    let sum = crc32(chain, record.as_bytes());
    out.reserve(framed_len(record));
    out.extend_from_slice(&hex(sum));
    out.push(b' ');
    out.extend_from_slice(record.as_bytes());
    out.push(b'\n');
    sum
}

/// The bytes that [`frame`] makes of a record.
pub(super) fn framed_len(record: &str) -> usize {
    CHECKSUM + 1 + record.len() + 1
}

/// Whether a record can be stored at all.
pub(super) fn check(record: &str) -> io::Result<()> {
    if record.len() > MAX_RECORD {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the record is larger than 16 MiB"));
    }
    if record.contains('\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the record is more than one line"));
    }
    Ok(())
}

/// The first line of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JournalHeader {
    /// Counts the rewrites.
    pub(super) generation: u64,
    /// Bytes of the records that were there from the start; what follows was appended.
    pub(super) snapshot: u64,
}

impl JournalHeader {
    /// Appends the header's line to `out` and returns the link from which both chains start.
    pub(super) fn write(self, out: &mut Vec<u8>) -> u32 {
        frame(0, &format!("{FORMAT} generation {} snapshot {}", self.generation, self.snapshot), out)
    }

    fn parse(text: &str) -> Option<JournalHeader> {
        let (generation, snapshot) =
            text.strip_prefix(FORMAT)?.strip_prefix(" generation ")?.split_once(" snapshot ")?;
        Some(JournalHeader { generation: generation.parse().ok()?, snapshot: snapshot.parse().ok()? })
    }
}

/// Why reading stopped before the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// The last line has no end: what a power cut leaves of a write.
    Torn,
    /// Anything else.
    Corrupt,
}

/// What a journal file holds, up to its first bad record.
#[derive(Debug)]
pub(super) struct JournalContents {
    pub(super) header: JournalHeader,
    pub(super) records: Vec<String>,
    /// Bytes up to the end of the last good record.
    pub(super) length: u64,
    /// The link for the next record.
    pub(super) chain: u32,
    /// Where the appended records begin.
    pub(super) appended: u64,
    pub(super) damage: Option<Damage>,
}

impl JournalContents {
    /// Reads a journal; `None` where its header is not whole.
    pub(super) fn read(input: impl BufRead) -> Option<JournalContents> {
        let mut reader = RecordReader { input, position: 0, chain: 0 };
        let Ok(Some(first)) = reader.next(MAX_HEADER) else {
            return None;
        };
        let header = JournalHeader::parse(&first)?;
        let (start, appended) = (reader.chain, reader.position.checked_add(header.snapshot)?);
        let mut contents = JournalContents {
            header,
            records: Vec::new(),
            length: reader.position,
            chain: start,
            appended,
            damage: None,
        };
        contents.damage = contents.fill(&mut reader, start).err();
        Some(contents)
    }

    fn fill(&mut self, reader: &mut RecordReader<impl BufRead>, start: u32) -> Result<(), Damage> {
        loop {
            if self.length == self.appended {
                reader.chain = start;
                self.chain = start;
            }
            let Some(record) = reader.next(MAX_RECORD)? else {
                break;
            };
            if self.length < self.appended && reader.position > self.appended {
                return Err(Damage::Corrupt);
            }
            self.records.push(record);
            self.length = reader.position;
            self.chain = reader.chain;
        }
        // A snapshot was written as a whole before its file got its name.
        if self.length < self.appended { Err(Damage::Corrupt) } else { Ok(()) }
    }

    /// Whether the records of the snapshot are not all there.
    pub(super) fn snapshot_is_damaged(&self) -> bool {
        self.length < self.appended
    }

    /// The good records behind the snapshot, whatever the snapshot looks like. `input` is the
    /// same file, read from its start.
    pub(super) fn read_appended(&self, mut input: impl BufRead) -> Vec<String> {
        let mut header = Vec::new();
        let start = self.header.write(&mut header);
        let mut records = Vec::new();
        if io::copy(&mut (&mut input).take(self.appended), &mut io::sink()).ok() != Some(self.appended) {
            return records;
        }
        let mut reader = RecordReader { input, position: self.appended, chain: start };
        while let Ok(Some(record)) = reader.next(MAX_RECORD) {
            records.push(record);
        }
        records
    }
}

struct RecordReader<R> {
    input: R,
    position: u64,
    chain: u32,
}

impl<R: BufRead> RecordReader<R> {
    /// The next record, or `None` at the end of the file.
    fn next(&mut self, max: usize) -> Result<Option<String>, Damage> {
        let mut line = Vec::new();
        let limit = (CHECKSUM + 1 + max + 1) as u64;
        // A medium that cannot be read is damaged at that place.
        (&mut self.input).take(limit).read_until(b'\n', &mut line).map_err(|_| Damage::Corrupt)?;
        if line.is_empty() {
            return Ok(None);
        }
        let length = line.len() as u64;
        if line.pop() != Some(b'\n') {
            return Err(if length < limit { Damage::Torn } else { Damage::Corrupt });
        }
        let (record, sum) = unframe(self.chain, line).ok_or(Damage::Corrupt)?;
        self.chain = sum;
        self.position += length;
        Ok(Some(record))
    }
}

/// The record in a line without its newline, and the chain's next link.
fn unframe(chain: u32, mut line: Vec<u8>) -> Option<(String, u32)> {
    let (sum, record) = line.split_at_checked(CHECKSUM)?;
    let record = record.strip_prefix(b" ")?;
    let expected = crc32(chain, record);
    if sum != hex(expected) {
        return None;
    }
    line.drain(..=CHECKSUM);
    line.shrink_to_fit();
    Some((String::from_utf8(line).ok()?, expected))
}

fn hex(sum: u32) -> [u8; CHECKSUM] {
    let mut digits = [0; CHECKSUM];
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(sum >> (28 - 4 * at)) as usize & 0xf];
    }
    digits
}

/// CRC-32 (IEEE 802.3), continued from `sum`; 0 starts one. Our own, with a table of 64 bytes: two
/// steps a byte are fast enough for a megabyte at start, and a crate would bring 8 kB of tables.
fn crc32(sum: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = table();
    let mut register = !sum;
    for byte in bytes {
        register ^= u32::from(*byte);
        register = register >> 4 ^ TABLE[register as usize & 0xf];
        register = register >> 4 ^ TABLE[register as usize & 0xf];
    }
    !register
}

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut entry = index as u32;
        let mut bit = 0;
        while bit < 4 {
            entry = if entry & 1 == 1 { entry >> 1 ^ 0xedb8_8320 } else { entry >> 1 };
            bit += 1;
        }
        table[index] = entry;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests;
