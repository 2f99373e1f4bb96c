"""labswitch.py [-w FILE] DESCRIPTOR...: the same switch as labswitch.c, slower, for machines without a C compiler."""

import select
import socket
import struct
import sys
import time

FRAME_MAX, HEADER_SIZE, PATIENCE_MS = 70000, 14, 100


class Switch:
    """Learns which port an address is behind; floods what it does not know."""

    def __init__(self, ports, capture):
        self._ports = ports
        self._capture = capture
        self._port_of = {}
        self._deaf = set()

    def serve(self):
        """Forwards frames until killed."""
        poll = select.poll()
        by_descriptor = {port.fileno(): port for port in self._ports}
        for descriptor in by_descriptor:
            poll.register(descriptor, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll():
                self._receive(by_descriptor[descriptor])

    def _receive(self, source):
        try:
            frame = source.recv(FRAME_MAX)
        except OSError:
            return
        if len(frame) < HEADER_SIZE:
            return
        if self._capture:
            self._record(frame)
        self._port_of[frame[6:12]] = source
        known = None if frame[0] & 1 else self._port_of.get(frame[:6])
        for port in self._ports:
            if port is not source and (known is None or known is port):
                self._forward(port, frame)

    def _forward(self, port, frame):
        for _ in range(2):
            try:
                port.send(frame)
                self._deaf.discard(port)
                return
            except BlockingIOError:
                if port in self._deaf:
                    return
                _, writable, _ = select.select([], [port], [], PATIENCE_MS / 1000)
                if not writable:
                    self._deaf.add(port)
            except OSError:
                return

    def _record(self, frame):
        now = time.time()
        self._capture.write(struct.pack("=IIII", int(now), int(now % 1 * 1e6), len(frame), len(frame)) + frame)
        self._capture.flush()


def main(words):
    """Reads the descriptors from the command line."""
    capture = None
    if words[:1] == ["-w"]:
        capture = open(words[1], "wb")
        capture.write(struct.pack("=IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, FRAME_MAX, 1))
        capture.flush()
        words = words[2:]
    ports = [socket.socket(fileno=int(word)) for word in words]
    for port in ports:
        port.setblocking(False)
    Switch(ports, capture).serve()


main(sys.argv[1:])
