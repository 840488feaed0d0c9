#!/usr/bin/env python3
"""Plants errors in a copy of the ledger, switches on one at a time and expects its tests to fail.

Each mutant replaces one piece of source text. A piece that is not there exactly once is an error,
so the list cannot fall behind the code. The copy is built once: an environment variable chooses
the mutant. Usage: python3 Tests/Mutants/ledger.py [NAME ...]
"""

import pathlib
import shutil
import sys

import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".build" / "mutants" / "ledger"
LEDGER = "Sources/BloomLedger/"

ANSWERS = "Ledger+Answers.swift"
SETTLEMENT = "Answer+Settlement.swift"
NO_CEILING = """(Price(
          promptPerMillion: LedgerLimits.pricePerMillion,
          completionPerMillion: LedgerLimits.pricePerMillion) ?? ceiling)"""

# Name, file, the text as it is, the text with the error. `@` stands for `planted("<name>")`.
MUTANTS = [
    ("pays-twice", ANSWERS,
     "    answers[answer.id] = nil\n    changes.answers[answer.id] = .some(nil)\n",
     "    if !@ {\n answers[answer.id] = nil\n changes.answers[answer.id] = .some(nil)\n }\n"),
    ("forgets-release", ANSWERS,
     "draft.add(answer.payer, .reserved, -answer.reserved)",
     "draft.add(answer.payer, .reserved, @ ? -record.gross : -answer.reserved)"),
    ("releases-too-much", ANSWERS,
     "answer.fromCredit - fromCredit)", "@ ? answer.fromCredit : answer.fromCredit - fromCredit)"),
    ("rounds-price-up", "Price.swift",
     "    return Micros(sum / 1_000_000)", "    return Micros((sum + (@ ? 999_999 : 0)) / 1_000_000)"),
    ("rounds-fee-up", "Policy.swift",
     "Int64(1000 - nodeSharePerMille) / 1000)",
     "Int64(1000 - nodeSharePerMille) / 1000 + (@ ? 1 : 0))"),
    ("rounds-pool-up", "Policy.swift",
     "Int64(poolSharePerMille) / 1000)", "Int64(poolSharePerMille) / 1000 + (@ ? 1 : 0))"),
    ("forgets-fee", ANSWERS, "      fees += line.fee - line.poolShare\n",
     "      if !@ { fees += line.fee - line.poolShare }\n"),
    ("pays-token-twice", SETTLEMENT,
     "let uncovered = uncovered(fresh, except: facts.part)",
     "let uncovered = @ ? fresh.count : uncovered(fresh, except: facts.part)"),
    ("pays-token-never", SETTLEMENT,
     "let payable = min(uncovered,", "let payable = min(@ ? max(0, uncovered - 1) : uncovered,"),
    ("pays-beyond-class", SETTLEMENT,
     "max(0, maxCompletionTokens - chargedTokens)",
     "@ ? uncovered : max(0, maxCompletionTokens - chargedTokens)"),
    ("pays-prompt-twice", SETTLEMENT,
     ", !parts.contains(where:", ", @ || !parts.contains(where:"),
    ("charges-own-machine", SETTLEMENT,
     "let isOwn = served.owner == payer", "let isOwn = !@ && served.owner == payer"),
    ("uses-newest-price", SETTLEMENT,
     "version: priceVersion, policy: policy",
     "version: @ ? prices.version : priceVersion, policy: policy"),
    ("ignores-ceiling", SETTLEMENT,
     ".capped(by: ceiling)", ".capped(by: @ ? " + NO_CEILING + " : ceiling)"),
    ("replays-for-ever", SETTLEMENT,
     "replays < policy.replaysPerAnswer", "replays < (@ ? 99 : policy.replaysPerAnswer)"),
    ("believes-replay", SETTLEMENT,
     "min(served.replayedTokens, frontier(except: number))",
     "min(served.replayedTokens, @ ? .max : frontier(except: number))"),
    ("overdraws-pool", ANSWERS,
     "min(left, balance(of: Names.replay).credit)",
     "@ ? left : min(left, balance(of: Names.replay).credit)"),
    ("takes-other-machine", SETTLEMENT,
     "guard served.node == facts.node, served.owner == facts.owner else",
     "guard @ || (served.node == facts.node && served.owner == facts.owner) else"),
    ("forgets-usage", ANSWERS, "    count(record, now)\n", "    if !@ { count(record, now) }\n"),
    ("shows-gross", ANSWERS, "      served.fee = line.fee\n", "      if !@ { served.fee = line.fee }\n"),
    ("deposits-twice", "Ledger.swift",
     "guard let known = keys[key] else { return nil }\n    guard known",
     "guard let known = keys[key], !@ else { return nil }\n    guard known"),
    ("forgets-after-crash", "Ledger.swift",
     "for answer in snapshot.answers {", "for answer in snapshot.answers where !@ {"),
    ("refunds-and-keeps", "Ledger+Money.swift",
     "    draft.add(line.owner, .held, -dispute.held)\n",
     "    if !(refund && @) { draft.add(line.owner, .held, -dispute.held) }\n"),
    ("pays-out-held", "Ledger+Money.swift",
     "balance(of: account).earned >= amount",
     "(@ ? balance(of: account).total : balance(of: account).earned) >= amount"),
    ("ignores-daily-cap", ANSWERS,
     "policy.policy.replayPerDay - replaySpent.value(at: now)",
     "policy.policy.replayPerDay - (@ ? .zero : replaySpent.value(at: now))"),
    ("ignores-price-range", "Price.swift",
     "    return own.raised(to:", "    if @ { return own }\n    return own.raised(to:"),
    ("takes-old-receipt", SETTLEMENT,
     "guard facts.signedAt.seconds + LedgerLimits.receiptAgeSeconds >= now.seconds else",
     "guard @ || facts.signedAt.seconds + LedgerLimits.receiptAgeSeconds >= now.seconds else"),
    ("takes-other-model", SETTLEMENT,
     "guard facts.model == model else", "guard @ || facts.model == model else"),
    ("skips-policy-number", "Ledger+Money.swift",
     "signed.policy.version == policy.policy.version + 1",
     "@ || signed.policy.version == policy.policy.version + 1"),
    ("admits-beside-healthy", ANSWERS,
     "guard terms.previousFailed else", "guard @ || terms.previousFailed else"),
    ("loses-open-dispute", "Ledger.swift",
     "for dispute in snapshot.disputes {", "for dispute in snapshot.disputes where !@ {"),
]

PACKAGE = """// swift-tools-version: 6.2
import PackageDescription
let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]
let package = Package(
  name: "mutants",
  targets: [
    .target(name: "BloomBase", swiftSettings: settings),
    .target(name: "BloomLedger", dependencies: ["BloomBase"], swiftSettings: settings),
    .target(name: "BloomTestTraits", swiftSettings: settings),
    .testTarget(
      name: "BloomLedgerTests", dependencies: ["BloomBase", "BloomLedger", "BloomTestTraits"],
      swiftSettings: settings),
  ])
"""


def prepare():
    libraries = [f"Sources/{name}" for name in ("BloomBase", "BloomLedger", "BloomTestTraits")]
    for part in [*libraries, "Tests/BloomLedgerTests"]:
        shutil.rmtree(COPY / part, ignore_errors=True)
        shutil.copytree(ROOT / part, COPY / part)
    (COPY / "Package.swift").write_text(PACKAGE)
    harness.plant(COPY / LEDGER, [(name, piece) for name, *piece in MUTANTS])


if __name__ == "__main__":
    prepare()
    harness.run(COPY, MUTANTS, sys.argv[1:])
