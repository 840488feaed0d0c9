package import BloomBase
internal import BloomHTTP
package import BloomModels
package import BloomNet

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Fetches a model into the store: checks the room first, resumes, verifies, tries mirror after
/// mirror.
///
/// A download that fails leaves what came, and the next one goes on there. A file has its name only
/// when every byte is right.
package struct ModelDownload: Sendable {
  /// What the owner allows.
  package struct Options: Sendable {
    /// See ``HTTPModelSource``.
    package var mirrors: [String]
    /// Bytes that all models in the store may have together; 0 for no limit.
    package var diskLimitBytes: UInt64 = 0
    /// Bytes that stay free on the disk.
    package var reserveBytes: UInt64 = 1 << 30
    /// Proxy, trust, times.
    package var client = HTTPClient.Configuration()
    /// After a try without a byte.
    package var pause = Duration.milliseconds(500)

    /// Names the mirrors.
    ///
    /// A mirror that falls silent is asked again, or the next one, after twenty seconds.
    package init(mirrors: [String]) {
      self.mirrors = mirrors
      client.responseTimeout = .seconds(20)
      client.bodyTimeout = .seconds(20)
    }
  }

  private let store: ModelStore
  private let options: Options
  private let onProgress: @Sendable (ModelPuller.Progress) -> Void

  /// Creates a download; nothing is opened before ``run(_:)``.
  ///
  /// - Parameters:
  ///   - store: Gets the files.
  ///   - options: What the owner allows.
  ///   - onProgress: Called after each piece; must be quick.
  package init(
    store: ModelStore, options: Options,
    onProgress: @escaping @Sendable (ModelPuller.Progress) -> Void = { _ in }
  ) {
    self.store = store
    self.options = options
    self.onProgress = onProgress
  }

  /// Fetches what is missing of a model.
  ///
  /// - Throws: `ModelsError`: `system` when there is no room or the disk fails, `badSource` when
  ///   every mirror did, `digestMismatch` when none had the right bytes.
  package func run(_ manifest: ModelManifest) async throws(ModelsError) {
    try checkRoom(for: manifest.files, of: manifest.name)
    let client = HTTPClient(options.client)
    defer { client.close() }
    let source = try HTTPModelSource(
      mirrors: options.mirrors, client: client, pause: options.pause)
    try await ModelPuller(store: store, source: source, onProgress: onProgress).pull(manifest)
  }

  /// Fetches one GGUF file from its own URL, which is the only mirror, and describes it.
  ///
  /// - Parameters:
  ///   - sha256: The digest that the file must have; a URL proves nothing.
  ///   - name: The name for clients; the file's own when `nil`.
  /// - Returns: The model's manifest, which is in the store then.
  /// - Throws: `ModelsError` as ``run(_:)``, and `badHeader` when the file is no usable model.
  package func file(
    sha256: Digest, name: String? = nil
  ) async throws(ModelsError) -> ModelManifest {
    let client = HTTPClient(options.client)
    defer { client.close() }
    let source = try HTTPModelSource(
      mirrors: options.mirrors, areFiles: true, client: client, pause: options.pause)
    let path = (try? HTTPURL(options.mirrors[0]))?.target.text.prefix { $0 != "?" }
    let last = path?.split(separator: "/").last.flatMap { PercentCoding.decode($0) }
    let plain = last.flatMap { ModelManifest.isPlainName($0) ? $0 : nil } ?? "weights.gguf"
    let file = ModelManifest.File(
      role: .weights, name: plain, sha256: sha256, byteCount: try await source.byteCount(plain))
    try checkRoom(for: [file], of: plain)
    try await ModelPuller(store: store, source: source, onProgress: onProgress).pull(file)
    return try await store.describe(file, name: name)
  }

  private func checkRoom(
    for files: [ModelManifest.File], of name: String
  ) throws(ModelsError) {
    let missing = missingBytes(files)
    if missing > 0 {
      let free = Self.freeBytes(store.root)
      let wanted = missing + options.reserveBytes
      guard free >= wanted else {
        throw ModelsError(
          .system, "the disk lacks \(Self.mebibytes(wanted - free)) MiB for \(name)")
      }
      if options.diskLimitBytes > 0 {
        let held = try store.list().flatMap(\.files).reduce(into: [Digest: UInt64]()) {
          $0[$1.sha256] = $1.byteCount
        }
        let all = files.reduce(into: held) { $0[$1.sha256] = $1.byteCount }
        let total = all.values.reduce(0, +)
        guard total <= options.diskLimitBytes else {
          throw ModelsError(
            .system,
            "\(name) exceeds limits.disk_mib by "
              + "\(Self.mebibytes(total - options.diskLimitBytes)) MiB")
        }
      }
    }
  }

  /// Bytes that still have to come.
  package func missingBytes(_ files: [ModelManifest.File]) -> UInt64 {
    files.reduce(0) { sum, file in
      switch store.presence(of: file) {
      case .stored, .linked: sum
      case .partial(let count): sum + (file.byteCount > count ? file.byteCount - count : 0)
      case .missing: sum + file.byteCount
      }
    }
  }

  /// Fetches a manifest by its digest from `MIRROR/manifests/HEX`; its bytes prove themselves.
  ///
  /// - Throws: `ModelsError` `badSource` when no mirror has it.
  package func manifest(_ id: ModelID) async throws(ModelsError) -> ModelManifest {
    let client = HTTPClient(options.client)
    defer { client.close() }
    // Refuses mirrors that are not encrypted before any of them is asked.
    _ = try HTTPModelSource(mirrors: options.mirrors, client: client)
    for mirror in options.mirrors where !mirror.contains("{") {
      let base = mirror.hasSuffix("/") ? String(mirror.dropLast()) : mirror
      do {
        let response = try await client.send(.get("\(base)/manifests/\(id.digest.hex)"))
        let bytes = try await response.body.collect(upTo: ModelManifest.Limits.byteCount)
        let manifest = try ModelManifest(decoding: bytes)
        if response.status == .ok, manifest.id == id { return manifest }
      } catch {
        continue  // the next mirror may have it
      }
    }
    throw ModelsError(.badSource, "no mirror has the manifest of \(id)")
  }

  /// Bytes that this user may still write where a path lies; 0 when the system does not say.
  ///
  /// statvfs(3).
  package static func freeBytes(_ path: String) -> UInt64 {
    var facts = statvfs()
    guard unsafe statvfs(path, &facts) == 0 else { return 0 }
    return UInt64(facts.f_bavail) * UInt64(facts.f_frsize)
  }

  private static func mebibytes(_ bytes: UInt64) -> UInt64 { (bytes >> 20) + 1 }
}
