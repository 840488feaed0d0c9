public import BloomBase

/// Why a model file or the store was refused.
///
/// Names files and counts, never their content.
public struct ModelsError: PublicError, Equatable {
  /// The closed set of reasons.
  public enum Code: String, Sendable {
    /// The header of a model file breaks the format or one of our limits.
    case badHeader
    /// A manifest breaks its format.
    case badManifest
    /// The bytes of a file are not the ones its digest names.
    case digestMismatch
    /// The store has no such model or file.
    case notFound
    /// The operating system refused to read or write.
    case system
    /// The source gave something else than was asked for.
    case badSource
  }

  /// The reason.
  public let code: Code
  /// What, and where.
  public let context: String

  /// Describes a failure.
  public init(_ code: Code, _ context: String) {
    self.code = code
    self.context = context
  }

  /// One sentence for people.
  public var publicDescription: String {
    switch code {
    case .badHeader: "this is not a usable GGUF file: \(context)"
    case .badManifest: "the model manifest cannot be used: \(context)"
    case .digestMismatch: "the file is damaged or was changed: \(context); remove and pull it again"
    case .notFound: "there is no such model here: \(context); see darkbloom models list"
    case .system: "the model store cannot be read or written: \(context)"
    case .badSource: "the source of the model failed: \(context); try again or use another source"
    }
  }
}
