"""The words of the command line."""

import argparse
import os
import socket
import sys

from . import host, initramfs, kernel, segment
from .host import LabError, say
from .plan import Options
from .run import run

GUESTS_MAX, SEGMENTS_MAX = 16, 8
SETUP_ERROR = 3


def main(arguments):
    """Runs one command and gives the exit code."""
    words = _parser().parse_args(arguments)
    try:
        return words.command(words)
    except LabError as error:
        say(str(error))
        return SETUP_ERROR
    except KeyboardInterrupt:
        return 130


def _parser():
    parser = argparse.ArgumentParser(prog="lab", description="Small guests with real soft-RoCE between them.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("run", help="run a script with bash in every guest")
    _add_machine_options(one, guests=2, timeout=300)
    one.add_argument("script", metavar="SCRIPT", help="seen in the guests at the same path")
    one.add_argument("arguments", nargs=argparse.REMAINDER, metavar="WORD", help="its arguments")
    one.set_defaults(command=_run_script)

    one = commands.add_parser("shell", help="an interactive bash on guest 1; the others idle")
    _add_machine_options(one, guests=1, timeout=0)
    one.set_defaults(command=_run_shell)

    one = commands.add_parser("prepare", help="fetch and unpack the guest kernel, build the initramfs and the switch")
    one.add_argument("--kernel", choices=sorted(kernel.FLAVOURS), default=kernel.DEFAULT_FLAVOUR)
    one.add_argument("--refresh", action="store_true", help="fetch it again, perhaps a newer one")
    one.set_defaults(command=_prepare)

    one = commands.add_parser("doctor", help="tell which packages are missing")
    one.set_defaults(command=_doctor)

    one = commands.add_parser("ask", help="what lab-ask, lab-post ... do in a guest, from the host")
    one.add_argument("socket", metavar="SOCKET", help="the path that was given to run --control")
    one.add_argument("words", nargs="+", metavar="WORD", help="for example: kill 2, post go, await ready 30")
    one.set_defaults(command=_ask)
    return parser


def _add_machine_options(parser, guests, timeout):
    add = parser.add_argument
    add("--guests", type=_number(1, GUESTS_MAX), default=guests, metavar="N", help=f"default {guests}")
    add("--segments", type=_number(1, SEGMENTS_MAX), default=1, metavar="K",
        help="Ethernets, and so network cards and rxe devices per guest (default 1)")
    add("--timeout", type=float, default=timeout, metavar="S", help=f"for the whole run, 0: none (default {timeout})")
    add("--kernel", choices=sorted(kernel.FLAVOURS), default=kernel.DEFAULT_FLAVOUR)
    add("--mtu", type=_number(576, 9500), default=1500, metavar="BYTES", help="default 1500")
    add("--memory", type=_number(256, 65536), default=1024, metavar="MB", help="per guest (default 1024)")
    add("--no-rxe", dest="rxe", action="store_false", help="no RDMA device and no RDMA modules")
    add("--shared", default="", metavar="DIR",
        help="directory of the host behind $LAB_SHARED (default: a temporary one)")
    add("--capture", default="", metavar="PREFIX", help="record each segment in PREFIX.SEGMENT.pcap")
    add("--control", default="", metavar="SOCKET", help="let the host ask for faults: lab ask SOCKET ...")
    add("--keep", action="append", default=[], metavar="PATH", help="something below /tmp that guests must see")
    add("--env", action="append", default=[], metavar="NAME[=VALUE]", help="environment for the script")


def _number(least, most):
    def parse(text):
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value} is not in {least}...{most}")
        return value
    return parse


def _run_script(words):
    script = os.path.abspath(words.script)
    if not os.path.isfile(script):
        raise LabError(f"there is no script {script}")
    return run(_options(words, "script", [script, *words.arguments]))


def _run_shell(words):
    if not os.isatty(0):
        raise LabError("lab shell needs a terminal")
    return run(_options(words, "shell", []))


def _options(words, mode, arguments):
    environment = {}
    for item in words.env:
        name, equals, value = item.partition("=")
        environment[name] = value if equals else os.environ.get(name, "")
    return Options(
        mode=mode, arguments=arguments, guests=words.guests, segments=words.segments, timeout=words.timeout,
        kernel=words.kernel, mtu=words.mtu, memory=words.memory, rxe=words.rxe, shared=words.shared,
        capture=words.capture, control=words.control, keep=words.keep, environment=environment)


def _prepare(words):
    host.require_packages()
    with kernel.locked_cache() as cache:
        unpacked = kernel.unpacked(words.kernel, cache, words.refresh)
        initramfs.prepared(unpacked)
        segment.prepared_switch(cache)
    say(f"kernel {unpacked.release} is ready in {unpacked.directory}")
    return 0


def _doctor(_words):
    host.require_packages()
    say(f"all packages are there; guests run {'with KVM' if host.has_kvm() else 'emulated, without KVM'}")
    return 0


def _ask(words):
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(words.socket)
            connection.sendall(("host " + " ".join(words.words) + "\n").encode())
            answer = connection.makefile().readline()
    except OSError as error:
        raise LabError(f"{words.socket}: {error}") from error
    if not answer:
        raise LabError("the run has ended")
    _, status, text = (answer.rstrip("\n").split(" ", 2) + [""])[:3]
    if text:
        print(text)
    sys.stdout.flush()
    return int(status)
