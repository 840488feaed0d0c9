"""Reads cases from standard input, one a line as `kind hex`, and prints what h11 or websockets make of each.

One line a case: `error`, or events separated by `;`. The Swift side prints the same words.
"""
import sys

import h11
from websockets.exceptions import PayloadTooBig
from websockets.frames import Opcode
from websockets.protocol import OPEN, Protocol, Side


def request(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    words, body = [], b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            words.append(
                f"head {event.method.decode()} {event.target.decode()} {event.http_version.decode()}"
            )
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            # What is left belongs to the next request: the border must be the same for both.
            words.append(f"body {body.hex()}")
            words.append(f"end {len(connection.trailing_data[0])}")
            return words
        elif event is h11.NEED_DATA or event is h11.PAUSED:
            return words + [f"body {body.hex()}", "more"]
        else:
            return words + [type(event).__name__]


def response(data):
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    words, body = [], b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.InformationalResponse):
            words.append(f"interim {event.status_code}")
        elif isinstance(event, h11.Response):
            words.append(f"head {event.status_code}")
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return words + [f"body {body.hex()}", f"end {len(connection.trailing_data[0])}"]
        elif event is h11.NEED_DATA or event is h11.PAUSED:
            return words + [f"body {body.hex()}", "more"]
        else:
            return words + [type(event).__name__]


def frames(data):
    protocol = Protocol(Side.SERVER, state=OPEN, max_size=1 << 24)
    protocol.receive_data(data)
    words, kind, message = [], None, b""
    for frame in protocol.events_received():
        payload = bytes(frame.data)
        if frame.opcode is Opcode.PING:
            words.append(f"ping {payload.hex()}")
        elif frame.opcode is Opcode.PONG:
            words.append(f"pong {payload.hex()}")
        elif frame.opcode is Opcode.CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else "-"
            words.append(f"close {code} {payload[2:].hex()}")
        else:
            kind = kind or frame.opcode
            message += payload
            if frame.fin:
                if kind is Opcode.TEXT:
                    message.decode()
                words.append(f"{'text' if kind is Opcode.TEXT else 'binary'} {message.hex()}")
                kind, message = None, b""
    # They refuse a length before the mask has come, we after it: until then both would wait.
    if protocol.parser_exc is not None and not isinstance(protocol.parser_exc, PayloadTooBig):
        raise protocol.parser_exc
    return words


KINDS = {"request": request, "response": response, "frames": frames}

for line in sys.stdin:
    kind, _, text = line.rstrip("\n").partition(" ")
    try:
        print(";".join(KINDS[kind](bytes.fromhex(text))))
    except Exception as error:  # every refusal counts, whatever its class
        print("error", type(error).__name__)
