import BloomBase
import BloomCrypto
import BloomModels
import Testing

@Suite struct ModelPullerTests {
  /// A source in memory that breaks off, lies or stops, attempt by attempt.
  final class Source: ModelSource {
    enum Behaviour: Sendable { case whole, cut(Int), wrong, tooLong }
    let bytes: [UInt8]
    let script: Locked<[Behaviour]>
    let offsets = Locked<[UInt64]>([])

    init(_ bytes: [UInt8], _ script: [Behaviour]) {
      self.bytes = bytes
      self.script = Locked(script)
    }

    func fetch(
      _ file: ModelManifest.File, from offset: UInt64,
      receive: (ArraySlice<UInt8>) async throws(ModelsError) -> Void
    ) async throws(ModelsError) {
      offsets.withLock { $0.append(offset) }
      let behaviour = script.withLock { $0.isEmpty ? .whole : $0.removeFirst() }
      var rest = bytes[Int(offset)...]
      switch behaviour {
      case .whole: break
      case .cut(let count): rest = rest.prefix(count)
      case .wrong: rest = (Array(rest.dropLast()) + [rest.last.map { $0 ^ 1 } ?? 0])[...]
      case .tooLong: rest = (Array(rest) + [1])[...]
      }
      while !rest.isEmpty {
        try await receive(rest.prefix(50))
        rest = rest.dropFirst(50)
      }
      if case .cut = behaviour { throw ModelsError(.badSource, "cut") }
    }
  }

  private func manifest(_ bytes: [UInt8]) -> ModelManifest {
    ModelManifest(
      name: "m", kind: .chat,
      files: [
        .init(
          role: .weights, name: "m.gguf", sha256: SHA256.digest(bytes),
          byteCount: UInt64(bytes.count))
      ], licence: "", contextTokens: 0, weightBytes: 0, contextBytesPerToken: 0)
  }

  private let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

  @Test func `a broken download goes on where it stopped`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let source = Source(bytes, [.cut(120), .cut(300)])
    let manifest = manifest(bytes)
    let seen = Locked<[UInt64]>([])
    try await ModelPuller(store: store, source: source) { progress in
      seen.withLock { $0.append(progress.byteCount) }
    }.pull(manifest)
    #expect(source.offsets.withLock { $0 } == [0, 120, 420])
    #expect(seen.withLock { $0.last } == 1000)
    try await store.verify(manifest)
    #expect(try store.list() == [manifest])
  }

  @Test func `wrong bytes never get a name`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let source = Source(bytes, [.wrong, .wrong, .wrong, .wrong, .wrong])
    let manifest = manifest(bytes)
    await #expect(throws: ModelsError.self) {
      try await ModelPuller(store: store, source: source).pull(manifest)
    }
    #expect(!store.isComplete(manifest))
    #expect(try store.list().isEmpty)
    // One honest attempt afterwards succeeds, whatever is left of the lie.
    try await ModelPuller(store: store, source: Source(bytes, [])).pull(manifest)
    try await store.verify(manifest)
  }

  @Test func `bytes beyond the size are refused and the file is still right`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let source = Source(bytes, [.tooLong])
    try await ModelPuller(store: store, source: source).pull(manifest(bytes))
    try await store.verify(manifest(bytes))
  }

  @Test func `one lie does not spoil a pull`() async throws {
    let folder = try TemporaryFolder()
    let store = try ModelStore(root: folder.path)
    let source = Source(bytes, [.wrong])
    try await ModelPuller(store: store, source: source).pull(manifest(bytes))
    #expect(source.offsets.withLock { $0 } == [0, 0])
  }
}
