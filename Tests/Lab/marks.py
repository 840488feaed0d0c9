"""Reads everything that is not the gateway or a worker, and looks for what was said.

The coordinator stands behind a proxy that ends TLS, and every packet that any interface of its host
carries is written down, those between proxy and coordinator too: that is all the coordinator ever
gets or gives. Beside it the memory of coordinator and agents is read in mid-answer and after it, and
all files, logs and figures.
"""

import base64
import json
import os
import random
import struct
import sys
import time
import urllib.parse

import packets
import wire
from hosts import kill, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


# Needles


def encodings(name, text):
    """Forms in which a text could lie about, each with its name."""
    plain = text.encode()
    lower = "".join(c if ord(c) < 128 else f"\\u{ord(c):04x}" for c in text).encode()
    forms = {
        "text": plain,
        "JSON": lower,
        "JSON, capitals": "".join(
            c if ord(c) < 128 else f"\\u{ord(c):04X}" for c in text
        ).encode(),
        "UTF-16 little": text.encode("utf-16-le"),
        "UTF-16 big": text.encode("utf-16-be"),
        "hexadecimal": plain.hex().encode(),
        "percent": urllib.parse.quote(text).encode(),
    }
    for shift in range(3):
        # What stands before is unknown: the characters that it touches are left out.
        coded = base64.b64encode(b"\0" * shift + plain)
        inner = coded[4 if shift else 0 : len(coded) - 4]
        forms[f"base64 +{shift}"] = inner
        forms[f"base64url +{shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return {f"{name} as {form}": needle for form, needle in forms.items()}


def token_runs(ids):
    """Six tokens in a row, in the ways that programs write numbers."""
    ids = ids[4:10]

    def cbor(value):
        if value < 24:
            return bytes([value])
        if value < 256:
            return bytes([24, value])
        return b"\x19" + struct.pack(">H", value) if value < 65536 else b"\x1a" + struct.pack(">I", value)

    def leb128(value):
        out = b""
        while value >= 128:
            out += bytes([value & 127 | 128])
            value >>= 7
        return out + bytes([value])

    return {
        "tokens as 32 bits": struct.pack(f"<{len(ids)}i", *ids),
        "tokens as 64 bits": struct.pack(f"<{len(ids)}q", *ids),
        "tokens as 32 bits, big": struct.pack(f">{len(ids)}i", *ids),
        "tokens as 16 bits": struct.pack(f"<{len(ids)}H", *ids),
        "tokens as CBOR": b"".join(map(cbor, ids)),
        "tokens as LEB128": b"".join(map(leb128, ids)),
        "tokens as text": ",".join(map(str, ids)).encode(),
        "tokens as text with spaces": ", ".join(map(str, ids)).encode(),
    }


def vocabulary(path):
    """Token bytes to ids, from a GGUF file's `tokenizer.ggml.tokens` (byte-level BPE)."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:
        number = lambda form: struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]
        string = lambda: file.read(number("Q"))

        def value(kind, keep):
            if kind == 8:
                return string()
            if kind == 9:
                inner, count = number("I"), number("Q")
                if inner == 8 or keep:
                    return [value(inner, keep) for _ in range(count)]
                file.seek(sizes[inner] * count, 1)
                return None
            return file.read(sizes[kind])

        assert file.read(4) == b"GGUF"
        number("I"), number("Q")
        for _ in range(number("Q")):
            name, kind = string(), number("I")
            found = value(kind, name == b"tokenizer.ggml.tokens")
            if name == b"tokenizer.ggml.tokens":
                break
    # GPT-2's table of printable characters that stand for bytes.
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    letters = {chr(byte): byte for byte in plain}
    letters.update({chr(256 + index): byte for index, byte in enumerate(others)})
    ids = {}
    for index, token in enumerate(found):
        characters = token.decode("utf-8", "replace")
        if all(character in letters for character in characters):
            ids[bytes(letters[character] for character in characters)] = index
    return ids


# Haystacks


def memory(pid):
    """The readable memory of a process, region by region."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for line in maps:
            fields = line.split()
            if not fields[1].startswith("r") or fields[-1] in ("[vvar]", "[vsyscall]"):
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            try:
                file.seek(start)
                yield file.read(end - start)
            except (OSError, ValueError, OverflowError):
                pass  # a guard page, or gone meanwhile


def files(folder, skip=()):
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not any(part in path for part in skip):
                with open(path, "rb") as file:
                    yield os.path.relpath(path, folder), file.read()


def found(needles, blobs):
    """The names of the needles that lie in any of the blobs."""
    hits = set()
    for blob in blobs:
        hits.update(name for name, needle in needles.items() if needle in blob)
    return hits


# The run


def programs(host):
    """The darkbloom processes of a host: number and kind."""
    for pid in host.processes():
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        name = os.path.basename(words[0]).decode()
        if name.startswith("darkbloom"):
            yield pid, name


def ask(lab, prompt, tokens, output):
    """Starts one streamed answer on the user's device; its lines go to a file."""
    body = {
        "model": "smollm2-135m-instruct-q8_0",
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": tokens,
        "stream": True,
        "logprobs": True,
        # The model's two ends of a text: whatever the marks make it say, it says it for long.
        "logit_bias": {"0": -100, "2": -100},
    }
    return lab.user.start(
        [
            *("curl", "-sN", "-m", "120", "http://127.0.0.1:8642/v1/chat/completions"),
            *("-H", f"authorization: Bearer {lab.key()}", "-H", "content-type: application/json"),
            *("-d", json.dumps(body)),
        ],
        output,
    )


def answer_of(path):
    """The text of a streamed answer and the bytes of its tokens."""
    text, tokens = "", []
    with open(path, "rb") as file:
        for line in file:
            if not line.startswith(b"data: {"):
                continue
            for choice in json.loads(line[6:])["choices"]:
                text += choice["delta"].get("content") or ""
                for token in (choice.get("logprobs") or {}).get("content") or []:
                    tokens.append(bytes(token["bytes"]))
    return text, tokens


def read_everything(lab, report):
    # As behind a reverse proxy: TLS at the proxy, plain HTTP between it and the coordinator.
    kill(lab.children.pop("coordinator"))
    recording = wire.Recording(lab)
    lab.start_coordinator(tls=False)
    lab.children["proxy"] = lab.coordinator.start(
        [
            *(sys.executable, f"{HERE}/forwarder.py", "8643", "127.0.0.1", "8640"),
            *("--certificate", f"{lab.folder}/server.pem", "--key", f"{lab.folder}/server.key"),
        ],
        lab.log("proxy"),
    )
    url = "https://coordinator.lab:8643"
    for number, home in enumerate(lab.homes):
        kill(lab.children.pop(home.host.name))
        lab.start_node(number, url)
    lab.restart_gateway(url)

    secret = random.Random().randbytes(6).hex()
    prompt = f"Zürich-{secret}-Kestrel: what could this code word mean? Write a long story."
    needles = encodings("the prompt", f"Zürich-{secret}-Kestrel")
    hits = {}

    def look(where, blobs, needles):
        seen = found(needles, blobs)
        if seen:
            hits.setdefault(where, set()).update(seen)

    def snapshots():
        """The memory of every process that must not know: by name, copied quickly."""
        hosts = [lab.coordinator, *(home.host for home in lab.homes)]
        return {
            f"memory of {host.name}'s {name}": list(memory(pid))
            for host in hosts
            for pid, name in programs(host)
            if name != "darkbloom-worker"
        }

    def look_into_memory(copies, needles):
        for where, copy in copies.items():
            look(where, copy, needles)

    output = f"{lab.folder}/marked-answer"
    asking = ask(lab, prompt, 400, output)
    wait_until("the first words", 30, lambda: os.path.exists(output) and os.path.getsize(output) > 4000)
    copies = snapshots()
    in_middle = asking.poll() is None
    asking.wait(120)
    text, tokens = answer_of(output)
    ids = [vocabulary(lab.model_file).get(token) for token in tokens]
    if len(text) < 200 or None in ids[4:10]:
        report.note("the marked answer is too short, or its tokens are unknown", True)
        return
    for index in range(3):
        at = 40 + 48 * index
        needles |= encodings(f"the answer at {at}", text[at : at + 32])
    needles |= token_runs(ids)
    needles = {name: needle for name, needle in needles.items() if len(needle) >= 6}
    look_into_memory(copies, needles)
    look_into_memory(snapshots(), needles)

    kept = ("/user/", "/models/", "/marked-answer", "/load-", "/capture.pcap", "/user.log")
    for name, data in files(lab.folder, skip=kept):
        look(f"file {name}", [data], needles)
    figures = lab.from_user(
        "curl", "-s", "-m", "5", "--cacert", f"{lab.folder}/ca.pem", f"{url}/metrics"
    ).stdout.encode()
    if b"darkbloom_requests_total" not in figures:
        report.note("the coordinator's figures could not be read", True)
    look("the coordinator's figures", [figures], needles)
    with open(lab.log("user"), "rb") as file:
        look("the gateway's log", [file.read()], needles)

    recording.plant(b"\0".join(needles.values()))
    said, planted = recording.end()
    for flow, blobs in said.items():
        look(f"wire {wire.name_of(flow)}", [*blobs, *map(wire.unmasked, blobs)], needles)
    strange = [flow for flow in said if not wire.is_expected(flow)]
    for flow in strange:
        report.note(f"the coordinator's host also spoke: {wire.name_of(flow)}", True)

    for where, names in sorted(hits.items()):
        report.note(f"{where} holds {', '.join(sorted(names))}", True)
    plain = [flow for flow in said if wire.is_plain(flow)]
    size = sum(len(blob) for flow in plain for blob in said[flow])
    report.note(
        f"read every packet of the coordinator's host: {len(plain)} flows inside of TLS ({size} "
        f"bytes), {len(said) - len(plain)} others, {len(strange)} of them unexpected; memory, files, "
        f"logs and figures, memory in mid-answer: {'yes' if in_middle else 'no'}; {len(needles)} "
        f"marks, found in {len(hits)} places",
        bool(hits) or not plain or not in_middle,
    )
    prove_the_search(lab, report, needles, planted)


def prove_the_search(lab, report, needles, on_the_wire):
    """A search that finds nothing proves nothing: plants every mark in a file and in memory.

    `on_the_wire` is what was planted there, by flow.
    """
    with open(f"{lab.folder}/coordinator/planted", "wb") as file:
        file.write(b"\0".join(needles.values()))
    places = {"a file": found(needles, [dict(files(f"{lab.folder}/coordinator"))["planted"]])}
    holder = lab.coordinator.start(
        [
            *(sys.executable, "-c"),
            "import sys, time; kept = open(sys.argv[1], 'rb').read(); time.sleep(60)",
            f"{lab.folder}/coordinator/planted",
        ],
        lab.log("planted"),
    )
    time.sleep(1)
    pid = next(pid for pid in lab.coordinator.processes() if is_holder(pid))
    places["a process"] = found(needles, memory(pid))
    kill(holder)
    os.remove(f"{lab.folder}/coordinator/planted")
    spoken = [blob for blobs in on_the_wire.values() for blob in blobs]
    places["packets of seven bytes"] = found(needles, spoken)
    places["masked frames"] = found(needles, map(wire.unmasked, spoken))
    for place, seen in places.items():
        if len(seen) < len(needles):
            missed = sorted(set(needles) - seen)
            report.note(f"planted in {place}, not found: {', '.join(missed)}", True)
    if not on_the_wire or any(map(wire.is_expected, on_the_wire)):
        report.note("a flow on a port of its own is taken for one of the coordinator's", True)
    if notices_no_gap():
        report.note("bytes that are missing in a connection go unnoticed", True)
    gateway = next(pid for pid, name in programs(lab.user) if name == "darkbloom")
    seen = found(needles, memory(gateway))
    report.note(
        f"planted in {', '.join(places)}: each time at least "
        f"{min(map(len, places.values()))} of {len(needles)} marks are found; the gateway's own "
        f"memory holds {len(seen)} of them"
    )


def notices_no_gap():
    stream = packets.Stream(0)
    stream.take(0, b"one")
    stream.take(4, b"two")
    try:
        stream.whole()
    except ValueError:
        return False
    return True


def is_holder(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return b"kept = open" in file.read()
