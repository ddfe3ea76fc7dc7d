//! The answers of the file server: the check of the credentials, and the file with the faults of its [`FileSpec`].

use std::time::Duration;

use super::file_server::{FileServerOptions, SharedFiles};
use super::file_spec::{Content, FileSpec, FileSpecKind, Framing, Ranges};
use super::http::{Gone, Request, Wire, reason};

/// The bytes that are written at a time.
const PIECE: usize = 64 * 1024;

/// The fate of the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Keep,
    Close,
    /// Closes TCP without the close_notify of TLS.
    Cut,
    /// The rest of the body is read and counted, and the connection closed.
    Drain,
}

pub(super) fn serve(mut wire: Wire, shared: &SharedFiles, options: &FileServerOptions) {
    loop {
        let request = match wire.head() {
            Ok(request) => request,
            Err(Gone::TimedOut) if !shared.lock().stopping => continue,
            Err(Gone::Malformed(problem)) => return shared.lock().violations.push(problem),
            Err(_) => return,
        };
        let next = answer(&mut wire, shared, options, request);
        match next {
            Ok(Next::Keep) if !options.closes => {}
            Ok(Next::Keep | Next::Close) => {
                wire.close();
                return;
            }
            Ok(Next::Drain) => {
                let count = wire.drain();
                return shared.change(|state| state.unwanted += count);
            }
            Ok(Next::Cut) | Err(_) => return wire.cut(),
        }
    }
}

/// The end of a delivery: the client is gone, or the server is stopping.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        Over
    }
}

impl From<Gone> for Over {
    fn from(_: Gone) -> Over {
        Over
    }
}

fn answer(
    wire: &mut Wire,
    shared: &SharedFiles,
    options: &FileServerOptions,
    mut request: Request,
) -> Result<Next, Over> {
    let path = request.target.split('?').next().unwrap_or_default().to_owned();
    let (refusal, file, at) = {
        let mut state = shared.lock();
        if request.header("Expect").is_some() {
            state.violations.push("R42: Expect breaks servers".into());
        }
        state.requests.push(request.clone());
        let refusal = state.refuse(options, &request);
        let file = state.files.get(&path).cloned();
        if let (Some(next), None) = (file.as_ref().and_then(|file| file.next.clone()), &refusal) {
            state.files.insert(path.clone(), *next);
        }
        (refusal, file, state.requests.len() - 1)
    };
    shared.changed.notify_all();
    let refusal = refusal.or_else(|| match &file {
        Some(FileSpec { kind: FileSpecKind::Status(code, body), headers, .. }) => {
            Some(head(*code, headers, &format!("Content-Length: {}\r\n", body.len())) + &String::from_utf8_lossy(body))
        }
        None if request.method == "GET" => Some(head(404, &[], "Content-Length: 0\r\n")),
        _ => None,
    });
    let has_body = request.header("Content-Length").is_some_and(|length| length != "0");
    if let (Some(refusal), true, true) = (&refusal, options.hasty, has_body) {
        wire.write_all(refusal.as_bytes())?;
        return Ok(Next::Drain);
    }
    if let (Some(refusal), Some(delay), true) = (&refusal, options.deaf, has_body) {
        shared.pause(delay);
        wire.write_all(refusal.as_bytes())?;
        return stall(shared);
    }
    if let (None, Some(trouble), true) = (&refusal, file.as_ref().and_then(|file| file.trouble.as_ref()), has_body)
        && trouble.happens()
    {
        wire.part_of_body(usize::try_from(trouble.after).expect("a small part"))?;
        return if trouble.stalls { stall(shared) } else { Ok(Next::Cut) };
    }
    wire.body_of(&mut request)?;
    shared.lock().requests[at].body.clone_from(&request.body);
    if let Some(refusal) = refusal {
        wire.write_all(refusal.as_bytes())?;
        return Ok(Next::Keep);
    }
    match (request.method.as_str(), file) {
        ("PUT", None | Some(FileSpec { kind: FileSpecKind::Content(_), .. })) => take(wire, shared, path, request),
        (_, Some(file)) => give(wire, shared, &file, &request),
        (method, None) => {
            shared.lock().violations.push(format!("a {method} request"));
            Err(Over)
        }
    }
}

fn take(wire: &mut Wire, shared: &SharedFiles, path: String, request: Request) -> Result<Next, Over> {
    let mut status = 201;
    shared.change(|state| {
        if state.uploads.insert(path, request.body).is_some() {
            status = 204;
        }
    });
    let length = if status == 204 { "" } else { "Content-Length: 0\r\n" };
    wire.write_all(head(status, &[], length).as_bytes())?;
    Ok(Next::Keep)
}

fn give(wire: &mut Wire, shared: &SharedFiles, file: &FileSpec, request: &Request) -> Result<Next, Over> {
    let content = match &file.kind {
        FileSpecKind::Content(content) => content,
        FileSpecKind::Raw(bytes) => {
            wire.write_all(bytes)?;
            return Ok(Next::Close);
        }
        FileSpecKind::Silence | FileSpecKind::Status(..) => return stall(shared),
    };
    let size = content.size();
    let (status, first, end, range) = match asked_range(file, request) {
        None => (200, 0, size, String::new()),
        Some(_) if file.ranges == Ranges::Refused => {
            let length = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            wire.write_all(head(416, &[], &length).as_bytes())?;
            return Ok(Next::Keep);
        }
        Some(first) if first >= size => {
            let length = format!("Content-Range: bytes */{size}\r\nContent-Length: 0\r\n");
            wire.write_all(head(416, &[], &length).as_bytes())?;
            return Ok(Next::Keep);
        }
        Some(first) => {
            let first = if file.ranges == Ranges::Wrong { first.saturating_sub(1) } else { first };
            let end = match file.ranges {
                Ranges::Rationed(bytes) => size.min(first + bytes),
                _ => size,
            };
            (206, first, end, format!("Content-Range: bytes {first}-{}/{size}\r\n", end - 1))
        }
    };
    let length = match file.framing {
        Framing::Sized => format!("Content-Length: {}\r\n", file.announced.unwrap_or(end - first)),
        Framing::Chunked | Framing::Endless => "Transfer-Encoding: chunked\r\n".into(),
        Framing::UntilClose => String::new(),
    };
    wire.write_all(head(status, &file.headers, &format!("Accept-Ranges: bytes\r\n{range}{length}")).as_bytes())?;
    give_body(wire, shared, file, content, first..end)
}

fn give_body(
    wire: &mut Wire,
    shared: &SharedFiles,
    file: &FileSpec,
    content: &Content,
    range: std::ops::Range<u64>,
) -> Result<Next, Over> {
    let trouble = file.trouble.as_ref().filter(|trouble| trouble.happens());
    let stop_at = trouble.map(|trouble| range.start + trouble.after);
    let (mut at, mut odd) = (range.start, 1);
    while at < range.end || file.framing == Framing::Endless {
        let most = stop_at.map_or(u64::MAX, |stop| stop - at);
        if most == 0 {
            let stalls = trouble.is_some_and(|trouble| trouble.stalls);
            return if stalls { stall(shared) } else { Ok(Next::Cut) };
        }
        let mut length = file.trickle.map_or(PIECE, |(length, _)| length);
        if file.framing == Framing::Chunked {
            odd = (odd * 3).min(PIECE);
            length = length.min(odd);
        }
        let left = if file.framing == Framing::Endless { u64::MAX } else { range.end - at };
        let length = (length as u64).min(most).min(left);
        let from = if file.framing == Framing::Endless { at % content.size().max(1) } else { at };
        let piece = content.piece(from, usize::try_from(length).expect("at most a piece"));
        at += piece.len() as u64;
        match file.framing {
            Framing::Chunked | Framing::Endless => {
                let size = format!("{:x};odd=\"yes\"\r\n", piece.len());
                wire.write_all(&[size.as_bytes(), &piece, b"\r\n"].concat())?;
            }
            Framing::Sized | Framing::UntilClose => wire.write_all(&piece)?,
        }
        shared.change(|state| state.sent += piece.len() as u64);
        if file.trickle.is_some_and(|(_, pause)| !shared.pause(pause)) || shared.lock().stopping {
            return Err(Over);
        }
    }
    match file.framing {
        Framing::Chunked => {
            wire.write_all(b"0\r\nX-Trailer: too\r\n\r\n")?;
            Ok(Next::Keep)
        }
        Framing::UntilClose => Ok(Next::Close),
        // The client waits for bytes that the announced length promised and that do not come.
        _ if file.announced.is_some() => Ok(Next::Close),
        _ => Ok(Next::Keep),
    }
}

/// Returns the first requested byte, if the request has a range and its validator is that of this file.
fn asked_range(file: &FileSpec, request: &Request) -> Option<u64> {
    let range = request.header("Range")?;
    if file.ranges == Ranges::Ignored {
        return None;
    }
    if let Some(condition) = request.header("If-Range") {
        let is_ours = |(name, value): &(String, String)| {
            (name.eq_ignore_ascii_case("ETag") || name.eq_ignore_ascii_case("Last-Modified")) && value == condition
        };
        if !file.headers.iter().any(is_ours) {
            return None;
        }
    }
    range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
}

fn stall(shared: &SharedFiles) -> Result<Next, Over> {
    while shared.pause(Duration::from_secs(1)) {}
    Err(Over)
}

pub(super) fn head(status: u16, headers: &[(String, String)], more: &str) -> String {
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head + more + "\r\n"
}
