package import BloomBase
package import BloomWire

/// The worker's keys: makes, uses and wipes them. The one seam between computing and cryptography.
///
/// Safe from any thread.
package protocol WorkerKeyring: Sendable {
  /// Makes the keys of a new epoch.
  ///
  /// - Parameter madeAt: The wall clock, for the agent's statement.
  /// - Throws: ``WorkerError`` `unprotected` when there is no protected memory for them.
  func makeEpoch(madeAt: UnixTime) throws(WorkerError) -> [WorkerKey]

  /// Wipes keys and forgets their replays.
  func wipe(_ kids: [KeyID])

  /// The key that an envelope says it was sealed to; `nil` when it cannot be read.
  func kid(of envelope: [UInt8]) -> KeyID?

  /// Opens an envelope, checks it against its routing and remembers it against replay.
  ///
  /// - Parameters:
  ///   - envelope: All of its bytes.
  ///   - evidence: The digest of the evidence that vouches for the key.
  /// - Throws: ``OpeningFailure`` before anything was computed.
  func open(_ envelope: [UInt8], evidence: Digest) throws(OpeningFailure) -> any OpenedExchange
}

/// Why an envelope was not opened: an outer reason, one for all failures of format and opening.
package struct OpeningFailure: Error, Equatable, Sendable {
  /// What the coordinator may know.
  package let reason: Reason
  /// Wraps a reason.
  package init(_ reason: Reason) { self.reason = reason }
}

/// What a receipt states about counts and times; identities are the sealer's own.
package struct ReceiptCounts: Equatable, Sendable {
  /// How the delivered tokens of earlier parts were brought back.
  package enum Mode: Equatable, Sendable { case whole, continued, exact }
  /// Tokens of the prompt, without replayed ones.
  package var promptTokens = 0
  /// Tokens of earlier parts that were computed again.
  package var replayedTokens = 0
  /// Tokens delivered in this part.
  package var completionTokens = 0
  /// Why the answer ended; `nil` while it runs.
  package var finish: FinishReason?
  /// When the part began.
  package var start: UnixTime
  /// When this receipt was made.
  package var end: UnixTime
  /// The sampling that was used, canonical bytes.
  package var sampling: [UInt8]
  /// Whole, continued or exact.
  package var mode: Mode
}

/// One opened request and the sealing of its answer. One task at a time.
package protocol OpenedExchange: AnyObject, Sendable {
  /// The request in the clear.
  var request: CanonicalRequest { get }
  /// The key it was sealed to.
  var kid: KeyID { get }
  /// The size class of its routing.
  var tokenClass: TokenClass { get }
  /// Milliseconds that the client waits.
  var deadlineMilliseconds: Int { get }
  /// How sizes and times are hidden.
  var padding: PaddingProfile { get }

  /// The first bytes of the answer.
  func head() throws(WorkerError) -> [UInt8]
  /// Seals frames into one or more chunks, padded by the profile; none for an empty list unless
  /// the profile sends at fixed times.
  func seal(_ frames: [Frame]) throws(WorkerError) -> [UInt8]
  /// Signs a receipt over everything sealed so far.
  func receipt(_ counts: ReceiptCounts) throws(WorkerError) -> [UInt8]
  /// Seals the last receipt and ends the answer.
  func finish(_ receipt: [UInt8]) throws(WorkerError) -> [UInt8]
}
