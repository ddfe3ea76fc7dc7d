//! TraceRoute: datagrams whose hop limit grows, and the errors of the routers that they reach.
//!
//! ```text
//! hop 1, 2, … ──▶ a datagram for each try ──▶ time exceeded: a router ─▶ the next hop
//!                                         ├─▶ port unreachable, or a datagram: the host
//!                                         └─▶ another error: the end of the route
//! ```
//!
//! The errors come through the error queue of the socket, for which no right is needed. Each try has a socket of its own, so that no
//! late answer is taken for that of another try. The tries of a hop follow each other, and overlap only where answers are slow.

use std::fmt;
use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::Ipv4RecvErr, sockopt::Ipv6RecvErr,
};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType, recv, sockopt};

use super::clock::now;
use super::lookup::Names;
use super::ping::{microseconds, thousandths};
use super::socket::{self, LOOK, connect_to, transmit};
use super::target::address;
use super::{Failure, Order, Results, Tell, add};
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The port of the first datagram, which no service uses: the custom of trace routes.
const FIRST_PORT: u16 = 33_434;

/// The longest wait for an answer before the next try.
const PACE: Duration = Duration::from_millis(100);

/// The origins of an error in the error queue: ICMP, and ICMPv6.
const BY_ICMP: u8 = 2;
const BY_ICMP6: u8 = 3;

/// The type of ICMPv6 for a packet that is too big for the next link.
const TOO_BIG_V6: u8 = 2;

/// The meaning of an answer for the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A router on the way.
    Router,
    /// The host itself.
    Host,
    /// No way leads on.
    End,
}

/// The answer to a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answer {
    from: IpAddr,
    meaning: Meaning,
    /// The code of the ICMP message.
    code: u8,
}

/// One datagram.
struct Try {
    socket: OwnedFd,
    began: Instant,
    answer: Option<(Answer, Duration)>,
}

/// The answers of one hop.
#[derive(Debug, Default)]
struct Hop {
    /// The answer that counts: the last one, unless an earlier one is that of the host.
    answer: Option<Answer>,
    /// The name of the host that answered, if the name server tells one.
    name: Option<String>,
    /// The time of each try in microseconds; `None` without an answer.
    times: Vec<Option<u64>>,
}

impl Hop {
    /// Returns the average time in milliseconds.
    fn average(&self) -> u64 {
        let (mut sum, mut count) = (0, 0);
        for time in self.times.iter().flatten() {
            sum += time;
            count += 1;
        }
        u64::checked_div(sum, count).map_or(0, milliseconds)
    }

    /// Returns the line for people.
    fn line(&self, number: u32) -> String {
        let mut line = format!("{number:2}");
        let mut add = |part: fmt::Arguments<'_>| line.push_str(&fmt::format(part));
        if let Some(Answer { from, .. }) = self.answer {
            add(format_args!("  {from}"));
        }
        for time in &self.times {
            match time {
                Some(time) => add(format_args!("  {} ms", thousandths(*time))),
                None => add(format_args!("  *")),
            }
        }
        if let Some(Answer { meaning: Meaning::End, code, .. }) = self.answer {
            add(format_args!("  !{code}"));
        }
        if let Some(name) = &self.name {
            add(format_args!("  {name}"));
        }
        line
    }

    /// Adds the hop to the results, by the names of both data models.
    fn add_results(&self, number: u32, results: &mut Results) {
        let from = self.answer.map(|answer| answer.from.to_string()).unwrap_or_default();
        let mut times = String::new();
        for time in &self.times {
            times.push_str(if times.is_empty() { "" } else { "," });
            times.push_str(&time.map_or(0, milliseconds).to_string());
        }
        for prefix in ["", "Hop"] {
            let row = format!("RouteHops.{number}.{prefix}");
            add(results, &row, "Host", self.name.as_ref().unwrap_or(&from));
            add(results, &row, "HostAddress", &from);
            add(results, &row, "ErrorCode", &self.answer.map_or(0, |answer| answer.code));
            add(results, &row, "RTTimes", &times);
        }
    }
}

/// Returns microseconds as milliseconds, rounded up: a time of 0 means no answer.
fn milliseconds(time: u64) -> u64 {
    time.div_ceil(1000).max(1)
}

/// Runs the test.
pub(super) fn run(order: &Order, results: &mut Results, tell: Tell<'_>) -> Result<(), Box<Failure>> {
    let options = socket::options(order);
    let to = address(order.text("Host"), &options, &order.stop)?;
    let hops = order.number("MaxHopCount", 30).clamp(1, 64);
    tell(format_args!("trace route to {to}, at most {hops} hops"));
    let mut names = Names::new(order);
    for number in 1..=hops {
        let (mut hop, local) = trace(order, &options, to, number)?;
        if order.is_stopped() {
            break;
        }
        hop.name = hop.answer.and_then(|answer| names.name_of(answer.from));
        tell(format_args!("{}", hop.line(number)));
        hop.add_results(number, results);
        match hop.answer.map(|answer| answer.meaning) {
            Some(Meaning::Host) => {
                add(results, "", "ResponseTime", &hop.average());
                add(results, "", "IPAddressUsed", &local);
                return Ok(());
            }
            Some(Meaning::End) => {
                let reason = format_args!("no way leads on behind hop {number}");
                return Err(Failure::of("Error_NoRouteToHost", reason));
            }
            Some(Meaning::Router) | None => {}
        }
    }
    Err(Failure::of("Error_MaxHopCountExceeded", format_args!("{hops} hops do not lead to {to}")))
}

/// Sends the datagrams of one hop, and waits for their answers. Also returns the address of the device towards the host.
fn trace(order: &Order, options: &SocketOptions, to: IpAddr, hop: u32) -> Result<(Hop, IpAddr), Box<Failure>> {
    let count = order.number("NumberOfTries", 3).clamp(1, 3);
    let data = vec![0x40; order.number("DataBlockSize", 38).min(65_535) as usize];
    let timeout = order.milliseconds("Timeout", 5000);
    let (mut local, mut tries) = (to, Vec::new());
    for number in 0..count {
        let port = FIRST_PORT + ((hop - 1) * count + number) as u16; // at most 64 × 3
        let socket = open(to, hop as u8, options).map_err(|error| socket::failure(options, error))?;
        local = connect_to(&socket, SocketAddr::new(to, port))?;
        let began = now();
        let _ = transmit(&socket, &data)?; // the time limit makes a datagram that is lost at once a loss
        tries.push(Try { socket, began, answer: None });
        let limit = if number + 1 < count { timeout.min(PACE) } else { timeout };
        await_answers(&mut tries, to, began + limit, &order.stop);
    }
    let mut done = Hop::default();
    for Try { answer, .. } in tries {
        let answer = answer.filter(|(_, time)| *time <= timeout);
        done.times.push(answer.map(|(_, time)| microseconds(time)));
        // The host itself counts more than a router that has answered another try.
        if done.answer.is_none_or(|known| known.meaning != Meaning::Host) {
            done.answer = answer.map(|(answer, _)| answer).or(done.answer);
        }
    }
    Ok((done, local))
}

/// Opens a socket whose datagrams reach so many hops, and which reports the errors of routers.
fn open(to: IpAddr, hops: u8, options: &SocketOptions) -> Result<OwnedFd, Errno> {
    let socket = socket::open(options, to, SocketType::DGRAM, None)?;
    let reported = match to {
        IpAddr::V4(_) => {
            sockopt::set_ip_ttl(&socket, hops.into())?;
            setsockopt(&socket, Ipv4RecvErr, &true)
        }
        IpAddr::V6(_) => {
            sockopt::set_ipv6_unicast_hops(&socket, Some(hops))?;
            setsockopt(&socket, Ipv6RecvErr, &true)
        }
    };
    reported.map_err(|error| Errno::from_raw_os_error(error as i32))?;
    Ok(socket)
}

/// Waits until all tries have an answer, at most until the deadline.
fn await_answers(tries: &mut [Try], to: IpAddr, deadline: Instant, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let left = deadline.saturating_duration_since(now());
        let mut interests = Vec::new();
        for tried in tries.iter().filter(|tried| tried.answer.is_none()) {
            interests.push((tried.socket.as_fd(), PollFlags::IN));
        }
        if left.is_zero() || interests.is_empty() {
            return;
        }
        let ready = wait(&interests, Some(left.min(LOOK)));
        let arrived = now();
        for (tried, flags) in tries.iter_mut().filter(|tried| tried.answer.is_none()).zip(ready) {
            if !flags.is_empty() {
                let answer = read(&tried.socket, to, flags);
                tried.answer = answer.map(|answer| (answer, arrived.saturating_duration_since(tried.began)));
            }
        }
    }
}

/// Reads the answer off a socket: an error, or a datagram of the host.
fn read(socket: &OwnedFd, to: IpAddr, flags: PollFlags) -> Option<Answer> {
    if !flags.contains(PollFlags::ERR) {
        let mut byte = [0; 1];
        // A service at that port has answered; the rest of its datagram is dropped.
        let received = recv(socket, &mut byte[..], RecvFlags::DONTWAIT | RecvFlags::TRUNC);
        return received.ok().map(|_| Answer { from: to, meaning: Meaning::Host, code: 0 });
    }
    let mut buffer = [0; 64];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut control = nix::cmsg_space!([u8; 64]);
    let message = recvmsg::<()>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
    );
    let Ok(message) = message else {
        // The kernel had no room for the error itself. Read here, it does not end each later wait at once.
        let _ = sockopt::socket_error(socket);
        return None;
    };
    message.cmsgs().ok()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4RecvErr(error, from) if error.ee_origin == BY_ICMP => {
            let from = IpAddr::from(Ipv4Addr::from(u32::from_be(from?.sin_addr.s_addr)));
            Some(Answer { from, meaning: meaning_v4(error.ee_type, error.ee_code), code: error.ee_code })
        }
        ControlMessageOwned::Ipv6RecvErr(error, from) if error.ee_origin == BY_ICMP6 => {
            let from = IpAddr::from(from?.sin6_addr.s6_addr);
            // A smaller MTU on the way: the kernel divides the datagram of the next try.
            let is_too_big = error.ee_type == TOO_BIG_V6;
            let meaning = meaning_v6(error.ee_type, error.ee_code);
            (!is_too_big).then_some(Answer { from, meaning, code: error.ee_code })
        }
        _ => None,
    })
}

/// Returns the meaning of a message of ICMP.
fn meaning_v4(kind: u8, code: u8) -> Meaning {
    match (kind, code) {
        (11, 0) => Meaning::Router,
        (3, 3) => Meaning::Host,
        _ => Meaning::End,
    }
}

/// Returns the meaning of a message of ICMPv6.
fn meaning_v6(kind: u8, code: u8) -> Meaning {
    match (kind, code) {
        (3, 0) => Meaning::Router,
        (1, 4) => Meaning::Host,
        _ => Meaning::End,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_a_lost_try_is_zero() {
        let hop = Hop { times: vec![Some(1), None, Some(20_001)], ..Hop::default() };
        let mut results = Results::new();
        hop.add_results(1, &mut results);
        assert!(results.contains(&("RouteHops.1.RTTimes".into(), "1,0,21".into())));
        assert_eq!((hop.average(), Hop::default().average()), (11, 0));
        assert_eq!(hop.line(3), " 3  0.001 ms  *  20.001 ms");
    }

    #[test]
    fn a_hop_has_the_names_of_both_models() {
        let answer = Answer { from: [192, 0, 2, 1].into(), meaning: Meaning::End, code: 13 };
        let mut hop = Hop { answer: Some(answer), name: None, times: vec![None] };
        let mut results = Results::new();
        hop.add_results(2, &mut results);
        let get = |name: &str| results.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(get("RouteHops.2.Host"), Some("192.0.2.1"));
        assert_eq!((get("RouteHops.2.HopErrorCode"), get("RouteHops.2.HopRTTimes")), (Some("13"), Some("0")));
        assert_eq!(hop.line(2), " 2  192.0.2.1  *  !13");
        hop.name = Some("router.example".into());
        assert_eq!(hop.line(2), " 2  192.0.2.1  *  !13  router.example");
        let mut results = Results::new();
        hop.add_results(2, &mut results);
        let hosts: Vec<&str> =
            results.iter().filter(|(name, _)| name.contains("Host")).map(|(_, host)| host.as_str()).collect();
        assert_eq!(hosts, ["router.example", "192.0.2.1", "router.example", "192.0.2.1"]);
    }
}
