"""One guest: a QEMU process, and the socket pairs over which the lab hears and steers it."""

import enum
import json
import os
import secrets
import select
import socket
import subprocess
import time

from . import host
from .host import LabError

CONTROL_PORTS = 8
QMP_PATIENCE_S = 10
CONSOLE_TAIL_BYTES = 64 << 10
# Below KVM this is the widest choice; rxe and virtio need none of it, OpenSSL and Swift programs like it.
CPU_KVM, CPU_TCG = "host", "max"


class State(enum.Enum):
    """Where a guest is in its life."""

    BOOTING = "booting"
    RUNNING = "running"
    DONE = "done"
    KILLED = "killed"
    DEAD = "dead"


class Channel:
    """The lab's end of one socket pair; what has come and is not yet used is in `buffer`."""

    def __init__(self):
        self.socket, self.inner = socket.socketpair()
        self.socket.setblocking(False)
        self.buffer = bytearray()

    def receive(self):
        """Takes what is there; False at the end of file."""
        try:
            data = self.socket.recv(1 << 16)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def lines(self):
        """Takes whole lines out of the buffer."""
        *lines, rest = bytes(self.buffer).split(b"\n")
        self.buffer[:] = rest
        return lines

    def close(self):
        """Closes the lab's end."""
        self.socket.close()


class Guest:
    """One guest of a run. `start` begins a life; a restarted guest has several."""

    def __init__(self, number, options, plan):
        self.number = number
        self.state = State.BOOTING
        self.exit_code = None
        self.life = 0
        self.attempt = 0
        self.frozen = False
        self._options = options
        self._plan = plan
        self._process = None

    def start(self):
        """Starts QEMU for a new life of this guest."""
        self.life += 1
        self.state = State.BOOTING
        self.exit_code = None
        self.frozen = False
        self.token = secrets.token_hex(8)
        self.last_sign = time.monotonic()
        self.console_tail = bytearray()
        self._qmp_ready = False
        self.output, self.console, self._qmp = Channel(), Channel(), Channel()
        self.controls = [Channel() for _ in range(CONTROL_PORTS)]
        channels = self.channels()
        plugs = [segment.plug(self.number) for segment in self._plan.segments]
        interactive = self._options.mode == "shell" and self.number == 1
        self._process = subprocess.Popen(
            self._command(plugs, interactive),
            pass_fds=plugs + [channel.inner.fileno() for channel in channels],
            stdin=None if interactive else subprocess.DEVNULL,
            preexec_fn=host.die_with(os.getpid()), start_new_session=not interactive)
        for channel in channels:
            channel.inner.close()
        self.process_descriptor = os.pidfd_open(self._process.pid)

    def channels(self):
        """All channels of the present life."""
        return [self.output, self.console, self._qmp, *self.controls]

    def kill(self):
        """Ends QEMU at once and closes the channels."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        os.close(self.process_descriptor)
        for channel in self.channels():
            channel.close()

    def remember_console(self):
        """Moves what the kernel has said into the tail that is kept for a post-mortem."""
        self.console_tail += self.console.buffer
        self.console.buffer.clear()
        del self.console_tail[:-CONSOLE_TAIL_BYTES]

    def last_words(self):
        """The kernel's panic line, or else the end of its console."""
        lines = self.console_tail.decode(errors="replace").replace("\r", "").splitlines()
        panics = [line for line in lines if "Kernel panic" in line or "BUG:" in line]
        return panics[:1] or lines[-5:] or ["(nothing on its console)"]

    def qmp(self, command, **arguments):
        """Gives QEMU an order and waits until it is carried out."""
        if not self._qmp_ready:
            self._qmp_call("qmp_capabilities", {})
            self._qmp_ready = True
        self._qmp_call(command, arguments)

    def _qmp_call(self, command, arguments):
        order = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        deadline = time.monotonic() + QMP_PATIENCE_S
        try:
            self._qmp.socket.sendall(order)
            while True:
                for line in self._qmp.lines():
                    answer = json.loads(line)
                    if "error" in answer:
                        raise LabError(answer["error"]["desc"])
                    if "return" in answer:
                        return
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LabError(f"guest {self.number}: QEMU does not answer")
                select.select([self._qmp.socket], [], [], left)
                if not self._qmp.receive():
                    raise LabError(f"guest {self.number} has ended")
        except OSError as error:
            raise LabError(f"guest {self.number}: {error}") from error

    def _command(self, plugs, interactive):
        options, plan = self._options, self._plan
        kvm = host.has_kvm()
        words = {
            "console": "ttyS0", "panic": "-1", "mitigations": "off", "net.ifnames": "0",
            "LAB_ID": self.number, "LAB_LIFE": self.life, "LAB_TOKEN": self.token, "LAB_SEGMENTS": options.segments,
            "LAB_MTU": options.mtu, "LAB_RXE": int(options.rxe), "LAB_RELEASE": plan.kernel.release,
        }
        # On a busy host the emulated timer may miss the start-up check of it; crypto self-tests cost half a second.
        line = "quiet no_timer_check cryptomgr.notests " + " ".join(f"{key}={value}" for key, value in words.items())
        command = [
            host.find_program("qemu-system-x86_64"), "-name", f"swift-smc-lab-guest{self.number}",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-machine", "q35,usb=off", "-accel", "kvm" if kvm else "tcg", "-cpu", CPU_KVM if kvm else CPU_TCG,
            # With only one CPU possible the emulator drops the lock prefix; memory shared between guests needs it.
            "-smp", "1,maxcpus=2", "-m", str(options.memory),
            "-kernel", str(plan.kernel.vmlinux), "-initrd", str(plan.initramfs), "-append", line,
            "-device", "virtio-serial-pci,max_ports=16",
        ]
        command += _serial("console", self.console, ["-serial", "chardev:console"])
        command += _serial("qmp", self._qmp, ["-mon", "chardev=qmp,mode=control"])
        command += _serial("out", self.output, ["-device", "virtserialport,chardev=out,name=lab.out"])
        for index, channel in enumerate(self.controls):
            port = f"virtserialport,chardev=control{index},name=lab.control.{index}"
            command += _serial(f"control{index}", channel, ["-device", port])
        if interactive:
            command += ["-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,chardev=terminal"]
        for segment, plug in enumerate(plugs):
            command += [
                "-netdev", f"dgram,id=net{segment},local.type=fd,local.str={plug}",
                "-device", f"virtio-net-pci,id=nic{segment},netdev=net{segment},romfile=,"
                           f"mac=52:54:00:77:{segment:02x}:{self.number:02x}",
            ]
        command += _shared_directory("root", "/", read_only=True)
        command += _shared_directory("lab", plan.directory, read_only=True)
        command += _shared_directory("modules", plan.kernel.modules, read_only=True)
        command += _shared_directory("shared", plan.shared, read_only=False)
        return command


def _serial(name, channel, use):
    return ["-chardev", f"socket,id={name},fd={channel.inner.fileno()}", *use]


def _shared_directory(tag, path, read_only):
    escaped = str(path).replace(",", ",,")
    access = ",readonly=on" if read_only else ""
    return ["-fsdev", f"local,id={tag},path={escaped},security_model=none,multidevs=remap{access}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
