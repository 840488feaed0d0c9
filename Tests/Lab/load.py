"""Streams answers from a gateway and writes down when each piece came, as JSON.

load.py BASE-URL KEY MODEL STREAMS AT-ONCE TOKENS OUTPUT

Greedy, and the prompt of stream number n is always the same: two runs can be compared word for
word. Only the standard library, so that nothing between the wire and the clock is ours.
"""

import http.client
import json
import sys
import threading
import time
import urllib.parse

base, key, model, streams, at_once, tokens, output = sys.argv[1:8]
url = urllib.parse.urlsplit(base)
TOPICS = "rivers bridges clocks orchards harbours lanterns glaciers violins maps kites".split()


def question(number):
    return f"Tell me about {TOPICS[number % len(TOPICS)]} and about the number {number}."


def stream(number):
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question(number)}],
        "temperature": 0,
        "max_tokens": int(tokens),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    record = {"number": number, "text": "", "times": [], "error": None, "usage": None}
    started = time.monotonic()
    try:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=90)
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.request("POST", f"{url.path}/chat/completions", json.dumps(body), headers)
        response = connection.getresponse()
        if response.status != 200:
            record["error"] = response.read().decode("utf-8", "replace")
        ended = False
        while response.status == 200:
            line = response.readline()
            if not line:
                break
            if not line.startswith(b"data: "):
                continue
            data = line[6:].strip()
            if data == b"[DONE]":
                ended = True
                break
            event = json.loads(data)
            if "error" in event:
                record["error"] = event["error"]
                continue
            if event.get("usage"):
                record["usage"] = event["usage"]
            for choice in event["choices"]:
                piece = choice["delta"].get("content")
                if piece:
                    record["text"] += piece
                    record["times"].append(time.monotonic() - started)
        if not ended and not record["error"]:
            record["error"] = "the stream was cut"
        connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        record["error"] = repr(error)
    record["seconds"] = time.monotonic() - started
    return record


def main():
    numbers = iter(range(int(streams)))
    lock, records = threading.Lock(), []

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            record = stream(number)
            with lock:
                records.append(record)

    workers = [threading.Thread(target=work) for _ in range(int(at_once))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with open(output, "w") as file:
        json.dump(sorted(records, key=lambda record: record["number"]), file)


main()
