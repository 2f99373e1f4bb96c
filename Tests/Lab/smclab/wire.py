"""Checks of a capture: where the payload travels, and what tshark makes of our messages."""

import subprocess

from . import capture
from .bench import check

# The files that the guests send, and what marks every KiB of them; the last one is for TCP only.
MARKS = {"payload-1": b"<smc-lab-1>", "payload-2": b"<smc-lab-2>", "payload-tcp": b"<smc-lab-t>"}
SENT_BLOCKS = 3072
# A mark at the border of two packets is not found.
FOUND_BLOCKS_MIN = SENT_BLOCKS * 9 // 10

EID = "SWIFT-SMC"
CONNECTIONS = 32
PROPOSAL, ACCEPT, CONFIRM = "1", "2", "3"
# LLC of version 2 as tshark numbers it; a CDC message has the type 0xfe.
CONFIRM_LINK, TEST_LINK, CONFIRM_RKEY, CDC = "0x21", "0x27", "0x26", "0xfe"


def payload_is_in_writes(path):
    """Both payloads are in RoCEv2 writes, and in nothing else; the one of TCP shows that TCP is looked at."""
    blocks = {"write": {}, "send": {}, "tcp": {}}
    for _, frame in capture.pcap_frames(path):
        operation = capture.rdma_operation(frame)
        if operation is None:
            kind, content = "tcp", capture.tcp_payload(frame)
        elif operation[0] in capture.WRITES:
            kind, content = "write", operation[1]
        else:
            kind, content = "send", operation[1]
        for mark in MARKS.values():
            _collect(content or b"", mark, blocks[kind].setdefault(mark, set()))
    for name, mark in MARKS.items():
        right = "tcp" if name == "payload-tcp" else "write"
        for kind, found in blocks.items():
            count = len(found[mark])
            check(count >= FOUND_BLOCKS_MIN if kind == right else count == 0, f"{count} blocks of {name} in {kind}")


def _collect(content, mark, found):
    """Adds the numbers of the marked blocks that begin in these bytes."""
    at = content.find(mark)
    while at >= 0:
        number = content[at + len(mark):at + len(mark) + 8]
        if number.isdigit() and len(number) == 8:
            found.add(number)
        at = content.find(mark, at + 1)


def clc_decodes(path):
    """Every Accept and Confirm agrees with its guest, and 32 connections at once made one first contact."""
    rows = _tshark(
        path, "smc.clc_msg", "tcp.stream", "smc.clc_msg", "ip.src", "smc.proposal.eid", "smc.accept.eid",
        "smc.confirm.eid", "smc.proposal.first.contact", "smc.confirm.first.contact", "smc.accept.server.qp.number",
        "smc.confirm.client.qp.number", "smc.proposal.rocev2.gid.ipv4", "smc.accept.server.preferred.gid",
        "smc.client.gid", "smc.accept.peer.host.name")
    streams = {}
    for stream, kind, source, *eids, first_1, first_2, qp_1, qp_2, ip, gid_1, gid_2, host in rows:
        message = {
            "source": source, "eid": "".join(eids).strip(), "first": first_1 or first_2, "qp": qp_1 or qp_2,
            "gid": (ip or gid_1 or gid_2).removeprefix("::ffff:"), "host": host.strip()}
        streams.setdefault(stream, {})[kind] = message
    over_rdma = [messages for messages in streams.values() if CONFIRM in messages]
    check(len(over_rdma) >= CONNECTIONS + 4, f"{len(over_rdma)} connections have a Confirm")
    groups = {}
    for messages in over_rdma:
        check({PROPOSAL, ACCEPT, CONFIRM} <= messages.keys(), f"a connection with {sorted(messages)} only")
        for kind, source in ((PROPOSAL, "10.77.0.2"), (ACCEPT, "10.77.0.1"), (CONFIRM, "10.77.0.2")):
            message = messages[kind]
            check(message["source"] == source and message["gid"] == source, f"addresses in {message}")
            check(message["eid"] == EID, f"EID in {message}")
        accept, confirm = messages[ACCEPT], messages[CONFIRM]
        check(accept["first"] == confirm["first"], f"first contact in {accept} and {confirm}")
        is_first = accept["first"] == "1"
        check(accept["host"] == ("guest1" if is_first else ""), f"host name in {accept}")
        groups.setdefault((accept["qp"], confirm["qp"]), []).append(is_first)
    for queue_pairs, contacts in groups.items():
        check(contacts.count(True) == 1, f"{contacts.count(True)} first contacts of the queue pairs {queue_pairs}")
    largest = max(groups.values(), key=len)
    check(len(largest) >= CONNECTIONS, f"at most {len(largest)} connections share a queue pair")


def llc_decodes(path):
    """Each kind of message was asked and answered, on the queue pairs and with the addresses that CLC agreed on."""
    rows = _tshark(path, f"smc.llc_msg && smc.llc_msg != {CDC}", "smc.llc_msg", "ip.src", "infiniband.bth.destqp",
                   "smc.sender.gid", "smc.confirm.link.sender.qp.number", "smc.confirm.link.number")
    agreed = _agreed(path)
    for kind, source, destination, gid, own, number in rows:
        check(destination in agreed["qps"], f"LLC message {kind} to the queue pair {destination}")
        if kind == CONFIRM_LINK:
            check(gid.removeprefix("::ffff:") == source and own in agreed["qps"] and number == "0x01",
                  f"Confirm Link of {source} with {gid}, {own}, {number}")
    for kind, name in ((CONFIRM_LINK, "smc.confirm.link.response"), (TEST_LINK, "smc.test.link.response"),
                       (CONFIRM_RKEY, "smc.confirm.rkey.response")):
        # Packets that were sent again are one; the last request may have met the end of its link.
        packets = set(map(tuple, _tshark(
            path, f"smc.llc_msg == {kind}", name, "ip.src", "infiniband.bth.destqp", "infiniband.bth.psn")))
        asked = sum(packet[0] == "0" for packet in packets)
        answered = sum(packet[0] == "1" for packet in packets)
        check(0 < answered <= asked <= answered + 2, f"{name}: {asked} asked, {answered} answered")


def cdc_decodes(path):
    """CDC messages go to the queue pairs and tokens of CLC, and tell of the end of sending and of closing."""
    rows = _tshark(path, f"smc.llc_msg == {CDC}", "infiniband.bth.destqp", "smc.rmbe.ctrl.alert.token",
                   "smc.rmbe.ctrl.peer.sending.done", "smc.rmbe.ctrl.peer.closed.conn",
                   "smc.rmbe.ctrl.peer.abnormal.close")
    agreed = _agreed(path)
    check(len(rows) > 500, f"{len(rows)} CDC messages")
    for destination, token, *_ in rows:
        check(destination in agreed["qps"] and token in agreed["tokens"], f"CDC to {destination}, token {token}")
    for position, what in ((2, "sending done"), (3, "closed")):
        tokens = {row[1] for row in rows if row[position] == "1"}
        check(len(tokens) >= 2 * (CONNECTIONS + 4), f"{len(tokens)} of {len(agreed['tokens'])} ends say: {what}")
    check(not any(row[4] == "1" for row in rows), "somebody has aborted a connection")


def nothing_is_malformed(path):
    """tshark finds nothing malformed in what we sent, and takes every send for one of our messages."""
    check(not _tshark(path, "_ws.malformed", "frame.number"), "tshark finds malformed frames")
    sends = [frame for _, frame in capture.pcap_frames(path) if _is_send(frame)]
    decoded = _tshark(path, "smc && infiniband", "frame.number")
    check(len(decoded) == len(sends) > 0, f"tshark decodes {len(decoded)} of {len(sends)} sends")


def _agreed(path):
    """Queue pairs and alert tokens that appear in CLC."""
    rows = _tshark(
        path, "smc.clc_msg", "smc.accept.server.qp.number", "smc.confirm.client.qp.number",
        "smc.accept.server.rmb.element.alert.token", "smc.client.rmb.element.alert.token")
    return {"qps": {cell for row in rows for cell in row[:2] if cell},
            "tokens": {cell for row in rows for cell in row[2:] if cell}}


def _is_send(frame):
    operation = capture.rdma_operation(frame)
    return operation is not None and operation[0] in capture.SENDS


def _tshark(path, display_filter, *fields):
    """One row of cells per frame. Writes carry the user's bytes, which a heuristic may take for anything: left out."""
    few = path.with_suffix(".few.pcap")
    if not few.exists():
        capture.write_selected(path, few, lambda frame: _is_send(frame) or bool(capture.tcp_payload(frame)))
    words = [word for field in fields for word in ("-e", field)]
    answer = subprocess.run(
        ["tshark", "-r", few, "-Y", display_filter, "-T", "fields", "-E", "occurrence=f", *words],
        capture_output=True, text=True, check=False)
    check(answer.returncode == 0, f"tshark ended with {answer.returncode}: {answer.stderr.strip()}")
    return [line.split("\t") for line in answer.stdout.splitlines()]


CHECKS = {
    "wire-payload": payload_is_in_writes, "wire-clc": clc_decodes, "wire-llc": llc_decodes, "wire-cdc": cdc_decodes,
    "wire-well-formed": nothing_is_malformed,
}
