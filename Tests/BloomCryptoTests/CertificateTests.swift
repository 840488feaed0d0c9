import BloomBase
import BloomWire
import Testing

@testable import BloomCrypto

@Suite struct CertificateTests {
  private func certificates(_ value: JSONValue?) throws -> [Certificate] {
    try (value?.items ?? []).map { item in
      let text = try #require(item.string)
      let der = try #require(Base64.decode(text))
      return try Certificate(der: der)
    }
  }

  @Test func `paths are accepted and refused as RFC 5280 says`() throws {
    let file = try Vectors.json("x509/paths.json")
    let cases = try #require(file["cases"]?.items)
    #expect(cases.count > 25)
    for item in cases {
      let name = try #require(item["name"]?.string)
      let leaf = try Certificate(der: item.base64("leaf"))
      let intermediates = try certificates(item["intermediates"])
      let roots = try certificates(item["roots"])
      let time = UnixTime(try #require(item["at"]?.integer))
      let isExpected = item["ok"] == .bool(true)
      do throws(CryptoError) {
        let path = try CertificatePath.verify(
          leaf, intermediates: intermediates, roots: roots, at: time)
        #expect(isExpected, "\(name)")
        #expect(path.first == leaf)
        #expect(path.last.map(roots.contains) == true)
      } catch {
        #expect(!isExpected, "\(name): \(error.publicDescription)")
        #expect(error.code == .refused)
      }
    }
  }

  @Test func `every flipped bit of a leaf is refused`() throws {
    let file = try Vectors.json("x509/paths.json")
    let item = try #require(file["cases"]?.items?.first)
    let der = try item.base64("leaf")
    let intermediates = try certificates(item["intermediates"])
    let roots = try certificates(item["roots"])
    let time = UnixTime(try #require(item["at"]?.integer))
    for bit in stride(from: 0, to: der.count * 8, by: 5) {
      var changed = der
      changed[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CryptoError.self, "bit \(bit)") {
        _ = try CertificatePath.verify(
          Certificate(der: changed), intermediates: intermediates, roots: roots, at: time)
      }
    }
    for count in 0..<der.count {
      #expect(throws: CryptoError.self) { try Certificate(der: Array(der.prefix(count))) }
    }
    #expect(throws: CryptoError.self) { try Certificate(der: der + [0]) }
  }

  @Test func `AMD's chain verifies: RSA-PSS with SHA-384 over P-384`() throws {
    let leaf = try Certificate(der: Vectors.bytes("amd-sev-snp/milan-1.vcek.der"))
    let middle = try Certificate.certificates(pem: Vectors.bytes("amd-sev-snp/milan-ask.pem"))
    let roots = try Certificate.certificates(pem: Vectors.bytes("amd-sev-snp/milan-ark.pem"))
    #expect(roots[0].fingerprint.hex.hasPrefix("69d063b4"))
    let time = UnixTime(1_704_067_200)
    let path = try CertificatePath.verify(leaf, intermediates: middle, roots: roots, at: time)
    #expect(path.count == 3)
    #expect(try leaf.publicKey().kind == .p384)
    #expect(try roots[0].publicKey().kind == .rsa)
    #expect(leaf[[1, 3, 6, 1, 4, 1, 3704, 1, 4]]?.value.count == 64)
    #expect(throws: CryptoError.self) {
      try CertificatePath.verify(
        leaf, intermediates: middle, roots: roots, at: UnixTime(2_000_000_000))
    }
    #expect(throws: CryptoError.self) {
      try CertificatePath.verify(leaf, intermediates: [], roots: roots, at: time)
    }
  }

  @Test func `NVIDIA's chain verifies: P-384 in five steps`() throws {
    let chain = try Certificate.certificates(pem: Vectors.bytes("nvidia/hopper-1.chain.pem"))
    let roots = try Certificate.certificates(
      pem: Vectors.bytes("nvidia/NVIDIA_Device_Identity_CA.pem"))
    #expect(chain.count == 5)
    let path = try CertificatePath.verify(
      chain[0], intermediates: Array(chain.dropFirst()), roots: roots,
      at: UnixTime(1_767_225_600))
    #expect(path.last == roots[0])
  }

  @Test func `Google's TPM certificates verify, with critical subjectAltName and empty subject`()
    throws
  {
    let time = UnixTime(1_672_531_200)
    func der(_ names: [String]) throws -> [Certificate] {
      try names.map { try Certificate(der: Vectors.bytes("tpm/\($0)")) }
    }
    let helpers = try der([
      "gcp_ek_ak_ca_intermediate_v3.crt", "tpm_ek_intermediate_2.crt", "tpm_ek_intermediate_3.crt",
    ])
    let roots = try der(["gcp_ek_ak_ca_root.crt", "tpm_ek_root_1.cer"])
    for name in ["uca_tpm_ecc_sign_cert.pem", "pca_tpm_rsa_sign_cert.pem"] {
      let leaf = try Certificate.certificates(pem: Vectors.bytes("tpm/\(name)"))[0]
      let path = try CertificatePath.verify(
        leaf, intermediates: helpers, roots: roots, at: time)
      #expect(path.last.map(roots.contains) == true, "\(name)")
    }
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

  @Test func `identifiers have one form and print with dots`() throws {
    let identifier: DERReader.ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 11]
    #expect(Hex.encode(identifier.contents) == "2a864886f70d01010b")
    #expect(identifier.description == "1.2.840.113549.1.1.11")
    #expect(DERReader.ObjectIdentifier(contents: identifier.contents) == identifier)
    for bad: [UInt8] in [[], [0x80], [0x80, 1], [1, 0x80, 1], [0x81]] {
      #expect(DERReader.ObjectIdentifier(contents: bad) == nil)
    }
    #expect(DERReader.ObjectIdentifier(contents: [0x88, 0x37])?.description == "2.999")
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
