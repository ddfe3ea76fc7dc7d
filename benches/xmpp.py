#!/usr/bin/env python3
"""Measures connection requests over XMPP: the time to the Inform, and the memory of the idle connection.

    benches/xmpp.py [AGENT]     the program, target/release/cpe-agent by default; needs prosody and openssl

Starts prosody and an ACS on loopback. Prints the time from the request to the Inform at the ACS, over HTTP, and the memory of the
agent with and without the connection, both after a session over HTTPS, so that both have set up TLS once. The agent trusts the
certificates of the system beside that of the server.
"""

import base64
import http.server
import json
import pathlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

REQUESTS = 20
DOMAIN = "xmpp.example"
ROOT = pathlib.Path(__file__).resolve().parent.parent
STREAM = (
    f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
REQUEST = (
    "<iq type='get' id='1' to='cpe@xmpp.example/r'><connectionRequest "
    "xmlns='urn:broadband-forum-org:cwmp:xmppConnReq-1-0'><username>u</username><password>p</password>"
    "</connectionRequest></iq>"
)
RESPONSE = (
    '<soap-env:Envelope xmlns:soap-env="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:cwmp="urn:dslforum-org:cwmp-1-0"><soap-env:Header><cwmp:ID soap-env:mustUnderstand="1">{}</cwmp:ID>'
    "</soap-env:Header><soap-env:Body><cwmp:InformResponse><MaxEnvelopes>1</MaxEnvelopes></cwmp:InformResponse>"
    "</soap-env:Body></soap-env:Envelope>"
)


class Acs(http.server.BaseHTTPRequestHandler):
    """Confirms each Inform, and ends the session."""

    protocol_version = "HTTP/1.1"
    informs = []
    ended = threading.Semaphore(0)

    def do_POST(self):
        arrived = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if body:
            Acs.informs.append((arrived, body))
            name = body.split("ID", 1)[1].split(">", 1)[1].split("<", 1)[0]
            answer = RESPONSE.format(name).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
        else:
            self.send_response(204)
            self.end_headers()
            Acs.ended.release()

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_prosody(place, port):
    key, certificate = place / "key.pem", place / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "9",
         "-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{DOMAIN},IP:127.0.0.1"], check=True, capture_output=True)
    accounts = place / "data" / DOMAIN.replace(".", "%2e") / "accounts"
    accounts.mkdir(parents=True)
    for user in ("cpe", "acs"):
        (accounts / f"{user}.dat").write_text('return { ["password"] = "secret" };')
    (place / "prosody.cfg.lua").write_text(f"""
run_as_root = true
pidfile = "{place}/pid"
data_path = "{place}/data"
modules_enabled = {{ "saslauth", "tls" }}
modules_disabled = {{ "s2s" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{}}
authentication = "internal_plain"
log = {{ error = "{place}/log" }}
VirtualHost "{DOMAIN}"
  ssl = {{ key = "{key}", certificate = "{certificate}" }}
""")
    trusted = place / "trusted.pem"
    trusted.write_text(certificate.read_text() + pathlib.Path("/etc/ssl/certs/ca-certificates.crt").read_text())
    server = subprocess.Popen(["prosody", "-F", "--config", place / "prosody.cfg.lua"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: socket.create_connection(("127.0.0.1", port)).close() is None)
    return server, certificate, trusted


def until(condition):
    end = time.monotonic() + 30
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        if time.monotonic() > end:
            sys.exit("nothing came in 30 s")
        time.sleep(0.02)


def start_agent(program, place, acs, port, trusted, is_enabled):
    overlay = place / "overlay.json"
    connection = {"Enable": is_enabled, "Username": "cpe", "Password": "secret", "Domain": DOMAIN, "Resource": "r",
                  "ServerConnectAlgorithm": "ServerTable",
                  "Server": {"1": {"Enable": "true", "ServerAddress": "127.0.0.1", "Port": str(port)}}}
    overlay.write_text(json.dumps({"Device": {
        "XMPP": {"Connection": {"1": connection}},
        "ManagementServer": {"ConnReqXMPPConnection": {"value": "Device.XMPP.Connection.1"},
                             "ConnectionRequestUsername": {"value": "u"},
                             "ConnectionRequestPassword": {"value": "p"}}}}))
    state = tempfile.mkdtemp(dir=place)
    return subprocess.Popen(
        [program, "run", "--data-model", ROOT / "data-model/tr-181.json", "--data-model", overlay,
         "--set", f"Device.ManagementServer.URL={acs}", "--state-dir", state,
         "--control", f"{state}/control", "--ca-file", trusted, "--listen", "127.0.0.1:0",
         "--udp-listen", "127.0.0.1:0", "--log", "error"])


def memory_of(pid):
    """Returns the memory of heap and stacks in kB. The pages of the program that are mapped change with each start."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


class Client:
    """Signs in as the ACS."""

    def __init__(self, port, certificate):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.ask(STREAM, "</stream:features>")
        self.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "<proceed")
        context = ssl.create_default_context(cafile=str(certificate))
        self.socket = context.wrap_socket(self.socket, server_hostname=DOMAIN)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask(STREAM, "</stream:features>")
        plain = base64.b64encode(b"\0acs\0secret").decode()
        self.ask(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>", "<success")
        self.ask(STREAM, "</stream:features>")
        self.ask("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>")

    def ask(self, text, mark):
        self.socket.sendall(text.encode())
        answer = ""
        while mark not in answer:
            answer += self.socket.recv(4096).decode()
        return answer


def serve(certificate):
    """Starts the ACS, with TLS where it has a certificate, and returns its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Acs)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}/"


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/release/cpe-agent")
    port = free_port()
    memory, times, processes = {}, [], []
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        try:
            prosody, certificate, trusted = start_prosody(place, port)
            processes.append(prosody)
            secured = serve(certificate)
            for is_enabled in ("false", "true"):
                agent = start_agent(program, place, secured, port, trusted, is_enabled)
                processes.append(agent)
                Acs.ended.acquire()
                time.sleep(1)
                memory[is_enabled] = memory_of(agent.pid)
                agent.terminate()
                agent.wait()
            processes.append(start_agent(program, place, serve(None), port, trusted, "true"))
            Acs.ended.acquire()
            client = Client(port, certificate)
            for _ in range(REQUESTS):
                time.sleep(1)  # one request a second is always within the limit
                sent = time.monotonic()
                if "result" not in client.ask(REQUEST, ">"):
                    sys.exit("a request was refused")
                Acs.ended.acquire()
                times.append(Acs.informs[-1][0] - sent)
        finally:
            for process in processes:
                process.kill()
    times.sort()
    print(f"request to Inform: median {statistics.median(times) * 1000:.1f} ms, "
          f"90 % {times[len(times) * 9 // 10] * 1000:.1f} ms, of {len(times)}")
    print(f"heap and stacks: {memory['false']} kB without the connection, {memory['true']} kB with it")


if __name__ == "__main__":
    main()
