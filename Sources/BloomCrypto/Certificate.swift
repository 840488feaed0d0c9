package import BloomBase

/// An X.509 certificate as read, RFC 5280 §4.1.
///
/// Nothing in it is trusted before a path is verified.
package struct Certificate: Hashable, Sendable {
  /// One extension, RFC 5280 §4.2.
  package struct Extension: Hashable, Sendable {
    /// Its name.
    package let identifier: DERReader.ObjectIdentifier
    /// Whether a verifier that does not know it must refuse.
    package let isCritical: Bool
    /// The DER inside the OCTET STRING.
    package let value: [UInt8]
  }

  /// What the keyUsage extension permits, RFC 5280 §4.2.1.3.
  package struct KeyUsage: OptionSet, Hashable, Sendable {
    /// Bit n is bit n of the extension's BIT STRING.
    package let rawValue: UInt16
    /// Wraps bits.
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    /// Bit 5.
    package static let keyCertificateSign = KeyUsage(rawValue: 1 << 5)
  }

  /// The longest certificate we read.
  package static let maximumByteCount = 1 << 14

  /// The whole encoding.
  package let der: [UInt8]
  /// The INTEGER's contents; some vendors' are not positive.
  package let serialNumber: [UInt8]
  /// The issuer's Name in DER.
  package let issuer: [UInt8]
  /// The subject's Name in DER; may be an empty sequence.
  package let subject: [UInt8]
  /// First second of validity.
  package let notBefore: UnixTime
  /// Last second of validity.
  package let notAfter: UnixTime
  /// The SubjectPublicKeyInfo in DER.
  package let subjectPublicKeyInfo: [UInt8]
  /// The outer signature algorithm's name; equal to the inner one.
  package let signatureAlgorithm: DERReader.ObjectIdentifier
  /// In the order of the certificate, each name once.
  package let extensions: [Extension]

  /// Reads a certificate that fills all bytes.
  ///
  /// - Throws: `.malformed` for anything that is not DER of a version 1 or 3 certificate, repeats an
  ///   extension, or is longer than 16 KiB.
  package init(der: [UInt8]) throws(CryptoError) {
    guard der.count <= Self.maximumByteCount else { throw Self.refusal }
    var outer = DERReader(der)
    var certificate = try outer.sequence()
    try outer.finish()
    var body = try certificate.sequence()
    let algorithm = try certificate.element(0x30)
    _ = try certificate.bitString()
    try certificate.finish()

    let version = try Self.version(&body)
    serialNumber = body.bytes(try body.integer())
    let innerAlgorithm = try body.element(0x30)
    guard body.bytes(innerAlgorithm.encoding) == body.bytes(algorithm.encoding) else {
      throw Self.refusal
    }
    var algorithmReader = body.reader(innerAlgorithm)
    signatureAlgorithm = try algorithmReader.objectIdentifier()
    issuer = body.bytes(try body.element(0x30).encoding)
    var validity = try body.sequence()
    notBefore = try Self.time(&validity)
    notAfter = try Self.time(&validity)
    try validity.finish()
    subject = body.bytes(try body.element(0x30).encoding)
    subjectPublicKeyInfo = body.bytes(try body.element(0x30).encoding)
    // issuerUniqueID and subjectUniqueID, which nobody uses.
    _ = try body.optional(0x81)
    _ = try body.optional(0x82)
    if let wrapper = try body.optional(0xa3) {
      guard version == 3 else { throw Self.refusal }
      extensions = try Self.extensions(body.reader(wrapper))
    } else {
      extensions = []
    }
    try body.finish()
    self.der = der
  }

  /// Reads every certificate of a PEM text.
  package static func certificates(pem: [UInt8]) throws(CryptoError) -> [Certificate] {
    var certificates: [Certificate] = []
    for der in try PEM.decode(pem, label: "CERTIFICATE") {
      certificates.append(try Certificate(der: der))
    }
    return certificates
  }

  /// The extension of a name; `nil` when there is none.
  package subscript(identifier: DERReader.ObjectIdentifier) -> Extension? {
    extensions.first { $0.identifier == identifier }
  }

  /// The subject's key, when it is of a kind we check signatures with.
  ///
  /// - Throws: `.invalidKey` or `.unsupported`.
  package func publicKey() throws(CryptoError) -> VerifyingKey {
    try VerifyingKey(subjectPublicKeyInfo: subjectPublicKeyInfo)
  }

  /// SHA-256 of the encoding: how pinned roots are named.
  package var fingerprint: Digest { SHA256.digest(der) }

  /// Whether basicConstraints says that this is a certification authority.
  ///
  /// - Throws: `.malformed` for a broken extension.
  package func isAuthority() throws(CryptoError) -> Bool {
    guard let value = self[[2, 5, 29, 19]]?.value else { return false }
    var reader = DERReader(value)
    var constraints = try reader.sequence()
    try reader.finish()
    return constraints.nextTag == 1 ? try constraints.boolean() : false
  }

  /// What the key may be used for; `nil` when the certificate does not say.
  ///
  /// - Throws: `.malformed` for a broken extension.
  package func keyUsage() throws(CryptoError) -> KeyUsage? {
    guard let value = self[[2, 5, 29, 15]]?.value else { return nil }
    var reader = DERReader(value)
    let contents = reader.bytes(try reader.element(3).contents)
    try reader.finish()
    guard (2...3).contains(contents.count), contents[0] < 8 else { throw Self.refusal }
    var bits: UInt16 = 0
    for (index, byte) in contents.dropFirst().enumerated() {
      for bit in 0..<8 where byte & (0x80 >> UInt8(bit)) != 0 {
        bits |= 1 << UInt16(index * 8 + bit)
      }
    }
    return KeyUsage(rawValue: bits)
  }

  private static let refusal = CryptoError(.malformed, "a certificate")

  private static func version(_ body: inout DERReader) throws(CryptoError) -> Int {
    guard let wrapper = try body.optional(0xa0) else { return 1 }
    var reader = body.reader(wrapper)
    let number = try reader.smallInteger()
    try reader.finish()
    // Version 1 is the default and may not be written out; version 2 is not used.
    guard number == 2 else { throw refusal }
    return 3
  }

  private static func extensions(_ wrapper: DERReader) throws(CryptoError) -> [Extension] {
    var wrapper = wrapper
    var list = try wrapper.sequence()
    try wrapper.finish()
    var result: [Extension] = []
    var names: Set<DERReader.ObjectIdentifier> = []
    while !list.isAtEnd {
      var item = try list.sequence()
      let identifier = try item.objectIdentifier()
      let isCritical = item.nextTag == 1 ? try item.boolean() : false
      let value = try item.octetString()
      try item.finish()
      guard names.insert(identifier).inserted else { throw refusal }
      result.append(Extension(identifier: identifier, isCritical: isCritical, value: value))
    }
    guard !result.isEmpty else { throw refusal }
    return result
  }

  /// UTCTime or GeneralizedTime in Zulu without fractions, RFC 5280 §4.1.2.5.
  private static func time(_ reader: inout DERReader) throws(CryptoError) -> UnixTime {
    let element = try reader.element()
    let text = reader.bytes(element.contents)
    let yearDigits = element.tag == 0x17 ? 2 : 4
    guard element.tag == 0x17 || element.tag == 0x18, text.count == yearDigits + 11,
      text.last == 0x5a, text.dropLast().allSatisfy({ (0x30...0x39).contains($0) })
    else { throw refusal }
    func number(_ start: Int, _ count: Int) -> Int {
      text[start..<start + count].reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
    var year = number(0, yearDigits)
    if yearDigits == 2 { year += year < 50 ? 2000 : 1900 }
    let fields = (0..<5).map { number(yearDigits + 2 * $0, 2) }
    guard
      let time = UnixTime(
        year: year, month: fields[0], day: fields[1], hour: fields[2], minute: fields[3],
        second: fields[4])
    else { throw refusal }
    return time
  }
}
