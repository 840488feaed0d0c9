/// Money: whole millionths of the network's unit of account.
///
/// Never a `Double`.
///
/// Arithmetic traps on overflow: ±9.2 × 10^12 units.
public struct Micros: Hashable, Sendable, Comparable, AdditiveArithmetic, CustomStringConvertible {
  /// Millionths of a unit; negative for debits.
  public let rawValue: Int64

  /// Wraps a number of millionths.
  public init(_ rawValue: Int64) { self.rawValue = rawValue }

  /// Nothing.
  public static let zero = Micros(0)

  /// Adds two sums.
  public static func + (a: Micros, b: Micros) -> Micros { Micros(a.rawValue + b.rawValue) }

  /// Subtracts one sum from another.
  public static func - (a: Micros, b: Micros) -> Micros { Micros(a.rawValue - b.rawValue) }

  /// The opposite sum.
  public static prefix func - (a: Micros) -> Micros { Micros(-a.rawValue) }

  /// Orders sums by value.
  public static func < (a: Micros, b: Micros) -> Bool { a.rawValue < b.rawValue }

  /// Units with six decimals, for example `-1.500000`.
  public var description: String {
    let magnitude = rawValue.magnitude
    let fraction = String(magnitude % 1_000_000)
    let padding = String(repeating: "0", count: 6 - fraction.count)
    return "\(rawValue < 0 ? "-" : "")\(magnitude / 1_000_000).\(padding)\(fraction)"
  }
}
