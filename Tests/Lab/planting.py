"""Says the content of a file over TCP within this host, so that a search of the wire has to find it.

planting.py FILE PORT

First in pieces of seven bytes, a packet each, then as a masked WebSocket frame.
"""

import socket
import struct
import sys

with open(sys.argv[1], "rb") as file:
    content = file.read()
mask = b"\x5a\xc3\x0f\x99"
masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(content))
frame = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x82\xff" + struct.pack(">Q", len(content))
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
for said, size in ((content, 7), (frame + mask + masked, 1000)):
    with socket.create_connection(server.getsockname()) as speaker:
        speaker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener, _ = server.accept()
        for at in range(0, len(said), size):
            speaker.sendall(said[at : at + size])
        speaker.shutdown(socket.SHUT_WR)
        while listener.recv(65536):
            pass
        listener.close()
