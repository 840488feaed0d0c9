import BloomBase
import Testing

@testable import BloomCrypto

@Suite struct CertificateTests {
  @Test func `a certificate tells its times, whole or not at all`() throws {
    let der = try Vectors.bytes("amd-sev-snp/milan-1.vcek.der")
    let certificate = try Certificate(der: der)
    // 2023-04-03 and 2030-04-03, 19:23:43.
    #expect(certificate.notBefore.seconds == 1_680_549_823)
    #expect(certificate.notAfter.seconds == 1_901_474_623)
    for count in 0..<der.count {
      #expect(throws: CryptoError.self) { try Certificate(der: Array(der.prefix(count))) }
    }
    #expect(throws: CryptoError.self) { try Certificate(der: der + [0]) }
    #expect(throws: CryptoError.self) {
      try Certificate(der: [UInt8](repeating: 0x30, count: Certificate.maximumByteCount + 1))
    }
  }

  @Test func `certificates come from PEM`() throws {
    let pem = try Vectors.bytes("amd-sev-snp/milan-ask.pem")
    let found = try Certificate.certificates(pem: pem + Vectors.bytes("amd-sev-snp/milan-ark.pem"))
    // 2045-10-22, 18:24:20 and 17:23:05.
    #expect(found.map(\.notAfter.seconds) == [2_392_309_460, 2_392_305_785])
  }

  @Test func `PEM gives its blocks and refuses broken ones`() throws {
    let der: [UInt8] = (0..<100).map { $0 }
    let text = PEM.encode(der, label: "X")
    #expect(text.hasPrefix("-----BEGIN X-----\n"))
    #expect(try PEM.decode(Array(("# note\n" + text + text).utf8), label: "X") == [der, der])
    for bad in [
      "", "-----BEGIN X-----\nAAAA\n", "-----BEGIN X-----\n-----END X-----\n",
      "-----BEGIN X-----\n!!!!\n-----END X-----\n",
      "-----BEGIN X-----\n-----BEGIN X-----\nAAAA\n-----END X-----\n", "-----END X-----\n",
    ] {
      #expect(throws: CryptoError.self, "\(bad)") { try PEM.decode(Array(bad.utf8), label: "X") }
    }
  }
}

@Suite struct DERReaderTests {
  @Test func `only the shortest form of a length or an integer is read`() throws {
    for text in [
      "0281010500", "028001", "0280", "02", "0200", "02020001", "0202ff80", "02820001" + "05",
      "0285000000000105", "1f0100", "0205000000",
    ] {
      let bytes = try #require(Hex.decode(text))
      #expect(throws: CryptoError.self, "\(text)") {
        var reader = DERReader(bytes)
        _ = try reader.integer()
        try reader.finish()
      }
    }
    var reader = DERReader([2, 1, 0, 2, 2, 0, 0x80, 2, 1, 0xff])
    #expect(try reader.smallInteger() == 0)
    #expect(try reader.unsigned() == [0x80])
    #expect(throws: CryptoError.self) { try reader.unsigned() }
  }

  @Test func `identifiers have one form`() throws {
    let contents = try #require(Hex.decode("2a864886f70d01010b"))
    #expect(DERReader.ObjectIdentifier(contents: contents)?.contents == contents)
    for bad: [UInt8] in [[], [0x80], [0x80, 1], [1, 0x80, 1], [0x81]] {
      #expect(DERReader.ObjectIdentifier(contents: bad) == nil)
    }
  }

  @Test func `booleans and bit strings have one form`() throws {
    var reader = DERReader([1, 1, 0xff, 1, 1, 0, 3, 2, 0, 7])
    #expect(try reader.boolean())
    #expect(try !reader.boolean())
    #expect(try reader.bitString() == [7])
    for bad: [UInt8] in [[1, 1, 1], [1, 0], [1, 2, 0, 0]] {
      var reader = DERReader(bad)
      #expect(throws: CryptoError.self) { try reader.boolean() }
    }
    for bad: [UInt8] in [[3, 0], [3, 2, 1, 0]] {
      var reader = DERReader(bad)
      #expect(throws: CryptoError.self) { try reader.bitString() }
    }
  }
}
