"""What this machine must have, and children that never outlive the lab."""

import ctypes
import os
import pathlib
import shutil
import signal
import struct
import sys

TESTS_LAB = pathlib.Path(__file__).resolve().parent.parent

# Program -> the Debian package that has it.
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
    "depmod": "kmod",
    "zstd": "zstd",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
    "bash": "bash",
    "rdma": "iproute2",
}
PROVIDERS = "/etc/libibverbs.d/rxe.driver"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

PR_SET_PDEATHSIG = 1
PT_INTERP = 3
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something the user can put right; the text says how."""


def say(text):
    """A word from the lab itself, apart from what the guests print."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


def full_path():
    """The user's PATH, and behind it the places where Debian has its programs."""
    return ":".join(part for part in (os.environ.get("PATH"), SYSTEM_PATH) if part)


def find_program(name):
    """The path of a program, also where only administrators look; None if it is not there."""
    return shutil.which(name, path=full_path())


def is_static(path):
    """Whether an x86-64 ELF program runs without a dynamic loader."""
    image = pathlib.Path(path).read_bytes()
    if image[:5] != b"\x7fELF\x02":
        return False
    (table,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    kinds = [struct.unpack_from("<I", image, table + size * index)[0] for index in range(count)]
    return PT_INTERP not in kinds


def missing_packages():
    """The Debian packages that the lab needs and this machine lacks, without doubles."""
    missing = [package for program, package in PROGRAMS.items() if find_program(program) is None]
    busybox = find_program("busybox")
    if busybox is not None and not is_static(busybox):
        missing.append("busybox-static")
    if not os.path.exists(PROVIDERS):
        missing.append("ibverbs-providers")
    return list(dict.fromkeys(missing))


def require_packages():
    """Ends the lab with the command that helps. The lab never skips in silence."""
    missing = missing_packages()
    if missing:
        raise LabError("missing packages; run: apt-get install --no-install-recommends " + " ".join(missing))


def has_kvm():
    """KVM is trusted only with hardware support: emulated or nested variants of it were seen to hang."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False
    return ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def die_with(parent):
    """A `preexec_fn` by which the kernel kills the child as soon as `parent` (a process id) is gone."""
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    return prepare


class Janitor:
    """A process that removes a directory when the lab ends, however it ends, also by kill -9.

    It holds the read end of a pipe of which only the lab has the write end: end of file is the lab's end.
    """

    def __init__(self, directory):
        read_end, self._write_end = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._sweep_at_end(read_end, directory)
        os.close(read_end)

    def _sweep_at_end(self, read_end, directory):
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            os.close(self._write_end)
            # The lab's output must not stay open: someone may wait for its end.
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            os.read(read_end, 1)
            shutil.rmtree(directory, ignore_errors=True)
        finally:
            os._exit(0)

    def finish(self):
        """Lets the janitor do its work now and waits for it."""
        os.close(self._write_end)
        os.waitpid(self._pid, 0)
