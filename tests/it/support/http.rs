//! Just enough HTTP/1.1 for a server that wants to see every byte the client sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ServerConnection, StreamOwned};

const HEADER_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 256 * 1024 * 1024;

/// A request as it was received.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of reads that delivered it: 1 if the client wrote header and body at once.
    pub reads: usize,
    /// The bytes that followed the request at once: pipelining.
    pub bytes_after: usize,
}

impl Request {
    /// Returns the first header with this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Returns every header with this name.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Returns its cookies, in order.
    pub fn cookies(&self) -> Vec<(String, String)> {
        self.headers_named("Cookie")
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Returns start line and headers as text for messages.
    pub fn head(&self) -> String {
        let mut head = format!("{} {} {}\n", self.method, self.target, self.version);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\n"));
        }
        head
    }
}

/// The reason for which no further request came.
#[derive(Debug)]
pub enum Gone {
    /// The client closed between two requests.
    Closed,
    /// No request came within the time of [`Wire::patience`]; the connection is still usable.
    TimedOut,
    /// The client closed the connection inside a request, or the socket failed.
    Broken(String),
    /// The bytes are no HTTP request.
    Malformed(String),
}

/// A TCP connection, with or without TLS.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.read(into),
            Stream::Tls(tls) => tls.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => tcp.write(bytes),
            Stream::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// The server's end of a connection: reads requests, writes bytes.
pub struct Wire {
    stream: Stream,
    buffer: Vec<u8>,
    reads: usize,
    ticks: u32,
}

impl Wire {
    pub fn new(stream: Stream) -> Wire {
        Wire { stream, buffer: Vec::new(), reads: 0, ticks: 0 }
    }

    /// Limits the wait of a read; `None` waits for ever.
    pub fn patience(&self, limit: Option<Duration>) {
        let _ = self.stream.tcp().set_read_timeout(limit);
    }

    /// Reads the next request.
    pub fn request(&mut self) -> Result<Request, Gone> {
        let mut request = self.head()?;
        if request.header("Expect").is_some() {
            // Recorded as a violation later; answered so that the client gets on.
            let _ = self.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.body_of(&mut request)?;
        Ok(request)
    }

    /// Reads the header of the next request; its body is still to come.
    pub fn head(&mut self) -> Result<Request, Gone> {
        (self.reads, self.ticks) = (0, 0);
        let head_end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > HEADER_LIMIT {
                return Err(Gone::Malformed("header above 64 KiB".into()));
            }
            self.fill()?;
        };
        let head: Vec<u8> = self.buffer.drain(..head_end).collect();
        parse_head(&head)
    }

    /// Reads the body of a request whose header was read.
    pub fn body_of(&mut self, request: &mut Request) -> Result<(), Gone> {
        request.body = if request
            .header("Transfer-Encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"))
        {
            self.chunked_body()?
        } else {
            let length = match request.header("Content-Length") {
                None => 0,
                Some(text) => text.parse().map_err(|_| Gone::Malformed(format!("Content-Length: {text}")))?,
            };
            self.take(length)?
        };
        request.reads = self.reads;
        request.bytes_after = self.buffer.len();
        Ok(())
    }

    /// Reads exactly this number of body bytes.
    pub fn part_of_body(&mut self, length: usize) -> Result<Vec<u8>, Gone> {
        self.take(length)
    }

    /// Ends the server's side of the connection, and returns the number of bytes that still come until the client ends
    /// its side, or until a second passes without any.
    pub fn drain(mut self) -> usize {
        let _ = self.stream.tcp().shutdown(Shutdown::Write);
        self.patience(Some(Duration::from_secs(1)));
        let (mut bytes, mut count) = ([0; 16 * 1024], self.buffer.len());
        while let Ok(length @ 1..) = self.stream.read(&mut bytes) {
            count += length;
        }
        count
    }

    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Ends the connection cleanly and waits for a moment until the client has seen it. Returns true if the client sent
    /// further bytes instead.
    pub fn close(mut self) -> bool {
        if let Stream::Tls(tls) = &mut self.stream {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
        let _ = self.stream.tcp().shutdown(Shutdown::Write);
        self.patience(Some(Duration::from_secs(1)));
        let mut byte = [0];
        matches!(self.stream.read(&mut byte), Ok(1))
    }

    /// Closes the connection without the close_notify of TLS.
    pub fn cut(self) {
        let _ = self.stream.tcp().shutdown(Shutdown::Both);
    }

    fn chunked_body(&mut self) -> Result<Vec<u8>, Gone> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| Gone::Malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                while !self.line()?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            if body.len() > BODY_LIMIT || !self.line()?.is_empty() {
                return Err(Gone::Malformed("chunk without its end, or too many".into()));
            }
        }
    }

    fn line(&mut self) -> Result<String, Gone> {
        loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..at]).into_owned());
            }
            if self.buffer.len() > HEADER_LIMIT {
                return Err(Gone::Malformed("line above 64 KiB".into()));
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Gone> {
        if length > BODY_LIMIT {
            return Err(Gone::Malformed(format!("a body of {length} bytes")));
        }
        while self.buffer.len() < length {
            self.fill()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn tick(&mut self) -> Result<(), Gone> {
        self.ticks += 1;
        match self.ticks {
            ..=300 => Ok(()),
            _ => Err(Gone::Broken("the rest of a request never came".into())),
        }
    }

    fn fill(&mut self) -> Result<(), Gone> {
        let mut bytes = [0; 64 * 1024];
        let inside = !self.buffer.is_empty() || self.reads > 0;
        match self.stream.read(&mut bytes) {
            Ok(0) if inside => Err(Gone::Broken("closed inside a request".into())),
            Ok(0) => Err(Gone::Closed),
            Ok(count) => {
                self.reads += 1;
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => Ok(()),
                // The read timed out: between requests the caller decides, inside a request the rest will come.
                ErrorKind::WouldBlock | ErrorKind::TimedOut if !inside => Err(Gone::TimedOut),
                ErrorKind::WouldBlock | ErrorKind::TimedOut => self.tick(),
                // A TLS peer that closes TCP without close_notify, and a peer that was killed.
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset if !inside => Err(Gone::Closed),
                _ => Err(Gone::Broken(error.to_string())),
            },
        }
    }
}

/// Returns the reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        410 => "Gone",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Some Status",
    }
}

fn parse_head(head: &[u8]) -> Result<Request, Gone> {
    // A realm in another encoding comes back octet by octet.
    let text = String::from_utf8_lossy(head);
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let start = lines.next().unwrap_or_default();
    let mut words = start.split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Gone::Malformed(format!("request line {start:?}")));
    };
    let headers = lines
        .map(|line| match line.split_once(':') {
            Some((name, value)) if !name.is_empty() && !name.contains([' ', '\t']) => {
                Ok((name.to_owned(), value.trim().to_owned()))
            }
            _ => Err(Gone::Malformed(format!("header line {line:?}"))),
        })
        .collect::<Result<_, _>>()?;
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        version: version.to_owned(),
        headers,
        ..Request::default()
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
