"""Independent clients that talk to a running server of ours; exits 0 when all was as it must be.

Usage: net_clients.py http PORT | websocket PORT | resume PORT 1.2|1.3
"""
import asyncio
import hashlib
import random
import socket
import ssl
import sys

import h11
import websockets


def http(port):
    """Chunked and plain uploads, pipelined, on one connection."""
    generator = random.Random(5)
    bodies = [generator.randbytes(size) for size in (0, 1, 1_000, 65_536, 3_000_000)]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
        for is_chunked in (False, True):
            connection = h11.Connection(h11.CLIENT)
            for body in bodies:
                framing = ("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(len(body)))
                request = h11.Request(method="POST", target="/echo", headers=[("Host", "a"), framing])
                stream.sendall(connection.send(request))
                for start in range(0, len(body), 50_000):
                    stream.sendall(connection.send(h11.Data(data=body[start:start + 50_000])))
                stream.sendall(connection.send(h11.EndOfMessage()))
                echo = hashlib.sha256()
                while True:
                    event = connection.next_event()
                    if event is h11.NEED_DATA:
                        connection.receive_data(stream.recv(65_536))
                    elif isinstance(event, h11.Response):
                        assert event.status_code == 200, event
                    elif isinstance(event, h11.Data):
                        echo.update(event.data)
                    elif isinstance(event, h11.EndOfMessage):
                        break
                assert echo.digest() == hashlib.sha256(body).digest()
                connection.start_next_cycle()


async def websocket(port):
    """Sizes around every border, fragments, text, ping and an orderly close."""
    generator = random.Random(7)
    async with websockets.connect(f"ws://127.0.0.1:{port}/ws", max_size=None) as peer:
        for size in (0, 1, 125, 126, 65_535, 65_536, 1_000_000):
            payload = generator.randbytes(size)
            await peer.send(payload)
            assert await peer.recv() == payload
        await peer.send(["frag", "mented ", "täxt"])
        assert await peer.recv() == "fragmented täxt"
        # Our echo receives, so pings are answered.
        await asyncio.wait_for(await peer.ping(b"are you there"), 10)
    assert peer.close_code == 1000, peer.close_code


def resume(port, version):
    """The second connection resumes the session of the first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion["TLSv" + version.replace(".", "_")]
    session = None
    for is_second in (False, True):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
            with context.wrap_socket(raw, session=session) as stream:
                assert stream.session_reused == is_second, (version, is_second)
                assert stream.version() == "TLSv" + version
                stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert stream.recv(1_000).startswith(b"HTTP/1.1 200 ")
                # In TLS 1.3 the ticket comes with the first bytes after the handshake.
                session = stream.session


port = int(sys.argv[2])
if sys.argv[1] == "http":
    http(port)
elif sys.argv[1] == "websocket":
    asyncio.run(websocket(port))
else:
    resume(port, sys.argv[3])
