public import BloomBase

/// The lowest protocol version that is spoken; never below TLS 1.2.
public enum TLSVersion: Sendable {
  /// TLS 1.2 with forward secrecy and authenticated encryption only, or TLS 1.3.
  case tls12
  /// TLS 1.3 only.
  case tls13
}

/// PEM text from a file or from memory.
public enum PEMSource: Sendable, Equatable {
  /// A path; read when a context is made or reloaded, at most 1 MiB.
  case file(String)
  /// The text itself.
  case text([UInt8])
}

/// A certificate chain with its private key.
public struct TLSIdentity: Sendable, Equatable {
  /// The chain, the own certificate first.
  public var certificate: PEMSource
  /// The private key, without a passphrase.
  public var key: PEMSource

  /// Names the two parts.
  public init(certificate: PEMSource, key: PEMSource) {
    self.certificate = certificate
    self.key = key
  }

  /// The two files.
  public static func files(certificate: String, key: String) -> TLSIdentity {
    TLSIdentity(certificate: .file(certificate), key: .file(key))
  }
}

/// TLS as a server speaks it.
///
/// ALPN is `http/1.1`; sessions are resumed by tickets.
public struct TLSServerConfiguration: Sendable {
  /// What to do about certificates of clients.
  public enum ClientCertificates: Sendable, Equatable {
    /// Not asked for.
    case ignored
    /// Asked for and reported in ``TLSInfo``; who they are is the caller's decision.
    case reported(required: Bool)
    /// Must be signed by one of the roots.
    case verified(roots: PEMSource, required: Bool)
  }

  /// Who this server is.
  public var identity: TLSIdentity
  /// The lowest version.
  public var minimumVersion = TLSVersion.tls12
  /// Certificates of clients.
  public var clientCertificates = ClientCertificates.ignored

  /// The defaults above.
  public init(identity: TLSIdentity) { self.identity = identity }
}

/// TLS as a client speaks it.
///
/// SNI and ALPN `http/1.1` are always sent.
public struct TLSClientConfiguration: Sendable {
  /// Whose signatures under server certificates are believed.
  public enum Roots: Sendable, Equatable {
    /// Those of the operating system's OpenSSL.
    case system
    /// Those of a PEM text and no others.
    case custom(PEMSource)
    /// None: a pinned key alone decides, and neither name nor date is checked.
    case pinsOnly
  }

  /// The roots.
  public var roots = Roots.system
  /// SHA-256 digests of SubjectPublicKeyInfo; when not empty, the server's key must be one.
  public var pinnedKeys: Set<Digest> = []
  /// The client's own certificate.
  public var identity: TLSIdentity?
  /// The lowest version.
  public var minimumVersion = TLSVersion.tls12
  /// The name to ask for and to check, in place of the URL's host.
  public var serverName: String?

  /// The defaults above.
  public init() {}
}
