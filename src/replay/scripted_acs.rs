//! The ACS of a replay, on a loopback port: it gives the responses of the trace in their order, whatever it is sent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::trace_file::Reply;
use crate::thread;

/// The stack of the thread in bytes.
const STACK: usize = 128 << 10;
/// The longest wait for the next bytes of a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest request that is read, in bytes. The agent sends no larger one.
const MAX_REQUEST: u64 = 64 << 20;

/// The running ACS. Dropping it ends its thread.
pub(super) struct ScriptedAcs {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl ScriptedAcs {
    /// Starts an ACS with these responses. Behind the last one, it closes the connection without a response.
    pub(super) fn start(replies: Vec<Reply>) -> io::Result<ScriptedAcs> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let work = move || {
            let mut replies = replies.into_iter();
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                // A connection that fails is the end of the session, which the agent reports.
                let _ = stream.and_then(|stream| serve(&stream, &mut replies));
            }
        };
        let thread = thread::spawn("replay", STACK, Box::new(work))?;
        Ok(ScriptedAcs { address, stop, thread: Some(thread) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for ScriptedAcs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // The thread waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already printed.
            let _ = thread.join();
        }
    }
}

/// Answers the requests of one connection.
fn serve(stream: &TcpStream, replies: &mut dyn Iterator<Item = Reply>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream.take(MAX_REQUEST));
    while read_request(&mut reader)? {
        let Some(reply) = replies.next() else { return Ok(()) };
        let mut stream = stream;
        stream.write_all(&encode(&reply))?;
        if reply.fields.iter().any(|field| field.eq_ignore_ascii_case("connection: close")) {
            return Ok(());
        }
    }
    Ok(())
}

/// Reads a request to its end. Returns false at the end of the stream.
fn read_request(reader: &mut BufReader<io::Take<&TcpStream>>) -> io::Result<bool> {
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        if let Some((name, value)) = text.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(true)
}

fn encode(reply: &Reply) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {} Replayed\r\n", reply.status);
    for field in reply.fields.iter().filter(|field| !field.starts_with('>')) {
        let Some((name, value)) = field.split_once(':') else { continue };
        let value = match name.to_ascii_lowercase().as_str() {
            // The trace has the message in UTF-8 and without a transfer coding.
            "content-length" | "content-type" | "transfer-encoding" => continue,
            // Each redirect leads back here.
            "location" => "/",
            _ => value.trim(),
        };
        text += &format!("{name}: {value}\r\n");
    }
    if reply.status == 204 {
        return (text + "\r\n").into_bytes();
    }
    text += &format!("Content-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n", reply.body.len());
    (text + &reply.body).into_bytes()
}
