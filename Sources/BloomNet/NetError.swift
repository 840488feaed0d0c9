public import BloomBase

/// What went wrong in the network layer.
///
/// Texts never hold addresses, names of peers or content.
public struct NetError: PublicError, Equatable, CustomStringConvertible {
  /// The kind of failure; callers switch on it.
  public enum Code: Equatable, Sendable {
    /// The peer closed the connection, or it was reset.
    case peerLeft
    /// This side closed the connection or its server stopped.
    case closed
    /// A limit in time was reached; the text says which.
    case timedOut
    /// The name of a host has no address, or is not a valid name.
    case nameNotFound
    /// Nobody listens there, or no route leads there.
    case connectFailed
    /// The address cannot be listened on: in use, not ours, or not permitted.
    case listenFailed
    /// TLS failed, mostly in its handshake, or the peer's certificate was refused.
    case tlsFailed
    /// A certificate, key or root file is missing or invalid.
    case badCertificate
    /// The other side broke HTTP or WebSocket rules.
    case protocolViolation
    /// A body, message or queue grew beyond its limit.
    case tooLarge
    /// Every connection is in use, and too many requests wait for one.
    case busy
    /// An argument of the caller cannot be used, for example a URL.
    case invalidArgument
    /// A proxy refused or failed, or its name is none.
    case proxyFailed
    /// A program could not be started.
    case spawnFailed
    /// Any other refusal of the operating system.
    case system
  }

  /// The kind of failure.
  public let code: Code
  /// What is wrong and what to do; safe for logs and peers.
  public let publicDescription: String

  /// Creates an error; `description` must hold no content, keys or addresses.
  public init(_ code: Code, _ description: String) {
    self.code = code
    publicDescription = description
  }

  /// The public text.
  public var description: String { publicDescription }

  static let closed = NetError(.closed, "the connection was closed by this side")
  static let peerLeft = NetError(.peerLeft, "the peer closed the connection")

  static func timedOut(_ what: String) -> NetError {
    NetError(.timedOut, "time-out: \(what)")
  }
}
