#!/usr/bin/env python3
"""Plants one error after another in a copy of the ledger and expects its tests to fail.

Each mutant replaces one piece of source text. A piece that is not there exactly once is an error,
so the list cannot fall behind the code. Usage: python3 Tests/Mutants/ledger.py [NAME ...]
"""

import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build" / "mutants" / "ledger"
LEDGER = "Sources/BloomLedger/"

MUTANTS = [
    ("pays-twice", "Ledger+Answers.swift",
     "    answers[answer.id] = nil\n    changes.answers[answer.id] = .some(nil)\n", ""),
    ("forgets-release", "Ledger+Answers.swift",
     "draft.add(answer.payer, .reserved, -answer.reserved)",
     "draft.add(answer.payer, .reserved, -record.gross)"),
    ("releases-too-much", "Ledger+Answers.swift",
     "answer.fromCredit - fromCredit)", "answer.fromCredit)"),
    ("rounds-price-up", "Price.swift",
     "    return Micros(sum / 1_000_000)", "    return Micros((sum + 999_999) / 1_000_000)"),
    ("rounds-fee-up", "Policy.swift",
     "Int64(1000 - nodeSharePerMille) / 1000)", "Int64(1000 - nodeSharePerMille) / 1000 + 1)"),
    ("rounds-pool-up", "Policy.swift",
     "Int64(poolSharePerMille) / 1000)", "Int64(poolSharePerMille) / 1000 + 1)"),
    ("forgets-fee", "Ledger+Answers.swift", "      fees += line.fee - line.poolShare\n", ""),
    ("pays-token-twice", "Answer+Settlement.swift",
     "let uncovered = uncovered(fresh, except: facts.part)", "let uncovered = fresh.count"),
    ("pays-token-never", "Answer+Settlement.swift",
     "let fresh = (start + served.completionTokens)..<",
     "let fresh = min(start + served.completionTokens + 1, start + facts.completionTokens)..<"),
    ("pays-beyond-class", "Answer+Settlement.swift",
     "min(uncovered, max(0, maxCompletionTokens - chargedTokens))", "uncovered"),
    ("pays-prompt-twice", "Answer+Settlement.swift",
     ", !parts.contains(where: { $0.served?.chargesPrompt == true })", ""),
    ("charges-own-machine", "Answer+Settlement.swift",
     "let isOwn = served.owner == payer", "let isOwn = false"),
    ("uses-newest-price", "Answer+Settlement.swift",
     "version: priceVersion, policy: policy", "version: prices.version, policy: policy"),
    ("ignores-ceiling", "Answer+Settlement.swift", ".capped(by: ceiling)", ""),
    ("replays-for-ever", "Answer+Settlement.swift",
     "replays < policy.replaysPerAnswer", "replays < 99"),
    ("believes-replay", "Answer+Settlement.swift",
     "let backed = min(served.replayedTokens, frontier(except: number))",
     "let backed = served.replayedTokens"),
    ("overdraws-pool", "Ledger+Answers.swift",
     "max(.zero, min(left, balance(of: Names.replay).credit))", "max(.zero, left)"),
    ("takes-other-machine", "Answer+Settlement.swift",
     "    guard served.node == facts.node, served.owner == facts.owner else { throw .wrongNode }\n",
     ""),
    ("forgets-usage", "Ledger+Answers.swift", "    count(record, now)\n", ""),
    ("shows-gross", "Ledger+Answers.swift", "      served.fee = line.fee\n", ""),
    ("deposits-twice", "Ledger.swift",
     "    guard let known = keys[key] else { return nil }\n    guard known.account",
     "    guard let known = keys[key], false else { return nil }\n    guard known.account"),
    ("forgets-after-crash", "Ledger.swift",
     "    for answer in snapshot.answers { answers[answer.id] = answer }\n", ""),
    ("refunds-and-keeps", "Ledger+Money.swift",
     "    draft.add(line.owner, .held, -dispute.held)\n",
     "    if !refund { draft.add(line.owner, .held, -dispute.held) }\n"),
    ("pays-out-held", "Ledger+Money.swift",
     "balance(of: account).earned >= amount", "balance(of: account).total >= amount"),
]

PACKAGE = """// swift-tools-version: 6.2
import PackageDescription
let package = Package(
  name: "mutants",
  targets: [
    .target(name: "BloomBase"),
    .target(name: "BloomLedger", dependencies: ["BloomBase"]),
    .testTarget(name: "BloomLedgerTests", dependencies: ["BloomBase", "BloomLedger"]),
  ].map {
    $0.swiftSettings = [
      .swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault"),
      .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
      .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    ]
    return $0
  })
"""


def tests_pass(log):
    with open(log, "wb") as out:
        build = subprocess.run(["swift", "build", "--build-tests"], cwd=COPY, stdout=out, stderr=out)
        if build.returncode != 0:
            sys.exit(f"a mutant does not compile: see {log}")
        test = ["swift", "test", "--skip-build"]
        # A mutant that never ends is as good as found.
        try:
            return subprocess.run(test, cwd=COPY, stdout=out, stderr=out, timeout=120).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def main(names):
    for part in ["Sources/BloomBase", "Sources/BloomLedger", "Tests/BloomLedgerTests"]:
        shutil.copytree(ROOT / part, COPY / part, dirs_exist_ok=True)
    (COPY / "Package.swift").write_text(PACKAGE)
    if not tests_pass(COPY / "unchanged.log"):
        sys.exit(f"the tests fail without a mutant: see {COPY}/unchanged.log")
    survivors = []
    for name, file, old, new in MUTANTS:
        if names and name not in names:
            continue
        path = COPY / LEDGER / file
        source = path.read_text()
        if source.count(old) != 1:
            sys.exit(f"{name}: its text is there {source.count(old)} times; bring the list up to date")
        path.write_text(source.replace(old, new))
        survived = tests_pass(COPY / f"{name}.log")
        path.write_text(source)
        print(f"{name}: {'SURVIVES' if survived else 'found'}", flush=True)
        if survived:
            survivors.append(name)
    if survivors:
        sys.exit(f"{len(survivors)} mutants survive: the tests must be tightened")


if __name__ == "__main__":
    main(sys.argv[1:])
