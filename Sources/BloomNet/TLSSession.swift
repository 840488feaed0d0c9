internal import BloomBase
internal import CTLS

/// One TLS connection without its socket: ciphertext is lent, records go to the loop's buffer.
@safe
final class TLSSession {
  enum Outcome {
    case count(Int)
    case again
    case end
    case failed
  }

  private let pointer: OpaquePointer
  private let context: TLSContext

  /// - Parameters:
  ///   - context: Certificates and rules.
  ///   - name: The server's host for a client; `nil` for a server.
  ///   - loop: Whose record buffer is written.
  /// - Throws: ``NetError/Code/invalidArgument`` when the name cannot be used.
  init(_ context: TLSContext, name: String?, on loop: EventLoop) throws(NetError) {
    let name = context.serverName ?? name
    let isAddress = name.map { IPAddress($0) != nil } ?? false
    guard
      let pointer = unsafe ctls_session_new(
        context.pointer, name, isAddress ? 1 : 0, context.checksName ? 1 : 0, loop.records)
    else { throw NetError(.invalidArgument, "the server's name cannot be used for TLS") }
    unsafe self.pointer = pointer
    self.context = context
  }

  deinit { unsafe ctls_session_free(pointer) }

  /// Lends ciphertext to the calls of `body`; returns what was not taken.
  func feeding<R>(
    _ input: UnsafeBufferPointer<UInt8>, _ body: (TLSSession) -> R
  ) -> (result: R, left: Int) {
    unsafe ctls_input(pointer, input.baseAddress, input.count)
    let result = body(self)
    var rest: UnsafePointer<UInt8>?
    let left = unsafe ctls_left(pointer, &rest)
    unsafe ctls_input(pointer, nil, 0)
    return (result, left)
  }

  var hasPending: Bool { unsafe ctls_pending(pointer) != 0 }

  func handshake() -> Outcome { outcome(unsafe ctls_handshake(pointer)) }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    outcome(unsafe ctls_read(pointer, buffer.baseAddress, buffer.count))
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    outcome(unsafe ctls_write(pointer, bytes.baseAddress, bytes.count))
  }

  func shutdown() { unsafe ctls_shutdown(pointer) }

  private func outcome(_ result: Int) -> Outcome {
    switch result {
    case Int(CTLS_END): .end
    case Int(CTLS_AGAIN): .again
    case Int(CTLS_ERROR): .failed
    default: .count(result)
    }
  }

  /// Why the handshake or a later step failed, in words that name no peer.
  func failure() -> NetError {
    let code = unsafe ctls_verify_error(pointer)
    if code != 0, let text = unsafe ctls_verify_text(code) {
      let why = unsafe String(cString: text)
      return NetError(
        .tlsFailed, "the peer's certificate was refused: \(why)\(Self.advice(code))")
    }
    let reason = unsafe ctls_last_reason(pointer).map { unsafe String(cString: $0) } ?? "unknown"
    return NetError(.tlsFailed, "TLS failed: \(reason)")
  }

  /// What to do about an X509_V_ERR code of openssl/x509_vfy.h; empty where that depends.
  private static func advice(_ code: Int) -> String {
    switch code {
    case 9, 10: "; check this device's clock, then whether the certificate was renewed"
    case 2, 18, 19, 20, 21:
      "; nobody vouches for it here: install the system's root certificates (ca-certificates), or "
        + "give those of its issuer"
    case 62, 64: "; it is for another name: check the address that was given"
    default: ""
    }
  }

  /// Refuses a server whose key is not pinned.
  func checkPins() throws(NetError) {
    if context.pins.isEmpty { return }
    guard let digest = peerKeyDigest, context.pins.contains(digest) else {
      throw NetError(
        .tlsFailed,
        "the server's key is not one of the pinned keys: ask its operator for the new one")
    }
  }

  private var peerKeyDigest: Digest? {
    var bytes = [UInt8](repeating: 0, count: 32)
    guard unsafe ctls_peer_key_digest(pointer, &bytes) == 1 else { return nil }
    return Digest(bytes)
  }

  private var peerCertificate: [UInt8]? {
    var der: UnsafeMutablePointer<UInt8>?
    let count = unsafe ctls_peer_certificate(pointer, &der)
    defer { unsafe ctls_free(der) }
    guard count > 0, let der = unsafe der else { return nil }
    return unsafe Array(UnsafeBufferPointer(start: der, count: count))
  }

  /// What the completed handshake proved.
  func info() -> TLSInfo {
    var exporter = [UInt8](repeating: 0, count: 32)
    let hasExporter = unsafe ctls_exporter(pointer, &exporter) == 1
    return TLSInfo(
      isTLS13: unsafe ctls_is_13(pointer) == 1,
      isResumed: unsafe ctls_is_resumed(pointer) == 1,
      serverName: unsafe ctls_server_name(pointer).map { unsafe String(cString: $0) },
      peerCertificate: peerCertificate, peerKeyDigest: peerKeyDigest,
      exporter: hasExporter ? exporter : nil)
  }
}
