package import BloomBase
internal import BloomRecords

/// The placement policy as people write it: `policy.json5` in the user's configuration folder.
///
/// Each setting is also an environment variable, `DARKBLOOM_POLICY_TIER` for `policy.tier`.
package struct PlacementSettings: Sendable {
  /// One setting.
  package struct Setting: Sendable {
    /// Its name, as in `darkbloom policy set NAME VALUE`.
    package let name: String
    /// One line of help.
    package let help: String
    /// The text of a policy's value; lists are separated by commas.
    package let text: @Sendable (PlacementPolicy) -> String
    fileprivate let apply:
      @Sendable (inout PlacementPolicy, String) throws(ConfigurationError) -> Void
  }

  /// The file's name in the configuration folder.
  package static let fileName = "policy.json5"

  /// Every setting, in the order in which people see them.
  package static let all: [Setting] = [
    Setting(
      name: "places", help: "where requests go, in this order: device, paired, pool, public",
      text: { $0.places.map(\.rawValue).joined(separator: ",") },
      apply: { (policy, text) throws(ConfigurationError) in
        var places: [PlacementPolicy.Place] = []
        for word in words(text) {
          guard let place = PlacementPolicy.Place(rawValue: word), !places.contains(place) else {
            throw ConfigurationError("places must be of device, paired, pool, public, each once")
          }
          places.append(place)
        }
        guard !places.isEmpty else { throw ConfigurationError("places must name one at least") }
        policy.places = places
      }),
    Setting(
      name: "tier", help: "the weakest evidence: software, paired, measured or hardware",
      text: { "\($0.minimumTier)" },
      apply: { (policy, text) throws(ConfigurationError) in
        guard let tier = Tier.allCases.first(where: { "\($0)" == text }) else {
          throw ConfigurationError("tier must be software, paired, measured or hardware")
        }
        policy.minimumTier = tier
      }),
    Setting(
      name: "pool", help: "the pool whose machines come before the public ones, or none",
      text: { $0.pool ?? "none" },
      apply: { (policy, text) throws(ConfigurationError) in
        policy.pool = try name(text, "pool", empty: "none")
      }),
    Setting(
      name: "region", help: "only machines that say they are there, or any; nobody checks it",
      text: { $0.region ?? "any" },
      apply: { (policy, text) throws(ConfigurationError) in
        policy.region = try name(text, "region", empty: "any")
      }),
    Setting(
      name: "price-cap", help: "the most that one answer may cost, in micro-units, or none",
      text: { $0.priceCap.map { "\($0.rawValue)" } ?? "none" },
      apply: { (policy, text) throws(ConfigurationError) in
        guard text != "none" else { return policy.priceCap = nil }
        guard let micros = Int64(text), micros >= 0 else {
          throw ConfigurationError("price-cap must be micro-units or none")
        }
        policy.priceCap = Micros(micros)
      }),
    machines("pinned", "only these machines, by their full identity, or none", \.pinned),
    machines("blocked", "never these machines, by their full identity, or none", \.blocked),
    machines("paired", "machines that you pinned in person, or none", \.paired),
    Setting(
      name: "releases", help: "releases trusted above tier software, or any",
      text: { policy in
        policy.releases.isEmpty
          ? "any" : policy.releases.map(\.hex).sorted().joined(separator: ",")
      },
      apply: { (policy, text) throws(ConfigurationError) in
        policy.releases = Set(try digests(text, "releases", empty: "any"))
      }),
    Setting(
      name: "freshness", help: "how old a directory may be, 60 to 3900 seconds",
      text: { "\($0.freshnessSeconds)" },
      apply: { (policy, text) throws(ConfigurationError) in
        guard let seconds = Int64(text), (60...3_900).contains(seconds) else {
          throw ConfigurationError("freshness must be 60…3900 seconds")
        }
        policy.freshnessSeconds = seconds
      }),
  ]

  /// Reads a policy.
  ///
  /// - Parameters:
  ///   - file: The file's text; `nil` when there is none.
  ///   - environment: The process's environment.
  /// - Returns: The defaults with what was set.
  /// - Throws: `ConfigurationError` that names the place and the setting.
  package static func policy(
    file: String?, environment: [String: String]
  ) throws(ConfigurationError) -> PlacementPolicy {
    let known = Set(all.map { "policy.\($0.name)" })
    let values = try Configuration(
      known: known, environment: environment, file: file, fileName: fileName)
    var policy = PlacementPolicy()
    for setting in all {
      guard let text = try values.string("policy.\(setting.name)") else { continue }
      do throws(ConfigurationError) {
        try setting.apply(&policy, text)
      } catch {
        throw ConfigurationError("\(fileName), policy.\(error.publicDescription)")
      }
    }
    return policy
  }

  /// A policy with one setting changed.
  ///
  /// - Throws: `ConfigurationError` for a name or value that there is not.
  package static func setting(
    _ name: String, to text: String, in policy: PlacementPolicy
  ) throws(ConfigurationError) -> PlacementPolicy {
    guard let setting = all.first(where: { $0.name == name }) else {
      let names = all.map(\.name)
      let nearest = NearestName.find(name, in: names).map { ", did you mean \($0)?" } ?? ""
      throw ConfigurationError("there is no setting \(name)\(nearest)")
    }
    var changed = policy
    try setting.apply(&changed, text)
    return changed
  }

  /// The text of a file that says what differs from the defaults.
  package static func file(of policy: PlacementPolicy) -> String {
    let defaults = PlacementPolicy()
    let lines = all.map { setting in
      let text = setting.text(policy)
      let mark = text == setting.text(defaults) ? "// " : ""
      return "    // \(setting.help)\n    \(mark)\"\(setting.name)\": \"\(text)\",\n"
    }
    return "// Where requests may go; `darkbloom policy set` writes this file.\n{\n  policy: {\n"
      + lines.joined() + "  },\n}\n"
  }

  private static func machines(
    _ name: String, _ help: String,
    _ path: any WritableKeyPath<PlacementPolicy, Set<NodeID>> & Sendable
  ) -> Setting {
    Setting(
      name: name, help: help,
      text: { policy in
        let nodes = policy[keyPath: path]
        return nodes.isEmpty
          ? "none" : nodes.map(\.digest.hex).sorted().joined(separator: ",")
      },
      apply: { (policy, text) throws(ConfigurationError) in
        policy[keyPath: path] = Set(
          try digests(text, name, empty: "none").map { NodeID($0) })
      })
  }

  private static func words(_ text: String) -> [String] {
    text.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init)
  }

  private static func digests(
    _ text: String, _ name: String, empty: String
  ) throws(ConfigurationError) -> [Digest] {
    if text == empty { return [] }
    var digests: [Digest] = []
    for word in words(text) {
      guard let digest = Hex.decode(word).flatMap({ Digest($0) }) else {
        throw ConfigurationError("\(name) must be full identities of 64 hex digits, or \(empty)")
      }
      digests.append(digest)
    }
    return digests
  }

  private static func name(
    _ text: String, _ field: String, empty: String
  ) throws(ConfigurationError) -> String? {
    if text == empty { return nil }
    guard (1...64).contains(text.utf8.count) else {
      throw ConfigurationError("\(field) must be 1…64 characters, or \(empty)")
    }
    return text
  }
}
