"""Makes paths.json: certification paths, good and bad. Needs PyPI `cryptography`.

Keys and signatures are fresh at each run, so the file is checked in and not remade by tests.
"""

import base64
import datetime
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

DAY = datetime.timedelta(days=1)
START = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
NOW = START + 30 * DAY


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def p256():
    return ec.generate_private_key(ec.SECP256R1())


def certificate(subject, key, issuer, signer, *, ca=None, usage=None, days=365, start=START,
                extra=(), digest=hashes.SHA256(), pss=False):
    builder = (x509.CertificateBuilder().subject_name(name(subject)).issuer_name(name(issuer))
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(start).not_valid_after(start + days * DAY))
    if ca is not None:
        authority, length = ca
        builder = builder.add_extension(x509.BasicConstraints(authority, length), critical=True)
    if usage is not None:
        fields = dict.fromkeys(
            ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"], False)
        fields[usage] = True
        builder = builder.add_extension(x509.KeyUsage(**fields), critical=True)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical=critical)
    if isinstance(signer, ed25519.Ed25519PrivateKey):
        digest = None
    keywords = {}
    if pss:
        keywords["rsa_padding"] = padding.PSS(padding.MGF1(digest), digest.digest_size)
    return builder.sign(signer, digest, **keywords)


def encoded(certificate):
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


CASES = []


def case(title, ok, leaf, intermediates, roots, at=NOW):
    CASES.append({"name": title, "ok": ok, "at": int(at.timestamp()), "leaf": encoded(leaf),
                  "intermediates": [encoded(c) for c in intermediates],
                  "roots": [encoded(c) for c in roots]})


def main():
    ca, sign = (True, None), "key_cert_sign"
    root_key, mid_key, leaf_key = p256(), p256(), p256()
    root = certificate("root", root_key, "root", root_key, ca=ca, usage=sign)
    mid = certificate("mid", mid_key, "root", root_key, ca=(True, 0), usage=sign)
    leaf = certificate("leaf", leaf_key, "mid", mid_key, ca=(False, None),
                       usage="digital_signature")
    case("three certificates", True, leaf, [mid], [root])
    case("an intermediate that is not needed", True, leaf, [leaf, mid, root], [root])
    case("a pinned intermediate", True, leaf, [], [mid])
    case("first second of validity", True, leaf, [mid], [root], START)
    # libcrypto counts the last second itself as expired; RFC 5280 would still take it.
    case("just before the last second of validity", True, leaf, [mid], [root],
         START + 365 * DAY - datetime.timedelta(seconds=1))
    case("before validity", False, leaf, [mid], [root], START - datetime.timedelta(seconds=1))
    case("after validity", False, leaf, [mid], [root],
         START + 365 * DAY + datetime.timedelta(seconds=1))
    case("no intermediate", False, leaf, [], [root])
    case("no root", False, leaf, [mid, root], [])

    other_key = p256()
    other = certificate("root", other_key, "root", other_key, ca=ca, usage=sign)
    case("a root of the same name with another key", False, leaf, [mid], [other])

    short = certificate("mid", mid_key, "root", root_key, ca=(True, 0), usage=sign, days=10)
    case("an expired intermediate", False, leaf, [short], [root])
    case("an expired root", False, leaf, [mid],
         [certificate("root", root_key, "root", root_key, ca=ca, usage=sign, days=10)])

    case("an issuer that is not an authority", False, leaf,
         [certificate("mid", mid_key, "root", root_key, ca=(False, None))], [root])
    case("an issuer without basicConstraints", False, leaf,
         [certificate("mid", mid_key, "root", root_key)], [root])
    case("an issuer with keyCertSign but without basicConstraints", False, leaf,
         [certificate("mid", mid_key, "root", root_key, usage=sign)], [root])
    case("an issuer without keyCertSign", False, leaf,
         [certificate("mid", mid_key, "root", root_key, ca=ca, usage="digital_signature")], [root])

    low_key = p256()
    low = certificate("low", low_key, "mid", mid_key, ca=ca, usage=sign)
    deep = certificate("deep", leaf_key, "low", low_key, ca=(False, None))
    case("path length exceeded", False, deep, [low, mid], [root])
    free = certificate("mid", mid_key, "root", root_key, ca=(True, 1), usage=sign)
    case("path length reached", True, deep, [low, free], [root])

    oid = x509.ObjectIdentifier("1.3.6.1.4.1.55555.1")
    unknown = x509.UnrecognizedExtension(oid, b"\x05\x00")
    case("an unknown critical extension", False,
         certificate("leaf", leaf_key, "mid", mid_key, extra=[(unknown, True)]), [mid], [root])
    case("an unknown uncritical extension", True,
         certificate("leaf", leaf_key, "mid", mid_key, extra=[(unknown, False)]), [mid], [root])

    constraint = x509.NameConstraints([x509.DNSName("good.example")], None)
    limited = certificate("mid", mid_key, "root", root_key, ca=ca, usage=sign,
                          extra=[(constraint, True)])
    for host, ok in (("a.good.example", True), ("a.bad.example", False)):
        alternative = x509.SubjectAlternativeName([x509.DNSName(host)])
        case(f"name constraints and {host}", ok,
             certificate("leaf", leaf_key, "mid", mid_key, extra=[(alternative, False)]),
             [limited], [root])

    for title, make, digest in (
            ("P-384", lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
            ("Ed25519", ed25519.Ed25519PrivateKey.generate, None),
            ("RSA", lambda: rsa.generate_private_key(65537, 2048), hashes.SHA256())):
        key = make()
        anchor = certificate("anchor", key, "anchor", key, ca=ca, usage=sign, digest=digest)
        case(f"signed with {title}", True,
             certificate("leaf", leaf_key, "anchor", key, digest=digest), [], [anchor])
        if title == "RSA":
            case("signed with RSA-PSS", True,
                 certificate("leaf", leaf_key, "anchor", key, digest=digest, pss=True), [],
                 [anchor])

    weak = rsa.generate_private_key(65537, 1024)
    case("an RSA leaf of 1024 bits", False,
         certificate("leaf", weak, "mid", mid_key), [mid], [root])

    path = pathlib.Path(__file__).with_name("paths.json")
    path.write_text(json.dumps({"source": "make.py", "cases": CASES}, indent=1) + "\n")


main()
