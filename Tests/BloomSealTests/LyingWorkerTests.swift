import BloomBase
import BloomCrypto
import BloomHPKE
import BloomOpen
import BloomRecords
import BloomSeal
import BloomWire
import Testing

/// A worker that holds all its keys and lies in its receipts: the client and the coordinator see it.
@Suite struct LyingWorkerTests {
  /// The honest claims of a first receipt after one chunk, the sealed chunk before it, the cipher.
  struct Worker: ~Copyable {
    let machine: Fixture
    let sealed: SealedRequest
    var output: [UInt8]
    var claims: ReceiptClaims
    private var cipher: ChunkCipher

    init() throws {
      let machine = try Fixture()
      let sealed = try machine.seal(Fixture.request(), .off)
      let prefix = try #require(try EnvelopePrefix.read(sealed.envelope))
      let candidate = prefix.candidates[0]
      let recipient = try HPKERecipient(
        encapsulatedKey: candidate.encapsulatedKey, key: machine.secrets.encryptionKey,
        suite: .p256, info: WrapInfo.bytes(node: candidate.node, key: candidate.key))
      let nonce = Fixture.digest(0x55)
      var cipher = try ChunkCipher(
        answerSecret: recipient.export(Labels.response, count: 32),
        encapsulatedKey: candidate.encapsulatedKey, responseNonce: nonce)
      let commitKey = try recipient.export(Labels.commit, count: 32)
      var output =
        AnswerPreamble(node: candidate.node, key: candidate.key, responseNonce: nonce).encoded
      let frame = Fixture.frame(1, "a").encoded
      var transcript = Transcript(responseNonce: nonce)
      let start = try Self.chunk([frame], &cipher, &output)
      transcript.append(endOf: output, from: start)
      let identity = machine.identity
      let claims = ReceiptClaims(
        node: identity.node, key: candidate.key, requestNonce: prefix.head.requestNonce,
        requestCommitment: HMAC<SHA256>.digest(key: commitKey, message: Fixture.request().encoded),
        transcript: transcript.digest,
        framesCommitment: HMAC<SHA256>.digest(key: commitKey, message: frame),
        model: identity.model, release: identity.release, engine: identity.engine,
        promptTokens: 12, replayedTokens: 0, completionTokens: 1, finish: nil, start: Fixture.now,
        end: Fixture.now + 1, sampling: Fixture.digest(1), fingerprint: nil,
        evidence: identity.evidence, answer: Fixture.answer, part: 0, mode: .whole, chunks: 1)
      self.machine = machine
      self.sealed = sealed
      self.output = output
      self.claims = claims
      self.cipher = cipher
    }

    /// Sends a receipt signed by the real key and gives what the client makes of it.
    mutating func client(
      sees change: (inout ReceiptClaims) -> Void
    ) throws -> Result<[AnswerEvent], SealError> {
      change(&claims)
      let receipt = try Receipt(signing: claims, signer: SignerBox(machine.secrets.receiptKey))
      _ = try Self.chunk([Frame.receipt(receipt.encoded).encoded], &cipher, &output)
      var opener = sealed.opener()
      do throws(SealError) { return .success(try opener.receive(output)) } catch {
        return .failure(error)
      }
    }

    private static func chunk(
      _ frames: [[UInt8]], _ cipher: inout ChunkCipher, _ output: inout [UInt8]
    ) throws -> Int {
      var plaintext: [UInt8] = []
      for frame in frames { FrameDecoder.append(frame: frame, to: &plaintext) }
      ChunkFraming.appendPrefix(
        sealedByteCount: plaintext.count + 16, isFinal: false, to: &output)
      let start = output.count
      output += plaintext
      try cipher.seal(endOf: &output, from: start, isFinal: false)
      return start
    }
  }

  /// Opens the existential for the generic signer.
  struct SignerBox: MessageSigner {
    let signer: any MessageSigner
    init(_ signer: any MessageSigner) { self.signer = signer }
    var verifyingKey: VerifyingKey { signer.verifyingKey }
    func sign(_ message: [UInt8]) throws(CryptoError) -> [UInt8] { try signer.sign(message) }
  }

  @Test func `an honest receipt is taken`() throws {
    var worker = try Worker()
    let events = try worker.client { _ in }.get()
    #expect(events.count == 3)
  }

  static let lies: [(String, @Sendable (inout ReceiptClaims) -> Void)] = [
    ("node", { $0.node = NodeID(Fixture.digest(9)) }),
    ("key", { $0.key = KeyID(9) }),
    ("request nonce", { $0.requestNonce = Fixture.digest(9) }),
    ("request commitment", { $0.requestCommitment = Fixture.digest(9) }),
    ("transcript", { $0.transcript = Fixture.digest(9) }),
    ("transcript", { $0.chunks = 2 }),
    ("frames commitment", { $0.framesCommitment = Fixture.digest(9) }),
    ("model", { $0.model = ModelID(Fixture.digest(9)) }),
    ("release", { $0.release = Fixture.digest(9) }),
    ("engine", { $0.engine = Fixture.digest(9) }),
    ("evidence", { $0.evidence = Fixture.digest(9) }),
    ("completion tokens", { $0.completionTokens = 2 }),
    ("completion tokens", { $0.completionTokens = 257 }),
    ("prompt tokens", { $0.promptTokens = 100_000 }),
    ("replayed tokens", { $0.replayedTokens = 1 }),
    ("times", { $0.end = UnixTime(1) }),
    ("part", { $0.part = 1 }),
    ("mode", { $0.mode = .exact }),
  ]

  @Test(arguments: lies.indices)
  func `each lie in a receipt is named`(index: Int) throws {
    var worker = try Worker()
    let (field, lie) = Self.lies[index]
    let result = try worker.client(sees: lie)
    #expect(throws: SealError.record(.receiptMismatch(field))) { try result.get() }
  }

  @Test func `a receipt by another key is refused`() throws {
    let worker = try Worker()
    let receipt = try Receipt(signing: worker.claims, signer: SigningKey.generate(.p256))
    let key = worker.machine.target.keys.receiptKey
    #expect(throws: RecordError.self) { try receipt.verify(key) }
  }

  @Test func `routing that contradicts the content is answered with a sealed error`() throws {
    let machine = try Fixture()
    let sealed = try machine.seal(Fixture.request(part: 1))
    var opener = machine.opener()
    let opened = try opener.open(sealed.envelope, at: Fixture.now)
    #expect(try opened.content.get().part == 1)
    #expect(opened.routing.part == 1)
    // A worker of another model with the same keys: the head names a model it has not loaded.
    var identity = machine.identity
    identity.model = ModelID(Fixture.digest(9))
    var other = RequestOpener(secrets: machine.secrets, identity: identity)
    let wrong = try other.open(sealed.envelope, at: Fixture.now)
    #expect(throws: SealedError.self) { try wrong.content.get() }
  }
}
