"""A coordinator that cheats: a proxy between gateway and coordinator that ends TLS and tampers.

The file --mode holds the trick of the moment, read for each request; --other is the coordinator
whose directory `second-directory` shows. Everything else passes as it is.
"""

import argparse
import asyncio
import re
import ssl

import h11

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("--honest", type=int, required=True, help="port of the coordinator")
parser.add_argument("--other", type=int, required=True, help="port of the one with another log")
parser.add_argument("--certificate", required=True)
parser.add_argument("--key", required=True)
parser.add_argument("--mode", required=True, help="a file with the trick's name")
options = parser.parse_args()

# The sealed bytes of an earlier answer, whole.
recorded = []


def mode():
    with open(options.mode) as file:
        return file.read().strip()


class Records:
    """Cuts a response body into outer records: type(1) | attempt(1) | varint(length) | payload."""

    def __init__(self):
        self.buffer = b""

    def take(self, data):
        self.buffer += data
        while len(self.buffer) >= 3:
            first = self.buffer[2]
            width = 1 << (first >> 6)
            if len(self.buffer) < 2 + width:
                return
            length = int.from_bytes(self.buffer[2 : 2 + width], "big") & (1 << (8 * width - 2)) - 1
            end = 2 + width + length
            if len(self.buffer) < end:
                return
            record, self.buffer = self.buffer[:end], self.buffer[end:]
            yield record[0], record, 2 + width


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def tamper_request(trick, body):
    if trick == "flip-request":
        return flipped(body, len(body) - 40)
    if trick == "flip-head":
        # The nonce in the head, which every wrap is bound to.
        return flipped(body, 20)
    return body


class Answer:
    """What becomes of an answer's records."""

    def __init__(self, trick):
        self.trick = trick
        self.records = Records()
        self.sealed = 0
        self.kept = []
        self.ended = False

    def change(self, data):
        out = b""
        for kind, record, start in self.records.take(data):
            if self.ended:
                continue
            if kind != 1:
                out += record
                continue
            self.sealed += 1
            self.kept.append(record)
            if self.trick == "flip-answer" and self.sealed == 2:
                record = flipped(record, (start + len(record)) // 2)
            elif self.trick == "swap-records" and self.sealed == 2:
                self.held = record
                continue
            elif self.trick == "swap-records" and self.sealed == 3:
                record += self.held
            elif self.trick == "truncate" and self.sealed == 3:
                self.ended = True
                continue
            elif self.trick == "replay-answer":
                record = b"".join(recorded)
                self.ended = True
            elif self.trick == "swap-node" and self.sealed == 1:
                # Another machine's name where the one that answers stands.
                record = flipped(record, start + 5)
            out += record
        if self.trick == "none" and len(self.kept) > 2:
            recorded[:] = self.kept
        return out


async def exchange(request, body, trick):
    """Sends a request to the coordinator; yields the response, then pieces of its body."""
    port = options.honest
    if trick == "second-directory" and request.target.startswith(b"/v1/directory"):
        port = options.other
        # Whatever the client has seen: the answer pretends that this log goes on from there.
        request = h11.Request(
            method=request.method,
            target=re.sub(rb"from=\d+", b"from=0", request.target),
            headers=request.headers,
        )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [(n, v) for n, v in request.headers if n not in (b"content-length", b"connection")]
        headers += [(b"connection", b"close"), (b"content-length", str(len(body)).encode())]
        writer.write(
            connection.send(
                h11.Request(method=request.method, target=request.target, headers=headers)
            )
            + (connection.send(h11.Data(data=body)) if body else b"")
            + connection.send(h11.EndOfMessage())
        )
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65536))
            elif isinstance(event, (h11.Response, h11.Data)):
                yield event
            else:
                return
    finally:
        writer.close()


async def serve(reader, writer):
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                connection.receive_data(data)
                if not data:
                    return
                continue
            if not isinstance(event, h11.Request):
                return
            request, body = event, b""
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(65536))
                else:
                    body += bytes(event.data)
            trick = mode()
            is_sealed = request.target == b"/v1/sealed"
            if is_sealed:
                body = tamper_request(trick, body)
            answer = Answer(trick) if is_sealed else None
            async for part in exchange(request, body, trick):
                if isinstance(part, h11.Response):
                    headers = [
                        (n, v)
                        for n, v in part.headers
                        if n not in (b"content-length", b"transfer-encoding", b"connection")
                    ]
                    headers += [(b"transfer-encoding", b"chunked"), (b"connection", b"close")]
                    if part.status_code != 200:
                        answer = None
                    reply = h11.Response(status_code=part.status_code, headers=headers)
                    writer.write(connection.send(reply))
                    continue
                data = answer.change(bytes(part.data)) if answer else bytes(part.data)
                if data:
                    writer.write(connection.send(h11.Data(data=data)))
                    await writer.drain()
            writer.write(connection.send(h11.EndOfMessage()))
            return
    except (OSError, ssl.SSLError, h11.ProtocolError):
        pass  # either end left
    finally:
        writer.close()


async def main():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(options.certificate, options.key)
    server = await asyncio.start_server(serve, None, options.port, ssl=context)
    await server.serve_forever()


asyncio.run(main())
