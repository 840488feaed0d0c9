/// Something that must not be printed: a token, a key, a prompt.
///
/// Every way to text gives `***`, reflection included. It is neither `Encodable` nor a
/// ``LogValue``; whoever needs the content says so with ``reveal()``.
public struct Secret<Value: Sendable>: Sendable, CustomStringConvertible,
  CustomDebugStringConvertible, CustomReflectable
{
  private let value: Value

  /// Wraps the content.
  public init(_ value: Value) { self.value = value }

  /// The content; each call is a place to review.
  public func reveal() -> Value { value }

  /// Three stars.
  public var description: String { "***" }

  /// Three stars.
  public var debugDescription: String { "***" }

  /// No children.
  public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
