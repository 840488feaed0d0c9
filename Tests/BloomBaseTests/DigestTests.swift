import BloomBase
import Testing

@Suite struct DigestTests {
  @Test func `bytes survive, other counts are refused`() {
    let bytes = (0..<32).map { UInt8($0) }
    #expect(Digest(bytes)?.bytes == bytes)
    #expect(Digest(bytes.dropLast()) == nil)
    #expect(Digest(bytes)?.hex == Hex.encode(bytes))
  }

  @Test func `base64 has one text a value`() {
    for count in 0..<40 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
      for alphabet in [Base64.Alphabet.standard, .url] {
        #expect(Base64.decode(Base64.encode(bytes, alphabet), alphabet) == bytes)
      }
    }
    #expect(Base64.encode(Array("fo".utf8)) == "Zm8=")
    for bad in ["Zm9=", "Zm8", "Zm8==", "=", "====", "Zg=a", "Z g="] {
      #expect(Base64.decode(bad) == nil, "\(bad)")
    }
  }

  @Test func `money prints six decimals`() {
    #expect(Micros(-1_500_000).description == "-1.500000")
    #expect(Micros(7).description == "0.000007")
  }
}
