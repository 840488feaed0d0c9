"""Forwards TCP connections: late, as a long line does, or out of TLS, as a reverse proxy does.

Bytes are held back for a part of --delay in each direction, so that the way there and back takes
that much longer. With --certificate it ends TLS, and with --capture it writes down every byte that
it carries, two files for each connection.
"""

import argparse
import asyncio
import ssl

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("target_host")
parser.add_argument("target_port", type=int)
parser.add_argument("--delay", type=float, default=0, help="milliseconds there and back")
parser.add_argument("--certificate")
parser.add_argument("--key")
parser.add_argument("--capture", help="a folder")
options = parser.parse_args()
half = options.delay / 2000
connections = 0


async def carry(reader, writer, name):
    loop = asyncio.get_running_loop()
    # Bounded: a receiver that does not read slows its sender down.
    waiting = asyncio.Queue(maxsize=256)
    capture = open(f"{options.capture}/{name}", "wb", buffering=0) if options.capture else None

    async def collect():
        data = None
        while data != b"":
            data = await reader.read(65536)
            if capture:
                capture.write(data)
            await waiting.put((loop.time() + half, data))

    async def deliver():
        while True:
            due, data = await waiting.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    try:
        # When delivering fails, collecting ends as well, also while it waits for room or for bytes.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(collect())
            tasks.create_task(deliver())
    except* OSError:
        pass  # either end left: the caller closes both
    finally:
        if capture:
            capture.close()


async def connection(reader, writer):
    global connections
    connections += 1
    number = connections
    try:
        far_reader, far_writer = await asyncio.open_connection(
            options.target_host, options.target_port
        )
    except OSError:
        writer.close()
        return
    directions = [
        asyncio.create_task(carry(reader, far_writer, f"{number}-up")),
        asyncio.create_task(carry(far_reader, writer, f"{number}-down")),
    ]
    # TLS has no half-closed connections: there the first end is the end of both ways.
    when = asyncio.FIRST_COMPLETED if options.certificate else asyncio.ALL_COMPLETED
    await asyncio.wait(directions, return_when=when)
    for direction in directions:
        direction.cancel()
    writer.close()
    far_writer.close()


async def main():
    context = None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    server = await asyncio.start_server(connection, None, options.port, ssl=context)
    await server.serve_forever()


asyncio.run(main())
