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

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::Ipv4RecvErr, sockopt::Ipv6RecvErr,
};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketType, recv, sockopt};

use super::clock::now;
use super::lookup::Names;
use super::ping::{microseconds, thousandths};
use super::socket::{self, connect_to, transmit};
use super::target::{Version, address};
use super::{Failure, Order, Results, Tell, result};
use crate::readiness::{PollFlags, wait};
use crate::socket_options::SocketOptions;

/// The port of the first datagram, which no service uses: the custom of trace routes.
const FIRST_PORT: u16 = 33_434;

/// The longest wait for an answer before the next try.
const PACE: Duration = Duration::from_millis(100);

/// The longest wait between two looks at the stop flag.
const LOOK: Duration = Duration::from_millis(200);

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
    /// The last answer.
    answer: Option<Answer>,
    /// The name of the host that answered, if the name server tells one.
    name: Option<String>,
    /// The time of each try; `None` without an answer.
    times: Vec<Option<Duration>>,
}

impl Hop {
    /// Returns the times in whole milliseconds, rounded up; 0 without an answer.
    fn milliseconds(&self) -> impl Iterator<Item = u64> {
        self.times.iter().map(|time| time.map_or(0, |time| microseconds(time).div_ceil(1000).max(1)))
    }

    /// Returns the average time in milliseconds, rounded up.
    fn average(&self) -> u64 {
        let times: Vec<u64> = self.times.iter().flatten().map(|time| microseconds(*time)).collect();
        let sum: u64 = times.iter().sum();
        sum.checked_div(times.len() as u64).map_or(0, |average| average.div_ceil(1000).max(1))
    }

    /// Returns the line for people.
    fn line(&self, number: u32) -> String {
        let time = |time: &Option<Duration>| match time {
            Some(time) => format!("  {} ms", thousandths(microseconds(*time))),
            None => "  *".to_owned(),
        };
        let times: String = self.times.iter().map(time).collect();
        let name = self.name.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
        match self.answer {
            Some(Answer { from, meaning: Meaning::End, code }) => format!("{number:2}  {from}{times}  !{code}{name}"),
            Some(Answer { from, .. }) => format!("{number:2}  {from}{times}{name}"),
            None => format!("{number:2}{times}"),
        }
    }
}

/// Runs the test.
pub(super) fn run(order: &Order, tell: Tell<'_>) -> Result<Results, Failure> {
    let to = address(order.text("Host"), Version::of(order), &order.stop)?;
    let hops = order.number("MaxHopCount", 30).clamp(1, 64);
    tell(format_args!("trace route to {to}, at most {hops} hops"));
    let (mut results, mut names) = (Results::new(), Names::new(order));
    let failed = |state: &'static str, reason: String, results: Results| Failure { state, reason, results };
    for number in 1..=hops {
        let (mut hop, local) = match trace(order, to, number) {
            Ok(done) => done,
            Err(failure) => return Err(Failure { results, ..failure }),
        };
        if order.is_stopped() {
            break;
        }
        hop.name = hop.answer.and_then(|answer| names.name_of(answer.from));
        tell(format_args!("{}", hop.line(number)));
        add(&mut results, number, &hop);
        match hop.answer.map(|answer| answer.meaning) {
            Some(Meaning::Host) => {
                results.push(result("ResponseTime", hop.average()));
                results.push(result("IPAddressUsed", local));
                return Ok(results);
            }
            Some(Meaning::End) => {
                let reason = format!("no way leads on behind hop {number}");
                return Err(failed("Error_NoRouteToHost", reason, results));
            }
            Some(Meaning::Router) | None => {}
        }
    }
    Err(failed("Error_MaxHopCountExceeded", format!("{hops} hops do not lead to {to}"), results))
}

/// Adds a hop to the results, by the names of both data models.
fn add(results: &mut Results, number: u32, hop: &Hop) {
    let from = hop.answer.map(|answer| answer.from.to_string()).unwrap_or_default();
    let host = hop.name.as_ref().unwrap_or(&from);
    let code = hop.answer.map_or(0, |answer| answer.code);
    let times: Vec<String> = hop.milliseconds().map(|time| time.to_string()).collect();
    let times = times.join(",");
    for prefix in ["", "Hop"] {
        for (name, value) in [
            ("Host", host.clone()),
            ("HostAddress", from.clone()),
            ("ErrorCode", code.to_string()),
            ("RTTimes", times.clone()),
        ] {
            results.push((format!("RouteHops.{number}.{prefix}{name}"), value));
        }
    }
}

/// Sends the datagrams of one hop, and waits for their answers. Also returns the address of the device towards the host.
fn trace(order: &Order, to: IpAddr, hop: u32) -> Result<(Hop, IpAddr), Failure> {
    let count = order.number("NumberOfTries", 3).clamp(1, 3);
    let data = vec![0x40; order.number("DataBlockSize", 38).min(65_535) as usize];
    let timeout = order.milliseconds("Timeout", 5000);
    let (options, mut local, mut tries) = (socket::options(order), to, Vec::new());
    for number in 0..count {
        let port = FIRST_PORT + ((hop - 1) * count + number) as u16; // at most 64 × 3
        let socket = open(to, hop as u8, &options).map_err(|error| socket::failure(&options, error))?;
        local = connect_to(&socket, SocketAddr::new(to, port))?;
        let began = now();
        let _ = transmit(&socket, &data)?; // the time limit makes a datagram that is lost at once a loss
        tries.push(Try { socket, began, answer: None });
        let limit = if number + 1 < count { timeout.min(PACE) } else { timeout };
        await_answers(&mut tries, to, began + limit, &|| order.is_stopped());
    }
    for tried in &mut tries {
        tried.answer = tried.answer.filter(|(_, time)| *time <= timeout);
    }
    let last = tries.iter().rev().find_map(|tried| tried.answer);
    // The host itself counts more than a router that has answered another try.
    let host = tries.iter().filter_map(|tried| tried.answer).find(|(answer, _)| answer.meaning == Meaning::Host);
    let times = tries.iter().map(|tried| tried.answer.map(|(_, time)| time)).collect();
    Ok((Hop { answer: host.or(last).map(|(answer, _)| answer), name: None, times }, local))
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
fn await_answers(tries: &mut [Try], to: IpAddr, deadline: Instant, is_stopped: &dyn Fn() -> bool) {
    while !is_stopped() && tries.iter().any(|tried| tried.answer.is_none()) {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return;
        }
        let waiting: Vec<&mut Try> = tries.iter_mut().filter(|tried| tried.answer.is_none()).collect();
        let interests: Vec<_> = waiting.iter().map(|tried| (tried.socket.as_fd(), PollFlags::IN)).collect();
        let ready = wait(&interests, Some(left.min(LOOK)));
        drop(interests);
        let arrived = now();
        for (tried, flags) in waiting.into_iter().zip(ready) {
            if !flags.is_empty()
                && let Some(answer) = read(&tried.socket, to, flags)
            {
                tried.answer = Some((answer, arrived.saturating_duration_since(tried.began)));
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
        let times = vec![Some(Duration::from_micros(1)), None, Some(Duration::from_micros(20_001))];
        let hop = Hop { times, ..Hop::default() };
        assert_eq!(hop.milliseconds().collect::<Vec<_>>(), [1, 0, 21]);
        assert_eq!((hop.average(), Hop::default().average()), (11, 0));
        assert_eq!(hop.line(3), " 3  0.001 ms  *  20.001 ms");
    }

    #[test]
    fn a_hop_has_the_names_of_both_models() {
        let answer = Answer { from: [192, 0, 2, 1].into(), meaning: Meaning::End, code: 13 };
        let mut hop = Hop { answer: Some(answer), name: None, times: vec![None] };
        let mut results = Results::new();
        add(&mut results, 2, &hop);
        let get = |name: &str| results.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(get("RouteHops.2.Host"), Some("192.0.2.1"));
        assert_eq!((get("RouteHops.2.HopErrorCode"), get("RouteHops.2.HopRTTimes")), (Some("13"), Some("0")));
        assert_eq!(hop.line(2), " 2  192.0.2.1  *  !13");
        hop.name = Some("router.example".into());
        assert_eq!(hop.line(2), " 2  192.0.2.1  *  !13  router.example");
        let mut results = Results::new();
        add(&mut results, 2, &hop);
        let hosts: Vec<&str> =
            results.iter().filter(|(name, _)| name.contains("Host")).map(|(_, host)| host.as_str()).collect();
        assert_eq!(hosts, ["router.example", "192.0.2.1", "router.example", "192.0.2.1"]);
    }
}
