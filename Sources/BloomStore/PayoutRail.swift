internal import BloomBase
package import BloomLedger

/// A way money leaves: a bank file, a payment provider.
package protocol PayoutRail: Sendable {
  /// What became of a payout that was handed over.
  ///
  /// Must be safe to repeat: after a crash the same payout is handed over again.
  func send(_ payout: Payout) async throws -> PayoutResult
}

/// What a rail did with a payout.
package enum PayoutResult: Hashable, Sendable {
  /// It left; the rail's own reference.
  case sent(reference: String)
  /// It cannot be sent; why.
  case refused(reason: String)
  /// A person or a bank decides later.
  case pending
}

/// The rail without a provider: the operator exports a file, pays by hand and confirms.
package struct ManualRail: PayoutRail {
  /// Creates the rail; it holds nothing.
  package init() {}

  /// Always pending: the operator confirms with ``LedgerCommand/confirmPayout(_:reference:)``.
  package func send(_ payout: Payout) async throws -> PayoutResult { .pending }

  /// The payouts to be made, as comma-separated values (RFC 4180) with a heading.
  package static func export(_ payouts: [Payout]) -> String {
    var text = "payout,account,amount_micros,destination,requested\r\n"
    for payout in payouts where payout.state == .requested {
      let destination = StatementField.quoted(payout.destination)
      text += "\(payout.id),\(payout.account),\(payout.amount.rawValue),\(destination),"
      text += "\(payout.requestedAt.seconds)\r\n"
    }
    return text
  }
}

extension LedgerStore {
  /// Hands every pending payout to a rail and records what became of it.
  ///
  /// - Parameter rail: The rail.
  /// - Throws: The rail's error or ``StoreError``; payouts not recorded stay pending.
  package func runPayouts(_ rail: some PayoutRail) async throws {
    for payout in read({ Array($0.payouts.values) }).sorted(by: { $0.id < $1.id }) {
      switch try await rail.send(payout) {
      case .sent(let reference):
        try await apply(.confirmPayout(payout.id, reference: reference))
      case .refused(let reason): try await apply(.rejectPayout(payout.id, reason: reason))
      case .pending: break
      }
    }
  }
}
