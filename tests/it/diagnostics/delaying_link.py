#!/usr/bin/env python3
"""A link that delays packets, for kernels without the queue `netem`.

    delaying_link.py NEAR FAR MILLISECONDS

Makes two TUN devices. A packet that enters NEAR leaves FAR after the delay, and one that enters FAR leaves NEAR at once, so
that a round trip takes the delay. The caller may move a device into another network namespace. The link ends with this program.
"""

import collections
import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
SPIN = 0.0003  # seconds of a wait that are spent awake, since a sleep ends late
QUEUE = 10_000  # packets; further ones are lost


def device(name):
    file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return file


def packets(file):
    while True:
        try:
            yield os.read(file, 1 << 16)
        except (BlockingIOError, OSError):  # the latter while the device is down
            return


def send(file, packet):
    try:
        os.write(file, packet)
    except OSError:
        pass  # the device is down, or its queue is full


def main():
    near, far, delay = device(sys.argv[1]), device(sys.argv[2]), float(sys.argv[3]) / 1000
    waiting = collections.deque()  # packets with their instants, in order since all are delayed alike
    while True:
        left = waiting[0][0] - time.monotonic() - SPIN if waiting else None
        select.select([near, far], [], [], left if left is None else max(left, 0))
        arrived = time.monotonic()
        for packet in packets(near):
            if len(waiting) < QUEUE:
                waiting.append((arrived + delay, packet))
        for packet in packets(far):
            send(near, packet)
        while waiting and waiting[0][0] <= time.monotonic():
            send(far, waiting.popleft()[1])


if __name__ == "__main__":
    main()
