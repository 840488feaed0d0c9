package import BloomAPI
package import BloomBase

/// A model that can be asked now.
package struct ServedModel: Sendable, Hashable {
  /// The name clients send.
  package let name: String
  /// What the receipts carry.
  package let model: ModelID
  /// Whether it takes chats.
  package let isChat: Bool
  /// Whether it makes embeddings.
  package let isEmbedding: Bool
  /// The longest prompt and answer together, in tokens; 0 when unknown.
  package let contextTokens: Int

  /// Creates an entry.
  package init(
    name: String, model: ModelID, isChat: Bool, isEmbedding: Bool, contextTokens: Int
  ) {
    self.name = name
    self.model = model
    self.isChat = isChat
    self.isEmbedding = isEmbedding
    self.contextTokens = contextTokens
  }
}

/// What is known of an answer beside its content; response headers tell it.
package struct AnswerFacts: Sendable, Hashable {
  /// The machine that delivered last.
  package var node: NodeID?
  /// The strength of its evidence.
  package var tier: String?
  /// Sealed requests it took.
  package var parts: Int
  /// The name of its newest verified receipt, as `darkbloom receipts show` takes it.
  package var receipt: String?
  /// What was booked for the whole answer; `nil` until that is known.
  package var cost: Micros?
  /// Why that machine: what the scheduler thought of each one that the newest request named.
  ///
  /// `docs/reasons.md` has the words.
  package var placement: String?

  /// Creates facts.
  package init(
    node: NodeID?, tier: String?, parts: Int, receipt: String? = nil, cost: Micros? = nil,
    placement: String? = nil
  ) {
    self.placement = placement
    self.receipt = receipt
    self.cost = cost
    self.node = node
    self.tier = tier
    self.parts = parts
  }
}

/// A running answer.
package protocol RunningAnswer: Sendable {
  /// What every dialect prints.
  var header: AnswerHeader { get }
  /// The next step; `nil` after the last.
  func next() async -> AnswerOutput?
  /// The user has left.
  func leave() async
  /// What is known by now.
  func facts() async -> AnswerFacts
  /// What is known once the receipt came and the cost was booked; waits a moment for both.
  func settledFacts() async -> AnswerFacts
}

/// Private inference as the gateway sees it: the SDK, or a scripted one in tests.
package protocol InferenceService: Sendable {
  /// The models that can be asked now.
  func models() async throws -> [ServedModel]
  /// Seals the request to verified machines and starts its answer.
  ///
  /// - Throws: ``APIError`` when nothing left this device.
  func begin(_ request: InferenceRequest) async throws -> any RunningAnswer
}
