//! Tests of the ACS over three routers, beside the programs of Debian: an echo service and a name server at the host, losses,
//! hosts and ports that are not reached, a small MTU, and IPv6 alone.

use std::collections::BTreeSet;
use std::fs;

use super::network::{ICMP_SENDER, hops, in_delaying_network, in_network, least, may_delay, output};
use super::{COMPLETE, set};
use crate::gateway::TR_181;
use crate::rpc::gateway::{Gateway, QUIET};
use crate::support::get_parameter_values;
use crate::support::network::sh;
use crate::support::skip::{emulator_lacks, skip_for_lack_of};

const PING: &str = "Device.IP.Diagnostics.IPPing.";
const ROUTE: &str = "Device.IP.Diagnostics.TraceRoute.";
const ECHO: &str = "Device.IP.Diagnostics.UDPEchoDiagnostics.";
const SELECTION: &str = "Device.IP.Diagnostics.ServerSelectionDiagnostics.";
const LOOKUP: &str = "Device.DNS.Diagnostics.NSLookupDiagnostics.";

/// The host returns datagrams to port 7, and r3 drops each tenth of them, the fifth one first.
const ECHO_SERVICE: &str = r#"
    nsenter --net --target $host timeout 300 python3 -c '
import socket
service = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
service.bind(("::", 7))
while True:
    datagram, sender = service.recvfrom(65535)
    service.sendto(datagram, sender)
' >/dev/null 2>&1 & others="$others $!"
    until enter $host grep -q ":0007 " /proc/net/udp6; do kill -0 $!; sleep 0.01; done
    enter $r3 nft 'table inet loss { chain c { type filter hook forward priority 0;
        ip daddr 10.9.4.2 udp dport 7 numgen inc mod 10 eq 4 drop; ip6 daddr fd09:4::2 udp dport 7 numgen inc mod 10 eq 4 drop;
        ip daddr 10.9.4.2 icmp type echo-request numgen inc mod 10 eq 4 drop; }; }'
"#;

/// The values of an object by their names in it.
type Values = Box<dyn Fn(&str) -> String>;

/// Runs a test of the ACS in a session that the device begins. Returns the state at its end, and the values of its object.
fn run(gateway: &Gateway, object: &str, inputs: &[(&str, &str)]) -> (String, Values) {
    gateway.agent.succeeds(&["inform"]);
    let (_, _, mut session) = gateway.acs.next_session();
    set(&mut session, object, &[inputs, &[("DiagnosticsState", "Requested")]].concat());
    session.end_session();
    assert!(session.is_closed());
    let object = object.to_owned();
    let values = gateway.acs.expect_session(COMPLETE, |_, session| session.succeeds(&get_parameter_values(&[&object])));
    let value =
        move |name: &str| values.value(&format!("{object}{name}")).unwrap_or_else(|| panic!("no {name}")).to_owned();
    (value("DiagnosticsState"), Box::new(value))
}

/// Returns the successes, the failures and the least, average and greatest time of a test.
fn numbers(value: &Values) -> [u64; 5] {
    ["SuccessCount", "FailureCount", "MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"]
        .map(|name| value(name).parse().expect("a number"))
}

/// R311, R316: UDPEchoDiagnostics, with exact counts of losses.
#[test]
fn echoes_over_routers() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    let small = "enter $r2 ip link set dev b mtu 1300; enter $r3 ip link set dev a mtu 1300;";
    in_network("over_routers::echoes_over_routers", &format!("{ECHO_SERVICE} {small}"), || {
        let gateway = Gateway::new(&TR_181);
        let inputs = [("NumberOfRepetitions", "20"), ("InterTransmissionTime", "5"), ("Timeout", "1000")];
        for host in ["10.9.4.2", "fd09:4::2"] {
            let (state, value) = run(&gateway, ECHO, &[&inputs[..], &[("Host", host)]].concat());
            let [successes, failures, least, average, greatest] = numbers(&value);
            assert_eq!((state.as_str(), successes, failures), ("Complete", 18, 2), "{host}");
            assert!(0 < least && least <= average && average <= greatest, "{least} {average} {greatest}");
            assert_eq!(value("IPAddressUsed"), if host.contains(':') { "fd09:1::2" } else { "10.9.1.2" });
        }
        // A router divides the requests of IPv4. The first response, and the first request of IPv6, tell their senders the MTU.
        let large = [("NumberOfRepetitions", "4"), ("DataBlockSize", "1400"), ("Timeout", "500")];
        for (host, least) in [("10.9.4.2", 3), ("fd09:4::2", 2)] {
            let (state, value) = run(&gateway, ECHO, &[&large[..], &[("Host", host)]].concat());
            assert!(state == "Complete" && numbers(&value)[0] >= least, "{host}: {}", value("SuccessCount"));
        }
        // No way leads to the host, and nobody listens at the port.
        let short = [("NumberOfRepetitions", "2"), ("DataBlockSize", "24"), ("Timeout", "100")];
        for (host, port) in [("10.9.50.1", "7"), ("fd09:50::1", "7"), ("10.9.4.2", "9"), ("fd09:4::2", "9")] {
            let (state, value) = run(&gateway, ECHO, &[&short[..], &[("Host", host), ("Port", port)]].concat());
            assert_eq!((state.as_str(), numbers(&value)), ("Complete", [0, 2, 0, 0, 0]), "{host} {port}: R316");
        }
        // IPv6 alone: a name with addresses of both versions has one that is reached.
        let hosts = gateway.place.path().join("hosts");
        fs::write(&hosts, "10.9.4.2 both.example\nfd09:4::2 both.example\n").expect("a file");
        sh(&format!("mount --bind {} /etc/hosts; ip -4 address flush dev c0", hosts.display()));
        let both = [("Host", "both.example"), ("Port", "7"), ("NumberOfRepetitions", "10")];
        let (state, value) = run(&gateway, ECHO, &both);
        assert_eq!((state.as_str(), value("IPAddressUsed").as_str()), ("Complete", "fd09:1::2"));
        assert!(numbers(&value)[0] >= 8, "{}", value("SuccessCount"));
        let (state, _) = run(&gateway, ECHO, &[("Host", "10.9.4.2")]);
        assert_eq!(state, "Error_Other", "the object has no state for a lack of a route");
        gateway.acs.expect_no_session(QUIET);
    });
}

/// R311: the host with the least average wins, over ICMP and UDP, and a host that does not answer never does.
#[test]
fn a_server_is_selected_over_routers() {
    if emulator_lacks(ICMP_SENDER) || !may_delay() {
        return;
    }
    const DELAY: u64 = 20_000; // µs
    in_delaying_network("over_routers::a_server_is_selected_over_routers", "20", ECHO_SERVICE, || {
        let gateway = Gateway::new(&TR_181);
        let inputs = [("NumberOfRepetitions", "3"), ("Timeout", "500")];
        let icmp = |hosts| [&inputs[..], &[("Protocol", "ICMP"), ("HostList", hosts)]].concat();
        let udp = |hosts| [&inputs[..], &[("Protocol", "UDP Echo"), ("HostList", hosts)]].concat();
        let times = |value: &Values| {
            ["MinimumResponseTime", "AverageResponseTime", "MaximumResponseTime"]
                .map(|name| value(name).parse::<u64>().expect("a number"))
        };
        for (inputs, fastest, from, is_delayed) in [
            (icmp("10.9.4.2,10.9.50.1,10.9.1.1,no-such-host.invalid"), "10.9.1.1", "10.9.1.2", false),
            (icmp("fd09:50::1,fd09:4::2,fd09:1::1"), "fd09:1::1", "fd09:1::2", false),
            (icmp("10.9.50.1,10.9.4.2"), "10.9.4.2", "10.9.1.2", true),
            (udp("10.9.1.1,10.9.50.1,10.9.4.2"), "10.9.4.2", "10.9.1.2", true), // r1 has no such service
            (udp("no-such-host.invalid,fd09:4::2"), "fd09:4::2", "fd09:1::2", true),
        ] {
            let (state, value) = run(&gateway, SELECTION, &inputs);
            assert_eq!((state.as_str(), value("FastestHost").as_str()), ("Complete", fastest), "{inputs:?}");
            assert_eq!(value("IPAddressUsed"), from);
            let times = times(&value);
            assert!(times.is_sorted() && times[0] > 0 && (!is_delayed || times[0] >= DELAY), "{inputs:?}: {times:?}");
        }
        // The times of the host are those of ping.
        let (_, value) = run(&gateway, SELECTION, &icmp("fd09:4::2"));
        let other = least(&output("ping", "-c 5 -i 0.02 fd09:4::2").0);
        assert!(times(&value)[0].abs_diff(other) < DELAY / 4, "{} and {other} µs", value("MinimumResponseTime"));
        let (state, value) = run(&gateway, SELECTION, &icmp("10.9.50.1"));
        assert_eq!((state.as_str(), value("FastestHost").as_str(), times(&value)), ("Complete", "", [0; 3]), "R316");
        sh("ip -4 address flush dev c0");
        let (_, value) = run(&gateway, SELECTION, &icmp("10.9.4.2,fd09:4::2,10.9.1.1"));
        assert_eq!(value("FastestHost"), "fd09:4::2", "IPv6 alone");
        gateway.acs.expect_no_session(QUIET);
    });
}

/// R311, R316: IPPing and TraceRoute have the results of `ping` and `traceroute`.
#[test]
fn pings_and_routes_over_routers() {
    if emulator_lacks(ICMP_SENDER) {
        return;
    }
    in_network("over_routers::pings_and_routes_over_routers", ECHO_SERVICE, || {
        let gateway = Gateway::new(&TR_181);
        // First, because Linux limits these answers to a few for each host.
        let (state, value) = run(&gateway, ROUTE, &[("Host", "10.9.50.1"), ("Timeout", "2000")]);
        assert_eq!((state.as_str(), value("RouteHopsNumberOfEntries").as_str()), ("Error_NoRouteToHost", "3"));
        assert_eq!(value("RouteHops.3.ErrorCode"), "1", "host unreachable");
        for host in ["10.9.4.2", "fd09:4::2"] {
            let (state, value) = run(&gateway, ROUTE, &[("Host", host)]);
            assert_eq!((state.as_str(), value("RouteHopsNumberOfEntries").as_str()), ("Complete", "4"));
            let own: Vec<String> = (1..=4).map(|hop| value(&format!("RouteHops.{hop}.HostAddress"))).collect();
            assert_eq!(own, hops(&output("traceroute", &format!("-n {host}")).0));
            assert_eq!(value("RouteHops.2.RTTimes").split(',').count(), 3, "{}", value("RouteHops.2.RTTimes"));
        }
        let (state, value) = run(&gateway, ROUTE, &[("MaxHopCount", "2")]);
        assert_eq!((state.as_str(), value("RouteHopsNumberOfEntries").as_str()), ("Error_MaxHopCountExceeded", "2"));
        let (state, value) = run(&gateway, PING, &[("Host", "10.9.4.2"), ("NumberOfRepetitions", "10")]);
        assert_eq!((state.as_str(), &numbers(&value)[..2]), ("Complete", &[9, 1][..]));
        let (state, value) = run(&gateway, PING, &[("Host", "10.9.50.1"), ("NumberOfRepetitions", "2")]);
        assert_eq!((state.as_str(), numbers(&value)), ("Complete", [0, 2, 0, 0, 0]));
        sh("ip -4 address flush dev c0");
        for object in [PING, ROUTE] {
            assert_eq!(run(&gateway, object, &[("Host", "10.9.4.2")]).0, "Error_NoRouteToHost");
            let (state, value) = run(
                &gateway,
                object,
                &[("Host", "fd09:4::2"), ("MaxHopCount", "30")][..if object == PING { 1 } else { 2 }],
            );
            assert_eq!((state.as_str(), value("IPAddressUsed").as_str()), ("Complete", "fd09:1::2"));
        }
        gateway.acs.expect_no_session(QUIET);
    });
}

/// NSLookupDiagnostics asks a name server behind the routers over both versions of IP, and finds what `dig` finds.
#[test]
fn names_over_routers() {
    const SERVER: &str = r#"
        nsenter --net --target $host dnsmasq --keep-in-foreground --no-resolv --no-hosts --user=root --pid-file= --log-facility=- \
            --host-record=www.example.com,192.0.2.80,2001:db8::80 >/dev/null 2>&1 & others="$others $!"
        until enter $host grep -q ":0035 " /proc/net/udp6; do kill -0 $!; sleep 0.01; done
    "#;
    if std::process::Command::new("dnsmasq").arg("--version").output().is_err() {
        return skip_for_lack_of("dnsmasq");
    }
    in_network("over_routers::names_over_routers", SERVER, || {
        let gateway = Gateway::new(&TR_181);
        for server in ["10.9.4.2", "fd09:4::2"] {
            if server.contains(':') {
                sh("ip -4 address flush dev c0"); // IPv6 alone
            }
            let inputs = [("HostName", "www.example.com."), ("DNSServer", server), ("NumberOfRepetitions", "2")];
            let (state, value) = run(&gateway, LOOKUP, &inputs);
            assert_eq!((state.as_str(), value("SuccessCount").as_str()), ("Complete", "2"));
            assert_eq!(value("Result.2.DNSServerIP"), server);
            let (others, _) = output("dig", &format!("@{server} +short www.example.com A www.example.com AAAA"));
            let (own, others): (BTreeSet<String>, BTreeSet<String>) = (
                value("Result.1.IPAddresses").split(',').map(str::to_owned).collect(),
                others.lines().map(str::to_owned).collect(),
            );
            assert_eq!(own, others);
        }
        // The route to the server is gone.
        let (state, value) =
            run(&gateway, LOOKUP, &[("DNSServer", "10.9.4.2"), ("NumberOfRepetitions", "1"), ("Timeout", "300")]);
        assert_eq!((state.as_str(), value("SuccessCount").as_str()), ("Error_Other", "0"));
        assert_eq!(value("Result.1.Status"), "Error_DNSServerNotAvailable");
        gateway.acs.expect_no_session(QUIET);
    });
}
