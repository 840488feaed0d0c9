#if os(Linux)
import BloomBase
import BloomCrypto
import BloomHPKE
import BloomModels
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomTestSupport
import BloomWire
import Glibc

/// The real program with the bundled model, started as an agent starts it, as another user when
/// the tests run as root; a client of its own seals requests to it.
final class ServingWorker: Sendable {
  private struct Seen: Sendable {
    var events: [(at: Instant, event: WorkerEvent)] = []
    var isOver = false
  }

  let pid: Int32
  let ready: WorkerReady
  private let child: Subprocess
  private let target: SealTarget
  private let seen = Locked(Seen())
  /// The test's own folder, where a core would be written.
  let folder: String

  static let isRoot = geteuid() == 0
  private static let program = Shell.copy(of: "darkbloom-worker")

  private init(
    _ child: Subprocess, _ ready: WorkerReady, _ target: SealTarget, folder: String
  ) {
    self.child = child
    self.ready = ready
    self.target = target
    self.folder = folder
    pid = child.processID
  }

  /// Starts a worker, vouches for its keys and waits until it may be asked.
  static func start(
    guarded: Bool = true, demanding required: Set<SandboxFact> = SandboxFacts.requiredOfWorker
  ) async throws -> ServingWorker {
    let cache =
      ProcessEnvironment.current["XDG_CACHE_HOME"]
      ?? "\(ProcessEnvironment.current["HOME"] ?? "")/.cache"
    let file = "\(cache)/darkbloom/engine/current/share/models/smollm2-135m-instruct-q4_1.gguf"
    let folder = Shell.run("d=$(mktemp -d /tmp/bloom-worker-XXXXXX); chmod 777 $d; echo $d")
      .filter { !$0.isWhitespace }
    let manifest = try await ModelStore(root: "\(folder)/models").add(file, inPlace: true)
    let weights = unsafe open(file, O_RDONLY)
    guard weights >= 0 else { throw WorkerTestError("run make deps: no bundled model") }
    defer { close(weights) }
    var options = Subprocess.Options(
      "/bin/bash", ["-c", "ulimit -c unlimited 2>/dev/null; exec \(Shell.asUser)\(program)"])
    options.environment = ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]
    options.folder = folder
    options.descriptors = [weights]
    let child = try await Subprocess.start(options)
    let identityKey = try SigningKey.generate(.p256)
    let order = WorkerOrder(
      manifest: manifest.encoded, descriptors: [4],
      node: KeyStatement.nodeID(of: identityKey.verifyingKey), release: .zero,
      contextTokens: 2_048, slots: 2, threads: 1,
      requiredFacts: SandboxFacts(required).names, startsGuard: guarded)
    try await child.send(LengthFraming.framed(WorkerCommand.load(order).encoded))
    var framing = LengthFraming(limit: WorkerLinkLimits.message)
    while let bytes = try await child.receive() {
      framing.append(bytes[...])
      while let message = try framing.next() {
        switch try WorkerEvent(decoding: message) {
        case .ready(let ready):
          let worker = ServingWorker(
            child, ready, try Self.target(ready, identityKey), folder: folder)
          for key in ready.keys {
            try await worker.send(.vouched(key.kid, evidence: Evidence.none.digest))
          }
          Task { await worker.listen(framing) }
          return worker
        case .failed(let text): throw WorkerTestError(text)
        default: continue
        }
      }
    }
    throw WorkerTestError("the worker left before it was ready")
  }

  private static func target(
    _ ready: WorkerReady, _ identityKey: SigningKey
  ) throws -> SealTarget {
    guard let key = ready.keys.first(where: { $0.suite == HPKESuite.p256.bytes }) else {
      throw WorkerTestError("no key of the mandatory suite")
    }
    let now = SystemTime().unixTime()
    let statement = KeyStatement(
      identityKey: identityKey.verifyingKey,
      workers: [
        WorkerKeys(
          suite: .p256, encryptionKey: try KEMPublicKey(.p256, key.encryptionKey),
          receiptKey: try VerifyingKey(.p256, key.receiptKey), model: ready.model)
      ], notBefore: key.madeAt, notAfter: key.madeAt + 3_600, release: .zero,
      evidence: Evidence.none.digest, platform: .none, bootEpoch: 1, paddingProfiles: [.off],
      capacityBucket: 1, sandbox: [],
      engine: SHA256.digest(Array(ready.engineIdentity.utf8)))
    let record = try NodeRecord(
      signedStatement: statement.signed(by: identityKey), evidence: Evidence.none)
    return try SealTarget(
      try TierPolicy(minimum: .software).admit(record, at: now), model: ready.model, at: now)
  }

  private func send(_ command: WorkerCommand) async throws {
    try await child.send(LengthFraming.framed(command.encoded))
  }

  /// Reads on, so that the worker never waits for us.
  private func listen(_ framing: LengthFraming) async {
    var framing = framing
    do {
      while let bytes = try await child.receive() {
        framing.append(bytes[...])
        while let message = try framing.next() {
          let event = try WorkerEvent(decoding: message)
          seen.withLock { $0.events.append((SystemTime().now(), event)) }
        }
      }
    } catch {
      // The end of the channel, whatever its form, is what the tests look for.
    }
    seen.withLock { $0.isOver = true }
  }

  /// Seals a chat and sends it; the answer comes while the caller does something else.
  func ask(_ text: String, tokens: Int) async throws -> SealedRequest {
    let sealed = try RequestSealer.seal(
      try chat(
        [.init("max_tokens", .integer(tokens)), .init("temperature", .integer(0))], text: text),
      options: SealOptions(
        tokenClass: .upTo1024, deadlineMilliseconds: 100_000, padding: .off),
      contexts: ReadyContexts([target]))
    let bytes = sealed.envelope
    try await send(.begin(StreamID(1), byteCount: bytes.count, credit: 1 << 24))
    for start in stride(from: 0, to: bytes.count, by: 65_536) {
      try await send(.chunk(StreamID(1), Array(bytes[start..<min(start + 65_536, bytes.count)])))
    }
    return sealed
  }

  /// Waits for an event of a kind; everything seen until then.
  @discardableResult
  func wait(
    for isWanted: (WorkerEvent) -> Bool
  ) async throws -> [(at: Instant, event: WorkerEvent)] {
    while true {
      let seen = seen.withLock { $0 }
      if let index = seen.events.firstIndex(where: { isWanted($0.event) }) {
        return Array(seen.events[...index])
      }
      if seen.isOver { throw WorkerTestError("the worker left") }
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  /// The sealed bytes of the answer so far.
  var answer: [UInt8] {
    seen.withLock { $0.events }.flatMap { entry -> [UInt8] in
      if case .chunk(_, let bytes) = entry.event { bytes } else { [] }
    }
  }

  /// Closes the channel and waits for the end.
  func stop() async {
    await child.closeChannel()
    _ = try? await child.exit()  // how it ends is not what these tests ask
    _ = Shell.run("rm -rf \(folder)")
  }

  func exit() async throws -> Subprocess.Exit { try await child.exit() }
}

struct WorkerTestError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
#endif
