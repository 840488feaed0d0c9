#!/usr/bin/env python3
"""Switches off one check of the client at a time, in a copy, and expects its tests to fail.

Each mutant replaces pieces of source text. A piece that is not there exactly once is an error, so
the list cannot fall behind the code. The copy is built once: an environment variable chooses the
mutant. Two checks are missing because the types do not allow to leave them out: a checkpoint and a
node record exist only verified, and a set of key exchanges gives its contexts only once. A third,
that a part extends the answer only from where it stands, cannot be reached while the losers of a
race are dropped, which `keeps-the-loser` tests; it is kept as a second line.

Usage: python3 Tests/Mutants/client.py [NAME ...]
"""

import pathlib
import re
import shutil
import sys

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build" / "mutants" / "client"

# Name, then pieces: file, the text as it is, the text with the error. `@` stands for
# `planted("<name>")`.
DIRECTORY = [
    ("ignores-inclusion", ("DirectoryVerifier.swift",
     "guard checkpoint.size > 0,\n      MerkleProof", "guard checkpoint.size > 0,\n      @ || MerkleProof")),
    ("ignores-history", ("DirectoryVerifier.swift",
     "MerkleProof.isConsistent(", "@ || MerkleProof.isConsistent(")),
    ("ignores-number", ("DirectoryVerifier.swift",
     "guard snapshot.number == checkpoint.size", "guard @ || snapshot.number == checkpoint.size")),
    ("ignores-age", ("DirectoryVerifier.swift", "guard abs(now", "guard @ || abs(now")),
    ("ignores-missing-records", ("DirectoryVerifier.swift",
     "guard pairs.count == indexes.count", "guard @ || pairs.count == indexes.count")),
    ("ignores-record-proof", ("DirectoryVerifier.swift",
     "guard\n        MerkleProof.isIncluded(", "guard\n        @ || MerkleProof.isIncluded(")),
]
CLIENT = [
    ("believes-any-manifest", ("NetworkView.swift",
     "guard ModelID(SHA256.digest(bytes)) == model,", "guard @ || ModelID(SHA256.digest(bytes)) == model,")),
    ("takes-machines-without-model", ("NetworkView.swift",
     "guard node.keys(for: tree.model) != nil", "guard @ || node.keys(for: tree.model) != nil"),
     ("NetworkView+Draw.swift",
      "usable[node].flatMap { try? SealTarget($0, model: wanted.model, at: now) }",
      "usable[node].flatMap {\n try? SealTarget($0, model: @ ? ($0.record.statement.workers.first?.model ?? "
      "wanted.model) : wanted.model, at: now) }")),
    ("mixes-pool-with-network", ("NetworkView.swift",
     "let isPool = remote.coordinator.pool != nil", "let isPool = !@ && remote.coordinator.pool != nil")),
    ("keeps-a-left-pool", ("NetworkView.swift",
     "    sources[index].draft = nil\n", "    if !@ { sources[index].draft = nil }\n")),
    ("forgets-an-earlier-directory", ("NetworkView.swift",
     "    defer { adopt() }\n", "    defer { if @ { hasChanged = false } else { adopt() } }\n"),
     ("NetworkView.swift", "    fetchedAt = time.now()\n  }\n", "    fetchedAt = time.now()\n    adopt()\n  }\n")),
    ("passes-by-this-device", ("NetworkView+Draw.swift",
     "if policy.places.first == .device,", "if !@, policy.places.first == .device,")),
    ("stays-with-the-silent", ("AnswerStateMachine.swift",
     "    searchAgain(now)\n    return parts.isEmpty ?", "    if !@ { searchAgain(now) }\n    return parts.isEmpty ?")),
    ("asks-too-often", ("AnswerStateMachine.swift",
     "= max(parts[index].tokensDue, now + Self.slowPause)",
     "= max(parts[index].tokensDue, now + (@ ? Self.searchPause : Self.slowPause))")),
    ("forgets-the-unheard", ("PartNumbering.swift",
     "failure.isUnderWay = reason == .partNotAllowed", "failure.isUnderWay = !@ && reason == .partNotAllowed")),
    ("waits-for-no-look", ("LocalNode.swift",
     "    if let looking { return", "    if looking != nil, @ { return }\n    if let looking { return")),
    ("widens-a-pool", ("PlacementPolicy.swift",
     "policy.places = places.filter { $0 == .device }", "policy.places = places.filter { @ || $0 == .device }")),
    ("waits-for-nobody", ("PartNumbering.swift",
     "isWithoutCandidates: isRetriable,\n      isReturning: reason.isWorthWaiting",
     "isWithoutCandidates: isRetriable,\n      isReturning: @ || reason.isWorthWaiting")),
    ("gives-up-on-the-vanished", ("PartNumbering.swift",
     "wasAccepted && reason == .nodeLost", "!@ && wasAccepted && reason == .nodeLost")),
    ("gives-up-on-the-full", ("SealedPartRunner.swift",
     "var isWorthWaiting: Bool {\n    switch self {", "var isWorthWaiting: Bool {\n    if @ { return false }\n    return switch self {")),
    ("ignores-places", ("NetworkView.swift", "guard !places.isEmpty", "guard @ || !places.isEmpty")),
    ("ignores-blocked", ("PlacementPolicy.swift", "if blocked.contains(node)", "if !@, blocked.contains(node)")),
    ("ignores-pinned", ("PlacementPolicy.swift", "if !pinned.isEmpty, ", "if !@, !pinned.isEmpty, ")),
    ("ignores-tier", ("PlacementPolicy.swift",
     "TierPolicy(minimum: minimumTier,", "TierPolicy(minimum: @ ? .software : minimumTier,")),
    ("forgets-region", ("PlacementPolicy.swift", "region: region,\n      minimumTier:", "region: @ ? nil : region,\n      minimumTier:")),
    ("forgets-price-cap", ("PlacementPolicy.swift",
     "      priceCap: priceCap)", "      priceCap: @ ? nil : priceCap)")),
    ("uses-old-keys", ("NetworkView.swift", "    shelf.removeAll()\n", "    if !@ { shelf.removeAll() }\n"),
     ("NetworkView+Draw.swift", "&& nodes[model]?[target.node]", "&& (@ ? target : nil)?.keys.keyID == target.keys.keyID || nodes[model]?[target.node]")),
    ("shows-another-attempt", ("SealedPartReader.swift",
     "guard !state.hasDelivered", "guard @ || !state.hasDelivered")),
    ("believes-any-cost", ("SealedPartReader.swift",
     "if digest == state.receipt?.digest", "if @ || digest == state.receipt?.digest")),
    ("forgets-delivered", ("SealedPartRunner.swift",
     "if part > 0 || resume.contains(", "if part > 0 || !@ && resume.contains(")),
    ("counts-forgotten-parts", ("PartNumbering.swift",
     "case .answerUnknown: next = 0", "case .answerUnknown: if !@ { next = 0 }")),
    ("shows-after-the-end", ("AnswerStateMachine.swift",
     "progress.indices.contains(choice), !progress[choice].isDone",
     "progress.indices.contains(choice), @ || !progress[choice].isDone")),
    ("keeps-the-loser", ("AnswerStateMachine.swift", "parts = [parts[index]]", "if !@ { parts = [parts[index]] }")),
]

TESTS = "BloomClientTests"


def package():
    """The package with what the client's tests need and nothing else."""
    text = (ROOT / "Package.swift").read_text()
    found = {}
    for line in text.splitlines():
        match = re.match(r'  (library|shim|system|tests)\("(\w+)"(?:, \[(.*)\]\)|.*\)),?$', line)
        if match:
            found[match[2]] = (line, re.findall(r'"(\w+)"', match[3] or ""))
    wanted, queue = [], [TESTS]
    while queue:
        name = queue.pop()
        if name in wanted:
            continue
        wanted.append(name)
        queue += found[name][1]
    lines = [found[name][0] for name in reversed(wanted)]
    start = text.index("let targets")
    head = text[:start] + "let targets: [Target] = [\n" + "\n".join(lines) + "\n]\n"
    return head + text[text.index("\nlet package"):], wanted


def prepare():
    manifest, wanted = package()
    for name in wanted:
        part = ("Tests/" if name == TESTS else "Sources/") + name
        shutil.rmtree(COPY / part, ignore_errors=True)
        shutil.copytree(ROOT / part, COPY / part)
    shutil.copytree(ROOT / "Tests/Vectors", COPY / "Tests/Vectors", dirs_exist_ok=True)
    (COPY / "docs").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "docs" / "library.md", COPY / "docs")
    (COPY / "Package.swift").write_text(manifest)
    harness.plant(COPY / "Sources/BloomSeal", DIRECTORY)
    harness.plant(COPY / "Sources/BloomClient", CLIENT)


if __name__ == "__main__":
    prepare()
    harness.run(COPY, DIRECTORY + CLIENT, sys.argv[1:])
