//! The options that the DHCP client of an interface received, as words: `option=43=0105…`, `option6=17=…`, `requested=125`.
//!
//! The command line gives these words, and the file of the interface holds them, one a line.

use std::fmt::Write as _;

/// The most bytes of an option. Options of DHCPv4 have 255, unless a server splits a longer one (RFC 3396).
const MAX_OPTION: usize = 4096;
/// The most options of an interface.
const MAX_OPTIONS: usize = 16;
/// The longest name of an interface.
const MAX_NAME: usize = 64;

/// A version of DHCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// An option of a DHCP message, without its number and length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DhcpOption {
    pub(crate) family: Family,
    /// 43 or 125 of DHCPv4, 17 of DHCPv6.
    pub(crate) number: u8,
    pub(crate) data: Vec<u8>,
}

/// The options that the DHCP client of one interface received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lease {
    /// The name of the interface, by which the next lease or its end replaces this one.
    pub(crate) interface: String,
    /// The option that the client listed in option 55: 43 or 125 (R12).
    pub(crate) requested: Option<u8>,
    pub(crate) options: Vec<DhcpOption>,
}

impl Lease {
    /// Reads the words after the name of the interface. Returns a message for the user if one of them is wrong.
    pub(crate) fn parse<'w>(interface: &str, words: impl Iterator<Item = &'w str>) -> Result<Lease, String> {
        let mut lease = Lease { interface: check_name(interface)?.to_owned(), ..Lease::default() };
        for word in words {
            match word.split_once('=') {
                Some(("option", rest)) => lease.add(Family::V4, &[43, 125], rest)?,
                Some(("option6", rest)) => lease.add(Family::V6, &[17], rest)?,
                Some(("requested", "43")) => lease.requested = Some(43),
                Some(("requested", "125")) => lease.requested = Some(125),
                Some(("requested", other)) => return Err(format!("requested: `{other}` is not 43 or 125")),
                _ => return Err(format!("`{word}` is not option=N=HEX, option6=N=HEX or requested=N")),
            }
        }
        Ok(lease)
    }

    /// Returns the words that [`parse`](Lease::parse) reads, one a line.
    #[cfg_attr(not(feature = "dhcp"), allow(dead_code, reason = "the command `dhcp` writes it"))]
    pub(crate) fn text(&self) -> String {
        let mut text = self.requested.map(|number| format!("requested={number}\n")).unwrap_or_default();
        for DhcpOption { family, number, data } in &self.options {
            let name = if *family == Family::V6 { "option6" } else { "option" };
            // Writing to a String cannot fail.
            let _ = write!(text, "{name}={number}=");
            for byte in data {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\n');
        }
        text
    }

    /// Adds `N=HEX`, where N is one of `numbers`. An empty option is left out: a script gives it where the server sent none.
    fn add(&mut self, family: Family, numbers: &[u8], text: &str) -> Result<(), String> {
        let (number, hex) = text.split_once('=').ok_or_else(|| format!("`{text}` is not N=HEX"))?;
        let number = number.parse().ok().filter(|number| numbers.contains(number));
        let number = number.ok_or_else(|| {
            let numbers = numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(" or ");
            format!("`{text}`: the option is not {numbers}")
        })?;
        let data = bytes(hex).ok_or_else(|| format!("option {number}: not hexadecimal, or over {MAX_OPTION} bytes"))?;
        if data.is_empty() {
            return Ok(());
        }
        if self.options.len() == MAX_OPTIONS {
            return Err(format!("there are more than {MAX_OPTIONS} options"));
        }
        self.options.push(DhcpOption { family, number, data });
        Ok(())
    }
}

/// Checks the name of an interface, which becomes the name of a file.
fn check_name(name: &str) -> Result<&str, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:@".contains(&byte);
    match name.len() <= MAX_NAME && name.bytes().all(is_plain) && !name.is_empty() && !name.starts_with('.') {
        true => Ok(name),
        false => Err("the name of an interface has letters, digits, `-`, `_`, `.`, `:` and `@`".into()),
    }
}

/// Reads `0a1B`, or `a:1b` as dhclient prints it, where a byte may have one digit.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    // Each byte has a digit at least.
    if hex.len() > MAX_OPTION * 3 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':') {
        return None;
    }
    let byte = |digits: &str| u8::from_str_radix(digits, 16).ok();
    let data: Option<Vec<u8>> = match hex.contains(':') {
        true => hex.split(':').map(byte).collect(),
        false if hex.len() % 2 == 1 => None,
        false => (0..hex.len()).step_by(2).map(|at| byte(hex.get(at..at + 2)?)).collect(),
    };
    data.filter(|data| data.len() <= MAX_OPTION)
}
