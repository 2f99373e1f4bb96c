"""The loop that starts the guests, watches everything, and ends with the worst exit code."""

import os
import pathlib
import re
import selectors
import signal
import socket
import sys
import tempfile
import termios
import time

from . import host, initramfs, kernel, plan, segment
from .control import Control
from .guest import Guest, State
from .host import LabError, say

TIMED_OUT, DIED = 124, 125
LINE_MAX_BYTES = 1 << 20
DRAIN_ROUNDS = 256
BOOT_SILENCE_S = 30
BOOT_ATTEMPTS = 3
LOOP_S = 1.0


class Interrupted(Exception):
    """A signal asks the lab to end."""

    def __init__(self, number):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def run(options):
    """Carries out one run and leaves nothing behind; gives the exit code."""
    host.require_packages()
    with kernel.locked_cache() as cache:
        guest_kernel = kernel.unpacked(options.kernel or kernel.DEFAULT_FLAVOUR, cache)
        archive = initramfs.prepared(guest_kernel)
        switch = segment.prepared_switch(cache)

    directory = pathlib.Path(tempfile.mkdtemp(prefix="swift-smc-lab-"))
    janitor = host.Janitor(directory)
    lab = None
    _raise_on_signals()
    try:
        plan.write_instructions(directory, options)
        shared = pathlib.Path(options.shared).absolute() if options.shared else directory / "shared"
        shared.mkdir(parents=True, exist_ok=True)
        lab = Lab(options, plan.Plan(directory, shared, guest_kernel, archive, []), switch)
        return lab.watch()
    except Interrupted as interrupted:
        say(f"ended by {interrupted}")
        return interrupted.exit_code
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if lab is not None:
            lab.close()
        janitor.finish()


def _raise_on_signals():
    def interrupt(number, _frame):
        raise Interrupted(number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)


class Lab:
    """The guests of one run, their segments, and what each of them last said."""

    def __init__(self, options, run_plan, switch):
        self._options = options
        self._plan = run_plan
        self._started = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._terminal = termios.tcgetattr(0) if options.mode == "shell" and os.isatty(0) else None
        self._listener = None
        numbers = range(1, options.guests + 1)
        self._guests = [Guest(number, options, run_plan) for number in numbers]
        self._control = Control(self._guests, self._restart, self._kill)
        self._partial = {number: b"" for number in numbers}
        for number in range(options.segments):
            capture = f"{os.path.abspath(options.capture)}.{number}.pcap" if options.capture else None
            run_plan.segments.append(segment.Segment(number, numbers, switch, capture))
        if options.control:
            self._listen(options.control)
        for guest in self._guests:
            self._start(guest)

    def watch(self):
        """Serves the guests until all are done or time is up."""
        awaited = self._guests[:1] if self._options.mode == "shell" else self._guests
        deadline = self._started + self._options.timeout if self._options.timeout else float("inf")
        while any(guest.state in (State.BOOTING, State.RUNNING) for guest in awaited):
            now = time.monotonic()
            if now >= deadline:
                return self._timed_out()
            wake = min(deadline, now + LOOP_S, self._control.next_deadline() or deadline)
            for key, _ in self._selector.select(max(0.0, wake - now)):
                # An earlier event of this round may have ended what this one is about.
                if self._selector.get_map().get(key.fileobj) is key:
                    key.data()
            self._control.settle()
            if any(guest.state == State.DEAD for guest in self._guests):
                return DIED
            self._watch_boots()
        return max((guest.exit_code for guest in awaited if guest.exit_code is not None), default=0)

    def close(self):
        """Ends all guests and switches."""
        for guest in self._guests:
            guest.kill()
            self._print_rest(guest)
        for item in self._plan.segments:
            item.close()
        if self._listener is not None:
            self._listener.close()
            pathlib.Path(self._options.control).unlink(missing_ok=True)
        if self._terminal is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._terminal)

    # Lives of guests

    def _start(self, guest):
        guest.start()
        self._selector.register(guest.output.socket, selectors.EVENT_READ, lambda: self._on_output(guest))
        self._selector.register(guest.console.socket, selectors.EVENT_READ, lambda: self._on_console(guest))
        for channel in guest.controls:
            self._selector.register(
                channel.socket, selectors.EVENT_READ, lambda channel=channel: self._on_request(guest, channel))
        self._selector.register(guest.process_descriptor, selectors.EVENT_READ, lambda: self._on_exit(guest))

    def _end(self, guest, state):
        """Ends a guest's life, whether or not QEMU still runs."""
        for channel in (guest.output, guest.console, *guest.controls):
            self._unwatch(channel.socket)
        self._unwatch(guest.process_descriptor)
        guest.kill()
        guest.state = state
        self._print_rest(guest)
        self._control.forget(guest.number)

    def _unwatch(self, source):
        if source in self._selector.get_map():
            self._selector.unregister(source)

    def _kill(self, guest):
        self._drain(guest)
        say(f"guest {guest.number} is killed on request")
        guest.exit_code = None
        self._end(guest, State.KILLED)

    def _restart(self, guest):
        # Never "killed" in between: a barrier must not pass without a guest that comes back.
        if guest.state in (State.BOOTING, State.RUNNING):
            self._drain(guest)
            self._end(guest, State.BOOTING)
        say(f"guest {guest.number} is started again")
        guest.attempt = 0
        self._start(guest)

    def _watch_boots(self):
        for guest in self._guests:
            silent = time.monotonic() - guest.last_sign > BOOT_SILENCE_S
            if guest.state == State.BOOTING and silent and not guest.frozen:
                self._boot_failed(guest, f"was silent for {BOOT_SILENCE_S} s while booting")

    def _boot_failed(self, guest, what):
        guest.attempt += 1
        words = " | ".join(guest.last_words())
        if guest.attempt >= BOOT_ATTEMPTS:
            say(f"guest {guest.number} {what}, {guest.attempt} times: {words}")
            self._end(guest, State.DEAD)
            return
        say(f"guest {guest.number} {what}, trying again: {words}")
        self._end(guest, State.BOOTING)
        guest.life -= 1
        self._start(guest)

    def _on_exit(self, guest):
        self._drain(guest)
        if guest.state == State.BOOTING:
            self._boot_failed(guest, "died while booting")
        elif guest.state == State.RUNNING:
            say(f"guest {guest.number} died: " + " | ".join(guest.last_words()))
            self._end(guest, State.DEAD)

    def _drain(self, guest):
        """Takes what a guest said before its end. This may turn out to be its exit code."""
        self._receive_all(guest.output)
        self._use_output(guest)
        if guest.state in (State.BOOTING, State.RUNNING):
            self._receive_all(guest.console)
            guest.remember_console()

    @staticmethod
    def _receive_all(channel):
        """Takes what is there, within limits: a guest may go on writing as fast as we read."""
        for _ in range(DRAIN_ROUNDS):
            size = len(channel.buffer)
            if not channel.receive() or len(channel.buffer) == size:
                return

    def _timed_out(self):
        for guest in self._guests:
            if guest.state in (State.BOOTING, State.RUNNING):
                self._drain(guest)
            if guest.state in (State.BOOTING, State.RUNNING):
                how = "frozen" if guest.frozen else guest.state.value
                say(f"guest {guest.number} is still {how} after {self._options.timeout:g} s")
                if guest.state == State.BOOTING:
                    say("its last words: " + " | ".join(guest.last_words()))
        codes = [guest.exit_code for guest in self._guests if guest.exit_code is not None]
        return max([TIMED_OUT, *codes])

    # What guests say

    def _on_output(self, guest):
        if not guest.output.receive():
            self._unwatch(guest.output.socket)
        guest.last_sign = time.monotonic()
        self._use_output(guest)

    def _use_output(self, guest):
        """Prints whole lines; a line with the guest's token is for the lab."""
        mark = b"@lab " + guest.token.encode()
        if len(guest.output.buffer) > LINE_MAX_BYTES and b"\n" not in guest.output.buffer:
            guest.output.buffer += b"\n"
        for line in guest.output.lines():
            if not line.startswith(mark):
                self._print(guest, line)
                continue
            # The exit line starts with a line break of its own, which is no output of the script.
            if line.endswith(b" ready"):
                guest.state = State.RUNNING
                self._report_ready(guest)
            elif match := re.fullmatch(rb" exit (\d+)", line[len(mark):]):
                guest.exit_code = int(match.group(1))
                if guest.exit_code != 0:
                    say(f"guest {guest.number} ended with {guest.exit_code}")
                self._partial[guest.number] = b""
                guest.output.buffer.clear()
                self._end(guest, State.DONE)
                return

    def _report_ready(self, guest):
        seconds = time.monotonic() - self._started
        if os.environ.get("SMC_LAB_VERBOSE"):
            say(f"guest {guest.number} ready at {seconds:.1f} s")

    def _print(self, guest, line):
        if self._partial[guest.number]:
            self._write(guest, self._partial[guest.number])
        # Held back by one: an empty line before the exit line is the lab's own.
        self._partial[guest.number] = b""
        if line == b"":
            self._partial[guest.number] = b"\n"
        else:
            self._write(guest, line + b"\n")

    def _print_rest(self, guest):
        rest = self._partial[guest.number]
        self._partial[guest.number] = b""
        tail = bytes(guest.output.buffer)
        guest.output.buffer.clear()
        if rest:
            self._write(guest, rest)
        if tail:
            self._write(guest, tail + b"\n")

    @staticmethod
    def _write(guest, line):
        try:
            sys.stdout.buffer.write(b"[%d] %s" % (guest.number, line.replace(b"\r\n", b"\n")))
            sys.stdout.buffer.flush()
        except BrokenPipeError as error:
            raise Interrupted(signal.SIGPIPE) from error

    def _on_console(self, guest):
        if not guest.console.receive():
            self._unwatch(guest.console.socket)
        guest.last_sign = time.monotonic()
        guest.remember_console()

    # What guests and the host ask for

    def _on_request(self, guest, channel):
        if not channel.receive():
            self._unwatch(channel.socket)
            return
        for line in channel.lines():
            self._control.handle(guest.number, line, lambda answer: _send(channel.socket, answer))

    def _listen(self, path):
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(path)
        except OSError as error:
            raise LabError(f"cannot listen on {path}: {error}") from error
        self._listener.listen()
        self._selector.register(self._listener, selectors.EVENT_READ, self._on_host)

    def _on_host(self):
        connection, _ = self._listener.accept()
        pending = bytearray()

        def receive():
            data = connection.recv(4096)
            if not data:
                self._selector.unregister(connection)
                connection.close()
                return
            pending.extend(data)
            *lines, rest = bytes(pending).split(b"\n")
            pending[:] = rest
            for line in lines:
                self._control.handle(0, line, lambda answer: _send(connection, answer))
        self._selector.register(connection, selectors.EVENT_READ, receive)


def _send(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass  # who asked is gone
