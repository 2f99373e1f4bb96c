"""What `selftest` and `test` have in common: running a lab with its files in one place, and looking at the outcome."""

import os
import pathlib
import subprocess
import tempfile
import time

from . import host

LAB = host.TESTS_LAB / "lab"
RUN_LIMIT_S = 90
END_S = 10


class Failed(Exception):
    """A check that did not hold."""


def check(holds, what, answer=None):
    """One expectation."""
    if not holds:
        raise Failed(what + ("" if answer is None else f"\n{answer.text}"))


class Answer:
    """How a run of the lab ended."""

    def __init__(self, code, text, seconds):
        self.code, self.text, self.seconds = code, text, seconds

    def has(self, line):
        """Whether a line was printed exactly so."""
        return line in self.text.splitlines()


class Bench:
    """A directory for scripts and results. All temporary files of the labs started here are below it."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="lab-test-"))
        self.temporary = self.path / "tmp"
        self.temporary.mkdir()
        self.environment = dict(os.environ, TMPDIR=str(self.temporary))

    def script(self, text):
        """A script file for the guests."""
        path = self.path / f"script-{time.monotonic_ns()}.sh"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def start(self, text, *options):
        """Starts `lab run` with a script of this text."""
        return self.launch("--timeout", str(RUN_LIMIT_S), *options, self.script(text))

    def launch(self, *words):
        """Starts `lab run`."""
        return subprocess.Popen(
            [LAB, "run", *words], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")

    def run(self, text, *options):
        """Runs a script of this text to its end."""
        started = time.monotonic()
        process = self.start(text, *options)
        output, _ = process.communicate(timeout=RUN_LIMIT_S + END_S)
        return Answer(process.returncode, output, time.monotonic() - started)

    def leftovers(self):
        """Processes and temporary files of labs that ought to be gone."""
        found = [str(path) for path in self.temporary.iterdir()]
        for command in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = command.read_bytes()
            except OSError:
                continue
            if str(self.temporary).encode() in words:
                found.append(words.replace(b"\0", b" ").decode(errors="replace")[:100])
        return found

    def check_clean(self):
        """Labs that were killed may take a moment to be gone."""
        deadline = time.monotonic() + END_S
        while self.leftovers() and time.monotonic() < deadline:
            time.sleep(0.1)
        check(not self.leftovers(), f"left behind: {self.leftovers()}")
