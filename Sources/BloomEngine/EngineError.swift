public import BloomBase

/// Why an engine did not, or not fully, answer.
///
/// Holds no user content.
public struct EngineError: PublicError, Equatable, CustomStringConvertible {
  /// The closed set of reasons; the raw value is the reason code that peers and metrics see.
  public enum Code: String, Sendable, CaseIterable {
    /// The request is malformed or asks for something impossible.
    case badRequest = "bad_request"
    /// This model or engine cannot do it at all.
    case unsupported
    /// Prompt and answer do not fit the model's context.
    case contextExceeded = "context_exceeded"
    /// A size or nesting limit of the engine.
    case limit
    /// A grammar or schema cannot be compiled or followed.
    case grammar
    /// The model's chat template failed on these messages.
    case template
    /// The queue is full; try again later or elsewhere.
    case busy
    /// The request's deadline passed before it was done.
    case deadline
    /// The client cancelled.
    case cancelled
    /// The engine is stopping.
    case stopped
    /// Not enough memory; the text says how much is missing.
    case memory
    /// The model file is damaged or of an unknown kind.
    case model
    /// The engine itself failed.
    case engine = "engine_failure"
  }

  /// The reason.
  public let code: Code
  /// What is wrong and what to do, without user content.
  public let context: String

  /// Creates an error.
  public init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// The only text that may reach a log or a peer.
  public var publicDescription: String { context }

  /// Code and text.
  public var description: String { "\(code.rawValue): \(context)" }
}
