package import BloomBase

/// Names one request on one link; the coordinator counts up from 1.
package struct StreamID: Hashable, Sendable, CustomStringConvertible {
  /// 1…2^32.
  package let rawValue: UInt64

  /// Wraps a number.
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// `stream-7`.
  package var description: String { "stream-\(rawValue)" }
}

/// How much work one loaded model of a node can take, and does.
package struct ModelCapacity: Sendable, Equatable {
  /// The model.
  package var model: ModelID
  /// Requests that can run at once.
  package var slots: Int
  /// Requests that run.
  package var active: Int
  /// Requests accepted and waiting inside the node.
  package var queued: Int
  /// Measured prompt speed in thousandths of a token a second.
  package var prefillMilliTokensPerSecond: Int
  /// Measured generation speed of one stream in thousandths of a token a second.
  package var decodeMilliTokensPerSecond: Int

  /// Sets every field.
  package init(
    model: ModelID, slots: Int, active: Int, queued: Int, prefillMilliTokensPerSecond: Int,
    decodeMilliTokensPerSecond: Int
  ) {
    self.model = model
    self.slots = slots
    self.active = active
    self.queued = queued
    self.prefillMilliTokensPerSecond = prefillMilliTokensPerSecond
    self.decodeMilliTokensPerSecond = decodeMilliTokensPerSecond
  }
}

/// A node's state, sent every 5 s and at changes.
package struct Capacity: Sendable, Equatable {
  /// One entry a loaded model.
  package var models: [ModelCapacity]
  /// Memory that another model could use, in MiB.
  package var freeMemoryMebibytes: Int
  /// Why the node takes no work now; `nil` when it does.
  package var closed: Reason?

  /// Sets every field.
  package init(models: [ModelCapacity], freeMemoryMebibytes: Int, closed: Reason?) {
    self.models = models
    self.freeMemoryMebibytes = freeMemoryMebibytes
    self.closed = closed
  }
}

/// The age of one worker's own beat.
package struct Beat: Sendable, Equatable {
  /// The worker's model.
  package var model: ModelID
  /// Milliseconds since the worker's last sign of life.
  package var ageMilliseconds: Int

  /// Sets both.
  package init(model: ModelID, ageMilliseconds: Int) {
    self.model = model
    self.ageMilliseconds = ageMilliseconds
  }
}

/// What a node has of one model.
package struct ModelPresence: Sendable, Equatable {
  /// How far the model is.
  package enum State: UInt8, Sendable {
    case downloading = 0
    case stored = 1
    case loading = 2
    case loaded = 3
    case failed = 4
  }

  /// The model.
  package var model: ModelID
  /// How far it is.
  package var state: State
  /// Thousandths of the download, 0…1,000.
  package var permille: Int

  /// Sets every field.
  package init(model: ModelID, state: State, permille: Int) {
    self.model = model
    self.state = state
    self.permille = permille
  }
}

/// How the network sees a node: one figure, what it is made of, and why work did not come.
package struct Standing: Sendable, Equatable {
  /// A named part of the score.
  package struct Part: Sendable, Equatable {
    /// A short name, for example `latency`.
    package var name: String
    /// 0…1,000.
    package var permille: Int

    /// Sets both.
    package init(name: String, permille: Int) {
      self.name = name
      self.permille = permille
    }
  }

  /// How often the node was not chosen for one reason.
  package struct Count: Sendable, Equatable {
    /// Why.
    package var reason: Reason
    /// How often in the last hour.
    package var count: Int

    /// Sets both.
    package init(reason: Reason, count: Int) {
      self.reason = reason
      self.count = count
    }
  }

  /// The score, 0…1,000.
  package var permille: Int
  /// What it is made of.
  package var parts: [Part]
  /// Counted reasons for no work.
  package var reasons: [Count]

  /// Sets every field.
  package init(permille: Int, parts: [Part], reasons: [Count]) {
    self.permille = permille
    self.parts = parts
    self.reasons = reasons
  }
}

/// How a proof is bound to the connection that carries it.
package enum ChannelBinding: UInt8, Sendable {
  /// A proxy ends TLS between the two, so only the nonce counts; the link says so to the owner.
  case nonceOnly = 0
  /// `tls-exporter`, RFC 9266: the proof cannot be relayed over another connection.
  case exporter = 1
}
