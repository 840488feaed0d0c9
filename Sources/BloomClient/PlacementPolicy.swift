package import BloomBase
package import BloomRecords

/// Where the user lets requests go, in which order, and what machines there must prove.
///
/// A condition that nobody meets is never relaxed: the request is refused, and the refusal names
/// the command that would widen it.
package struct PlacementPolicy: Sendable, Hashable {
  /// A kind of machine, by whose it is.
  package enum Place: String, Sendable, Hashable, CaseIterable {
    /// This device itself: nothing leaves it, no network is needed.
    case device
    /// Machines whose identity the user pinned in person.
    case paired
    /// The machines of the user's pool.
    case pool
    /// Every machine of the network.
    case `public`
  }

  /// Where requests go, the first place with a fitting machine wins; places left out are not used.
  package var places: [Place]
  /// The weakest evidence taken; this device needs none.
  package var minimumTier: Tier
  /// The pool of ``Place/pool``; `nil` for none.
  package var pool: String?
  /// Only machines that say they are there; nobody checks what they say.
  package var region: String?
  /// The most that one answer may cost.
  package var priceCap: Micros?
  /// Only these machines, when there are any.
  package var pinned: Set<NodeID>
  /// Never these machines.
  package var blocked: Set<NodeID>
  /// Machines whose identity the user pinned in person.
  package var paired: Set<NodeID>
  /// Releases that are trusted above tier `software`; empty takes any.
  package var releases: Set<Digest>
  /// How old a directory may be, in seconds: 60…3,900.
  package var freshnessSeconds: Int64

  /// Sets every field; the defaults take any machine of the network.
  package init(
    places: [Place] = Place.allCases, minimumTier: Tier = .software, pool: String? = nil,
    region: String? = nil, priceCap: Micros? = nil, pinned: Set<NodeID> = [],
    blocked: Set<NodeID> = [], paired: Set<NodeID> = [], releases: Set<Digest> = [],
    freshnessSeconds: Int64 = 3_900
  ) {
    self.places = places
    self.minimumTier = minimumTier
    self.pool = pool
    self.region = region
    self.priceCap = priceCap
    self.pinned = pinned
    self.blocked = blocked
    self.paired = paired
    self.releases = releases
    self.freshnessSeconds = freshnessSeconds
  }

  /// The pool outside of which nothing may go; `nil` when other machines of the network may serve.
  package var onlyPool: String? {
    places.contains(.public) || places.contains(.paired) || !places.contains(.pool) ? nil : pool
  }

  /// The same with nothing outside a pool and this device: whoever joined by a pool's link meant
  /// that.
  package func within(pool: String) -> PlacementPolicy {
    var policy = self
    policy.pool = pool
    policy.places = places.filter { $0 == .device }
    policy.places.append(.pool)
    return policy
  }

  /// Why a machine was left out.
  package enum Objection: Sendable, Hashable, CaseIterable {
    /// Its evidence is weaker than the user demands.
    case tier
    /// Its release is not on the user's list.
    case release
    /// The user blocked it.
    case blocked
    /// The user pinned others.
    case notPinned
    /// Its keys are not offered now.
    case notOffered
    /// It belongs to a place that the user does not use.
    case place
  }

  /// Decides about a machine at a time; its signatures are checked already.
  ///
  /// - Parameters:
  ///   - record: The machine's record.
  ///   - now: The time of use.
  ///   - appraise: Gives the tier that hardware evidence proves, or `nil` when it proves nothing.
  /// - Returns: The machine with its tier, or why it is left out.
  package func admit(
    _ record: NodeRecord, at now: UnixTime, appraise: (NodeRecord) -> Tier? = { _ in nil }
  ) -> Result<VerifiedNode, Rejection> {
    let node = record.statement.nodeID
    if blocked.contains(node) { return .failure(Rejection(.blocked)) }
    if !pinned.isEmpty, !pinned.contains(node) { return .failure(Rejection(.notPinned)) }
    do throws(RecordError) {
      return .success(
        try TierPolicy(minimum: minimumTier, paired: paired, releases: releases)
          .admit(record, at: now, appraise: appraise))
    } catch {
      guard record.statement.isOffered(at: now) else { return .failure(Rejection(.notOffered)) }
      let proven = record.statement.platform == .none ? nil : appraise(record)
      let isReleased = releases.isEmpty || releases.contains(record.statement.release)
      return .failure(Rejection(proven != nil && !isReleased ? .release : .tier))
    }
  }

  /// Why one machine was left out.
  package struct Rejection: Error, Hashable, Sendable {
    /// The reason.
    package let objection: Objection

    /// Wraps the reason.
    package init(_ objection: Objection) { self.objection = objection }
  }

  /// What the coordinator is told, and must meet or refuse, for a request to a place.
  ///
  /// Which machines the user paired is known on this device alone: the coordinator, for which they
  /// are of tier software, is not asked for tier paired.
  package func constraints(for place: Place) -> Routing.Constraints {
    Routing.Constraints(
      pool: place == .pool ? pool : nil, region: region,
      minimumTier: place == .device || minimumTier == .paired ? .software : minimumTier,
      priceCap: priceCap)
  }
}

/// Machines serve the model, but the user's policy takes none of them.
package struct PlacementRefusal: PublicError, Hashable {
  /// How many machines each reason left out.
  package let objections: [PlacementPolicy.Objection: Int]
  /// The policy that did.
  package let policy: PlacementPolicy

  /// Joins both.
  package init(objections: [PlacementPolicy.Objection: Int], policy: PlacementPolicy) {
    self.objections = objections
    self.policy = policy
  }

  /// What is wrong, in counts, and the command that would widen it.
  package var publicDescription: String {
    let counted = PlacementPolicy.Objection.allCases.compactMap { reason in
      objections[reason].map { "\($0) \(Self.words(reason, policy))" }
    }
    let widening = PlacementPolicy.Objection.allCases.filter { objections[$0] != nil }
      .compactMap { Self.command($0) }
    return
      "your placement policy takes none of the machines that serve the model: "
      + counted.joined(separator: ", ")
      + (widening.isEmpty
        ? "; try again in a minute"
        : "; widen it with: " + widening.joined(separator: ", or: "))
  }

  private static func words(
    _ reason: PlacementPolicy.Objection, _ policy: PlacementPolicy
  ) -> String {
    switch reason {
    case .tier: "prove less than tier \(policy.minimumTier)"
    case .release: "run a release that you do not list"
    case .blocked: "you blocked"
    case .notPinned: "you did not pin"
    case .notOffered: "offer no key now"
    case .place: "are of a place that you do not use"
    }
  }

  private static func command(_ reason: PlacementPolicy.Objection) -> String? {
    switch reason {
    case .tier: "darkbloom policy set tier software"
    case .release: "darkbloom policy set releases any"
    case .blocked: "darkbloom policy set blocked none"
    case .notPinned: "darkbloom policy set pinned none"
    case .notOffered: nil
    case .place: "darkbloom policy set places device,paired,pool,public"
    }
  }
}
