package import BloomBase
internal import BloomLedger

/// What a device asks to be: a user's program with a key, or a machine of an account.
package struct DeviceSubject: Sendable, Equatable {
  /// What is joined.
  package enum Kind: Sendable, Equatable {
    /// A program that gets an API key, bound to a pool when one is named.
    case key(pool: String?)
    /// A machine that proved its identity.
    case node(NodeID, region: String, isPrivate: Bool)
  }

  /// What is joined.
  package var kind: Kind
  /// As the person calls the device.
  package var name: String
  /// Whether a person has refused it.
  package var isDenied: Bool

  /// Creates a subject that nobody has decided about.
  package init(kind: Kind, name: String, isDenied: Bool = false) {
    self.kind = kind
    self.name = name
    self.isDenied = isDenied
  }

  /// The stored form.
  var packed: [UInt8] {
    var to = PackedWriter(version: 1)
    to.put(name)
    to.put(isDenied)
    switch kind {
    case .key(let pool):
      to.put(0)
      to.put(pool) { to, pool in to.put(pool) }
    case .node(let node, let region, let isPrivate):
      to.put(1)
      to.put(node.digest)
      to.put(region)
      to.put(isPrivate)
    }
    return to.bytes
  }

  /// Reads the stored form.
  init(packed: [UInt8]) throws(PackedError) {
    var from = try PackedReader(packed, version: 1)
    name = try from.text()
    isDenied = try from.bool()
    switch try from.int() {
    case 0:
      kind = .key(pool: try from.optional { (from) throws(PackedError) in try from.text() })
    case 1:
      kind = .node(
        NodeID(try from.digest()), region: try from.text(), isPrivate: try from.bool())
    default: throw PackedError()
    }
  }
}

/// The short code that a person types to approve a device.
///
/// Eight letters without vowels and look-alikes, RFC 8628 §6.1: 20^8, 34 bits.
package enum UserCode: Sendable {
  private static let letters = Array("BCDFGHJKLMNPQRSTVWXZ".utf8)

  /// Draws a code: `WDJB-MJHT`.
  static func draw(using generator: inout some RandomNumberGenerator) -> String {
    let drawn = (0..<8).map { _ in letters[Int.random(in: 0..<20, using: &generator)] }
    return shown(String(decoding: drawn, as: UTF8.self))
  }

  /// A code as typed in its one form; `nil` for anything else.
  static func read(_ text: String) -> String? {
    let typed = text.uppercased().utf8.filter { $0 != 0x2d && $0 != 0x20 }
    guard typed.count == 8, typed.allSatisfy({ letters.contains($0) }) else { return nil }
    return shown(String(decoding: typed, as: UTF8.self))
  }

  private static func shown(_ text: String) -> String { "\(text.prefix(4))-\(text.suffix(4))" }
}
