"""Frames of a capture: telling RoCE from TCP, and writing the few that a dissector shall see."""

import struct

FILE_HEADER_BYTES, RECORD_HEADER_BYTES = 24, 16
ETHERNET_BYTES, BTH_BYTES = 14, 12
ETHERTYPE_IPV4 = b"\x08\x00"
TCP, UDP = 6, 17
ROCE_PORT = 4791
# Opcodes of reliable connections (InfiniBand base transport header).
SEND_ONLY = 0x04
SENDS = range(0x00, 0x06)
WRITES = range(0x06, 0x0C)


def pcap_frames(path):
    """Yields record header and frame of all that a capture file holds."""
    content = path.read_bytes()
    at = FILE_HEADER_BYTES
    while at + RECORD_HEADER_BYTES <= len(content):
        size = int.from_bytes(content[at + 8:at + 12], "little")
        end = at + RECORD_HEADER_BYTES + size
        yield content[at:at + RECORD_HEADER_BYTES], content[at + RECORD_HEADER_BYTES:end]
        at = end


def ip_payload(frame):
    """The IPv4 protocol of a frame and what it carries; None for other frames."""
    if frame[12:14] != ETHERTYPE_IPV4:
        return None
    header = (frame[ETHERNET_BYTES] & 0x0F) * 4
    total, = struct.unpack_from(">H", frame, ETHERNET_BYTES + 2)
    protocol = frame[ETHERNET_BYTES + 9]
    return protocol, frame[ETHERNET_BYTES + header:ETHERNET_BYTES + total]


def tcp_payload(frame):
    """What a TCP segment carries; None for other frames."""
    carried = ip_payload(frame)
    if carried is None or carried[0] != TCP:
        return None
    return carried[1][(carried[1][12] >> 4) * 4:]


def rdma_operation(frame):
    """Opcode and what follows the base transport header of a RoCEv2 packet; None for other frames."""
    carried = ip_payload(frame)
    if carried is None or carried[0] != UDP or int.from_bytes(carried[1][2:4], "big") != ROCE_PORT:
        return None
    packet = carried[1][8:]
    return packet[0], packet[BTH_BYTES:]


def write_selected(source, target, select):
    """Copies the frames for which `select(frame)` holds."""
    with open(source, "rb") as file:
        header = file.read(FILE_HEADER_BYTES)
    with open(target, "wb") as file:
        file.write(header)
        for record, frame in pcap_frames(source):
            if select(frame):
                file.write(record + frame)
