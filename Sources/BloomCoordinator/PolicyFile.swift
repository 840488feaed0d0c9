internal import BloomBase
internal import BloomCrypto
internal import BloomLedger

/// A policy as text: its lines, and after an empty one who signed them.
///
/// The network's own key signs, the one of the directory's log: whoever pinned it when they joined
/// can check how money is shared. No checkpoint can be taken for a policy: the name of a log has no
/// space, and a policy begins with `darkbloom/1 policy`.
enum PolicyFile: Sendable {
  /// What stands in the ledger when a key signed it.
  static func signer(_ key: VerifyingKey) -> String { Hex.encode(key.bytes) }

  /// The text of a policy, with its signature when it has one.
  static func text(_ signed: SignedPolicy) -> String {
    let lines = text(signed.policy)
    guard !signed.signature.isEmpty else { return lines }
    return lines + "\nsigner=\(signed.signer)\nsignature=\(Hex.encode(signed.signature))\n"
  }

  /// The lines that are signed.
  static func text(_ policy: LedgerPolicy) -> String {
    String(decoding: policy.signedBytes, as: UTF8.self)
  }

  /// Signs a policy.
  ///
  /// - Throws: `CryptoError` when the key cannot sign.
  static func sign(_ policy: LedgerPolicy, with key: SigningKey) throws -> SignedPolicy {
    SignedPolicy(
      policy, signature: try key.sign(policy.signedBytes), signer: signer(key.verifyingKey))
  }

  /// Whether a key signed a policy.
  static func isSigned(_ signed: SignedPolicy, by key: VerifyingKey) -> Bool {
    signed.signer == signer(key)
      && key.isValid(signed.signature, for: signed.policy.signedBytes, .ed25519)
  }

  /// Reads a signed policy and checks its signature.
  ///
  /// - Throws: ``AccountError`` `invalid` that says which line is wrong, or that it is not signed.
  static func read(_ text: String, signedBy key: VerifyingKey) throws(AccountError) -> SignedPolicy
  {
    let (policy, rest) = try split(text)
    var signer: String?
    var signature: [UInt8]?
    for line in rest {
      if line.hasPrefix("signer=") { signer = String(line.dropFirst(7)) }
      if line.hasPrefix("signature=") { signature = Hex.decode(String(line.dropFirst(10))) }
    }
    guard let signer, let signature else {
      throw AccountError(
        .invalid, "the policy is not signed; sign it: darkbloom-coordinator admin policy sign FILE")
    }
    let signed = SignedPolicy(policy, signature: signature, signer: signer)
    guard isSigned(signed, by: key) else {
      throw AccountError(
        .invalid,
        "the signature is not this network's, or the policy was changed after it; "
          + "sign it again: darkbloom-coordinator admin policy sign FILE")
    }
    return signed
  }

  /// Reads the lines of a policy; a signature below them is not looked at.
  ///
  /// - Throws: ``AccountError`` `invalid` that says which line is wrong.
  static func read(_ text: String) throws(AccountError) -> LedgerPolicy { try split(text).policy }

  private static func split(
    _ text: String
  ) throws(AccountError) -> (policy: LedgerPolicy, rest: [Substring]) {
    let lines = text.split(separator: "\n")
    let names = Self.text(LedgerPolicy()).split(separator: "\n").map {
      $0.split(separator: "=")[0]
    }
    for (index, name) in names.enumerated() {
      let line = lines.indices.contains(index) ? lines[index] : ""
      let isRight =
        index == 0
        ? line == name
        : line.hasPrefix("\(name)=") && Int64(line.dropFirst(name.count + 1)) != nil
      guard isRight else {
        let wanted = index == 0 ? String(name) : "\(name)=WHOLE NUMBER"
        throw AccountError(
          .invalid,
          "line \(index + 1) of the policy must be \(wanted); begin with: "
            + "darkbloom-coordinator admin policy show --next")
      }
    }
    let signed = lines.prefix(names.count).joined(separator: "\n") + "\n"
    guard let policy = LedgerPolicy(signedBytes: Array(signed.utf8)) else {
      throw AccountError(
        .invalid,
        "a value of the policy is out of its range: shares and override-min are 0…1000 "
          + "per mille, override-max 1000…10000, replays-per-answer 0…\(LedgerLimits.parts), "
          + "sums 0…\(LedgerLimits.amount); numbers have no leading zeros or signs")
    }
    return (policy, Array(lines.dropFirst(names.count)))
  }
}
