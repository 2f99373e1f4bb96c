"""The first file system of a guest: busybox, the modules in load order, and `guest/init`."""

import hashlib
import lzma
import pathlib

from . import host

# Loaded in every guest, in this order, each after what it depends on.
# rdma_rxe asks for "crc32" by name at run time, which no module dependency tells: it must be there first.
BOOT_MODULES = [
    "crc32_generic", "crc32c_generic", "virtio_pci", "virtio_net", "virtio_console", "9pnet_virtio", "9p", "overlay",
]
RDMA_MODULES = ["ib_uverbs", "rdma_rxe", "rdma_cm", "rdma_ucm"]

APPLETS = ["sh", "cat", "insmod", "ip", "ln", "mkdir", "mount", "mv", "switch_root", "touch", "umount"]
DIRECTORIES = ["bin", "dev", "host", "lab", "modules", "proc", "root", "sys", "tmpfs"]

MODE_DIRECTORY, MODE_PROGRAM, MODE_FILE, MODE_LINK = 0o040755, 0o100755, 0o100644, 0o120777
BLOCK = 4


class Archive:
    """A cpio archive in the "newc" format, as the kernel unpacks it."""

    def __init__(self):
        self._bytes = bytearray()
        self._count = 0

    def add(self, name, mode, content=b""):
        """Appends one entry."""
        self._count += 1
        encoded = name.encode() + b"\0"
        links = 2 if mode == MODE_DIRECTORY else 1
        fields = [self._count, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self._pad()
        self._bytes += content
        self._pad()

    def finished(self):
        """The whole archive."""
        self.add("TRAILER!!!", 0)
        return bytes(self._bytes)

    def _pad(self):
        self._bytes += bytes(-len(self._bytes) % BLOCK)


def module_bytes(path):
    """A module as the guest's insmod wants it: not compressed."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def prepared(kernel):
    """The archive for a kernel, built anew whenever a part of it has changed. Call it with the cache locked."""
    busybox = pathlib.Path(host.find_program("busybox"))
    init = (host.TESTS_LAB / "guest" / "init").read_bytes()
    recipe = repr((kernel.release, BOOT_MODULES, RDMA_MODULES, APPLETS, DIRECTORIES, busybox.stat().st_mtime))
    name = hashlib.sha256(recipe.encode() + init + pathlib.Path(__file__).read_bytes()).hexdigest()[:16]
    path = kernel.directory / f"initramfs-{name}.cpio"
    if not path.exists():
        scratch = path.with_suffix(".new")
        scratch.write_bytes(_build(kernel, busybox.read_bytes(), init))
        scratch.rename(path)
    return path


def _build(kernel, busybox, init):
    archive = Archive()
    for name in DIRECTORIES:
        archive.add(name, MODE_DIRECTORY)
    archive.add("init", MODE_PROGRAM, init)
    archive.add("bin/busybox", MODE_PROGRAM, busybox)
    for applet in APPLETS:
        archive.add(f"bin/{applet}", MODE_LINK, b"busybox")

    boot = kernel.module_files(BOOT_MODULES)
    rdma = [path for path in kernel.module_files(RDMA_MODULES) if path not in boot]
    for list_name, paths in (("boot", boot), ("rdma", rdma)):
        lines = []
        for path in paths:
            name = path.name.removesuffix(".xz")
            archive.add(f"modules/{name}", MODE_FILE, module_bytes(path))
            lines.append(name + "\n")
        archive.add(f"modules/{list_name}", MODE_FILE, "".join(lines).encode())
    return archive.finished()
