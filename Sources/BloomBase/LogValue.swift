/// A value that may stand in a log or in a metric's label.
///
/// It is made only from numbers, identities, texts written in the source and public errors. There
/// is no way from a `String` but ``ShortName``, so a prompt, an answer or a key cannot be passed.
public struct LogValue: Sendable, Equatable, CustomStringConvertible, ExpressibleByIntegerLiteral,
  ExpressibleByBooleanLiteral, ExpressibleByStringLiteral
{
  enum Storage: Sendable, Equatable {
    case integer(Int64)
    case boolean(Bool)
    case text(String)
  }

  let storage: Storage

  private init(_ storage: Storage) { self.storage = storage }

  /// A text written in the source.
  public init(stringLiteral value: StaticString) { storage = .text("\(value)") }

  /// A number written in the source.
  public init(integerLiteral value: Int64) { storage = .integer(value) }

  /// A truth written in the source.
  public init(booleanLiteral value: Bool) { storage = .boolean(value) }

  /// A count, a size, a port.
  public static func count(_ value: some BinaryInteger) -> LogValue {
    LogValue(.integer(Int64(clamping: value)))
  }

  /// A truth.
  public static func flag(_ value: Bool) -> LogValue { LogValue(.boolean(value)) }

  /// A node.
  public static func id(_ value: NodeID) -> LogValue { LogValue(.text(value.description)) }

  /// A model.
  public static func id(_ value: ModelID) -> LogValue { LogValue(.text(value.description)) }

  /// A key's identity; never the key.
  public static func id(_ value: KeyID) -> LogValue { LogValue(.text(value.description)) }

  /// An answer.
  public static func id(_ value: AnswerID) -> LogValue { LogValue(.text(value.description)) }

  /// A sum of money, as text with six decimals.
  public static func money(_ value: Micros) -> LogValue { LogValue(.text(value.description)) }

  /// A time span, in whole microseconds.
  public static func microseconds(_ value: Duration) -> LogValue {
    let (seconds, attoseconds) = value.components
    let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
    guard !overflow else { return LogValue(.integer(seconds < 0 ? .min : .max)) }
    return LogValue(.integer(whole &+ attoseconds / 1_000_000_000_000))
  }

  /// A short name from configuration or from a fixed set.
  public static func name(_ value: ShortName) -> LogValue { LogValue(.text(value.text)) }

  /// What an error says in public; other errors give only their type.
  public static func error(_ value: any Error) -> LogValue {
    LogValue(.text(value.safeDescription))
  }

  /// The value as text.
  public var description: String {
    switch storage {
    case .integer(let value): "\(value)"
    case .boolean(let value): "\(value)"
    case .text(let value): value
    }
  }
}

/// A name of 1…48 characters of `a-z A-Z 0-9 . _ : / -`: a model's alias, a region, a device.
///
/// Made from configuration and fixed sets, never from what a user writes in a request.
public struct ShortName: Sendable, Hashable, CustomStringConvertible {
  /// The name.
  public let text: String

  /// Checks the text; `nil` when it is empty, too long or holds another character.
  public init?(_ text: String) {
    let isAllowed = text.utf8.allSatisfy { byte in
      switch byte {
      case 0x61...0x7a, 0x41...0x5a, 0x30...0x39, 0x2e, 0x5f, 0x3a, 0x2f, 0x2d: true
      default: false
      }
    }
    guard isAllowed, (1...48).contains(text.utf8.count) else { return nil }
    self.text = text
  }

  /// The name.
  public var description: String { text }
}
