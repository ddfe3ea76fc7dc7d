//! The server's side of HTTP authentication: challenges, and the answers they get (RFC 2617, RFC 7616).

use base64::Engine as _;
use md5::{Digest as _, Md5};
use sha2::Sha256;

/// The hash of a digest challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5 by RFC 2617, without `algorithm` in the challenge, as GenieACS does it.
    Unnamed,
    Md5,
    Md5Sess,
    Sha256,
    Sha256Sess,
}

impl Algorithm {
    pub fn name(self) -> Option<&'static str> {
        match self {
            Algorithm::Unnamed => None,
            Algorithm::Md5 => Some("MD5"),
            Algorithm::Md5Sess => Some("MD5-sess"),
            Algorithm::Sha256 => Some("SHA-256"),
            Algorithm::Sha256Sess => Some("SHA-256-sess"),
        }
    }

    fn hash(self, text: &[u8]) -> String {
        match self {
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex(&Sha256::digest(text)),
            _ => hex(&Md5::digest(text)),
        }
    }

    fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }
}

/// A challenge of a 401.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub(super) kind: Kind,
    pub(super) realm: String,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Basic,
    Digest {
        algorithm: Algorithm,
        qop: Option<String>,
        opaque: Option<String>,
        /// The number of requests after which the nonce is stale.
        uses: Option<u32>,
        /// True if the nonce is refused on another connection, as by GenieACS.
        bound: bool,
    },
    Other(String),
}

/// A digest challenge: algorithm not named, `qop="auth"`, a nonce for any connection and any number of requests.
pub fn digest() -> Challenge {
    Challenge {
        realm: "reference ACS".into(),
        kind: Kind::Digest {
            algorithm: Algorithm::Unnamed,
            qop: Some("auth".into()),
            opaque: None,
            uses: None,
            bound: false,
        },
    }
}

/// A Basic challenge.
pub fn basic() -> Challenge {
    Challenge { realm: "reference ACS".into(), kind: Kind::Basic }
}

/// A challenge of a scheme that no CPE knows, given literally: `other_scheme("Negotiate")`.
pub fn other_scheme(text: &str) -> Challenge {
    Challenge { realm: String::new(), kind: Kind::Other(text.into()) }
}

impl Challenge {
    pub fn realm(mut self, realm: &str) -> Challenge {
        self.realm = realm.into();
        self
    }

    pub fn algorithm(mut self, chosen: Algorithm) -> Challenge {
        if let Kind::Digest { algorithm, .. } = &mut self.kind {
            *algorithm = chosen;
        }
        self
    }

    /// The list of qop values offered, such as `"auth,auth-int"`; the empty string offers none (RFC 2069).
    pub fn qop(mut self, offered: &str) -> Challenge {
        if let Kind::Digest { qop, .. } = &mut self.kind {
            *qop = (!offered.is_empty()).then(|| offered.into());
        }
        self
    }

    pub fn opaque(mut self, text: &str) -> Challenge {
        if let Kind::Digest { opaque, .. } = &mut self.kind {
            *opaque = Some(text.into());
        }
        self
    }

    /// Refuses the nonce with `stale=true` after this number of requests.
    pub fn nonce_uses(mut self, count: u32) -> Challenge {
        if let Kind::Digest { uses, .. } = &mut self.kind {
            *uses = Some(count);
        }
        self
    }

    /// Accepts the nonce only on the TCP connection on which it was sent.
    pub fn bound_to_connection(mut self) -> Challenge {
        if let Kind::Digest { bound, .. } = &mut self.kind {
            *bound = true;
        }
        self
    }

    /// Returns the value of its WWW-Authenticate header.
    pub(super) fn header(&self, nonce: &str, stale: bool) -> String {
        let Kind::Digest { algorithm, qop, opaque, .. } = &self.kind else {
            return match &self.kind {
                Kind::Other(text) => text.clone(),
                _ => format!("Basic realm=\"{}\"", self.realm),
            };
        };
        let mut header = format!("Digest realm=\"{}\", nonce=\"{nonce}\"", self.realm);
        if let Some(qop) = qop {
            header += &format!(", qop=\"{qop}\"");
        }
        if let Some(name) = algorithm.name() {
            header += &format!(", algorithm={name}");
        }
        if let Some(opaque) = opaque {
            header += &format!(", opaque=\"{opaque}\"");
        }
        if stale {
            header += ", stale=true";
        }
        header
    }
}

/// The Authorization header of a request, parsed.
#[derive(Debug)]
pub enum Authorization {
    Basic { username: String, password: String },
    Digest(DigestAnswer),
}

/// The fields of `Authorization: Digest`.
#[derive(Debug)]
pub struct DigestAnswer {
    fields: Vec<(String, String, bool)>,
}

impl Authorization {
    /// Parses the value of the header; the error describes the problem.
    pub fn parse(header: &str) -> Result<Authorization, String> {
        let (scheme, rest) = header.split_once(' ').unwrap_or((header, ""));
        if scheme.eq_ignore_ascii_case("Basic") {
            let bytes = base64::prelude::BASE64_STANDARD
                .decode(rest.trim())
                .map_err(|error| format!("Basic credentials are no base64: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|_| "Basic credentials are no UTF-8")?;
            let (username, password) = text.split_once(':').ok_or("Basic without a colon")?;
            return Ok(Authorization::Basic { username: username.into(), password: password.into() });
        }
        if scheme.eq_ignore_ascii_case("Digest") {
            let fields = parameters(rest)?;
            return Ok(Authorization::Digest(DigestAnswer { fields }));
        }
        Err(format!("unknown scheme {scheme:?}"))
    }
}

/// The inputs of a digest besides the fields of the answer.
pub struct Secret<'a> {
    pub username: &'a str,
    pub password: &'a str,
    pub realm: &'a str,
    pub algorithm: Algorithm,
}

impl DigestAnswer {
    pub fn get(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _, _)| field == name);
        field.map(|(_, value, _)| value.as_str())
    }

    /// The count of the `nc` field.
    pub fn count(&self) -> Option<u32> {
        let nc = self.get("nc").filter(|nc| nc.len() == 8)?;
        u32::from_str_radix(nc, 16).ok()
    }

    /// Returns true if `response` is right for this request and secret.
    pub fn verifies(&self, secret: &Secret, method: &str, body: &[u8]) -> bool {
        let field = |name| self.get(name).unwrap_or_default();
        let hash = |text: String| secret.algorithm.hash(text.as_bytes());
        if field("username") != secret.username || field("realm") != secret.realm {
            return false;
        }
        let mut a1 = hash(format!("{}:{}:{}", secret.username, secret.realm, secret.password));
        if secret.algorithm.is_session() {
            a1 = hash(format!("{a1}:{}:{}", field("nonce"), field("cnonce")));
        }
        let a2 = match field("qop") {
            "auth-int" => hash(format!("{method}:{}:{}", field("uri"), secret.algorithm.hash(body))),
            _ => hash(format!("{method}:{}", field("uri"))),
        };
        let expected = match self.get("qop") {
            None => hash(format!("{a1}:{}:{a2}", field("nonce"))),
            Some(qop) => hash(format!("{a1}:{}:{}:{}:{qop}:{a2}", field("nonce"), field("nc"), field("cnonce"))),
        };
        field("response") == expected
    }

    /// Returns the problems of the answer's form, given the challenge that it answers.
    pub(super) fn problems(&self, kind: &Kind, target: &str) -> Vec<String> {
        let Kind::Digest { algorithm, qop, opaque, .. } = kind else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        for name in ["username", "realm", "nonce", "uri", "response"] {
            if self.get(name).is_none() {
                problems.push(format!("digest answer without {name}"));
            }
        }
        for (name, _, quoted) in &self.fields {
            let plain = matches!(name.as_str(), "nc" | "qop" | "algorithm" | "stale");
            if plain == *quoted && name != "algorithm" {
                let is = if *quoted { "quoted" } else { "not quoted" };
                problems.push(format!("digest field {name} is {is}"));
            }
        }
        match (qop, self.get("qop")) {
            (None, Some(_)) => problems.push("digest qop sent though none was offered".into()),
            (Some(offered), None) => {
                problems.push(format!("digest qop missing where {offered:?} was offered"));
            }
            (Some(offered), Some("auth")) if offered.contains("auth") => {
                if self.count().is_none() || self.get("cnonce").unwrap_or_default().is_empty() {
                    problems.push("digest qop=auth without a right nc and cnonce".into());
                }
            }
            (Some(_), Some(other)) => problems.push(format!("digest qop {other:?}, not auth")),
            (None, None) => {}
        }
        if self.get("uri") != Some(target) {
            problems.push(format!("digest uri {:?} is not the target {target:?}", self.get("uri")));
        }
        if self.get("opaque") != opaque.as_deref() {
            problems.push("digest opaque is not given back as it came".into());
        }
        if let (Some(sent), named) = (self.get("algorithm"), algorithm.name().unwrap_or("MD5"))
            && sent != named
        {
            problems.push(format!("digest algorithm {sent:?}, challenged {named:?}"));
        }
        if algorithm.name().is_some() && self.get("algorithm").is_none() {
            problems.push("digest algorithm not given back".into());
        }
        problems
    }
}

/// Returns lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Parses `name=value` pairs between commas; true if the value is a quoted string.
fn parameters(text: &str) -> Result<Vec<(String, String, bool)>, String> {
    let mut found: Vec<(String, String, bool)> = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| format!("no value at {rest:?}"))?;
        let name = name.trim().to_owned();
        let (value, quoted, remaining) = value(after.trim_start())?;
        if found.iter().any(|(known, _, _)| *known == name) {
            return Err(format!("{name} twice"));
        }
        found.push((name, value, quoted));
        rest = remaining.trim_start();
        if let Some(next) = rest.strip_prefix(',') {
            rest = next.trim_start();
        } else if !rest.is_empty() {
            return Err(format!("no comma at {rest:?}"));
        }
    }
    Ok(found)
}

fn value(text: &str) -> Result<(String, bool, &str), String> {
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), false, &text[end..]));
    };
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, true, &inside[at + 1..])),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    Err("a quoted string without its end".into())
}
