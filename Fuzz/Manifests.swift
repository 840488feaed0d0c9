import BloomModels

/// A model's manifest is named by the digest of its bytes, so it has one encoding.
func fuzz(_ input: [UInt8]) {
  requireOneEncoding(input, "a manifest has two encodings") {
    try? ModelManifest(decoding: $0).encoded
  }
  guard let manifest = try? ModelManifest(decoding: input) else { return }
  require(manifest.memoryBytes(contextTokens: .max) >= manifest.weightBytes, "memory wraps around")
  require(
    manifest.files.allSatisfy { !$0.name.isEmpty && !$0.name.contains("/") }, "a name is a path")
}
