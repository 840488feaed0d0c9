internal import BloomBase
internal import BloomSchedule
internal import BloomStore
internal import BloomWire

/// What a key and a pool make of a request's conditions; pure.
///
/// They only narrow: nothing a client writes into its routing header widens what its key may do.
enum RequestTerms {
  /// Narrows the conditions of a request.
  ///
  /// - Parameters:
  ///   - work: The request; its conditions become the stricter ones.
  ///   - limits: The key's.
  ///   - pool: Finds a pool by its name.
  /// - Returns: Why the request is refused; `nil` when it may go on.
  static func narrow(
    _ work: inout WorkRequest, by limits: KeyLimits, pool: (String) -> PoolRecord?
  ) -> Reason? {
    guard limits.models.isEmpty || limits.models.contains(work.model) else { return .notAllowed }
    var demands = work.constraints
    guard
      combine(&demands.pool, limits.pool), combine(&demands.region, limits.region)
    else { return .notAllowed }
    demands.tier = max(demands.tier, Tier(rawValue: limits.minimumTier) ?? .hardware)
    if let name = demands.pool {
      guard let pool = pool(name), pool.members.contains(work.account),
        pool.policy.models.isEmpty || pool.policy.models.contains(work.model),
        combine(&demands.region, pool.policy.region)
      else { return .notAllowed }
      demands.tier = max(demands.tier, Tier(rawValue: pool.policy.minimumTier) ?? .hardware)
    }
    work.constraints = demands
    return nil
  }

  /// Sets what was open; false when both name something else.
  private static func combine(_ asked: inout String?, _ bound: String?) -> Bool {
    guard let bound else { return true }
    if let asked { return asked == bound }
    asked = bound
    return true
  }
}
