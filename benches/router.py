"""A router of OpenWrt for measurements: its files, its links, and a stand-in for ubusd.

The files are those of tests/it/sources/openwrt. All is set up inside namespaces of its own (`enter`), which need root.
"""

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

MATERIAL = pathlib.Path(__file__).resolve().parent.parent / "tests" / "it" / "sources" / "openwrt"

LINKS = """
set -e
ip link set lo up
for l in wan lan1 lan2 lan3 lan4 phy0-ap0 phy1-ap0 guest; do
    ip link add $l type veth peer name far-$l; ip link set $l up; ip link set far-$l up
done
ip link add br-lan type bridge; ip link add br-guest type bridge
for l in lan1 lan2 lan3 lan4 phy0-ap0 phy1-ap0; do ip link set $l master br-lan; done
ip link set guest master br-guest; ip link set br-lan up; ip link set br-guest up
ip address add 198.51.100.2/24 dev wan; ip route add default via 198.51.100.1 dev wan
ip address add 192.168.1.1/24 dev br-lan; ip address add 192.168.3.1/24 dev br-guest
ip route add 10.20.0.0/16 via 192.168.1.250 dev br-lan proto static
ip address add 2001:db8:ffff::2/128 dev wan valid_lft 9911 preferred_lft 6311 nodad
ip address add 2001:db8:1::1/60 dev br-lan nodad
ip neighbour add 192.168.1.121 lladdr 02:00:00:00:00:21 dev br-lan nud reachable
ip neighbour add 198.51.100.1 lladdr 02:00:00:00:00:01 dev wan nud permanent
"""


def is_inside():
    """Returns true in the namespaces of `enter`."""
    return os.environ.get("ROUTER") == "inside"


def enter():
    """Runs this program again in namespaces of its own, unless it is there already."""
    if is_inside():
        return
    os.environ["ROUTER"] = "inside"
    # The table of TCP sockets has places by the memory of the machine, and the kernel looks at all of them for the list of the
    # sockets. That of the inner namespace is as large as on a router with 128 MB; kernels before 6.1 have none of its own.
    places = "echo 1024 >/proc/sys/net/ipv4/tcp_child_ehash_entries 2>/dev/null"
    inner = 'exec unshare --net --mount --pid --fork --mount-proc "$@"'
    command = ["unshare", "--net", "sh", "-c", f"{places}; {inner}", "sh", sys.executable, *sys.argv]
    os.execvp(command[0], command)


class Router:
    """The files, the links and the bus of a router.

    `calls` are the calls that were answered, `events` the arguments of those that procd takes as events; `delays` has the
    seconds that a call takes.
    """

    def __init__(self):
        self.calls, self.events = [], []
        self.delays = {}
        place = pathlib.Path(tempfile.mkdtemp())
        subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], check=True)
        for name in ("etc/init.d", "run/ubus", "tmp/resolv.conf.d"):
            (place / name).mkdir(parents=True)
        shutil.copytree(MATERIAL / "config", place / "etc" / "config")
        for name, to in (
            ("passwd", "etc/passwd"),
            ("dhcp.leases", "tmp/dhcp.leases"),
            ("resolv.conf.auto", "tmp/resolv.conf.d/resolv.conf.auto"),
        ):
            shutil.copyfile(MATERIAL / "files" / name, place / to)
        (place / "etc/init.d/odhcpd").touch()
        subprocess.run(["sh", "-c", LINKS], check=True)
        self.answers = {}
        for file in sorted((MATERIAL / "bus").iterdir()):
            self.answers[tuple(file.stem.split(" "))] = b"".join(
                element(name, value) for name, value in json.loads(file.read_text()).items()
            )
        for name, to in (("etc", "/etc"), ("run", "/var/run"), ("tmp", "/tmp")):
            subprocess.run(["mount", "--bind", str(place / name), to], check=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind("/var/run/ubus/ubus.sock")
        listener.listen()
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        objects = sorted({key[0] for key in self.answers})
        stream = client.makefile("rwb")
        stream.write(message(0, 0, 0x1234, b""))
        stream.flush()
        while head := stream.read(12):
            _, kind, sequence, peer, length = struct.unpack(">BBHII", head)
            attributes = read_attributes(stream.read((length & 0xFFFFFF) - 4))
            if kind == 4:
                name = text(attributes[2])
                if name not in objects:
                    answer = message(1, sequence, 0, attribute(1, number(4)))
                else:
                    types = element("name", 3) + element("device", 3)
                    methods = {key[1] for key in self.answers if key[0] == name}
                    signature = b"".join(named(2, method, types) for method in methods)
                    found = attribute(2, name.encode() + b"\0") + attribute(3, number(objects.index(name) + 9))
                    answer = message(2, sequence, 0, found + attribute(6, signature))
                    answer += message(1, sequence, 0, attribute(1, number(0)))
            else:
                name, method = objects[peer - 9], text(attributes[4])
                self.calls.append(f"{name} {method}")
                if self.calls[-1] == "service event":
                    self.events.append(attributes[7])
                time.sleep(self.delays.get(self.calls[-1], 0))
                fitting = [
                    values
                    for key, values in self.answers.items()
                    if key[:2] == (name, method) and (len(key) == 2 or key[2].encode() in attributes[7])
                ]
                answer = b""
                for values in fitting[:1]:
                    answer = message(2, sequence, peer, attribute(3, number(peer)) + attribute(7, values))
                status = attribute(1, number(0 if fitting else 4)) + attribute(3, number(peer))
                answer += message(1, sequence, peer, status)
            stream.write(answer)
            stream.flush()


def number(value):
    return struct.pack(">I", value)


def text(content):
    return content.rstrip(b"\0").decode()


def padded(content):
    return content + bytes(-len(content) % 4)


def attribute(kind, content):
    return padded(struct.pack(">I", kind << 24 | len(content) + 4) + content)


def message(kind, sequence, peer, attributes):
    return struct.pack(">BBHI", 0, kind, sequence, peer) + attribute(0, attributes)


def read_attributes(content):
    found = {}
    while content:
        head = struct.unpack(">I", content[:4])[0]
        length = head & 0xFFFFFF
        found[head >> 24 & 0x7F] = content[4:length]
        content = content[length + -length % 4 :]
    return found


def named(kind, name, content):
    return attribute(0x80 | kind, padded(struct.pack(">H", len(name)) + name.encode() + b"\0") + content)


def element(name, value):
    """Returns a value of JSON as libubus sends it."""
    if isinstance(value, bool):
        return named(7, name, bytes([value]))
    if isinstance(value, int):
        return named(5, name, struct.pack(">i", value)) if abs(value) < 1 << 31 else named(4, name, struct.pack(">q", value))
    if isinstance(value, float):
        return named(8, name, struct.pack(">d", value))
    if isinstance(value, str):
        return named(3, name, value.encode() + b"\0")
    if isinstance(value, list):
        return named(1, name, b"".join(element("", item) for item in value))
    return named(2, name, b"".join(element(key, member) for key, member in value.items()))
