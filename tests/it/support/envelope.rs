//! SOAP envelopes as the servers of the field write them, each in its own dialect.

pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const ENCODING: &str = "http://schemas.xmlsoap.org/soap/encoding/";
pub const XSD: &str = "http://www.w3.org/2001/XMLSchema";
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
pub const CWMP: &str = "urn:dslforum-org:cwmp-";

/// The spellings in which ACSs write the same envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `soap-env`, `soap-enc`, `xsd`, `xsi`, `cwmp`, all declared on the Envelope.
    #[default]
    Usual,
    /// Unusual prefixes, some of them misleading (`xsd` is CWMP here).
    OddPrefixes,
    /// SOAP as the default namespace, undone on the arguments.
    DefaultNamespace,
    /// CWMP and the schema namespaces declared on the elements that need them.
    LateDeclarations,
    /// Comments, processing instructions, white space and a byte-order mark in between.
    Chatty,
    /// The prefixes of the schemas and of the SOAP encoding are used without a declaration.
    UndeclaredPrefixes,
}

/// The prefixes of a dialect.
#[derive(Clone, Copy, Debug)]
pub struct Prefixes {
    pub soap: &'static str,
    pub enc: &'static str,
    pub xsd: &'static str,
    pub xsi: &'static str,
    pub cwmp: &'static str,
    /// True if arguments need `xmlns=""`.
    pub undo_default: bool,
}

impl Dialect {
    pub fn prefixes(self) -> Prefixes {
        match self {
            Dialect::OddPrefixes => {
                Prefixes { soap: "SOAP-ENV", enc: "a.b-c_1", xsd: "s", xsi: "cwmp", cwmp: "xsd", undo_default: false }
            }
            _ => Prefixes {
                soap: if self == Dialect::DefaultNamespace { "" } else { "soap-env" },
                enc: "soap-enc",
                xsd: "xsd",
                xsi: "xsi",
                cwmp: "cwmp",
                undo_default: self == Dialect::DefaultNamespace,
            },
        }
    }

    /// Writes an envelope; `version` is the end of the CWMP namespace, such as `1-0`.
    pub fn envelope(self, version: &str, headers: &[(String, String)], body: &Body) -> String {
        let prefixes = self.prefixes();
        let late = self == Dialect::LateDeclarations;
        let cwmp = format!(" xmlns:{}=\"{CWMP}{}\"", prefixes.cwmp, version.replace('.', "-"));
        let mut schema = format!(
            " xmlns:{}=\"{ENCODING}\" xmlns:{}=\"{XSD}\" xmlns:{}=\"{XSI}\"",
            prefixes.enc, prefixes.xsd, prefixes.xsi
        );
        if self == Dialect::UndeclaredPrefixes {
            schema.clear();
        }
        let soap = |name: &str| match prefixes.soap {
            "" => name.to_owned(),
            prefix => format!("{prefix}:{name}"),
        };
        let own = match prefixes.soap {
            "" => format!(" xmlns=\"{SOAP}\""),
            prefix => format!(" xmlns:{prefix}=\"{SOAP}\""),
        };
        let (outer, inner) =
            if late { (own, format!("{cwmp}{schema}")) } else { (format!("{own}{schema}{cwmp}"), String::new()) };
        let pause = match self {
            Dialect::Chatty => "\n  <!-- a comment, <&> and all -->\n  <?server be='chatty'?>\n\t",
            _ => "",
        };
        let header = self.header(&soap, if late { &cwmp } else { "" }, headers);
        let body = body.write(&prefixes, &soap, &inner);
        let start = match self {
            Dialect::Chatty => "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            Dialect::OddPrefixes => "",
            _ => "<?xml version=\"1.0\"?>",
        };
        format!(
            "{start}{pause}<{env}{outer}>{pause}{header}{pause}<{b}>{pause}{body}{pause}</{b}>{pause}</{env}>",
            env = soap("Envelope"),
            b = soap("Body"),
        )
    }

    fn header(self, soap: &dyn Fn(&str) -> String, declaration: &str, headers: &[(String, String)]) -> String {
        if headers.is_empty() {
            return String::new();
        }
        let prefixes = self.prefixes();
        let mut xml = String::new();
        for (name, value) in headers {
            // A default namespace does not reach attributes, so they need a prefix of their own there.
            let must = match prefixes.soap {
                "" if name == "ID" || name == "HoldRequests" => {
                    format!(" xmlns:e=\"{SOAP}\" e:mustUnderstand=\"1\"")
                }
                "" => String::new(),
                prefix if name == "ID" || name == "HoldRequests" => {
                    format!(" {prefix}:mustUnderstand=\"1\"")
                }
                _ => String::new(),
            };
            let cwmp = prefixes.cwmp;
            xml += &format!("<{cwmp}:{name}{declaration}{must}>{}</{cwmp}:{name}>", escape(value));
        }
        format!("<{h}>{xml}</{h}>", h = soap("Header"))
    }
}

/// The content of an envelope of the ACS.
pub enum Body {
    /// An RPC or a response: its name and its arguments as XML.
    Method(String, String),
    /// A fault with one of the ACS's codes.
    Fault(u16, String),
}

impl Body {
    fn write(&self, prefixes: &Prefixes, soap: &dyn Fn(&str) -> String, declarations: &str) -> String {
        let cwmp = prefixes.cwmp;
        match self {
            Body::Method(name, arguments) => {
                format!("<{cwmp}:{name}{declarations}>{arguments}</{cwmp}:{name}>")
            }
            Body::Fault(code, text) => {
                let undo = if prefixes.undo_default { " xmlns=\"\"" } else { "" };
                let side = if *code == 8003 { "Client" } else { "Server" };
                format!(
                    "<{fault}><faultcode{undo}>{side}</faultcode>\
                     <faultstring{undo}>CWMP fault</faultstring>\
                     <detail{undo}><{cwmp}:Fault{declarations}><FaultCode>{code}</FaultCode>\
                     <FaultString>{text}</FaultString></{cwmp}:Fault></detail></{fault}>",
                    fault = soap("Fault"),
                    text = escape(text),
                )
            }
        }
    }
}

/// Escapes text for element content and attribute values.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\r' => escaped.push_str("&#13;"),
            other => escaped.push(other),
        }
    }
    escaped
}
