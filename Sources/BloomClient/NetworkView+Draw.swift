package import BloomBase
package import BloomRecords
package import BloomSeal

/// The machines of one envelope, and the way to them.
package struct DrawnMachines: Sendable {
  /// Whose machines they are.
  package let place: PlacementPolicy.Place
  /// The machines with keys that are offered now, 1…4.
  package let targets: [SealTarget]
  /// Where the envelope goes: the coordinator, or this device's own node.
  package let transport: CoordinatorClient
  /// What the coordinator must meet.
  package let constraints: Routing.Constraints
  /// Key exchanges done ahead; `nil` when there was no time for them.
  package let ready: ReadySet?
}

extension NetworkView {
  /// Draws the machines of one envelope, from the first place of the policy that has any.
  ///
  /// - Parameters:
  ///   - count: 1…4.
  ///   - model: What they must serve.
  ///   - preferred: The machine with a warm cache.
  ///   - avoided: Machines that just failed.
  /// - Returns: Targets with keys that are offered now; `nil` when nobody fits.
  /// - Throws: When the directory is too old and cannot be refreshed.
  package func draw(
    _ count: Int, model: ModelID, preferring preferred: NodeID?, avoiding avoided: Set<NodeID>
  ) async throws -> DrawnMachines? {
    if policy.places.first == .device, let own = await drawOwn(model, avoided) { return own }
    if coordinator != nil {
      try await refresh(olderThan: .seconds(60))
      if let drawn = drawRemote(count, model, preferred, avoided) { return drawn }
    }
    // The user wants the network first, and it has nobody.
    if policy.places.contains(.device), let own = await drawOwn(model, avoided) { return own }
    guard coordinator != nil else { return nil }
    // The failed machine may have been replaced, or its key renewed, since the last look.
    try await refresh(olderThan: .milliseconds(250))
    return drawRemote(count, model, preferred, avoided)
  }

  private func drawOwn(_ model: ModelID, _ avoided: Set<NodeID>) async -> DrawnMachines? {
    guard let local, let target = await local.target(for: model), !avoided.contains(target.node)
    else { return nil }
    return DrawnMachines(
      place: .device, targets: [target], transport: local.transport,
      constraints: policy.constraints(for: .device), ready: nil)
  }

  private func drawRemote(
    _ count: Int, _ model: ModelID, _ preferred: NodeID?, _ avoided: Set<NodeID>
  ) -> DrawnMachines? {
    guard let coordinator else { return nil }
    for place in policy.places where place != .device {
      let isKnown =
        preferred.map { guards[guardKey(place, model)]?.nodes.contains($0) ?? false } ?? false
      let key = ReadyShelf.Key(
        place: place, model: model, preferred: isKnown ? preferred : nil, count: count)
      var ready: ReadySet?
      if avoided.isEmpty {
        let now = time.unixTime()
        ready = shelf.take(key) { target in
          target.statement.isOffered(at: now)
            && nodes[model]?[target.node]?.keys(for: model)?.keyID == target.keys.keyID
        }
        prepare(key)
      }
      let targets = ready?.targets ?? targets(count, key, avoided)
      if targets.isEmpty { continue }
      return DrawnMachines(
        place: place, targets: targets, transport: coordinator,
        constraints: policy.constraints(for: place), ready: ready)
    }
    return nil
  }

  private func guardKey(_ place: PlacementPolicy.Place, _ model: ModelID) -> GuardKey {
    GuardKey(place: place, model: model)
  }

  private func targets(
    _ count: Int, _ wanted: ReadyShelf.Key, _ avoided: Set<NodeID>
  ) -> [SealTarget] {
    let now = time.unixTime()
    let usable = nodes[wanted.model] ?? [:]
    let drawn =
      guards[guardKey(wanted.place, wanted.model)]?.envelope(
        count, preferring: wanted.preferred, avoiding: avoided, using: &random) ?? []
    let targets = drawn.compactMap { node in
      // A key that has expired since is left out; the next refresh brings the new one.
      usable[node].flatMap { try? SealTarget($0, model: wanted.model, at: now) }
    }
    guard let suite = targets.first?.keys.suite else { return [] }
    return targets.filter { $0.keys.suite == suite }
  }

  // MARK: Ready contexts

  /// Does the key exchanges of the next draws beside the path of requests.
  package func prepare(
    model: ModelID, count: Int, preferring preferred: NodeID?
  ) {
    for place in policy.places where place != .device {
      let isMember =
        preferred.map { guards[guardKey(place, model)]?.nodes.contains($0) ?? false } ?? false
      prepare(
        ReadyShelf.Key(
          place: place, model: model, preferred: isMember ? preferred : nil, count: count))
    }
  }

  private func prepare(_ key: ReadyShelf.Key) {
    guard shelf.wanted(key) > 0, preparing.insert(key).inserted else { return }
    Task {
      // The request that is being served goes first.
      await Task.yield()
      while shelf.wanted(key) > 0 {
        let drawn = targets(key.count, key, [])
        guard !drawn.isEmpty, let set = await Self.exchange(drawn) else { break }
        shelf.put(set, for: key)
      }
      preparing.remove(key)
    }
  }

  /// Scalar multiplications do not belong on this actor.
  @concurrent
  private static func exchange(_ targets: [SealTarget]) async -> ReadySet? {
    // Machines whose keys cannot be used together are drawn anew on the request's own time.
    try? ReadySet(targets)
  }
}
