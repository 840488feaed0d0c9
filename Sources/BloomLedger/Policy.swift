package import BloomBase

/// How money is shared: one signed, versioned value; every settlement names its version.
package struct LedgerPolicy: Hashable, Sendable {
  /// 1, 2, 3 …; a new policy must have the next number.
  package var version = 1
  /// The owner's share of what a user pays, in thousandths.
  package var nodeSharePerMille = 950
  /// The part of the platform's share that goes to the replay pool, in thousandths.
  package var poolSharePerMille = 200
  /// Parts of one answer for which the pool pays at most.
  package var replaysPerAnswer = 2
  /// What the pool pays in one day (UTC) at most.
  package var replayPerDay = Micros(100_000_000)
  /// A machine's own price at least, in thousandths of the list price.
  package var overrideMinPerMille = 250
  /// A machine's own price at most, in thousandths of the list price.
  package var overrideMaxPerMille = 2000
  /// The smallest payout.
  package var minimumPayout = Micros(1_000_000)

  /// The first policy: 95 % to the owner, 5 % to the platform.
  package init() {}

  /// Whether every value is in its range.
  package var isValid: Bool {
    let perMille = 0...1000
    return version >= 1 && perMille.contains(nodeSharePerMille)
      && perMille.contains(poolSharePerMille)
      && (0...LedgerLimits.parts).contains(replaysPerAnswer)
      && (0...LedgerLimits.amount).contains(replayPerDay.rawValue)
      && perMille.contains(overrideMinPerMille)
      && (1000...10_000).contains(overrideMaxPerMille)
      && (0...LedgerLimits.amount).contains(minimumPayout.rawValue)
  }

  /// The bytes that are signed: one `name=value` a line, in this order, UTF-8.
  package var signedBytes: [UInt8] {
    let lines = [
      "darkbloom/1 policy", "version=\(version)", "node-share-per-mille=\(nodeSharePerMille)",
      "pool-share-per-mille=\(poolSharePerMille)", "replays-per-answer=\(replaysPerAnswer)",
      "replay-per-day-micros=\(replayPerDay.rawValue)",
      "override-min-per-mille=\(overrideMinPerMille)",
      "override-max-per-mille=\(overrideMaxPerMille)",
      "minimum-payout-micros=\(minimumPayout.rawValue)",
    ]
    return Array((lines.joined(separator: "\n") + "\n").utf8)
  }

  /// Reads ``signedBytes``; `nil` for any other text, also for one that says the same differently.
  package init?(signedBytes: [UInt8]) {
    var values: [Int64] = []
    for line in String(decoding: signedBytes, as: UTF8.self).split(separator: "\n").dropFirst() {
      guard let sign = line.firstIndex(of: "="), let value = Int64(line[line.index(after: sign)...])
      else { return nil }
      values.append(value)
    }
    guard values.count == 8, let version = Int(exactly: values[0]),
      let nodeShare = Int(exactly: values[1]), let poolShare = Int(exactly: values[2]),
      let replays = Int(exactly: values[3]), let lowest = Int(exactly: values[5]),
      let highest = Int(exactly: values[6])
    else { return nil }
    self.version = version
    nodeSharePerMille = nodeShare
    poolSharePerMille = poolShare
    replaysPerAnswer = replays
    replayPerDay = Micros(values[4])
    overrideMinPerMille = lowest
    overrideMaxPerMille = highest
    minimumPayout = Micros(values[7])
    guard isValid, self.signedBytes == signedBytes else { return nil }
  }

  /// The platform's share of what a user pays, rounded down.
  package func fee(of gross: Micros) -> Micros {
    Micros(gross.rawValue * Int64(1000 - nodeSharePerMille) / 1000)
  }

  /// The pool's part of a fee, rounded down.
  package func poolShare(of fee: Micros) -> Micros {
    Micros(fee.rawValue * Int64(poolSharePerMille) / 1000)
  }
}

/// A policy with the signature of the platform's key over ``LedgerPolicy/signedBytes``.
///
/// The ledger keeps and exports the signature; whoever adopts a policy has verified it.
package struct SignedPolicy: Hashable, Sendable {
  /// What was signed.
  package let policy: LedgerPolicy
  /// The signature's bytes.
  package let signature: [UInt8]
  /// Which key signed.
  package let signer: String

  /// Joins a policy with its signature.
  package init(_ policy: LedgerPolicy, signature: [UInt8], signer: String) {
    self.policy = policy
    self.signature = signature
    self.signer = signer
  }

  /// The policy a new ledger starts with, which nobody had to sign.
  package static let initial = SignedPolicy(LedgerPolicy(), signature: [], signer: "built-in")
}
