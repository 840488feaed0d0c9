"""A second client of DBP/1, written from docs/protocol.md over PyPI `cryptography` primitives.

It seals the fixed request of Tests/Vectors/seal.txt itself and must get the envelope that our node
opens, byte for byte; then it opens our node's answer and checks transcript and receipt. Against a
live node it seals with secrets of its own (the lines it prints), and opens what came back.

    python3 Tests/Python/seal_client.py check Tests/Vectors/seal.txt
    python3 Tests/Python/seal_client.py seal FILE      names, keys and request: lines `name hex`
    python3 Tests/Python/seal_client.py open FILE      the same, what `seal` printed, and the answer
"""
import hashlib
import hmac
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
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
        assert low == 22, "only null is expected here"
        return None, at
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
            protected, unprotected, payload, signature = cbor(frame[1])[0]
            claims = cbor(payload)[0]
            structure = b"\x84\x6aSignature1" + bstr(protected) + bstr(b"darkbloom/1 receipt") \
                + bstr(payload)
            public = ec.EllipticCurvePublicKey.from_encoded_point(
                ec.SECP256R1(), vectors["receipt-key"])
            der = utils.encode_dss_signature(
                int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            public.verify(der, structure, ec.ECDSA(hashes.SHA256()))
            assert unprotected == {} and claims[2] + claims[3] == name
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
