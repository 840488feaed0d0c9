import BloomBase
import BloomCrypto
import BloomModels
import Testing

@Suite struct ModelStoreTests {
  let folder: TemporaryFolder
  let store: ModelStore

  init() throws {
    folder = try TemporaryFolder()
    store = try ModelStore(root: "\(folder.path)/store")
  }

  @Test func `an added file is listed, verified and removed`() async throws {
    let bytes = GGUFFile.sample()
    let path = try folder.write(bytes, "Sample Model-Q8_0.gguf")
    let manifest = try await store.add(path)
    #expect(manifest.name == "sample-model-q8_0")
    #expect(manifest.kind == .chat)
    #expect(manifest.licence == "apache-2.0")
    #expect(manifest.contextTokens == 2048)
    #expect(manifest.files.map(\.sha256) == [SHA256.digest(bytes)])
    #expect(try store.list() == [manifest])
    #expect(try store.manifest(manifest.id) == manifest)
    #expect(try store.manifest(named: "sample-model-q8_0") == manifest)
    #expect(store.isComplete(manifest))
    try await store.verify(manifest)
    #expect(try store.remove(manifest.id) == UInt64(bytes.count))
    #expect(try store.list().isEmpty)
    #expect(store.presence(of: manifest.files[0]) == .missing)
    #expect(throws: ModelsError.self) { try store.manifest(manifest.id) }
  }

  @Test func `a file that changed fails verification`() async throws {
    let path = try folder.write(GGUFFile.sample(), "a.gguf")
    let manifest = try await store.add(path, inPlace: true)
    #expect(store.presence(of: manifest.files[0]) == .linked)
    try await store.verify(manifest)
    var changed = GGUFFile.sample()
    changed[changed.count - 1] ^= 1
    _ = try folder.write(changed, "a.gguf")
    await #expect(throws: ModelsError(.digestMismatch, "a.gguf")) {
      try await store.verify(manifest)
    }
  }

  @Test func `a model in place is linked, and removing it leaves the file`() async throws {
    let path = try folder.write(GGUFFile.sample(), "a.gguf")
    let manifest = try await store.add(path, name: "mine", inPlace: true)
    #expect(try store.remove(manifest.id) == 0)
    #expect(try await store.add(path, name: "mine") == manifest)
  }

  @Test func `two models share a file until both are gone`() async throws {
    let path = try folder.write(GGUFFile.sample(), "a.gguf")
    let first = try await store.add(path, name: "one")
    let second = try await store.add(path, name: "two")
    #expect(first.id != second.id)
    try store.remove(first.id)
    try await store.verify(second)
    try store.remove(second.id)
    #expect(store.presence(of: second.files[0]) == .missing)
  }

  @Test func `what is no model leaves nothing behind`() async throws {
    let path = try folder.write(Array("hello".utf8), "a.gguf")
    await #expect(throws: ModelsError.self) { try await store.add(path) }
    await #expect(throws: ModelsError.self) { try await store.add("\(folder.path)/absent.gguf") }
    await #expect(throws: ModelsError.self) { try await store.add(folder.path) }
    #expect(try store.list().isEmpty)
  }

  @Test func `a damaged manifest is not listed`() async throws {
    let path = try folder.write(GGUFFile.sample(), "a.gguf")
    let manifest = try await store.add(path)
    _ = try folder.write(
      Array(manifest.encoded.dropLast()), "store/manifests/\(manifest.id.digest.hex)")
    #expect(try store.list().isEmpty)
    #expect(throws: ModelsError.self) { try store.manifest(manifest.id) }
  }

  @Test func `models of other programs are found in place`() async throws {
    let bytes = GGUFFile.sample()
    let digest = SHA256.digest(bytes)
    folder.make("ollama/manifests/registry.example/library/small")
    folder.make("ollama/blobs")
    folder.make("llama.cpp")
    let json = """
      {"schemaVersion":2,"layers":[
        {"mediaType":"application/vnd.ollama.image.license","digest":"sha256:00"},
        {"mediaType":"application/vnd.ollama.image.model","digest":"sha256:\(digest.hex)"}]}
      """
    _ = try folder.write(
      Array(json.utf8), "ollama/manifests/registry.example/library/small/135m")
    _ = try folder.write(
      Array("not json".utf8), "ollama/manifests/registry.example/library/small/bad")
    _ = try folder.write(bytes, "ollama/blobs/sha256-\(digest.hex)")
    _ = try folder.write(bytes, "llama.cpp/Other_Model.gguf")
    _ = try folder.write([], "llama.cpp/notes.txt")
    let found = ForeignCache.ollama(root: "\(folder.path)/ollama")
    #expect(found.map(\.name) == ["small:135m"])
    #expect(found.first?.statedDigest == digest)
    #expect(ForeignCache.llama(root: "\(folder.path)/llama.cpp").map(\.name) == ["other_model"])
    #expect(ForeignCache.ollama(root: "\(folder.path)/absent").isEmpty)
    let entry = try #require(found.first)
    let manifest = try await store.add(entry)
    #expect(manifest.name == "small:135m")
    #expect(manifest.files[0].sha256 == digest)
    #expect(store.presence(of: manifest.files[0]) == .linked)
    // The other program's file was changed meanwhile.
    try store.remove(manifest.id)
    _ = try folder.write(GGUFFile.sample(tail: 65), "ollama/blobs/sha256-\(digest.hex)")
    await #expect(throws: ModelsError.self) { try await store.add(entry) }
    #expect(try store.list().isEmpty)
  }

  @Test func `the Hugging Face cache gives each file once`() throws {
    for revision in ["aaa", "bbb"] {
      folder.make("hub/models--org--name/snapshots/\(revision)/sub")
      _ = try folder.write(
        GGUFFile.sample(), "hub/models--org--name/snapshots/\(revision)/sub/Small-Q8.gguf")
    }
    folder.make("hub/datasets--org--x/snapshots/a")
    _ = try folder.write(GGUFFile.sample(), "hub/datasets--org--x/snapshots/a/no.gguf")
    _ = try folder.write([1], "hub/models--org--name/snapshots/aaa/config.json")
    let found = ForeignCache.huggingFace(root: "\(folder.path)/hub")
    #expect(found.map(\.name) == ["small-q8"])
    #expect(ForeignCache.huggingFace(root: "\(folder.path)/absent").isEmpty)
  }
}
