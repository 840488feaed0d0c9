package import BloomBase

/// A key that a node accepts requests under.
///
/// A worker's present and its previous key are both listed.
package struct OfferedKey: Equatable, Sendable {
  /// The encryption key.
  package var key: KeyID
  /// The model of the worker that holds it.
  package var model: ModelID
  /// Bytes of weights read for one token, 0 when unknown; turns rates into capability.
  package var activeBytes: Int
  /// The longest context in tokens, 0 when unknown.
  package var contextLimit: Int

  /// Creates an offer.
  package init(
    key: KeyID, model: ModelID, activeBytes: Int = 0, contextLimit: Int = 0
  ) {
    self.key = key
    self.model = model
    self.activeBytes = activeBytes
    self.contextLimit = contextLimit
  }
}

/// What a node's verified record says.
package struct NodeProfile: Equatable, Sendable {
  /// The machine; learned rates and standing belong to it, not to a connection.
  package var node: NodeID
  /// The strength of its evidence.
  package var tier: Tier
  /// Whether the evidence is valid now.
  ///
  /// Without it the node gets no work.
  package var isAttested: Bool
  /// Where it says it is.
  package var region: String
  /// The private pools it belongs to.
  package var pools: [String]
  /// Its owner's account.
  package var owner: AccountID?
  /// Memory in bytes, 0 when unknown.
  package var memoryBytes: Int
  /// The keys it accepts.
  package var keys: [OfferedKey]

  /// Creates a profile.
  package init(
    node: NodeID, tier: Tier, isAttested: Bool = true, region: String = "", pools: [String] = [],
    owner: AccountID? = nil, memoryBytes: Int = 0, keys: [OfferedKey]
  ) {
    self.node = node
    self.tier = tier
    self.isAttested = isAttested
    self.region = region
    self.pools = pools
    self.owner = owner
    self.memoryBytes = memoryBytes
    self.keys = keys
  }
}

/// What a node says every few seconds about one model that it has loaded.
package struct ReportedCapacity: Equatable, Sendable {
  /// The model.
  package var model: ModelID
  /// Requests it works on at once; 0 while its owner needs the machine.
  package var slots: Int
  /// Tokens its caches hold over all requests; 0 when unknown.
  package var contextTokens: Int
  /// Prompt tokens a second by its own measure, 0 when unknown.
  ///
  /// Only a discounted seed.
  package var prefillRate: Double
  /// Completion tokens a second of one lone stream, 0 when unknown.
  ///
  /// Only a discounted seed.
  package var decodeRate: Double

  /// Creates a report.
  package init(
    model: ModelID, slots: Int, contextTokens: Int = 0, prefillRate: Double = 0,
    decodeRate: Double = 0
  ) {
    self.model = model
    self.slots = slots
    self.contextTokens = contextTokens
    self.prefillRate = prefillRate
    self.decodeRate = decodeRate
  }
}

/// What an ended attempt produced, from its last valid receipt.
package struct WorkSummary: Equatable, Sendable {
  /// Tokens of the prompt that the node read.
  package var promptTokens: Int
  /// Tokens that the node produced.
  package var completionTokens: Int

  /// Creates a summary.
  package init(promptTokens: Int, completionTokens: Int) {
    self.promptTokens = promptTokens
    self.completionTokens = completionTokens
  }
}
