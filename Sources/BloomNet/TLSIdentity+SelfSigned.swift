public import BloomBase
internal import CPlatform
internal import CTLS

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

extension TLSIdentity {
  /// Makes a P-256 key and a certificate that it signs itself, in memory.
  ///
  /// For links whose other end pins the key, for local development and for tests.
  /// - Parameters:
  ///   - names: DNS names and address literals the certificate is for, at least one.
  ///   - days: How long it is valid, from one hour ago. 1…3,650.
  /// - Returns: The certificate and its key.
  /// - Throws: ``NetError/Code/invalidArgument`` when a name cannot stand in a certificate.
  public static func selfSigned(names: [String], days: Int = 365) throws(NetError) -> TLSIdentity {
    guard let first = names.first, first.utf8.count <= 64, (1...3_650).contains(days),
      names.allSatisfy({ IPAddress($0) != nil || SystemResolver.isValid($0) })
    else { throw NetError(.invalidArgument, "a certificate needs valid names and 1 to 3650 days") }
    let list = names.map { IPAddress($0) == nil ? "DNS:\($0)" : "IP:\($0)" }
    var certificate: UnsafeMutablePointer<CChar>?
    var key: UnsafeMutablePointer<CChar>?
    let step = unsafe ctls_self_signed(
      first, list.joined(separator: ","), Int32(days), &certificate, &key)
    defer {
      unsafe ctls_free(certificate)
      if let key = unsafe key { unsafe cplatform_wipe(key, strlen(key)) }
      unsafe ctls_free(key)
    }
    guard Int(step) == CTLS_OK, let certificate = unsafe certificate, let key = unsafe key else {
      throw NetError(.invalidArgument, "the certificate cannot be made for these names")
    }
    return TLSIdentity(
      certificate: .text(unsafe Array(String(cString: certificate).utf8)),
      key: .text(unsafe Array(String(cString: key).utf8)))
  }

  /// SHA-256 of the SubjectPublicKeyInfo of the own certificate, as clients pin it.
  ///
  /// - Throws: ``NetError/Code/badCertificate``.
  public func keyDigest() throws(NetError) -> Digest {
    let pem = try TLSContext.read(certificate, "certificate")
    var bytes = [UInt8](repeating: 0, count: 32)
    let isFound = unsafe pem.withUnsafeBytes { raw in
      unsafe ctls_pem_key_digest(
        raw.baseAddress?.assumingMemoryBound(to: CChar.self), raw.count, &bytes)
    }
    guard isFound == 1, let digest = Digest(bytes) else {
      throw NetError(
        .badCertificate,
        "\(TLSContext.name(certificate)) holds no valid PEM certificate: give the full chain")
    }
    return digest
  }
}
