"""A guest kernel, unpacked from its Debian package into the cache and never installed."""

import contextlib
import fcntl
import lzma
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile

from . import host
from .host import LabError, say

# What the user names -> the package that depends on the image of the day.
FLAVOURS = {
    "6.12": "linux-image-6.12-amd64",
    "6.1": "linux-image-amd64",
}
DEFAULT_FLAVOUR = "6.12"

ELF_MAGIC = b"\x7fELF"
XZ_MAGIC = b"\xfd7zXZ\0"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SETUP_SECTORS_AT, PAYLOAD_OFFSET_AT, PAYLOAD_LENGTH_AT = 0x1F1, 0x248, 0x24C
SECTOR = 512


def cache_directory():
    """Where kernels are kept between runs."""
    override = os.environ.get("SMC_LAB_CACHE")
    if override:
        return pathlib.Path(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base).absolute() / "swift-smc-lab"


@contextlib.contextmanager
def locked_cache():
    """The cache directory, held by one lab at a time."""
    directory = cache_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = open(directory / "lock", "w", encoding="utf-8")
    except OSError as error:
        raise LabError(f"cannot use the cache {directory}: {error}; set SMC_LAB_CACHE") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield directory


class Kernel:
    """An unpacked kernel: `vmlinux` for QEMU's PVH entry, and the module tree."""

    def __init__(self, directory):
        self.directory = directory
        self.vmlinux = directory / "vmlinux"
        self.release = (directory / "release").read_text(encoding="utf-8").strip()
        self.modules = directory / "lib" / "modules" / self.release

    def module_files(self, names):
        """The files to load for `names`, in order; a module that this kernel has built in gives none."""
        files = []
        for name in names:
            for line in self._dependencies(name):
                word, _, rest = line.partition(" ")
                path = rest.split(" ")[0]
                if word == "insmod" and path not in files:
                    files.append(path)
        return [pathlib.Path(path) for path in files]

    def _dependencies(self, name):
        command = [host.find_program("modprobe"), "--dirname", self.directory, "--set-version", self.release,
                   "--config", "/dev/null", "--ignore-install", "--show-depends", name]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode != 0:
            raise LabError(f"kernel {self.release} has no module {name}: {answer.stderr.strip()}")
        return answer.stdout.splitlines()


def unpacked(flavour, cache, refresh=False):
    """The kernel of a flavour, from the cache or else from Debian. Call it with the cache locked."""
    directory = cache / flavour
    if refresh or not (directory / "release").exists():
        # Another lab may have booted from the old tree: it is replaced as a whole, never edited.
        with tempfile.TemporaryDirectory(prefix="unpack-", dir=cache) as scratch:
            fresh = _fetch(flavour, pathlib.Path(scratch))
            if directory.exists():
                directory.rename(pathlib.Path(scratch) / "old")
            fresh.rename(directory)
    return Kernel(directory)


def _fetch(flavour, scratch):
    package = _image_package(FLAVOURS[flavour])
    say(f"fetching {package}")
    # apt drops to a user that cannot write here; the file is only read and unpacked afterwards.
    _run(["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", package], cwd=scratch)
    debs = list(scratch.glob("*.deb"))
    if len(debs) != 1:
        raise LabError(f"apt-get download {package} brought {len(debs)} files")
    tree = scratch / "tree"
    _run(["dpkg-deb", "-x", str(debs[0]), str(tree)])

    # usr/lib/modules in packages for merged-/usr systems, lib/modules in the others.
    found = list(tree.glob("lib/modules/*")) + list(tree.glob("usr/lib/modules/*"))
    if len(found) != 1:
        raise LabError(f"{package} has {len(found)} module trees")
    release = found[0].name
    fresh = scratch / "fresh"
    (fresh / "lib" / "modules").mkdir(parents=True)
    shutil.move(str(found[0]), fresh / "lib" / "modules" / release)
    image = (tree / "boot" / f"vmlinuz-{release}").read_bytes()
    (fresh / "vmlinux").write_bytes(extract_vmlinux(image))
    _run([host.find_program("depmod"), "-b", str(fresh), release])
    # Written last: a tree with this file is whole.
    (fresh / "release").write_text(release + "\n", encoding="utf-8")
    return fresh


def _image_package(meta):
    answer = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True, check=False)
    match = re.search(r"Depends: (linux-image-\S+)", answer.stdout)
    if match is None:
        raise LabError(f"apt does not know {meta}; run: apt-get update (with bookworm-security among the sources)")
    return match.group(1)


def _run(command, cwd=None):
    answer = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode != 0:
        raise LabError(f"{' '.join(command)} failed:\n{answer.stdout}")


def extract_vmlinux(image):
    """The ELF kernel inside a bzImage. Booting it directly spares each guest the slow unpacking under emulation."""
    start = (image[SETUP_SECTORS_AT] + 1) * SECTOR + struct.unpack_from("<I", image, PAYLOAD_OFFSET_AT)[0]
    length = struct.unpack_from("<I", image, PAYLOAD_LENGTH_AT)[0]
    payload = image[start:start + length]
    if payload.startswith(XZ_MAGIC):
        # A plain size word follows the compressed stream; the one-stream decoder stops before it.
        kernel = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(ZSTD_MAGIC):
        kernel = subprocess.run(["zstd", "-dc"], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    else:
        raise LabError("the kernel image is compressed in a way the lab does not know")
    if not kernel.startswith(ELF_MAGIC):
        raise LabError("the kernel image does not hold an ELF kernel")
    return kernel
