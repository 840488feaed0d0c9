"""Puts a capture together again: who spoke with whom on which ports, and what each of them said."""

import collections
import ipaddress
import struct

# One direction. An end is an address and a port; protocols without ports have 0 there.
Flow = collections.namedtuple("Flow", "protocol source destination")
NAMES = {1: "ICMP", 2: "IGMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}
SYN = 2


def flows(path):
    """What each flow of a pcap file of link type LINUX_SLL carried: a list of byte strings.

    TCP has one for each connection, in the order of its bytes; everything else one for each packet.
    Raises ValueError when bytes of a connection are missing.
    """
    said = collections.defaultdict(list)
    streams = {}
    for ethernet, packet in records(path):
        protocol, source, destination, payload = internet(ethernet, packet)
        if protocol == "TCP" and len(payload) >= 20:
            ports = struct.unpack_from(">HH", payload)
            flow = Flow(protocol, (source, ports[0]), (destination, ports[1]))
            sequence, flags = struct.unpack_from(">4xI5xB", payload)
            stream = streams.get(flow)
            if stream is None or (flags & SYN and stream.start != sequence + 1):
                # Of a connection that is older than the capture the start is not known.
                stream = Stream(sequence + 1 if flags & SYN else None)
                streams[flow] = stream
                said[flow].append(stream)
            stream.take(sequence + (1 if flags & SYN else 0), payload[(payload[12] >> 4) * 4 :])
        elif protocol == "UDP" and len(payload) >= 8:
            ports = struct.unpack_from(">HH", payload)
            flow = Flow(protocol, (source, ports[0]), (destination, ports[1]))
            said[flow].append(payload[8:])
        else:
            said[Flow(protocol, (source, 0), (destination, 0))].append(payload)
    return {
        flow: [one.whole() if isinstance(one, Stream) else one for one in parts]
        for flow, parts in said.items()
    }


class Stream:
    """One direction of a TCP connection (RFC 9293 §3.4): bytes by their sequence numbers."""

    def __init__(self, start):
        self.start = start
        self.pieces = {}

    def take(self, sequence, data):
        if not data:
            return
        if self.start is None:
            self.start = sequence
        # Sequence numbers wrap around, and what came first may not be what was sent first.
        offset = (sequence - self.start + (1 << 31)) % (1 << 32) - (1 << 31)
        if len(data) > len(self.pieces.get(offset, b"")):
            self.pieces[offset] = data

    def whole(self):
        out, at = bytearray(), min([0, *self.pieces])
        for offset, piece in sorted(self.pieces.items()):
            if offset > at:
                raise ValueError(f"{offset - at} bytes of a connection are missing")
            out += piece[at - offset :]
            at = max(at, offset + len(piece))
        return bytes(out)


def records(path):
    """The packets of the file, each with its Ethernet protocol number."""
    with open(path, "rb") as file:
        file.read(24)
        while header := file.read(16):
            size = struct.unpack("<8xI4x", header)[0]
            record = file.read(size)
            yield struct.unpack_from(">14xH", record)[0], record[16:]


def internet(ethernet, packet):
    """Protocol, addresses and payload of a packet (RFC 791, RFC 8200)."""
    if ethernet == 0x0800:
        length, fragment, protocol = struct.unpack_from(">2xH2xHxB", packet)
        ends = packet[12:16], packet[16:20]
        payload = packet[(packet[0] & 15) * 4 : length]
        if fragment & 0x3FFF:
            protocol = "a fragment of IPv4"
    elif ethernet == 0x86DD:
        length, protocol = struct.unpack_from(">4xHB", packet)
        ends = packet[8:24], packet[24:40]
        payload = packet[40 : 40 + length]
        # Hop-by-hop, routing and destination options go before what they are about.
        while protocol in (0, 43, 60) and len(payload) >= 8:
            protocol, payload = payload[0], payload[(payload[1] + 1) * 8 :]
    else:
        name = "ARP" if ethernet == 0x0806 else f"Ethernet protocol {ethernet:#06x}"
        return name, "", "", packet
    source, destination = (str(ipaddress.ip_address(end)) for end in ends)
    return NAMES.get(protocol, str(protocol)), source, destination, payload
