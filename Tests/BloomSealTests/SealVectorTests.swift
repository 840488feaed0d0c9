import BloomBase
import BloomCrypto
import BloomHPKE
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Fixed inputs and outputs of a whole exchange, for people who write another client.
///
/// `DARKBLOOM_WRITE_VECTORS=1` writes them anew. ECDSA signatures are random, so what carries
/// them is stored and read back, and not compared.
@Suite struct SealVectorTests {
  static let path: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(2)
    return parts.joined(separator: "/") + "/Vectors/seal.txt"
  }()

  @Test func `a fixed exchange has its golden bytes, and the stored answer opens`() throws {
    let machines = [try Fixture(seed: 1), try Fixture(seed: 2)]
    let ephemerals = try (1...2).map {
      try SoftwareKEMKey.derive(
        .p256, keyMaterial: SecretBytes([UInt8](repeating: UInt8($0), count: 33)))
    }
    let envelopeKey = [UInt8](repeating: 0xaa, count: 32)
    let sealed = try RequestSealer.seal(
      Fixture.request(), options: Fixture.options(),
      contexts: ReadyContexts(machines.map(\.target), ephemerals: ephemerals),
      envelopeKey: SecretBytes(envelopeKey), requestNonce: Fixture.digest(0xbb))
    let answer = try Self.answer(machines[0], sealed)

    let fixed: [(String, [UInt8])] = [
      ("node-encryption-key", try Self.publicKey(machines[0])),
      ("other-encryption-key", try Self.publicKey(machines[1])),
      ("node", machines[0].identity.node.digest.bytes),
      ("other-node", machines[1].identity.node.digest.bytes),
      ("receipt-key", machines[0].target.keys.receiptKey.bytes),
      ("ephemeral-scalar-1", ephemerals[0].exposedScalar),
      ("ephemeral-scalar-2", ephemerals[1].exposedScalar),
      ("envelope-key", envelopeKey),
      ("request-nonce", Fixture.digest(0xbb).bytes),
      ("routing", sealed.head.routing.encoded),
      ("canonical-request", Fixture.request().encoded),
      ("envelope", sealed.envelope),
    ]
    let random: [(String, [UInt8])] = [
      ("answer", answer), ("record", machines[0].record.encoded),
    ]
    if ProcessInfo.processInfo.environment["DARKBLOOM_WRITE_VECTORS"] == "1" {
      let lines = (fixed + random).map { "\($0.0) \(Hex.encode($0.1))\n" }
      try lines.joined().write(toFile: Self.path, atomically: true, encoding: .utf8)
    }
    var stored: [String: [UInt8]] = [:]
    for line in try String(contentsOfFile: Self.path, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ")
      let bytes: [UInt8] = try #require(Hex.decode(words[1]))
      stored[String(words[0])] = bytes
    }
    for (name, bytes) in fixed { #expect(stored[name] == bytes, "\(name)") }

    var opener = sealed.opener()
    let events = try opener.receive(try #require(stored["answer"]))
    try opener.end()
    #expect(events.count == 5)
    #expect(
      try NodeRecord(verifying: try #require(stored["record"])).statement == machines[0].statement)
  }

  private static func publicKey(_ machine: Fixture) throws -> [UInt8] {
    machine.target.keys.encryptionKey.bytes
  }

  private static func answer(_ machine: Fixture, _ sealed: SealedRequest) throws -> [UInt8] {
    var opener = machine.opener()
    var sealer = try opener.open(sealed.envelope, at: Fixture.now).answer(
      start: Fixture.now, responseNonce: Fixture.digest(0xcc))
    var output: [UInt8] = []
    try sealer.send([Fixture.frame(1, "Hel"), Fixture.frame(2, "lo")], into: &output)
    _ = try sealer.finish(Fixture.counts(.stop), into: &output)
    return output
  }
}
