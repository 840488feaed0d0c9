import BloomBase
import BloomModels
import Testing

@Suite struct ModelManifestTests {
  private var manifest: ModelManifest {
    ModelManifest(
      name: "m", kind: .chat,
      files: [
        .init(role: .weights, name: "m.gguf", sha256: .zero, byteCount: 9),
        .init(role: .projector, name: "p.gguf", sha256: .zero, byteCount: 8),
      ], licence: "MIT", contextTokens: 4096, weightBytes: 17, contextBytesPerToken: 4,
      inputs: [.image])
  }

  @Test func `equal manifests have one identity and other manifests another`() throws {
    #expect(try ModelManifest(decoding: manifest.encoded) == manifest)
    var other = manifest
    other.licence = "mit"
    #expect(other.id != manifest.id)
    #expect(manifest.memoryBytes(contextTokens: 10) == 57)
    other.contextBytesPerToken = .max
    #expect(other.memoryBytes(contextTokens: 10) == .max)
  }

  @Test func `cut and changed manifests are errors or other manifests, never traps`() {
    let bytes = manifest.encoded
    for count in 0..<bytes.count {
      #expect(throws: ModelsError.self) { try ModelManifest(decoding: Array(bytes[..<count])) }
    }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        // Canonical form: what is accepted encodes to the very bytes that were read.
        if let read = try? ModelManifest(decoding: changed) { #expect(read.encoded == changed) }
      }
    }
  }

  @Test(arguments: ["", ".hidden", "a/b", "..", "a\\b", "a\nb"])
  func `file names that could leave their folder are refused`(name: String) {
    var bad = manifest
    bad.files[0].name = name
    #expect(throws: ModelsError.self) { try ModelManifest(decoding: bad.encoded) }
  }

  @Test func `weights come first`() {
    var bad = manifest
    bad.files.swapAt(0, 1)
    #expect(throws: ModelsError.self) { try ModelManifest(decoding: bad.encoded) }
    bad.files = []
    #expect(throws: ModelsError.self) { try ModelManifest(decoding: bad.encoded) }
  }
}
