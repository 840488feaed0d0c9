/// What a request asks for; decides the shape of its body.
package enum JobKind: UInt8, Sendable, Hashable, CaseIterable {
  case chat = 0
  case completion = 1
  case embeddings = 2
  case transcription = 3
  case rerank = 4
  /// The number of tokens of a chat's prompt, without an answer.
  case count = 5

  /// The name in the canonical request.
  package var name: String {
    switch self {
    case .chat: "chat"
    case .completion: "completion"
    case .embeddings: "embeddings"
    case .transcription: "transcription"
    case .rerank: "rerank"
    case .count: "count"
    }
  }

  /// Finds a kind by its name.
  package init?(name: String) {
    guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = kind
  }
}

/// How an answer's sizes and times are hidden.
package enum PaddingProfile: UInt8, Sendable, Hashable, CaseIterable {
  /// Nothing is hidden: loopback and LAN only.
  case off = 0
  /// Every chunk is a multiple of 512 bytes and leaves at once: token lengths don't show.
  case padded = 1
  /// Chunks of one size at fixed times: token times don't show either.
  case steady = 2
}

/// The most tokens that an answer may have, as one of six classes.
package enum TokenClass: UInt8, Sendable, Hashable, CaseIterable, Comparable {
  case upTo64 = 0
  case upTo256 = 1
  case upTo1024 = 2
  case upTo4096 = 3
  case upTo16384 = 4
  case upTo65536 = 5

  /// The class's limit in tokens.
  package var tokens: Int { 64 << (2 * Int(rawValue)) }

  /// The smallest class that holds a number of tokens; `nil` beyond 65,536.
  package init?(holding tokens: Int) {
    guard let found = Self.allCases.first(where: { tokens <= $0.tokens }) else { return nil }
    self = found
  }

  /// Orders classes by their limits.
  package static func < (a: TokenClass, b: TokenClass) -> Bool { a.rawValue < b.rawValue }
}

/// Why an answer ended.
package enum FinishReason: UInt8, Sendable, Hashable, CaseIterable {
  /// End of answer or a stop string.
  case stop = 0
  /// The token limit.
  case length = 1
  /// The model asks for tools.
  case toolCalls = 2
  /// Cancelled, by the client or because another attempt was faster.
  case cancelled = 3
  /// Given back before the end; another part goes on.
  case handback = 4
  /// The engine failed.
  case failed = 5
}
