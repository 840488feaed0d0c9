import BloomBase
import Testing

@testable import BloomCrypto

@Suite struct HashTests {
  /// FIPS 180-4 examples for "abc".
  @Test func `hashes give the published values`() {
    let abc = Array("abc".utf8)
    #expect(
      Hex.encode(SHA256.hash(abc))
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(SHA256.digest(abc).bytes == SHA256.hash(abc))
    #expect(
      Hex.encode(SHA384.hash(abc))
        == "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
        + "8086072ba1e7cc2358baeca134c825a7")
    #expect(
      Hex.encode(SHA512.hash(abc))
        == "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        + "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
  }

  @Test func `any cut of the input gives the same hash, and a copy forks it`() {
    let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
    let whole = SHA256.digest(bytes)
    for cut in stride(from: 0, through: 300, by: 13) {
      var state = SHA256()
      state.update(bytes[..<cut])
      var fork = state
      fork.update([0xff])
      let before = state.digest()
      #expect(state.digest() == before)
      state.update(bytes[cut...])
      #expect(state.digest() == whole)
      #expect(fork.digest() != before)
      #expect(SHA256.digest(bytes[..<cut] + [0xff]) == fork.digest())
    }
  }

  @Test func `a digest is fed as its bytes`() {
    let digest = SHA256.digest([1])
    var byValue = SHA256()
    byValue.update(digest)
    #expect(byValue.digest() == SHA256.digest(digest.bytes))
  }

  /// RFC 4231 test cases 1, 2, 6; and an empty key.
  @Test func `HMAC gives the published values`() throws {
    func code(_ key: [UInt8], _ message: String) throws -> String {
      HMAC<SHA256>.digest(key: try SecretBytes(key), message: Array(message.utf8)).hex
    }
    #expect(
      try code([UInt8](repeating: 0x0b, count: 20), "Hi There")
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      try code(Array("Jefe".utf8), "what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      try code(
        [UInt8](repeating: 0xaa, count: 131),
        "Test Using Larger Than Block-Size Key - Hash Key First")
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    #expect(
      try code([], "") == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    var long = HMAC<SHA384>(key: [UInt8](repeating: 0xaa, count: 131).span)
    long.update("Test Using Larger Than Block-Size Key - Hash Key First")
    #expect(
      Hex.encode(long.finalize())
        == "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
        + "0c2ef6ab4030fe8296248df163f44952")
  }

  /// RFC 5869 A.1 and A.3.
  @Test func `HKDF gives the published values`() throws {
    let material = try SecretBytes([UInt8](repeating: 0x0b, count: 22))
    let key = try HKDF.extract(salt: (0...12).map { $0 }, keyMaterial: material)
    #expect(
      Hex.encode(key.exposed())
        == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    let output = try HKDF.expand(key, info: (0xf0...0xf9).map { $0 }, count: 42)
    #expect(
      Hex.encode(output.exposed())
        == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    let unsalted = try HKDF.extract(salt: [], keyMaterial: material)
    let plain = try HKDF.expand(unsalted, info: [], count: 42)
    #expect(
      Hex.encode(plain.exposed())
        == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    for count in [0, 1, 32, 33, 8160] {
      let longer = try HKDF.expand(key, info: [1], count: 8160).exposed()
      #expect(
        try HKDF.expand(key, info: [1], count: count).exposed() == Array(longer.prefix(count)))
    }
  }

  @Test func `secrets do not print and compare by content`() throws {
    let secret = try SecretBytes([1, 2, 3])
    #expect("\(secret)" == "(secret)")
    #expect(String(reflecting: secret) == "(secret)")
    var dumped = ""
    dump(secret, to: &dumped)
    #expect(!dumped.contains("3"))
    #expect(secret.isEqual(to: try SecretBytes([1, 2, 3])))
    #expect(!secret.isEqual(to: try SecretBytes([1, 2, 4])))
    #expect(!secret.isEqual(to: try SecretBytes([1, 2])))
    let first = try SecretBytes.random(count: 32)
    #expect(!first.isEqual(to: try SecretBytes.random(count: 32)))
    #expect(constantTimeEquals([], []))
    #expect(!constantTimeEquals([1], []))
  }

  @Test func `secrets live in the memory they are given, and leave it wiped`() throws {
    let page = TestMemory(byteCount: 64)
    do {
      let secret = try SecretBytes([7, 7, 7, 7], in: page)
      #expect(page.bytes.prefix(4) == [7, 7, 7, 7])
      #expect(secret.exposed() == [7, 7, 7, 7])
      let error = #expect(throws: CryptoError.self) {
        try SecretBytes.random(count: 32, in: page)
      }
      #expect(error?.code == .exhausted)
    }
    #expect(page.bytes.allSatisfy { $0 == 0 })
  }
}

/// One page that gives itself away once at a time.
@safe
final class TestMemory: SecretMemory {
  // Only touched by one test.
  private nonisolated(unsafe) let memory: UnsafeMutableRawBufferPointer
  private let isUsed = Locked(false)

  init(byteCount: Int) {
    unsafe memory = .allocate(byteCount: byteCount, alignment: 16)
    unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe memory.deallocate() }

  var bytes: [UInt8] { unsafe [UInt8](memory) }

  func allocate(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
    let isTaken = isUsed.withLock { (used) in
      defer { used = true }
      return used
    }
    guard !isTaken else { return nil }
    return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
  }

  func deallocate(_ memory: UnsafeMutableRawBufferPointer) {
    isUsed.withLock { (used) in used = false }
  }
}
