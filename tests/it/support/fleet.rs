//! The reference ACS for several gateways at the same time: each has a state of its own, as if the ACS were there for it
//! alone.
//!
//! ```text
//!   connection ── thread ──► Inform: DeviceId ─┐
//!                            cookie gatewayN ──┼──► state N ──► Acs of the gateway, whose owner takes the sessions
//!                            else: as before ──┘
//! ```

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::acs::Acs;
use super::acs_state::SharedState;
use super::http::{Gone, Request, Stream, Wire, reason};
use super::listener::exchange;
use super::message::Message;
use super::options::AcsOptions;
use super::port;
use super::rpc::Rpc;

/// The interval at which an idle connection is checked.
const TICK: Duration = Duration::from_millis(100);

/// The most gateways that are known; a further one is refused.
const MAX_GATEWAYS: usize = 1000;

/// The beginning of the name of the cookie; the number of the gateway follows.
const COOKIE: &str = "gateway";

/// An ACS for several gateways.
pub struct Fleet {
    address: SocketAddr,
    newcomers: Receiver<(String, Acs)>,
}

/// The state that all connections share.
struct FleetState {
    options: AcsOptions,
    port: u16,
    /// The RPCs for the first session of a gateway, and those for each later one.
    orders: (Vec<Rpc>, Vec<Rpc>),
    gateways: Mutex<Vec<Gateway>>,
    newcomers: Sender<(String, Acs)>,
}

/// A gateway: OUI, product class and serial number, and its own state.
struct Gateway {
    name: String,
    shared: Arc<SharedState>,
    options: AcsOptions,
}

/// The place of a connection: the state of its gateway, the options there, and the number of the connection there.
type Place = (Arc<SharedState>, AcsOptions, usize);

impl Fleet {
    /// Listens. Of the options, TLS and cookies are not used. Each gateway gets the RPCs of `first` once, in as many
    /// sessions as that takes, and those of `again` in each session after that.
    pub fn start(options: AcsOptions, first: Vec<Rpc>, again: Vec<Rpc>) -> Fleet {
        let listener = port::listen((options.address, options.port));
        let address = listener.local_addr().expect("a bound address");
        let (sender, newcomers) = channel();
        let gateways = Mutex::default();
        let state = FleetState { options, port: address.port(), orders: (first, again), gateways, newcomers: sender };
        thread::spawn(move || listen(&listener, &Arc::new(state)));
        Fleet { address, newcomers }
    }

    /// Returns the port that the ACS listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the ACS URL.
    pub fn url(&self) -> String {
        format!("http://{}/acs", self.address)
    }

    /// Waits for a gateway that has not come before; returns its name and the ACS that has its sessions alone.
    pub fn next_gateway(&self, limit: Duration) -> Option<(String, Acs)> {
        self.newcomers.recv_timeout(limit).ok()
    }
}

fn listen(listener: &TcpListener, fleet: &Arc<FleetState>) {
    for tcp in listener.incoming().flatten() {
        let fleet = Arc::clone(fleet);
        thread::spawn(move || serve(&tcp, &fleet));
    }
}

/// Serves one connection to its end.
fn serve(tcp: &TcpStream, fleet: &FleetState) {
    let _ = tcp.set_nodelay(true);
    let Ok(stream) = tcp.try_clone() else { return };
    let mut wire = Wire::new(Stream::Plain(stream));
    wire.patience(Some(TICK));
    let mut place: Option<Place> = None;
    let problem = loop {
        match wire.request() {
            Ok(request) if request.method != "POST" => {
                if write_page(&mut wire, &request, &fleet.options).is_err() {
                    break None;
                }
            }
            Ok(request) => {
                place = fleet.place(tcp, &request, place);
                let Some((shared, options, connection)) = &place else {
                    let _ = write(&mut wire, 400, "A session begins with an Inform.\n");
                    break None;
                };
                wire = match exchange(wire, shared, options, fleet.port, *connection, request) {
                    Ok(wire) => wire,
                    Err(problem) => break problem,
                };
            }
            Err(Gone::TimedOut) => {
                if place.as_ref().is_some_and(|(shared, options, number)| shared.idle(*number, options)) {
                    break None;
                }
            }
            Err(Gone::Closed | Gone::Broken(_)) => break None,
            Err(Gone::Malformed(error)) => break Some(format!("RFC 7230: malformed: {error}")),
        }
    };
    if let Some((shared, _, connection)) = place {
        shared.closed(connection, problem);
    }
}

impl FleetState {
    /// Returns the place of a request: that of the gateway which its Inform or its cookie names, or the present one.
    fn place(&self, tcp: &TcpStream, request: &Request, present: Option<Place>) -> Option<Place> {
        let Some((shared, options)) = self.gateway(request) else { return present };
        if let Some((known, options, connection)) = present {
            if Arc::ptr_eq(&known, &shared) {
                return Some((known, options, connection));
            }
            // Another gateway behind the same proxy: the connection is over for the first one.
            known.closed(connection, None);
        }
        let connection = shared.connected(tcp.try_clone().ok()?);
        Some((shared, options, connection))
    }

    /// Returns the state of the gateway that a request names, which an Inform creates.
    fn gateway(&self, request: &Request) -> Option<(Arc<SharedState>, AcsOptions)> {
        let inform = Message::parse(&request.body).ok().filter(Message::is_inform);
        let mut gateways = self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        let at = match &inform {
            Some(inform) => {
                let device = &inform.device;
                let name = format!("{}-{}-{}", device.oui, device.product_class, device.serial_number);
                let known = gateways.iter().position(|gateway| gateway.name == name);
                known.or_else(|| self.welcome(&mut gateways, name))?
            }
            None => {
                let cookies = request.cookies();
                let number = cookies.iter().find_map(|(name, _)| name.strip_prefix(COOKIE)?.parse::<usize>().ok());
                number?.checked_sub(1)?
            }
        };
        let gateway = gateways.get(at)?;
        if inform.is_some() {
            let mut state = gateway.shared.lock();
            // The orders that an interrupted session has left come first.
            if state.tasks.is_empty() {
                let (first, again) = &self.orders;
                let orders = if state.sessions.is_empty() { first } else { again };
                state.tasks.extend(orders.iter().cloned());
            }
        }
        Some((Arc::clone(&gateway.shared), gateway.options.clone()))
    }

    /// Adds a gateway and returns its index.
    fn welcome(&self, gateways: &mut Vec<Gateway>, name: String) -> Option<usize> {
        if gateways.len() >= MAX_GATEWAYS {
            return None;
        }
        let shared = Arc::<SharedState>::default();
        let options = self.options.clone().cookie(&format!("{COOKIE}{}", gateways.len() + 1), "; Path=/");
        let _ = self.newcomers.send((name.clone(), Acs::of_gateway(Arc::clone(&shared))));
        gateways.push(Gateway { name, shared, options });
        Some(gateways.len() - 1)
    }
}

/// Answers a request that is no POST, such as that of a browser or of `cpe-agent doctor`.
fn write_page(wire: &mut Wire, request: &Request, options: &AcsOptions) -> std::io::Result<()> {
    match request.method.as_str() {
        "GET" | "HEAD" if request.target == options.path => {
            write(wire, 200, "An ACS for trials: gateways send a POST here.\n")
        }
        "GET" | "HEAD" => write(wire, 404, ""),
        _ => write(wire, 405, ""),
    }
}

fn write(wire: &mut Wire, status: u16, text: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        reason(status),
        text.len()
    );
    wire.write_all((head + text).as_bytes())
}
