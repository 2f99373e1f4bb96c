"""Ethernet between guests: per segment a switch process, and per guest a socket pair that outlives the guest."""

import hashlib
import os
import shutil
import socket
import subprocess
import sys

from . import host
from .host import say

SOURCE = host.TESTS_LAB / "switch" / "labswitch.c"
FALLBACK = host.TESTS_LAB / "switch" / "labswitch.py"
BUFFER_BYTES = 4 << 20


def prepared_switch(cache):
    """The command of the switch: compiled if there is a C compiler. Call it with the cache locked."""
    program = cache / f"labswitch-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    if not program.exists():
        compiler = shutil.which("cc")
        if compiler is None:
            say("no C compiler: the switch between guests will be slower (apt-get install gcc libc6-dev)")
            return [sys.executable, str(FALLBACK)]
        scratch = program.with_suffix(".new")
        built = subprocess.run([compiler, "-O2", "-o", scratch, SOURCE], capture_output=True, text=True, check=False)
        if built.returncode != 0:
            say(f"the switch between guests will be slower; {compiler} says: {built.stderr.strip()}")
            return [sys.executable, str(FALLBACK)]
        scratch.rename(program)
    return [str(program)]


def subnet(segment):
    """The first three bytes of a segment's addresses."""
    return f"10.77.{segment}"


def address(segment, guest):
    """The IPv4 address of a guest on a segment, both as numbers."""
    return f"{subnet(segment)}.{guest}"


class Segment:
    """One Ethernet. `plug(guest)` is the descriptor for that guest's card, the same in each of its lives."""

    def __init__(self, number, guests, switch, capture=None):
        self.number = number
        self._plugs = {}
        sockets = []
        for guest in guests:
            inside, outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            for end in (inside, outside):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            self._plugs[guest] = inside
            sockets.append(outside)
        command = list(switch) + (["-w", capture] if capture else []) + [str(end.fileno()) for end in sockets]
        self._process = subprocess.Popen(
            command, pass_fds=[end.fileno() for end in sockets], stdin=subprocess.DEVNULL,
            preexec_fn=host.die_with(os.getpid()), start_new_session=True)
        for end in sockets:
            end.close()

    def plug(self, guest):
        """The descriptor of a guest's card, freed of frames that came while nobody listened."""
        inside = self._plugs[guest]
        inside.setblocking(False)
        try:
            while inside.recv(1 << 17):
                pass
        except BlockingIOError:
            pass
        return inside.fileno()

    def close(self):
        """Ends the switch."""
        self._process.kill()
        self._process.wait()
        for inside in self._plugs.values():
            inside.close()
