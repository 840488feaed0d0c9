package import BloomBase

/// What was asked for, as the routing header names it.
///
/// The number is stored; never reuse one.
package enum JobKind: UInt8, CaseIterable, Sendable {
  /// Chat messages in, an answer out.
  case chat = 1
  /// A text to be continued.
  case completion = 2
  /// Vectors for texts.
  case embeddings = 3
  /// Text from speech.
  case transcription = 4
  /// An order of documents by relevance.
  case rerank = 5
  /// Pictures from text.
  case image = 6
  /// Speech from text.
  case speech = 7
  /// The number of a prompt's tokens, without an answer.
  case count = 8
}

/// Micro-units per million tokens.
package struct Price: Hashable, Sendable {
  /// Of prompt tokens; 0…``LedgerLimits/pricePerMillion``.
  package let promptPerMillion: Int64
  /// Of completion tokens; 0…``LedgerLimits/pricePerMillion``.
  package let completionPerMillion: Int64

  /// Creates a price; `nil` outside the range.
  package init?(promptPerMillion: Int64, completionPerMillion: Int64) {
    let range = 0...LedgerLimits.pricePerMillion
    guard range.contains(promptPerMillion), range.contains(completionPerMillion) else { return nil }
    self.promptPerMillion = promptPerMillion
    self.completionPerMillion = completionPerMillion
  }

  private init(clamping prompt: Int64, _ completion: Int64) {
    promptPerMillion = min(max(prompt, 0), LedgerLimits.pricePerMillion)
    completionPerMillion = min(max(completion, 0), LedgerLimits.pricePerMillion)
  }

  /// Nothing: the price on one's own machine.
  package static let free = Price(clamping: 0, 0)

  /// The sum for cumulative counts, rounded down, so that running totals never gain by rounding.
  package func cost(promptTokens: Int, completionTokens: Int) -> Micros {
    let sum =
      Int64(promptTokens) * promptPerMillion + Int64(completionTokens) * completionPerMillion
    return Micros(sum / 1_000_000)
  }

  /// The most that counts up to these can cost, rounded up.
  package func worstCase(promptTokens: Int, completionTokens: Int) -> Micros {
    let sum =
      Int64(promptTokens) * promptPerMillion + Int64(completionTokens) * completionPerMillion
    return Micros((sum + 999_999) / 1_000_000)
  }

  /// The lower of two prices, component by component.
  package func capped(by ceiling: Price) -> Price {
    Price(
      clamping: min(promptPerMillion, ceiling.promptPerMillion),
      min(completionPerMillion, ceiling.completionPerMillion))
  }

  /// The higher of two prices, component by component.
  package func raised(to floor: Price) -> Price {
    Price(
      clamping: max(promptPerMillion, floor.promptPerMillion),
      max(completionPerMillion, floor.completionPerMillion))
  }

  /// This price times `perMille` thousandths, rounded down.
  package func scaled(perMille: Int) -> Price {
    Price(
      clamping: promptPerMillion * Int64(perMille) / 1000,
      completionPerMillion * Int64(perMille) / 1000)
  }
}

/// What a price is for.
package struct PriceKey: Hashable, Sendable {
  /// The model.
  package let model: ModelID
  /// The kind of job.
  package let kind: JobKind

  /// Creates a key.
  package init(_ model: ModelID, _ kind: JobKind) {
    self.model = model
    self.kind = kind
  }
}

/// A change of prices; each makes a new version and leaves the old ones in the history.
package enum PriceChange: Hashable, Sendable {
  /// The price of a model and kind for nodes that ask for no other.
  case list(PriceKey, Price)
  /// The price of every model and kind that has none of its own.
  case fallback(Price)
  /// A machine's own price; `nil` takes it back.
  case node(NodeID, PriceKey, Price?)
}

/// One version of the price table.
package struct PriceVersion: Hashable, Sendable {
  /// Counts from 1 without gaps.
  package let version: Int
  /// When it came into force.
  package let time: UnixTime
  /// What changed.
  package let change: PriceChange

  /// Creates a version.
  package init(version: Int, time: UnixTime, change: PriceChange) {
    self.version = version
    self.time = time
    self.change = change
  }
}

/// The price table with its whole history: any answer is charged by the version it began with.
package struct PriceBook: Hashable, Sendable {
  private struct Step: Hashable, Sendable {
    let version: Int
    let price: Price?
  }
  private struct NodeKey: Hashable, Sendable {
    let node: NodeID
    let key: PriceKey
  }

  /// The newest version; 0 before the first change, when everything is free.
  package private(set) var version = 0
  /// Every version in order, with when it came into force.
  package private(set) var history: [PriceVersion] = []
  private var fallback: [Step] = []
  private var lists: [PriceKey: [Step]] = [:]
  private var nodes: [NodeKey: [Step]] = [:]

  /// An empty table.
  package init() {}

  /// Adds the next version; `false`, and nothing changes, unless it is the next number.
  package mutating func append(_ change: PriceVersion) -> Bool {
    guard change.version == version + 1 else { return false }
    version += 1
    history.append(change)
    switch change.change {
    case .list(let key, let price):
      lists[key, default: []].append(Step(version: version, price: price))
    case .fallback(let price): fallback.append(Step(version: version, price: price))
    case .node(let node, let key, let price):
      nodes[NodeKey(node: node, key: key), default: []].append(
        Step(version: version, price: price))
    }
    return true
  }

  /// The list price of a version.
  ///
  /// Counting tokens is free unless it has a price of its own: no answer is computed.
  package func listPrice(_ key: PriceKey, version: Int) -> Price {
    if let own = Self.price(lists[key], version) { return own }
    return key.kind == .count ? .free : Self.price(fallback, version) ?? .free
  }

  /// A machine's price in a version: its own, if it has one, within what the policy allows.
  package func price(
    _ key: PriceKey, node: NodeID, version: Int, policy: LedgerPolicy
  ) -> Price {
    let list = listPrice(key, version: version)
    guard let own = Self.price(nodes[NodeKey(node: node, key: key)], version) else { return list }
    return own.raised(to: list.scaled(perMille: policy.overrideMinPerMille))
      .capped(by: list.scaled(perMille: policy.overrideMaxPerMille))
  }

  /// The price of every model and kind without one of its own, in a version.
  package func fallbackPrice(version: Int) -> Price { Self.price(fallback, version) ?? .free }

  /// The list prices of the newest version, without the fallback.
  package var listPrices: [PriceKey: Price] { lists.compactMapValues { $0.last?.price } }

  /// What a machine's owner asks in the newest version, before the policy's bounds.
  ///
  /// Linear in machines that have prices of their own.
  package func ownPrices(of node: NodeID) -> [PriceKey: Price] {
    var prices: [PriceKey: Price] = [:]
    for (key, steps) in nodes where key.node == node { prices[key.key] = steps.last?.price }
    return prices
  }

  private static func price(_ steps: [Step]?, _ version: Int) -> Price? {
    steps?.last { $0.version <= version }?.price
  }
}
