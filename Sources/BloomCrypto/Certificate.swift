package import BloomBase

/// When an X.509 certificate is valid, RFC 5280 §4.1; the rest is read for its form alone.
///
/// Nothing in it is trusted: paths are TLS's to verify.
package struct Certificate: Hashable, Sendable {
  /// The longest certificate we read.
  package static let maximumByteCount = 1 << 14

  /// First second of validity.
  package let notBefore: UnixTime
  /// Last second of validity.
  package let notAfter: UnixTime

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
    // Its number; some vendors' are not positive.
    _ = try body.integer()
    let innerAlgorithm = try body.element(0x30)
    guard body.bytes(innerAlgorithm.encoding) == body.bytes(algorithm.encoding) else {
      throw Self.refusal
    }
    var algorithmReader = body.reader(innerAlgorithm)
    _ = try algorithmReader.objectIdentifier()
    _ = try body.element(0x30)  // the issuer
    var validity = try body.sequence()
    notBefore = try Self.time(&validity)
    notAfter = try Self.time(&validity)
    try validity.finish()
    _ = try body.element(0x30)  // the subject
    _ = try body.element(0x30)  // its key
    // issuerUniqueID and subjectUniqueID, which nobody uses.
    _ = try body.optional(0x81)
    _ = try body.optional(0x82)
    if let wrapper = try body.optional(0xa3) {
      guard version == 3 else { throw Self.refusal }
      try Self.checkExtensions(body.reader(wrapper))
    }
    try body.finish()
  }

  /// Reads every certificate of a PEM text.
  package static func certificates(pem: [UInt8]) throws(CryptoError) -> [Certificate] {
    var certificates: [Certificate] = []
    for der in try PEM.decode(pem, label: "CERTIFICATE") {
      certificates.append(try Certificate(der: der))
    }
    return certificates
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

  /// Each name once, RFC 5280 §4.2.
  private static func checkExtensions(_ wrapper: DERReader) throws(CryptoError) {
    var wrapper = wrapper
    var list = try wrapper.sequence()
    try wrapper.finish()
    guard !list.isAtEnd else { throw refusal }
    var names: Set<DERReader.ObjectIdentifier> = []
    while !list.isAtEnd {
      var item = try list.sequence()
      let identifier = try item.objectIdentifier()
      if item.nextTag == 1 { _ = try item.boolean() }
      _ = try item.octetString()
      try item.finish()
      guard names.insert(identifier).inserted else { throw refusal }
    }
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
