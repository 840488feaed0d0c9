package import BloomBase

/// Which part of an account's money a posting moves.
package enum Bucket: UInt8, CaseIterable, Sendable {
  /// Deposited or granted: can be spent, cannot be paid out. System accounts use only this one.
  case credit = 0
  /// Earned by serving: can be spent and paid out.
  case earned = 1
  /// Set aside for answers that are being produced.
  case reserved = 2
  /// Earned but disputed.
  case held = 3
  /// Requested as a payout that is not confirmed yet.
  case payout = 4
}

/// What one account has, by bucket.
///
/// All are zero or more, except of system accounts.
package struct Balance: Hashable, Sendable {
  /// Deposited or granted.
  package var credit = Micros.zero
  /// Earned by serving.
  package var earned = Micros.zero
  /// Set aside for open answers.
  package var reserved = Micros.zero
  /// Earned but disputed.
  package var held = Micros.zero
  /// On its way out.
  package var payout = Micros.zero

  /// An empty account.
  package init() {}

  /// What can be spent now.
  package var available: Micros { credit + earned }

  /// The sum of all buckets.
  package var total: Micros { credit + earned + reserved + held + payout }

  /// One bucket.
  package subscript(bucket: Bucket) -> Micros {
    get {
      switch bucket {
      case .credit: credit
      case .earned: earned
      case .reserved: reserved
      case .held: held
      case .payout: payout
      }
    }
    set {
      switch bucket {
      case .credit: credit = newValue
      case .earned: earned = newValue
      case .reserved: reserved = newValue
      case .held: held = newValue
      case .payout: payout = newValue
      }
    }
  }
}

/// The platform's own accounts: the other side of whatever enters, leaves or is kept.
package enum SystemAccount: String, CaseIterable, Sendable {
  /// Money that came in by deposits (negative) less what left by payouts.
  case cash = "platform:cash"
  /// Credits given away (negative).
  case grants = "platform:grants"
  /// The platform's share.
  case fees = "platform:fees"
  /// The pool that pays for replayed work; the only system account that never goes below zero.
  case replay = "platform:replay"
  /// What the platform made good when an owner's held money did not suffice (negative).
  case losses = "platform:losses"

  /// The account's name in the ledger.
  package var id: AccountID {
    guard let id = AccountID(rawValue) else { fatalError("not an account name: \(rawValue)") }
    return id
  }

  /// Whether users may not have an account of this name: all of `platform:…` is reserved.
  package static func isReserved(_ account: AccountID) -> Bool {
    account.rawValue.hasPrefix("platform:")
  }
}
