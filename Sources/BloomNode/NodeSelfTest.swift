package import BloomBase
package import BloomModels

/// A sealed request that a node asks itself, so that its owner sees that everything works.
///
/// The agent cannot seal or open: whoever starts it brings the client's half.
package protocol NodeSelfTest: Sendable {
  /// Seals a small request to this machine's own record, runs it and opens its answer.
  ///
  /// - Parameters:
  ///   - manifest: The model to ask.
  ///   - record: The machine's record, as clients get it.
  ///   - send: Runs an envelope and gives the sealed answer.
  /// - Returns: The tokens of the answer.
  /// - Throws: What is wrong, as a ``BloomBase/PublicError``.
  func run(
    _ manifest: ModelManifest, record: [UInt8],
    send: @Sendable ([UInt8]) async throws -> [UInt8]
  ) async throws -> Int
}

/// How a model's last self-test went.
package struct SelfTestResult: Sendable, Equatable {
  /// When it ended.
  package var at: UnixTime
  /// From the sealed request to the opened answer.
  package var took: Duration
  /// Tokens of the answer.
  package var tokens: Int
  /// What was wrong; `nil` when it passed.
  package var failure: String?
}

/// One request that came to its end: counts, never content.
package struct FinishedJob: Sendable, Equatable {
  /// When it ended.
  package var at: UnixTime
  /// The model's name.
  package var model: String
  /// Tokens of the prompt.
  package var promptTokens: Int
  /// Tokens of the answer.
  package var completionTokens: Int
  /// From its beginning to its end.
  package var seconds: Int
  /// Whether the machine asked itself.
  package var isSelfTest: Bool
}
