//! The format of the journal file: one line for each record, so that `cat` shows them.
//!
//! ```text
//! 5f0c1a2b cpe-agent journal 1 generation 7 snapshot 1234      header
//! 0a1b2c3d {"…":…}                                             snapshot, 1234 bytes of it
//! 9e8d7c6b {"…":…}                                             appended since
//! ```
//!
//! The checksum before a record covers the record and the checksum before it, back to the header. So a line that is
//! whole but in the wrong place, such as one that a file system brings back from a freed block, is no valid record. The
//! snapshot and the appended records are two chains, so that the latter can be read if the former is damaged.

use std::io::{self, BufRead, Read};

/// The largest record accepted, in bytes: a SetParameterValues of 10,000 parameters with names of 256 bytes and values
/// of 1 kB fits. The limit bounds the memory that a damaged file can cost.
pub(super) const MAX_RECORD: usize = 16 * 1024 * 1024;

/// The hexadecimal digits of a checksum.
const CHECKSUM: usize = 8;
/// The longest header, in bytes.
const MAX_HEADER: usize = 128;
/// The first words of a header; the number is the version of the format.
const FORMAT: &str = "cpe-agent journal 1";

/// Appends `record` as a line to `out`. Returns its checksum, the link of the chain for the next record.
pub(super) fn frame(chain: u32, record: &str, out: &mut Vec<u8>) -> u32 {
    let sum = crc32(chain, record.as_bytes());
    out.reserve(framed_len(record));
    out.extend_from_slice(&hex(sum));
    out.push(b' ');
    out.extend_from_slice(record.as_bytes());
    out.push(b'\n');
    sum
}

/// Returns the length of the line that [`frame`] makes of a record.
pub(super) fn framed_len(record: &str) -> usize {
    CHECKSUM + 1 + record.len() + 1
}

/// Checks that a record can be stored: its size, and that it is one line.
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
    /// The number of rewrites, by which `journal.old` is recognised as the predecessor.
    pub(super) generation: u64,
    /// The bytes of the snapshot, which was written with the header; the records after it were appended.
    pub(super) snapshot: u64,
}

impl JournalHeader {
    /// Appends the line of the header to `out`. Returns the link with which both chains begin.
    pub(super) fn write(self, out: &mut Vec<u8>) -> u32 {
        frame(0, &format!("{FORMAT} generation {} snapshot {}", self.generation, self.snapshot), out)
    }

    fn parse(text: &str) -> Option<JournalHeader> {
        let (generation, snapshot) =
            text.strip_prefix(FORMAT)?.strip_prefix(" generation ")?.split_once(" snapshot ")?;
        Some(JournalHeader { generation: generation.parse().ok()?, snapshot: snapshot.parse().ok()? })
    }
}

/// The reason why reading stopped before the end of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// A power cut has interrupted the last write: the last line has no newline, or zeros in the place of its blocks.
    Torn,
    /// Any other damage: a wrong checksum, a medium that cannot be read, a snapshot that is cut off.
    Corrupt,
}

/// The content of a journal file up to its first damaged record.
#[derive(Debug)]
pub(super) struct JournalContents {
    pub(super) header: JournalHeader,
    pub(super) records: Vec<String>,
    /// The bytes up to the end of the last sound record.
    pub(super) length: u64,
    /// The link of the chain for the next record.
    pub(super) chain: u32,
    /// The position of the first appended record.
    pub(super) appended: u64,
    pub(super) damage: Option<Damage>,
}

impl JournalContents {
    /// Reads a journal; returns `None` if its header is damaged.
    pub(super) fn read(mut input: impl BufRead) -> Option<JournalContents> {
        let mut reader = RecordReader { input: &mut input, position: 0, chain: 0 };
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

    /// Reads the records of both chains, of which each begins with `start`.
    fn fill(&mut self, reader: &mut RecordReader<'_>, start: u32) -> Result<(), Damage> {
        loop {
            if self.length == self.appended {
                reader.chain = start;
                self.chain = start;
            }
            let Some(record) = reader.next(MAX_RECORD)? else {
                break;
            };
            // The header gives the end of the snapshot; a record across it belongs to neither chain.
            if self.length < self.appended && reader.position > self.appended {
                return Err(Damage::Corrupt);
            }
            self.records.push(record);
            self.length = reader.position;
            self.chain = reader.chain;
        }
        // A snapshot is written and synced before its file gets its name, so that a power cut cannot cut it off.
        if self.length < self.appended { Err(Damage::Corrupt) } else { Ok(()) }
    }

    /// Returns true if a record of the snapshot is missing.
    pub(super) fn snapshot_is_damaged(&self) -> bool {
        self.length < self.appended
    }

    /// Returns the sound records after a snapshot that may be damaged. `input` is the same file, read from its start.
    pub(super) fn read_appended(&self, mut input: impl BufRead) -> Vec<String> {
        let mut header = Vec::new();
        let start = self.header.write(&mut header);
        let mut records = Vec::new();
        if io::copy(&mut (&mut input).take(self.appended), &mut io::sink()).ok() != Some(self.appended) {
            return records;
        }
        let mut reader = RecordReader { input: &mut input, position: self.appended, chain: start };
        while let Ok(Some(record)) = reader.next(MAX_RECORD) {
            records.push(record);
        }
        records
    }
}

/// A reader of lines, which checks the chain.
struct RecordReader<'r> {
    input: &'r mut dyn BufRead,
    position: u64,
    chain: u32,
}

impl RecordReader<'_> {
    /// Returns the next record, or `None` at the end of the file. `max` bounds the bytes read for it.
    fn next(&mut self, max: usize) -> Result<Option<String>, Damage> {
        let mut line = Vec::new();
        let limit = (CHECKSUM + 1 + max + 1) as u64;
        // A worn flash fails to read single blocks: the records before them are still of use.
        (&mut self.input).take(limit).read_until(b'\n', &mut line).map_err(|_| Damage::Corrupt)?;
        if line.is_empty() {
            return Ok(None);
        }
        let length = line.len() as u64;
        if line.pop() != Some(b'\n') {
            // A line that reaches the limit was cut by it; the file may go on.
            return Err(if length < limit { Damage::Torn } else { Damage::Corrupt });
        }
        // A record is text without control characters. Zeros are blocks that a power cut has left unwritten.
        let has_holes = line.contains(&0);
        let Some((record, sum)) = unframe(self.chain, line) else {
            return Err(if has_holes && self.rest_is_zero() { Damage::Torn } else { Damage::Corrupt });
        };
        self.chain = sum;
        self.position += length;
        Ok(Some(record))
    }

    /// Returns true if nothing but zeros follows.
    fn rest_is_zero(&mut self) -> bool {
        loop {
            match self.input.fill_buf() {
                Ok([]) => return true,
                Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => {
                    let length = bytes.len();
                    self.input.consume(length);
                }
                _ => return false,
            }
        }
    }
}

/// Returns the record in a line without its newline, and the link for the next; `None` if the checksum is wrong.
fn unframe(chain: u32, mut line: Vec<u8>) -> Option<(String, u32)> {
    let (sum, record) = line.split_at_checked(CHECKSUM)?;
    let record = record.strip_prefix(b" ")?;
    let expected = crc32(chain, record);
    if sum != hex(expected) {
        return None;
    }
    // The buffer of the line becomes the record, without a second allocation.
    line.drain(..=CHECKSUM);
    line.shrink_to_fit();
    Some((String::from_utf8(line).ok()?, expected))
}

/// Returns a checksum in hexadecimal digits.
fn hex(sum: u32) -> [u8; CHECKSUM] {
    let mut digits = [0; CHECKSUM];
    for (at, digit) in digits.iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[(sum >> (28 - 4 * at)) as usize & 0xf];
    }
    digits
}

/// Returns the CRC-32 (IEEE 802.3) of `bytes`, continued from `sum`; 0 begins a new one.
fn crc32(sum: u32, bytes: &[u8]) -> u32 {
    // An implementation of our own with a table of 64 bytes: two steps a byte are fast enough for a megabyte at start, and
    // a crate would add 8 kB of tables to the binary.
    const TABLE: [u32; 16] = table();
    let mut register = !sum;
    for byte in bytes {
        register ^= u32::from(*byte);
        register = register >> 4 ^ TABLE[register as usize & 0xf];
        register = register >> 4 ^ TABLE[register as usize & 0xf];
    }
    !register
}

/// Returns the remainders of all half bytes, for the reflected polynomial 0xedb88320.
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
