"""Writes down every packet that any interface of this host carries, loopback too (packet(7)).

capture.py OUTPUT

The output is a pcap file of link type LINUX_SLL. Goes on until SIGTERM; ends with 1 when the kernel
had to drop packets, since the capture is not whole then.
"""

import signal
import socket
import struct
import sys
import time

EVERY_PROTOCOL = 3
# Of <linux/if_packet.h> and <asm-generic/socket.h>; Python has no names for them.
SOL_PACKET, PACKET_STATISTICS = 263, 6
SO_RCVBUFFORCE = 33
LINUX_SLL = 113
WHOLE = 1 << 18


def main():
    ended = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(time.monotonic()))
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERY_PROTOCOL))
    receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    receiver.settimeout(0.1)
    with open(sys.argv[1], "wb", buffering=0) as output:
        output.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, WHOLE, LINUX_SLL))
        # What came before the signal is taken from the queue; on a busy wire there is no silence.
        while not ended or time.monotonic() < ended[0] + 2:
            try:
                packet, (interface, protocol, kind, hardware, address) = receiver.recvfrom(WHOLE)
            except TimeoutError:
                if ended:
                    break
                continue
            # Loopback shows each packet twice, going out and coming in.
            if interface == "lo" and kind == socket.PACKET_OUTGOING:
                continue
            link = struct.pack(">HHH8sH", kind, hardware, len(address), address, protocol)
            seconds, fraction = divmod(time.time_ns(), 10**9)
            size = len(link) + len(packet)
            output.write(struct.pack("<IIII", seconds, fraction // 1000, size, size) + link + packet)
    _, dropped = struct.unpack("II", receiver.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    if dropped:
        print(f"capture: the kernel dropped {dropped} packets")
    return 1 if dropped else 0


sys.exit(main())
