package import BloomBase
package import BloomRecords
package import BloomWire

/// The worker's keys: makes, uses and wipes them.
///
/// The one seam between computing and cryptography.
///
/// Safe from any thread.
package protocol WorkerKeyring: Sendable {
  /// Makes the keys of a new epoch.
  ///
  /// - Parameter madeAt: The wall clock, for the agent's statement.
  /// - Returns: The public halves.
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
  ///   - now: For the key's age and the receipts.
  /// - Returns: The request and the sealing of its answer.
  /// - Throws: ``OpeningFailure`` before anything was computed.
  func open(
    _ envelope: [UInt8], evidence: Digest, now: UnixTime
  ) throws(OpeningFailure) -> any OpenedExchange
}

/// Why an envelope was not opened: an outer reason, one for all failures of format and opening.
package struct OpeningFailure: Error, Equatable, Sendable {
  /// What the coordinator may know.
  package let reason: Reason
  /// Wraps a reason.
  package init(_ reason: Reason) { self.reason = reason }
}

/// What a receipt states about a part; delivered tokens and identities are the sealer's own.
package struct PartCounts: Equatable, Sendable {
  /// Tokens of the prompt, without replayed ones.
  package var promptTokens = 0
  /// Tokens of earlier parts that were computed again.
  package var replayedTokens = 0
  /// Why the answer ended; `nil` while it runs.
  package var finish: FinishReason?
  /// When this receipt was made.
  package var end: UnixTime
  /// The digest of the sampling that was used.
  package var sampling: Digest
  /// How the delivered tokens of earlier parts were brought back.
  package var mode: ContinuationMode
}

/// One opened request and the sealing of its answer.
///
/// One task at a time.
package protocol OpenedExchange: AnyObject, Sendable {
  /// The request in the clear, or the error that only its sender may see.
  var content: Result<CanonicalRequest, SealedError> { get }
  /// What was said in clear.
  var routing: Routing { get }
  /// The key it was sealed to.
  var kid: KeyID { get }

  /// Whether so much waits for fixed times that the sender must wait too.
  var isQueueFull: Bool { get }
  /// Whether fixed times are still owed before the end.
  var needsTicks: Bool { get }

  /// Seals frames: at once, or for the next fixed times of the profile `steady`.
  func send(_ frames: [Frame]) throws(WorkerError) -> [UInt8]
  /// Seals what a fixed time of the profile `steady` takes.
  func tick() throws(WorkerError) -> [UInt8]
  /// Signs a receipt over everything sealed so far and seals it like a frame.
  func receipt(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8])
  /// Ends the answer with its last receipt.
  func finish(_ counts: PartCounts) throws(WorkerError) -> (receipt: [UInt8], sealed: [UInt8])
}
