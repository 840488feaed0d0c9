"""A second client of DBP/1, written from docs/protocol.md over PyPI `cryptography` primitives.

It seals the fixed request of Tests/Vectors/seal.txt itself and must get the envelope that our node
opens, byte for byte; then it opens our node's answer and checks transcript and receipt. Against a
live node it seals with secrets of its own (the lines it prints), and opens what came back.

    python3 Tests/Python/seal_client.py check Tests/Vectors/seal.txt
    python3 Tests/Python/seal_client.py outer Tests/Vectors/outer-records.txt
    python3 Tests/Python/seal_client.py directory FILE    a directory's answers and what was known before
    python3 Tests/Python/seal_client.py seal FILE      names, keys and request: lines `name hex`
    python3 Tests/Python/seal_client.py open FILE      the same, what `seal` printed, and the answer
"""
import base64
import hashlib
import hmac
import json
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SUITE = bytes.fromhex("001000010002")
CHUNK = 16384


def extract(salt, key):
    return hmac.new(salt or bytes(32), key, hashlib.sha256).digest()


def expand(key, info, count):
    return HKDFExpand(hashes.SHA256(), count, info).derive(key)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Sender:
    """HPKE base mode, RFC 9180, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""

    def __init__(self, public, scalar, info):
        private = ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())
        peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        self.enc = private.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        kem, hpke = b"KEM" + SUITE[:2], b"HPKE" + SUITE
        root = self._extract(kem, b"", b"eae_prk", private.exchange(ec.ECDH(), peer))
        shared = self._expand(kem, root, b"shared_secret", self.enc + public, 32)
        context = b"\0" + self._extract(hpke, b"", b"psk_id_hash", b"") \
            + self._extract(hpke, b"", b"info_hash", info)
        secret = self._extract(hpke, shared, b"secret", b"")
        self.key = self._expand(hpke, secret, b"key", context, 32)
        self.nonce = self._expand(hpke, secret, b"base_nonce", context, 12)
        self.exporter = self._expand(hpke, secret, b"exp", context, 32)

    @staticmethod
    def _extract(suite, salt, label, key):
        return extract(salt, b"HPKE-v1" + suite + label + key)

    @staticmethod
    def _expand(suite, key, label, info, count):
        return expand(key, count.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, count)

    def seal(self, text, aad):
        return AESGCM(self.key).encrypt(self.nonce, text, aad)

    def export(self, label):
        return self._expand(b"HPKE" + SUITE, self.exporter, b"sec", label, 32)


def varint(value):
    size = 1 if value < 1 << 6 else 2 if value < 1 << 14 else 4
    return (value | (size.bit_length() - 1) << (8 * size - 2)).to_bytes(size, "big")


def read_varint(data, at):
    size = 1 << (data[at] >> 6)
    value = int.from_bytes(data[at:at + size], "big") & ((1 << (8 * size - 2)) - 1)
    assert varint(value)[:size] == data[at:at + size], "a varint is not in its shortest form"
    return value, at + size


def count(nonce, index):
    return (int.from_bytes(nonce, "big") ^ index).to_bytes(12, "big")


def padded_size(size):
    """The next power of two from 2,048 to 262,144, then Padmé."""
    if size <= 262144:
        return max(2048, 1 << (size - 1).bit_length() if size > 1 else 0)
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return (size + step - 1) // step * step


def head_of(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    size = 1 if value < 1 << 8 else 2 if value < 1 << 16 else 4 if value < 1 << 32 else 8
    return bytes([major << 5 | 24 + size.bit_length() - 1]) + value.to_bytes(size, "big")


def routing_of(vectors):
    """The map that the coordinator reads, without constraints."""
    number = lambda name: int.from_bytes(vectors[name], "big")
    fields = [bstr(vectors["model"]), head_of(0, number("kind")),
              head_of(0, padded_size(len(vectors["canonical-request"]))),
              head_of(0, number("token-class")), head_of(0, number("deadline")),
              head_of(0, number("padding")), bstr(vectors["answer-id"]),
              head_of(0, number("part")), head_of(5, 0)]
    return head_of(5, 9) + b"".join(head_of(0, i + 1) + f for i, f in enumerate(fields))


def seal(vectors):
    routing, text = vectors["routing"], vectors["canonical-request"]
    head = b"\1\0" + SUITE + vectors["request-nonce"] + len(routing).to_bytes(2, "big") + routing
    padded = padded_size(len(text))
    text += bytes(padded - len(text))
    root = extract(vectors["request-nonce"], vectors["envelope-key"])
    key = expand(root, b"darkbloom/1 body key", 32)
    nonce = expand(root, b"darkbloom/1 body nonce", 12)
    body = b""
    for index in range(0, padded, CHUNK):
        final = index + CHUNK >= padded
        chunk = AESGCM(key).encrypt(
            count(nonce, index // CHUNK), text[index:index + CHUNK], b"final" if final else b"")
        body += (b"\0" if final else b"") + varint(len(chunk)) + chunk
    binding = sha256(head, body)
    machines = [("node", "node-encryption-key", "ephemeral-scalar-1"),
                ("other-node", "other-encryption-key", "ephemeral-scalar-2")]
    machines = [names for names in machines if names[0] in vectors]
    candidates, senders = bytes([len(machines)]), []
    for node, public, scalar in machines:
        name = vectors[node] + sha256(vectors[public])[:8]
        sender = Sender(vectors[public], vectors[scalar], b"darkbloom/1 request\0" + name)
        wrapped = sender.seal(vectors["envelope-key"], binding)
        candidates += name + len(sender.enc).to_bytes(2, "big") + sender.enc \
            + len(wrapped).to_bytes(2, "big") + wrapped
        senders.append(sender)
    return head + candidates + body, senders[0]


def cbor(data, at=0):
    """Reads one item of the deterministic subset that frames and receipts use."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        assert low in (20, 21, 22), "only booleans and null are expected here"
        return {20: False, 21: True, 22: None}[low], at
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    value = int.from_bytes(data[at:at + size], "big") if size else low
    at += size
    if major == 0:
        return value, at
    if major == 1:
        return -1 - value, at
    if major in (2, 3):
        raw = data[at:at + value]
        return (raw if major == 2 else raw.decode()), at + value
    if major == 4:
        items = []
        for _ in range(value):
            item, at = cbor(data, at)
            items.append(item)
        return items, at
    assert major == 5, "no tags are expected here"
    pairs = {}
    for _ in range(value):
        key, at = cbor(data, at)
        pairs[key], at = cbor(data, at)
    return pairs, at


def bstr(data):
    size = len(data)
    head = bytes([0x40 | size]) if size < 24 else bytes([0x58, size]) if size < 256 \
        else b"\x59" + size.to_bytes(2, "big")
    return head + data


def signed(message, label, content_type, key):
    """The payload of a COSE_Sign1 of §2 whose signature holds under a P-256 point."""
    (protected, unprotected, payload, signature), end = cbor(message)
    assert end == len(message) and unprotected == {}
    assert cbor(protected)[0] == {1: -7, 3: content_type}
    structure = b"\x84\x6aSignature1" + bstr(protected) + bstr(label) + bstr(payload)
    if callable(key):
        key = key(cbor(payload)[0])
    public = key if isinstance(key, ec.EllipticCurvePublicKey) \
        else ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    der = utils.encode_dss_signature(
        int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    public.verify(der, structure, ec.ECDSA(hashes.SHA256()))
    return cbor(payload)[0]


def open_record(record):
    """Checks a node record of §2 as far as its own words go; returns the statement."""
    (statement, evidence), end = cbor(record)
    assert end == len(record)
    claims = signed(statement, b"darkbloom/1 keystmt", "application/darkbloom-ks+cbor",
                    lambda claims: serialization.load_der_public_key(claims[3]))
    assert claims[1] == 1 and claims[2] == sha256(b"darkbloom/1 node", claims[3])
    assert claims[9] == sha256(evidence) and 0 < claims[6] - claims[5] <= 3600
    for worker in claims[4]:
        assert worker[2] == sha256(worker[3])[:8], "a key's name is not its own"
    return claims


def check_receipt(claims, vectors):
    """What §6 lets a client compare with the head it sealed and the node's statement."""
    assert sorted(claims) == list(range(1, 24)) and claims[1] == 1
    routing = cbor(vectors["routing"])[0]
    assert claims[20] == routing[7] and claims[21] == routing[8]
    assert claims[11] <= routing[3] + 4096 and claims[15] <= claims[16]
    assert claims[13] <= 64 << 2 * routing[4] and claims[14] in (None, 0, 1, 2, 3, 4, 5)
    # 0 whole, 1 continued, 2 exact: whole is what goes on from nothing.
    resumed = "resume" in json.loads(vectors["canonical-request"])
    assert claims[22] in (0, 1, 2) and (claims[22] == 0) == (not resumed)
    assert claims[22] or claims[12] == 0, "a whole answer replays nothing"
    if "record" not in vectors:
        return
    statement = open_record(vectors["record"])
    worker = next(w for w in statement[4] if w[2] == claims[3])
    assert worker[4] == vectors["receipt-key"] and worker[3] == vectors["node-encryption-key"]
    assert (claims[2], claims[8], claims[9], claims[10], claims[19]) == (
        statement[2], worker[5], statement[7], statement[15], statement[9])
    assert statement[5] - 120 <= claims[15] <= statement[6] + 600


def is_included(leaf, index, size, root, proof):
    """RFC 9162 §2.1.3.2 over a leaf's content."""
    if index >= size:
        return False
    last, digest = size - 1, sha256(b"\0", leaf)
    for sibling in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            digest = sha256(b"\1", sibling, digest)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            digest = sha256(b"\1", digest, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and digest == root


def is_consistent(first, first_root, second, second_root, proof):
    """RFC 9162 §2.1.4.2."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second or not proof:
        return False
    proof = list(proof) if first & first - 1 else [first_root, *proof]
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = sha256(b"\1", sibling, old), sha256(b"\1", sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = sha256(b"\1", new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def open_directory(vectors):
    """Checks a directory's two answers as §10 says; prints the machines that it lists."""
    (snapshot, note, inclusion, consistency), end = cbor(vectors["directory"])
    assert end == len(vectors["directory"])
    text, signature = note.decode().split("\n\n")
    origin, size, root = (text + "\n").split("\n")[:3]
    assert origin == vectors["origin"].decode()
    mark, name, signed_by = signature.rstrip("\n").split(" ")
    signed_by = base64.b64decode(signed_by)
    key_hash = sha256(origin.encode(), b"\n\1", vectors["log-key"])[:4]
    assert (mark, name, signed_by[:4]) == ("\u2014", origin, key_hash)
    ed25519.Ed25519PublicKey.from_public_bytes(vectors["log-key"]).verify(
        signed_by[4:], (text + "\n").encode())
    size, root = int(size), base64.b64decode(root)
    assert is_included(sha256(snapshot), size - 1, size, root, inclusion), "not in the log"
    known = int.from_bytes(vectors["known-size"], "big")
    assert known == 0 or is_consistent(known, vectors["known-root"], size, root, consistency)
    version, number, time, trees = cbor(snapshot)[0]
    assert version == 1 and number == size
    assert abs(int.from_bytes(vectors["now"], "big") - time) <= 3900
    model, _, _, machines, tree_root = trees[vectors["tree"][0]]
    for index, (record, proof) in enumerate(cbor(vectors["records"])[0]):
        assert is_included(record, index, machines, tree_root, proof), "not in the tree"
        statement = open_record(record)
        assert any(worker[5] == model for worker in statement[4])
        print("machine", statement[2].hex())


def check_outer(vectors):
    """Reads the records of §4's outer transport, one of each type."""
    fields = {}
    for name, record in vectors.items():
        size, at = read_varint(record, 2)
        assert record[1] == 1 and at + size == len(record)
        payload = record[at:]
        fields[name] = record[0], (payload if record[0] == 1 or not payload else cbor(payload)[0])
    assert fields == {
        "accepted": (0, b"\4" * 32), "sealed": (1, b"\1\2\3"), "alive": (2, b""),
        "attempt-failed": (3, [12, True, 0]), "settled": (4, [b"\5" * 32, 77]),
        "queued": (5, [2, 900]), "suspected": (6, b"")}, fields
    print(f"read {len(fields)} outer records")


def open_answer(vectors, sender):
    answer, name = vectors["answer"], vectors["node"] + sha256(vectors["node-encryption-key"])[:8]
    assert answer[:40] == name, "the answer is another machine's"
    response_nonce = answer[40:72]
    root = extract(sender.enc + response_nonce, sender.export(b"darkbloom/1 response"))
    key, nonce = expand(root, b"key", 32), expand(root, b"nonce", 12)
    transcript = sha256(b"darkbloom/1 transcript", response_nonce)
    history, last = [transcript], None
    at, index, final, stream, rest = 72, 0, False, [], b""
    while not final:
        size, at = read_varint(answer, at)
        final = size == 0
        if final:
            size, at = read_varint(answer, at)
        sealed = answer[at:at + size]
        at += size
        text = AESGCM(key).decrypt(count(nonce, index), sealed, b"final" if final else b"")
        index += 1
        if not final:
            transcript = sha256(transcript, sealed)
            history.append(transcript)
        rest += text
        while rest and len(rest) >= 1 << (rest[0] >> 6):
            length, start = read_varint(rest, 0)
            if length == 0:
                assert not any(rest), "padding is not zero"
                rest = b""
            elif len(rest) < start + length:
                break  # the frame goes on in the next chunk
            else:
                stream.append(rest[start:start + length])
                rest = rest[start + length:]
    assert at == len(answer), "bytes follow the final chunk"
    assert not rest, "the answer ends inside a frame"

    commit = sender.export(b"darkbloom/1 commit")
    shown, content, tokens = "", b"", 0
    for raw in stream:
        frame, _ = cbor(raw)
        if frame[0] == 3:
            claims = signed(frame[1], b"darkbloom/1 receipt",
                            "application/darkbloom-receipt+cbor", vectors["receipt-key"])
            assert claims[2] + claims[3] == name
            check_receipt(claims, vectors)
            assert claims[4] == vectors["request-nonce"]
            assert claims[5] == hmac.digest(commit, vectors["canonical-request"], "sha256")
            assert history[claims[23]] == claims[6]
            assert claims[7] == hmac.digest(commit, content, "sha256")
            assert claims[13] == tokens
            last = claims
            continue
        content += raw
        tokens += len(frame.get(2, []))
        shown += "".join(delta[1] for delta in frame.get(3, []) if delta[0] == 0)
    assert last and last[14] is not None and last[6] == transcript, "the answer is cut off"
    assert last[23] == index - 1
    return shown, tokens


def main(mode, path):
    with open(path, encoding="ascii") as file:
        vectors = {name: bytes.fromhex(value) for name, value in (line.split() for line in file)}
    if mode == "outer":
        return check_outer(vectors)
    if mode == "directory":
        return open_directory(vectors)
    if mode == "seal":
        drawn = {"request-nonce": os.urandom(32), "envelope-key": os.urandom(32),
                 "routing": routing_of(vectors)}
        for index, node in ((1, "node"), (2, "other-node")):
            if node in vectors:
                drawn[f"ephemeral-scalar-{index}"] = bytes([1]) + os.urandom(31)
        drawn["envelope"] = seal({**vectors, **drawn})[0]
        for name, value in drawn.items():
            print(name, value.hex())
        return
    envelope, sender = seal(vectors)
    assert envelope == vectors["envelope"], "the envelope differs"
    shown, tokens = open_answer(vectors, sender)
    if mode == "open":
        print("shown", shown.encode().hex())
        print("tokens", tokens.to_bytes(4, "big").hex())
        return
    assert (shown, tokens) == ("Hello", 2), (shown, tokens)
    print(f"sealed {len(envelope)} bytes, opened {shown!r}, receipt over {tokens} tokens verified")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
