"""Running jobs/*.sh: what their heads ask for, the verdicts that guests print, and the checks on the host's side."""

import dataclasses
import pathlib
import random
import re
import shlex
import shutil
import subprocess
import time

from . import host, wire
from .bench import END_S, Bench, Failed

JOBS = host.TESTS_LAB / "jobs"
REPOSITORY = host.TESTS_LAB.parent.parent
JOB_LIMIT_S = 240
SHOWN_LINES = 60
PAYLOAD_BYTES = 3 << 20
BLOCK_BYTES = 1024


@dataclasses.dataclass
class Test:
    """One line of the result. `where` names who has to find it good: guests, "host", or "exit" for the job itself."""

    name: str
    where: list
    what: str


@dataclasses.dataclass
class Job:
    """A script for the guests."""

    path: pathlib.Path
    options: list
    arguments: list
    tests: list

    @classmethod
    def parse(cls, path):
        """Reads the head of a job: the lines `# lab:`, `# arguments:` and `# test`."""
        job = cls(path, [], ["{smc}", "{data}"], [])
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.fullmatch(r"# lab: (.*)", line):
                job.options = shlex.split(match[1])
            elif match := re.fullmatch(r"# arguments: (.*)", line):
                job.arguments = shlex.split(match[1])
            elif match := re.fullmatch(r"# test (\S+) ([\w ]+): (.*)", line):
                job.tests.append(Test(match[1], match[2].split(), match[3]))
        if not job.tests:
            raise SystemExit(f"{path} names no tests")
        return job

    @property
    def name(self):
        """What the job is called."""
        return self.path.stem


class Verdicts:
    """What guests said about tests, in lines `lab-test NAME ok`, `... failed` and `... problem: WHAT`."""

    LINE = re.compile(r"\[(\d+)\] lab-test (\S+) (ok|failed|problem: .*)")

    def __init__(self, lines):
        self._ok, self._problems = set(), {}
        for line in lines:
            if not (match := self.LINE.fullmatch(line)):
                continue
            guest, name, verdict = match.groups()
            if verdict == "ok":
                self._ok.add((name, guest))
            else:
                self._problems.setdefault(name, []).append(f"guest {guest}: {verdict.removeprefix('problem: ')}")

    def check(self, name, guests):
        """Fails unless all of these guests found the test good, and none found a problem."""
        problems = list(self._problems.get(name, []))
        problems += [f"guest {guest} has not come to a verdict" for guest in guests
                     if (name, guest) not in self._ok and not any(f"guest {guest}:" in each for each in problems)]
        if problems:
            raise Failed("; ".join(problems))


def run_all(words):
    """Runs the chosen jobs and tells how many tests passed; the exit code is 0 only if all did."""
    programs = {"smc": _program("smc", words.smc), "verbs-probe": _program("verbs-probe", words.verbs_probe)}
    chosen = [Job.parse(path) for path in sorted(JOBS.glob("*.sh"))]
    if words.jobs:
        chosen = [job for job in chosen if any(word in job.name for word in words.jobs)]
    passed = failed = 0
    for job in chosen:
        for result in _run(job, programs, words):
            passed, failed = passed + result, failed + (not result)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


def _program(name, given):
    """Where a program is; None if it was not built: jobs that need it fail."""
    if given:
        return pathlib.Path(given).absolute()
    paths = [REPOSITORY / ".build" / kind / name for kind in ("release", "debug")]
    return next((path for path in paths if path.exists()), None)


def _run(job, programs, words):
    """Yields for each test of a job whether it passed, after having printed its line."""
    bench = Bench()
    artifacts = pathlib.Path(words.artifacts).absolute() / job.name if words.artifacts else bench.path / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        try:
            code, lines = _boot(job, programs, bench, artifacts)
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            code, lines = str(failure), []
        seconds = time.monotonic() - started
        (artifacts / "output").write_text("\n".join(lines) + "\n", encoding="utf-8")
        verdicts = Verdicts(lines)
        results = []
        for test in [*job.tests, Test("ends", ["exit"], f"the job ends with 0 and leaves nothing ({seconds:.0f} s)")]:
            results.append(_judge(job, test, code, verdicts, artifacts, bench))
            yield results[-1]
        if words.verbose or not all(results):
            shown = lines if words.verbose else [line for line in lines if " lab-test " not in line][-SHOWN_LINES:]
            print("".join(f"    {line}\n" for line in shown), end="", flush=True)
    finally:
        shutil.rmtree(bench.path, ignore_errors=True)


def _boot(job, programs, bench, artifacts):
    """Runs a job in its guests.

    They get copies of the programs: guests cache files, and somebody may build meanwhile.
    """
    bench.path.chmod(0o755)  # A guest's user nobody runs the program too.
    for stale in artifacts.glob("wire.*"):
        stale.unlink()
    values = {"data": str(_data(bench.path / "data"))}
    for name in programs:
        if "{" + name + "}" not in job.arguments:
            continue
        if programs[name] is None or not programs[name].exists():
            raise Failed(f"there is no {name}: swift build -c release --product {name}")
        values[name] = shutil.copy(programs[name], bench.path / name)
    options = [str(artifacts / "wire") if word == "{capture}" else word for word in job.options]
    arguments = [word.format(**values) for word in job.arguments]
    limits = ["--timeout", str(JOB_LIMIT_S), "--keep", str(bench.path)]
    process = bench.launch(*limits, *options, str(job.path), *arguments)
    try:
        output, _ = process.communicate(timeout=JOB_LIMIT_S + END_S)
    finally:
        process.kill()
    return process.returncode, output.splitlines()


def _data(directory):
    """Random bytes with a mark at every KiB, so that they are found in captures."""
    directory.mkdir()
    for name, mark in wire.MARKS.items():
        blocks = (mark + b"%08d" % number + random.randbytes(BLOCK_BYTES - len(mark) - 8)
                  for number in range(PAYLOAD_BYTES // BLOCK_BYTES))
        (directory / name).write_bytes(b"".join(blocks))
    return directory


def _judge(job, test, code, verdicts, artifacts, bench):
    """Prints the line of a test; says whether it passed."""
    try:
        if "exit" in test.where:
            if code != 0:
                raise Failed(f"it ended with {code}")
            bench.check_clean()
        elif "host" in test.where:
            wire.CHECKS[test.name](artifacts / "wire.0.pcap")
        else:
            verdicts.check(test.name, test.where)
        result = "ok"
    except (Failed, OSError, subprocess.SubprocessError) as failure:
        result = f"FAILED: {failure}"
    print(f"{job.name}: {test.name}: {test.what}: {result}", flush=True)
    return result == "ok"
