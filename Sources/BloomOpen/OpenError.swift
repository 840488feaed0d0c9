internal import BloomBase
package import BloomWire

/// Why an envelope was not opened; says no more than the coordinator may know.
///
/// Every failure of format and every failure of decryption is one and the same `malformed`, so
/// that refusals cannot be used as an oracle.
package struct OpenError: PublicError, Equatable {
  /// One of `malformed`, `tooLarge`, `staleKey`, `replay`, `busy`, and `internalFault` for a fault
  /// of this machine.
  package let reason: Reason

  /// Wraps a reason.
  package init(_ reason: Reason) { self.reason = reason }

  /// One sentence, lower case, without a full stop.
  package var publicDescription: String {
    switch reason {
    case .tooLarge: "the sealed request is too large"
    case .staleKey: "the request is sealed to a key that is not in use; fetch the directory again"
    case .replay: "the sealed request was used before"
    case .busy: "too many requests for one key; use another machine"
    default: "the sealed request cannot be opened"
    }
  }
}
