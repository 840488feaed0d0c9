package import BloomBase

/// The few verified machines a client uses for one model.
///
/// Chosen on the device, weighted by capacity, and replaced slowly: a hostile coordinator cannot
/// make the client redraw until the coordinator's own machine comes up (protocol §2).
package struct GuardSet: Sendable {
  /// A machine that passed verification.
  package struct Candidate: Hashable, Sendable {
    /// Its identity.
    package let node: NodeID
    /// Relative capacity, above 0: its capacity bucket.
    package let weight: Double

    /// Creates a candidate.
    package init(node: NodeID, weight: Double) {
      self.node = node
      self.weight = weight
    }
  }

  private struct Member: Sendable {
    let candidate: Candidate
    let since: UnixTime
  }

  /// Members at most.
  package let size: Int
  /// How long a member stays while it is there, in seconds.
  package let lifetimeSeconds: Int64
  private var members: [Member] = []

  /// Creates an empty set; the defaults are the protocol's 16 machines for a day.
  package init(size: Int = 16, lifetimeSeconds: Int64 = 86_400) {
    self.size = size
    self.lifetimeSeconds = lifetimeSeconds
  }

  /// The members, oldest first.
  package var nodes: [NodeID] { members.map(\.candidate.node) }

  /// Drops members that are gone or old and fills the places from `candidates`.
  ///
  /// - Parameters:
  ///   - candidates: Verified machines that are connected now.
  ///   - now: Wall clock.
  ///   - generator: Draws the new members; a secure one in production.
  package mutating func refresh(
    from candidates: [Candidate], now: UnixTime, using generator: inout some RandomNumberGenerator
  ) {
    let present = Set(candidates.map(\.node))
    members.removeAll {
      !present.contains($0.candidate.node) || now.seconds - $0.since.seconds >= lifetimeSeconds
    }
    let places = size - members.count
    guard places > 0 else { return }
    let taken = Set(nodes)
    let drawn = Self.draw(
      places, from: candidates.filter { !taken.contains($0.node) }, using: &generator)
    members += drawn.map { Member(candidate: $0, since: now) }
  }

  /// Draws the machines of one envelope, the preferred one first when it is a member.
  ///
  /// - Parameters:
  ///   - count: 1…4.
  ///   - preferred: The machine with this conversation's warm prefix cache.
  ///   - avoided: Machines that just failed; left out unless nobody else is there.
  ///   - generator: A secure one in production.
  /// - Returns: At most `count` machines, none twice.
  package func envelope(
    _ count: Int, preferring preferred: NodeID?, avoiding avoided: Set<NodeID>,
    using generator: inout some RandomNumberGenerator
  ) -> [NodeID] {
    let usable = members.map(\.candidate).filter { !avoided.contains($0.node) }
    var chosen: [NodeID] = []
    if let preferred, usable.contains(where: { $0.node == preferred }) { chosen.append(preferred) }
    let rest = usable.filter { !chosen.contains($0.node) }
    chosen += Self.draw(count - chosen.count, from: rest, using: &generator).map(\.node)
    return chosen
  }

  /// Weighted sampling without replacement: Efraimidis and Spirakis, 2006.
  private static func draw(
    _ count: Int, from candidates: [Candidate], using generator: inout some RandomNumberGenerator
  ) -> [Candidate] {
    guard count > 0 else { return [] }
    // The key u^(1/w) orders as log(u)/w does; exponential variates avoid the power.
    let keyed = candidates.map { candidate in
      (key: exponential(using: &generator) / max(candidate.weight, 1e-9), candidate: candidate)
    }
    return keyed.sorted { $0.key < $1.key }.prefix(count).map(\.candidate)
  }

  /// von Neumann's method: an exponential variate by comparisons alone, without a logarithm.
  private static func exponential(using generator: inout some RandomNumberGenerator) -> Double {
    var whole = 0.0
    while true {
      let first = Double.random(in: 0..<1, using: &generator)
      var last = first
      var isEven = true
      while true {
        let next = Double.random(in: 0..<1, using: &generator)
        if next >= last { break }
        last = next
        isEven.toggle()
      }
      if isEven { return whole + first }
      whole += 1
    }
  }
}
