/// A picture or a recording inside a chat request, as the client sent it: still encoded.
///
/// The seam for models with a projector: the chat body holds ``mark`` where each stands, the engine
/// gets them in that order. A model that takes them says so in its abilities; every other model
/// refuses them by name, before anything is computed.
public struct EngineMedia: Sendable, Equatable {
  /// What it is.
  public enum Kind: String, Sendable, CaseIterable {
    /// PNG, JPEG, GIF or WebP.
    case image
    /// WAV or MP3.
    case audio

    /// What a model must be able to do.
    var ability: EngineModel.Abilities {
      switch self {
      case .image: .images
      case .audio: .audio
      }
    }

    /// For errors.
    var plural: String {
      switch self {
      case .image: "pictures"
      case .audio: "sound"
      }
    }
  }

  /// The text that stands for it in the rendered prompt; the one that libmtmd looks for.
  public static let mark = "<__media__>"

  /// What it is.
  public var kind: Kind
  /// The file's bytes; never logged.
  public var bytes: [UInt8]

  /// Wraps bytes.
  public init(kind: Kind, bytes: [UInt8]) {
    self.kind = kind
    self.bytes = bytes
  }
}
