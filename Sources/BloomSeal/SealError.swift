internal import BloomBase
package import BloomCrypto
package import BloomRecords
package import BloomWire

/// Why a request could not be sealed, or an answer not be believed.
package enum SealError: PublicError, Equatable {
  /// The request is over the limit.
  case requestTooLarge
  /// No candidates, too many, one twice, or of different suites.
  case candidates
  /// The answer comes from a machine that it was not sealed to.
  case wrongMachine
  /// A chunk was changed, moved, repeated or left out, or is another answer's.
  case notAuthentic
  /// The answer ended without its final chunk: what was shown is incomplete.
  case truncated
  /// An answer's bytes or frames break the format.
  case wire(WireError)
  /// A record or receipt was refused.
  case record(RecordError)
  /// Cryptography failed for a reason of this machine.
  case crypto(CryptoError)
  /// The opener refused before; nothing more is read from this answer.
  case closed

  /// One sentence, lower case, without a full stop.
  package var publicDescription: String {
    switch self {
    case .requestTooLarge: "the request is too large to be sealed; shorten it"
    case .candidates: "a request goes to one to four different machines with one suite"
    case .wrongMachine: "the answer is from a machine that was not asked"
    case .notAuthentic: "the answer was changed on its way"
    case .truncated: "the answer was cut off; what was shown is incomplete"
    case .wire(let error): error.publicDescription
    case .record(let error): error.publicDescription
    case .crypto(let error): error.publicDescription
    case .closed: "the answer was refused before"
    }
  }
}

func checking<Value>(_ body: () throws(CryptoError) -> Value) throws(SealError) -> Value {
  do throws(CryptoError) { return try body() } catch { throw .crypto(error) }
}

func checkingRecord<Value>(_ body: () throws(RecordError) -> Value) throws(SealError) -> Value {
  do throws(RecordError) { return try body() } catch { throw .record(error) }
}

func reading<Value>(_ body: () throws(WireError) -> Value) throws(SealError) -> Value {
  do throws(WireError) { return try body() } catch { throw .wire(error) }
}
