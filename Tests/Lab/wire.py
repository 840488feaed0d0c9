"""The wire of the coordinator's host: every packet recorded, put together again, told apart."""

import os
import sys

import packets
from hosts import WAN4, WAN6, kill, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
# Where the coordinator serves, and the proxy before it, on their host's addresses.
COORDINATOR, PROXY = 8640, 8643
OWN = ("127.0.0.1", "::1", f"{WAN4}10", f"{WAN6}10::1")
# Where something is planted for the search to find.
PLANTED = 8699


class Recording:
    """All that the interfaces of the coordinator's host carry, from now until `end`."""

    def __init__(self, lab):
        self.lab = lab
        self.path = f"{lab.folder}/capture.pcap"
        self.recorder = lab.coordinator.start(
            [sys.executable, f"{HERE}/capture.py", self.path], lab.log("capture")
        )
        wait_until("the recorder", 10, self.has_begun)

    def has_begun(self):
        return os.path.exists(self.path) and os.path.getsize(self.path) > 0

    def plant(self, data):
        """Says the bytes within the coordinator's host, in small packets and in masked frames."""
        path = f"{self.lab.folder}/planted-on-the-wire"
        with open(path, "wb") as file:
            file.write(data)
        planting = self.lab.coordinator.start(
            [sys.executable, f"{HERE}/planting.py", path, str(PLANTED)], self.lab.log("planted")
        )
        if planting.wait(30) != 0:
            raise RuntimeError("nothing could be planted on the wire; see planted.log")
        os.remove(path)

    def end(self):
        """What was said, by flow: by anybody, and what was planted. ValueError unless all is there."""
        kill(self.recorder)
        if self.recorder.returncode != 0:
            raise ValueError("the capture is not whole; see capture.log")
        said = packets.flows(self.path)
        return said, {flow: said.pop(flow) for flow in list(said) if PLANTED in ports(flow)}


def ports(flow):
    return (flow.source[1], flow.destination[1])


def is_plain(flow):
    """Between proxy and coordinator, inside of TLS."""
    return COORDINATOR in ports(flow)


def is_expected(flow):
    """Whether the served ports speak or hear, or hosts on one cable look for each other."""
    if flow.protocol == "TCP":
        ends = (flow.source, flow.destination)
        return any(host in OWN and port in (COORDINATOR, PROXY) for host, port in ends)
    return flow.protocol in ("ARP", "ICMPv6")


def name_of(flow):
    source, destination = (f"{host} port {port}" for host, port in flow[1:])
    return f"{flow.protocol} from {source} to {destination}"


def unmasked(data):
    """What a client's WebSocket frames carry (RFC 6455 §5.3); empty for anything else."""
    end = data.find(b"\r\n\r\n")
    if end < 0 or b"upgrade: websocket" not in data[:end].lower():
        return b""
    at, out = end + 4, bytearray()
    while at + 6 <= len(data):
        length, at = data[at + 1] & 127, at + 2
        if length == 126:
            length, at = int.from_bytes(data[at : at + 2], "big"), at + 2
        elif length == 127:
            length, at = int.from_bytes(data[at : at + 8], "big"), at + 8
        mask, at = data[at : at + 4], at + 4
        part = data[at : at + length]
        keys = (mask * (len(part) // 4 + 1))[: len(part)]
        out += (int.from_bytes(part, "big") ^ int.from_bytes(keys, "big")).to_bytes(
            len(part), "big"
        )
        at += length
    return bytes(out)
