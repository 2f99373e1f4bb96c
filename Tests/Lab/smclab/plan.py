"""What a run consists of: the options, and the directory from which the guests take their instructions."""

import dataclasses
import os
import pathlib
import shlex
import shutil

from . import host
from .host import LabError
from .segment import address

HIDDEN = ("/run", "/dev", "/proc", "/sys")


@dataclasses.dataclass
class Options:
    """The words of the command line, checked."""

    mode: str  # "script" or "shell"
    arguments: list
    guests: int = 2
    segments: int = 1
    timeout: float = 300
    kernel: str = ""
    mtu: int = 1500
    memory: int = 1024
    rxe: bool = True
    shared: str = ""
    capture: str = ""
    control: str = ""
    keep: list = dataclasses.field(default_factory=list)
    environment: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Plan:
    """All that a guest needs to start."""

    directory: pathlib.Path
    shared: pathlib.Path
    kernel: object
    initramfs: pathlib.Path
    segments: list


def write_instructions(directory, options):
    """Fills the directory that every guest sees as /run/lab."""
    source = host.TESTS_LAB / "guest"
    shutil.copy(source / "start", directory)
    shutil.copy(source / "job", directory)
    shutil.copytree(source / "bin", directory / "bin")
    (directory / "visible").write_text("".join(name + "\n" for name in _visible(options)), encoding="utf-8")
    (directory / "hosts").write_text(_hosts(options), encoding="utf-8")
    for guest in range(1, options.guests + 1):
        lines = [f"export {name}={shlex.quote(str(value))}\n" for name, value in _environment(options, guest).items()]
        (directory / f"guest-{guest}.env").write_text("".join(lines), encoding="utf-8")
        mode = "idle" if options.mode == "shell" and guest > 1 else options.mode
        arguments = " ".join(shlex.quote(word) for word in options.arguments)
        text = f"LAB_MODE={mode}\nset -- {arguments}\n"
        (directory / f"guest-{guest}.args").write_text(text, encoding="utf-8")


def _environment(options, guest):
    """What a script finds in its environment besides LAB_ID and others that the kernel's command line brings."""
    words = {
        "PATH": f"/run/lab/bin:{host.full_path()}",
        "HOME": os.environ.get("HOME", "/root"),
        "TERM": os.environ.get("TERM", "linux"),
    }
    words.update(options.environment)
    words.update({
        "LAB_GUESTS": options.guests,
        "LAB_IP": address(0, guest),
        "LAB_SHARED": "/run/lab-shared",
        "LAB_DIRECTORY": os.getcwd(),
    })
    for other in range(1, options.guests + 1):
        words[f"LAB_IP_{other}"] = address(0, other)
        for segment in range(options.segments):
            words[f"LAB_IP_{other}_{segment}"] = address(segment, other)
    return words


def _hosts(options):
    lines = ["127.0.0.1 localhost", "::1 localhost"]
    lines += [f"{address(0, guest)} guest{guest}" for guest in range(1, options.guests + 1)]
    return "".join(line + "\n" for line in lines)


def _visible(options):
    """The entries of /tmp that the guests' own, fresh /tmp must not hide."""
    script = options.arguments[:1] if options.mode == "script" else []
    names = []
    for path in [*script, *options.keep, os.getcwd(), str(host.TESTS_LAB)]:
        path = os.path.abspath(path)
        if path in script and path.startswith(tuple(hidden + "/" for hidden in HIDDEN)):
            raise LabError(f"guests cannot see {path}: they have their own {', '.join(HIDDEN)}")
        parts = pathlib.PurePath(path).parts
        if parts[:2] == ("/", "tmp") and len(parts) > 2 and parts[2] not in names:
            names.append(parts[2])
    return names
