internal import BloomBase
internal import CPlatform
internal import CTLS

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// One OpenSSL context; shared by connections of every loop.
///
/// docs: SSL_CTX_new(3).
@safe
final class TLSContext: @unchecked Sendable {
  // @unchecked: OpenSSL counts references and locks inside; nothing is changed after `init`.
  let pointer: OpaquePointer
  let pins: Set<Digest>
  let checksName: Bool
  let serverName: String?

  deinit { unsafe ctls_context_free(pointer) }

  /// A server's context.
  init(_ configuration: TLSServerConfiguration) throws(NetError) {
    let identity = configuration.identity
    pins = []
    checksName = false
    serverName = nil
    var roots: PEMSource?
    var verify = Int32(CTLS_VERIFY_NONE)
    var isRequired = false
    switch configuration.clientCertificates {
    case .ignored: break
    case .reported(let required):
      verify = Int32(CTLS_VERIFY_REPORT)
      isRequired = required
    case .verified(let source, let required):
      verify = Int32(CTLS_VERIFY_ROOTS)
      roots = source
      isRequired = required
    }
    unsafe pointer = try Self.make(
      isServer: true, configuration.minimumVersion, identity, roots, verify, isRequired)
  }

  /// A client's context.
  init(_ configuration: TLSClientConfiguration) throws(NetError) {
    pins = configuration.pinnedKeys
    serverName = configuration.serverName
    var roots: PEMSource?
    var verify = Int32(CTLS_VERIFY_ROOTS)
    switch configuration.roots {
    case .system: break
    case .custom(let source): roots = source
    case .pinsOnly:
      guard !pins.isEmpty else {
        throw NetError(.badCertificate, "TLS by pinned keys alone needs at least one pin")
      }
      verify = Int32(CTLS_VERIFY_REPORT)
    }
    checksName = configuration.roots != .pinsOnly
    unsafe pointer = try Self.make(
      isServer: false, configuration.minimumVersion, configuration.identity, roots, verify, false)
  }

  private static func make(
    isServer: Bool, _ version: TLSVersion, _ identity: TLSIdentity?, _ roots: PEMSource?,
    _ verify: Int32, _ isRequired: Bool
  ) throws(NetError) -> OpaquePointer {
    let chain = try identity.map { (identity) throws(NetError) in
      try read(identity.certificate, "certificate")
    }
    var key = try identity.map { (identity) throws(NetError) in try read(identity.key, "key") }
    let rootText = try roots.map { (roots) throws(NetError) in try read(roots, "root certificates")
    }
    var step: Int32 = 0
    let context = unsafe withText(chain) { chain, chainCount in
      unsafe withText(key) { key, keyCount in
        unsafe withText(rootText) { roots, rootsCount in
          unsafe ctls_context_new(
            isServer ? 1 : 0, version == .tls13 ? 1 : 0, chain, chainCount, key, keyCount, roots,
            rootsCount, verify, isRequired ? 1 : 0, &step)
        }
      }
    }
    unsafe key?.withUnsafeMutableBytes { raw in
      if let base = raw.baseAddress { unsafe cplatform_wipe(base, raw.count) }
    }
    if let context = unsafe context { return unsafe context }
    throw explain(step, identity, roots)
  }

  private static func withText<R>(
    _ text: [UInt8]?, _ body: (UnsafePointer<CChar>?, Int) -> R
  ) -> R {
    guard let text else { return body(nil, 0) }
    return unsafe text.withUnsafeBytes { raw in
      unsafe body(raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count)
    }
  }

  private static func explain(
    _ step: Int32, _ identity: TLSIdentity?, _ roots: PEMSource?
  ) -> NetError {
    let certificate = name(identity?.certificate)
    let key = name(identity?.key)
    switch Int(step) {
    case CTLS_BAD_CERTIFICATE:
      return NetError(
        .badCertificate, "\(certificate) holds no valid PEM certificate: give the full chain")
    case CTLS_BAD_KEY:
      return NetError(
        .badCertificate, "\(key) holds no readable PEM private key: it must have no passphrase")
    case CTLS_KEY_MISMATCH:
      return NetError(
        .badCertificate,
        "the key in \(key) does not belong to \(certificate): give the one it was made with")
    case CTLS_BAD_ROOTS:
      return NetError(
        .badCertificate,
        "\(name(roots)) holds no valid PEM root certificate: give the issuer's in PEM")
    default: return NetError(.system, "TLS cannot be set up: out of memory")
    }
  }

  /// How an error calls a source.
  static func name(_ source: PEMSource?) -> String {
    switch source {
    case .file(let path): path
    case .text, nil: "the given text"
    }
  }

  /// Reads a PEM source; the error names the file and what to do.
  static func read(_ source: PEMSource, _ what: String) throws(NetError) -> [UInt8] {
    guard case .file(let path) = source else {
      if case .text(let bytes) = source { return bytes }
      return []
    }
    guard let file = unsafe fopen(path, "rb") else {
      let advice =
        errno == EACCES
        ? "it may not be read: check its owner and mode" : "it is missing: check the path"
      throw NetError(.badCertificate, "cannot open the \(what) file \(path): \(advice)")
    }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    guard count > 0, count < bytes.count else {
      throw NetError(
        .badCertificate,
        "the \(what) file \(path) is empty, a folder or larger than 1 MiB: give a PEM file")
    }
    // In place: a key must leave no second copy, and the caller wipes this one.
    bytes.removeLast(bytes.count - count)
    return bytes
  }
}
