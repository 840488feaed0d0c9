/// An error with a text that may leave the process.
///
/// `publicDescription` is the only text that may reach a log, a metric or a peer. It never holds
/// prompts, answers, keys, tokens or addresses; it says what is wrong and what to do next.
public protocol PublicError: Error, Sendable {
  /// One sentence, lower case, without a full stop.
  var publicDescription: String { get }
}

extension Error {
  /// The public text of any error; errors that have none are named by their type alone.
  public var safeDescription: String {
    (self as? any PublicError)?.publicDescription ?? "internal error (\(type(of: self)))"
  }
}
