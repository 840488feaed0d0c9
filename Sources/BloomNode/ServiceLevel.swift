package import BloomWire

/// How much of the machine the network may have now, most first.
package enum ServiceLevel: UInt8, Sendable, Equatable, Comparable, CaseIterable {
  /// All slots.
  case serve = 0
  /// One request at a time.
  case polite = 1
  /// Nothing new; what runs ends soon or goes back.
  case drain = 2
  /// Weights unloaded; the link stays.
  case away = 3

  /// Orders levels by how little they give.
  package static func < (a: ServiceLevel, b: ServiceLevel) -> Bool { a.rawValue < b.rawValue }
}

/// A level, why it holds, and how long running work may still take.
package struct ServiceOrder: Sendable, Equatable {
  /// How much of the machine may be used.
  package var level: ServiceLevel
  /// Why not everything; `nil` when everything.
  package var reason: Reason?
  /// Below `polite`: how long what runs may take before it goes back.
  package var grace: Duration

  /// Sets every field.
  package init(_ level: ServiceLevel, _ reason: Reason? = nil, grace: Duration = .zero) {
    self.level = level
    self.reason = reason
    self.grace = grace
  }

  /// All slots, for no reason.
  package static let serve = ServiceOrder(.serve)
}
