"""Forwards TCP connections: late, as a long line does, or out of TLS, as a reverse proxy does.

Bytes are held back for a part of --delay in each direction, so that the way there and back takes
that much longer. With --certificate it ends TLS.
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
options = parser.parse_args()
half = options.delay / 2000


async def carry(reader, writer):
    loop = asyncio.get_running_loop()
    # Bounded: a receiver that does not read slows its sender down.
    waiting = asyncio.Queue(maxsize=256)

    async def collect():
        data = None
        while data != b"":
            data = await reader.read(65536)
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


async def connection(reader, writer):
    try:
        far_reader, far_writer = await asyncio.open_connection(
            options.target_host, options.target_port
        )
    except OSError:
        writer.close()
        return
    directions = [
        asyncio.create_task(carry(reader, far_writer)),
        asyncio.create_task(carry(far_reader, writer)),
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
