package import BloomBase

/// Whose a machine is, and whom it serves.
package struct NodeMembership: Sendable, Equatable {
  /// Its owner.
  package var owner: AccountID
  /// Where the owner says it is; empty when the owner names none.
  package var region: String
  /// The pools whose members it answers, in order of their names.
  package var pools: [String]
  /// Whether it answers those pools alone.
  package var isPrivate: Bool

  /// Joins the facts.
  package init(
    owner: AccountID, region: String = "", pools: [String] = [], isPrivate: Bool = false
  ) {
    self.owner = owner
    self.region = region
    self.pools = pools
    self.isPrivate = isPrivate
  }
}
