import BloomBase
import BloomBench
import BloomCrypto
import BloomHPKE
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import COpenSSL

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

let time = SystemTime()
let now = UnixTime(1_795_000_100)
let model = ModelID(SHA256.digest(Array("model".utf8)))

/// The best of several alternating rounds, in microseconds an iteration: other load only adds.
///
/// `before` prepares each round, outside the clock.
func compare(
  _ rounds: Int, _ iterations: Int, before: () throws -> Void = {}, _ own: () throws -> Void,
  with raw: () -> Void
) rethrows -> (own: Double, raw: Double) {
  var best = (own: Double.infinity, raw: Double.infinity)
  for _ in 0..<rounds {
    try before()
    var start = time.now()
    for _ in 0..<iterations { try own() }
    best.own = min(
      best.own, Double((time.now() - start).wholeNanoseconds) / 1_000 / Double(iterations))
    start = time.now()
    for _ in 0..<iterations { raw() }
    best.raw = min(
      best.raw, Double((time.now() - start).wholeNanoseconds) / 1_000 / Double(iterations))
  }
  return best
}

/// A row with two bounds: microseconds, and 1.3 times the primitives' own cost.
func row(_ name: String, _ own: Double, _ raw: Double, _ peer: String, _ limit: Double)
  -> BenchRow
{
  BenchRow(
    name, value: own, unit: "us", peer: "libcrypto's \(peer) alone", ratio: own / raw,
    target: "<= \(Int(limit)) us and <= 1.3 x", holds: own <= limit && own / raw <= 1.3)
}

/// The process's largest resident size so far, in KiB; getrusage(2) with RUSAGE_SELF.
func residentKibibytes() -> Int {
  var usage = rusage()
  unsafe getrusage(0, &usage)
  return Int(usage.ru_maxrss)
}

/// Contexts in a list, which values that cannot be copied cannot be.
final class Ready {
  private var contexts: ReadyContexts?

  init(_ contexts: consuming ReadyContexts) { self.contexts = consume contexts }

  func take() -> ReadyContexts? { contexts.take() }
}

struct Machine {
  let target: SealTarget
  let secrets: WorkerSecrets
  let identity: WorkerIdentity

  init() throws {
    let identityKey = try SigningKey.generate(.p256)
    secrets = try WorkerSecrets.generate()
    let release = SHA256.digest([1])
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: secrets.encryptionKey.publicKey,
          receiptKey: secrets.receiptKey.verifyingKey, model: model)
      ], notBefore: UnixTime(1_795_000_000), notAfter: UnixTime(1_795_003_600), release: release,
      evidence: Evidence.none.digest, platform: .none, bootEpoch: 1, paddingProfiles: [.padded],
      capacityBucket: 1, sandbox: [], engine: release)
    let record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: .none)
    target = try SealTarget(
      TierPolicy(minimum: .software).admit(record, at: now), model: model, at: now)
    identity = WorkerIdentity(
      node: statement.nodeID, model: model, release: release, engine: release,
      evidence: statement.evidence, notBefore: statement.notBefore, notAfter: statement.notAfter)
  }
}

func run() throws -> [BenchRow] {
  var rows: [BenchRow] = []
  let machines = [try Machine(), try Machine()]
  let targets = machines.map(\.target)
  var generator = SeededGenerator(seed: 1)
  let request = CanonicalRequest(
    kind: .chat, body: .members(["prompt": .string(String(repeating: "word ", count: 1_570))]),
    answer: .init(id: AnswerID(using: &generator), created: now, now: now, seed: 1), salt: "")
  let options = SealOptions(tokenClass: .upTo256, deadlineMilliseconds: 30_000)

  let raw = try RawPrimitives()

  // Contexts and the request's JSON are made outside the clock. A client makes contexts ahead of
  // the request, and encodes a request once for all its envelopes.
  let encoded = EncodedRequest(request)
  var ready: [Ready] = []
  let seal = try compare(
    40, 20, before: { ready = try (0..<20).map { _ in Ready(try ReadyContexts(targets)) } }
  ) {
    if let contexts = ready.popLast()?.take() {
      _ = try RequestSealer.seal(encoded, options: options, contexts: contexts)
    }
  } with: {
    raw.draw()
    raw.schedule()
    raw.seal(8_192, bound: 5)
    raw.hash(8_340)
    for _ in targets { raw.seal(32, bound: 32, ready: true) }
  }
  rows.append(
    row(
      "seal 8 KiB to 2 ready P-256 contexts", seal.own, seal.raw, "RAND, HKDF, AES, SHA-256", 60))

  let sealed = try RequestSealer.seal(request, options: options, contexts: ReadyContexts(targets))
  let worker = machines[0]
  let open = try compare(20, 20) {
    var opener = RequestOpener(secrets: worker.secrets, identity: worker.identity)
    _ = try opener.open(sealed.envelope, at: now)
  } with: {
    raw.agree()
    raw.exchange()
    raw.hash(65)
    raw.hash(8_340)
    raw.seal(32, bound: 32, ready: true)
    raw.schedule()
    raw.open(8_192, bound: 5)
    raw.code(8_000)
  }
  rows.append(row("open 8 KiB, P-256", open.own, open.raw, "ECDH, HKDF, AES, SHA-256", 600))

  var opener = RequestOpener(secrets: worker.secrets, identity: worker.identity)
  var sealer = try opener.open(sealed.envelope, at: now).answer(start: now)
  let frame = Frame.tokens(TokenFrame(tokens: [7], deltas: [.content("token")]))
  let frameByteCount = frame.encoded.count
  var output: [UInt8] = []
  output.reserveCapacity(1 << 20)
  try sealer.send([frame], into: &output)
  var commitment = SHA256_CTX()
  unsafe SHA256_Init(&commitment)
  let chunkSeal = try compare(10, 5_000) {
    output.removeAll(keepingCapacity: true)
    try sealer.send([frame], into: &output)
  } with: {
    raw.absorb(&commitment, frameByteCount)
    raw.seal(512, bound: 0)
    raw.hash(32 + 528)
  }
  rows.append(row("seal a chunk of 512 B", chunkSeal.own, chunkSeal.raw, "AES, SHA-256", 4))

  let second = try RequestSealer.seal(request, options: options, contexts: ReadyContexts(targets))
  var source = try opener.open(second.envelope, at: now).answer(start: now)
  var client = second.opener()
  var pieces: [[UInt8]] = []
  for _ in 0..<20_000 {
    var piece: [UInt8] = []
    try source.send([frame], into: &piece)
    pieces.append(piece)
  }
  var next = 0
  let chunkOpen = try compare(10, 2_000) {
    try client.receive(pieces[next]) { _ in }
    next += 1
  } with: {
    raw.absorb(&commitment, frameByteCount)
    raw.open(512, bound: 0)
    raw.hash(32 + 528)
  }
  rows.append(row("open a chunk of 512 B", chunkOpen.own, chunkOpen.raw, "AES, SHA-256", 4))

  // The content's own encoding, which is in both rows above and in neither peer.
  let encodedFrame = frame.encoded
  let codec = try compare(10, 5_000) {
    guard frame.encoded.count == frameByteCount else { throw CryptoError(.backend, "a frame") }
  } with: {
    guard (try? Frame(decoding: encodedFrame)) == frame else { fatalError("a frame is lost") }
  }
  rows.append(BenchRow("of which writing the frame", value: codec.own, unit: "us"))
  rows.append(BenchRow("of which reading the frame", value: codec.raw, unit: "us"))

  let counts = ReceiptCounts(promptTokens: 12, end: now, sampling: Digest.zero)
  let receipt = try compare(10, 50) {
    output.removeAll(keepingCapacity: true)
    let receipt = try sealer.receipt(counts, into: &output)
    _ = try Receipt(verifying: receipt.encoded, key: worker.target.keys.receiptKey)
  } with: {
    raw.hash(96)
    raw.hash(640)
    raw.hash(640)
    raw.signAndVerify()
    raw.seal(1_024, bound: 0)
    raw.hash(32 + 1_040)
  }
  rows.append(row("sign and verify a receipt", receipt.own, receipt.raw, "ECDSA P-256", 250))

  // Both sides, a million chunks: what is kept of an answer does not grow with it.
  let third = try RequestSealer.seal(request, options: options, contexts: ReadyContexts(targets))
  var long = try opener.open(third.envelope, at: now).answer(start: now)
  var reader = third.opener()
  var before = 0
  for index in 0..<1_000_000 {
    output.removeAll(keepingCapacity: true)
    try long.send([frame], into: &output)
    try reader.receive(output) { _ in }
    // The window of remembered transcripts fills first.
    if index == 20_000 { before = residentKibibytes() }
  }
  let growth = residentKibibytes() - before
  rows.append(
    BenchRow(
      "memory growth over a million chunks, both sides", value: Double(growth), unit: "KiB",
      target: "<= 64 KiB", holds: growth <= 64))
  return rows
}

BenchReport.finish(area: "seal", rows: try run())
