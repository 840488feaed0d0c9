internal import BloomBase
package import BloomCrypto
package import BloomWire

/// Why a record, head or receipt was refused.
package enum RecordError: PublicError, Equatable {
  /// The bytes are not what the format says.
  case wire(WireError)
  /// A key or signature was refused.
  case crypto(CryptoError)
  /// The signed message has another content type.
  case contentType
  /// A node's identity is not the digest of its key, or a key's name not that of the key.
  case identity
  /// The evidence is not the one that the statement names.
  case evidence
  /// Used before it begins, or after it ends.
  case notValidNow
  /// A key that is offered for longer than an hour.
  case lifetime
  /// The kind of evidence, platform or tier is not accepted by the policy.
  case policy
  /// A value breaks a rule of the protocol; the text names it.
  case invalid(String)
  /// A receipt does not match what was counted; the text names the field.
  case receiptMismatch(String)

  /// One sentence, lower case, without a full stop.
  package var publicDescription: String {
    switch self {
    case .wire(let error): error.publicDescription
    case .crypto(let error): error.publicDescription
    case .contentType: "the signed message is of another type"
    case .identity: "an identity does not belong to its key"
    case .evidence: "the evidence is not the one that the statement names"
    case .notValidNow: "the statement is not valid at this time; fetch the directory again"
    case .lifetime: "a key is offered for longer than the protocol allows"
    case .policy: "the evidence does not meet the policy"
    case .invalid(let what): "\(what) breaks a rule of the protocol"
    case .receiptMismatch(let field): "the receipt's \(field) is not what was counted"
    }
  }
}

/// Runs a decoder and gives its error as this module's.
func reading<Value>(_ body: () throws(WireError) -> Value) throws(RecordError) -> Value {
  do throws(WireError) { return try body() } catch { throw .wire(error) }
}

/// Runs cryptography and gives its error as this module's.
func checking<Value>(_ body: () throws(CryptoError) -> Value) throws(RecordError) -> Value {
  do throws(CryptoError) { return try body() } catch { throw .crypto(error) }
}
