"""Barriers, flags and faults: what guests (and the host, with `lab ask`) request from the lab while it runs.

A request is one line, "ID VERB WORD..."; its answer is one line, "ID STATUS TEXT", at once or when the wait is over.
"""

import dataclasses
import time
import typing

from .guest import State
from .host import LabError

WAIT_S = 60
FAILED, TIMED_OUT = 1, 124


@dataclasses.dataclass
class Wait:
    """Somebody who waits at a barrier or for a flag. `guest` is 0 for the host."""

    kind: str
    name: str
    guest: int
    deadline: float
    answer: typing.Callable


class Control:
    """The lab's notice board, and the hands that reach into the guests."""

    def __init__(self, guests, restart, kill):
        self._guests = guests
        self._restart = restart
        self._kill = kill
        self._flags = {}
        self._waits = []

    def handle(self, guest_number, line, send):
        """Carries out one request line; `send` takes the answer line."""
        words = line.decode(errors="replace").split()
        if not words:
            return
        request_id, verb, words = words[0], (words + [""])[1], words[2:]

        def answer(status, text=""):
            send(f"{request_id} {status} {text}\n".encode())

        try:
            if verb in ("barrier", "await") and words:
                limit = float(words[1]) if len(words) > 1 else WAIT_S
                self._waits.append(Wait(verb, words[0], guest_number, time.monotonic() + limit, answer))
            elif verb == "post" and words:
                self._flags[words[0]] = " ".join(words[1:])
                answer(0)
            elif verb == "status":
                answer(0, " ".join(f"{guest.number}:{guest.state.value}" for guest in self._guests))
            else:
                answer(0, self._fault(verb, words))
        except (LabError, ValueError) as error:
            answer(FAILED, str(error))
        self.settle()

    def settle(self):
        """Answers all whose wait is over. Call it after anything that may end a wait."""
        now = time.monotonic()
        for wait in list(self._waits):
            if wait not in self._waits:
                continue
            if wait.kind == "await" and wait.name in self._flags:
                self._finish([wait], 0, self._flags[wait.name])
            elif wait.kind == "barrier":
                self._settle_barrier(wait.name)
            if wait in self._waits and now >= wait.deadline:
                self._finish([wait], TIMED_OUT, f"{wait.kind} {wait.name}: timed out")

    def forget(self, guest_number):
        """A guest has begun or ended a life: what its former life waited for is void."""
        self._waits = [wait for wait in self._waits if wait.guest != guest_number]
        self.settle()

    def next_deadline(self):
        """When `settle` has to be called at the latest; None if nobody waits."""
        return min((wait.deadline for wait in self._waits), default=None)

    def _settle_barrier(self, name):
        """Guests killed on request do not count; one that has ended of itself will never come."""
        here = [wait for wait in self._waits if (wait.kind, wait.name) == ("barrier", name)]
        ended = [guest.number for guest in self._guests if guest.state in (State.DONE, State.DEAD)]
        if ended:
            self._finish(here, FAILED, f"barrier {name}: guest {ended[0]} has ended")
            return
        expected = {guest.number for guest in self._guests if guest.state != State.KILLED}
        if expected <= {wait.guest for wait in here}:
            self._finish(here, 0)

    def _finish(self, waits, status, text=""):
        for wait in waits:
            self._waits.remove(wait)
            wait.answer(status, text)

    def _fault(self, verb, words):
        if verb not in ("carrier", "freeze", "thaw", "kill", "restart") or not words:
            raise LabError(f"the lab does not understand: {verb} {' '.join(words)}".strip())
        guest = self._guest(words[0])
        if verb == "restart":
            self._restart(guest)
            return ""
        if guest.state not in (State.BOOTING, State.RUNNING):
            raise LabError(f"guest {guest.number} is {guest.state.value}")
        if verb == "kill":
            self._kill(guest)
        elif verb == "carrier":
            if len(words) != 3 or words[2] not in ("off", "on"):
                raise LabError("carrier GUEST SEGMENT off|on")
            guest.qmp("set_link", name=f"nic{int(words[1])}", up=words[2] == "on")
        else:
            guest.qmp("stop" if verb == "freeze" else "cont")
            guest.frozen = verb == "freeze"
        return ""

    def _guest(self, word):
        for guest in self._guests:
            if str(guest.number) == word:
                return guest
        raise LabError(f"there is no guest {word}")
