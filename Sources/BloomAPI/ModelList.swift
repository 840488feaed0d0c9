internal import BloomWire

/// `GET /v1/models` and `GET /v1/models/{model}`.
package enum ModelList: Sendable {
  /// One model that can be asked now.
  package struct Entry: Sendable, Hashable {
    /// The name clients send.
    package let name: String
    /// Whether it takes chats; chat models are listed first.
    package let isChat: Bool
    /// Seconds since 1970.
    package let created: Int64
    /// Who serves it: `darkbloom` or `this device`.
    package let owner: String

    /// Creates an entry.
    package init(name: String, isChat: Bool, created: Int64, owner: String) {
      self.name = name
      self.isChat = isChat
      self.created = created
      self.owner = owner
    }
  }

  /// The list: chat models first, each group by name, so that a client's default choice can chat.
  package static func body(_ entries: [Entry]) -> [UInt8] {
    let sorted = entries.sorted { ($0.isChat ? 0 : 1, $0.name) < ($1.isChat ? 0 : 1, $1.name) }
    return JSONValue.members([
      "object": .string("list"), "data": .array(sorted.map(value)),
    ]).encoded
  }

  /// One model.
  package static func body(_ entry: Entry) -> [UInt8] { value(entry).encoded }

  private static func value(_ entry: Entry) -> JSONValue {
    .members([
      "id": .string(entry.name), "object": .string("model"), "created": .integer(entry.created),
      "owned_by": .string(entry.owner),
    ])
  }
}
