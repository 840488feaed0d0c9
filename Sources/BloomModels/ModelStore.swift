public import BloomBase

/// Model files on disk, named by their digests, and the manifests that say what they are.
///
/// ```
/// ROOT/blobs/sha256-HEX        a file, or a link into another program's cache
/// ROOT/manifests/HEX           a manifest; HEX is its own digest
/// ROOT/partial/sha256-HEX      a download that is not complete
/// ```
/// Names appear only after their bytes are complete, by rename(2), so a crash leaves no half file
/// under a digest. One process writes at a time; readers need no lock.
public struct ModelStore: Sendable {
  /// The folder.
  public let root: String
  private let hasher: FileHasher

  /// Opens a store and makes its folders.
  ///
  /// - Parameter root: An absolute path, usually `~/.cache/darkbloom/models`.
  /// - Throws: ``ModelsError`` `system`.
  public init(root: String) throws(ModelsError) {
    self.root = root
    hasher = FileHasher()
    for folder in ["", "/blobs", "/manifests", "/partial"] { try Folder.make(root + folder) }
  }

  /// How a file of a manifest lies in the store.
  public enum Presence: Equatable, Sendable {
    /// The whole file is there.
    case stored
    /// A link into another program's cache whose file is there.
    case linked
    /// So many bytes of it were fetched.
    case partial(byteCount: UInt64)
    /// Nothing of it is there.
    case missing
  }

  /// Adds a GGUF file from anywhere on this machine.
  ///
  /// - Parameters:
  ///   - path: The file; it is copied, or linked to in place.
  ///   - name: The name for clients; the file's own name without its ending when `nil`.
  ///   - inPlace: Links to the file instead of copying it: nothing is copied or moved, and the
  ///     model is gone when the other program removes the file.
  /// - Returns: The model's manifest.
  /// - Throws: ``ModelsError``; nothing is left behind then.
  public func add(
    _ path: String, name: String? = nil, inPlace: Bool = false
  ) async throws(ModelsError) -> ModelManifest {
    let header = try await hasher.header(of: path)
    let digest: Digest
    let byteCount: UInt64
    if inPlace {
      (digest, byteCount) = try await hasher.digest(of: path)
      try Folder.link(try Folder.absolute(path), at: blobPath(digest))
    } else {
      let target = "\(root)/partial/add-\(Folder.processID)-\(Folder.lastPart(path))"
      do throws(ModelsError) {
        (digest, byteCount) = try await hasher.copy(path, to: target)
        try Folder.rename(target, to: blobPath(digest))
      } catch {
        Folder.remove(target)
        throw error
      }
    }
    let fileName = Folder.lastPart(path)
    let manifest = ModelManifest.describing(
      header, name: name ?? ModelManifest.plainName(fileName), fileName: fileName, sha256: digest,
      byteCount: byteCount)
    try write(manifest)
    return manifest
  }

  /// Adds a model that another program has on this machine, in place.
  ///
  /// - Parameters:
  ///   - entry: From ``ForeignCache``.
  ///   - name: The name for clients; the other program's when `nil`.
  /// - Returns: The model's manifest.
  /// - Throws: ``ModelsError``; `digestMismatch` when the file is not the one that program states.
  ///   Nothing is left behind then.
  public func add(
    _ entry: ForeignCache.Entry, name: String? = nil
  ) async throws(ModelsError) -> ModelManifest {
    if let stated = entry.statedDigest {
      let (digest, _) = try await hasher.digest(of: entry.path)
      guard digest == stated else { throw ModelsError(.digestMismatch, entry.name) }
    }
    return try await add(entry.path, name: name ?? entry.name, inPlace: true)
  }

  /// Describes a file that the store has already, from its header.
  ///
  /// - Parameters:
  ///   - file: A stored file.
  ///   - name: The name for clients; the file's own name without its ending when `nil`.
  /// - Returns: The model's manifest, which is in the store then.
  /// - Throws: ``ModelsError`` `badHeader`; a file that no other model uses is gone then.
  public func describe(
    _ file: ModelManifest.File, name: String? = nil
  ) async throws(ModelsError) -> ModelManifest {
    do throws(ModelsError) {
      let manifest = ModelManifest.describing(
        try await hasher.header(of: path(of: file)),
        name: name ?? ModelManifest.plainName(file.name),
        fileName: file.name, sha256: file.sha256, byteCount: file.byteCount)
      try write(manifest)
      return manifest
    } catch {
      if try list().allSatisfy({ !$0.files.contains { $0.sha256 == file.sha256 } }) {
        Folder.remove(blobPath(file.sha256))
      }
      throw error
    }
  }

  /// Downloads that were broken off: how many files, and their bytes.
  public func unfinished() throws(ModelsError) -> (count: Int, byteCount: UInt64) {
    let sizes = try Folder.names("\(root)/partial").compactMap { name in
      Folder.byteCount("\(root)/partial/\(name)")
    }.filter { $0 > 0 }
    return (sizes.count, sizes.reduce(0, +))
  }

  /// Removes what broken downloads left; one that runs fails.
  ///
  /// - Returns: The bytes set free.
  @discardableResult
  public func removeUnfinished() throws(ModelsError) -> UInt64 {
    let freed = try unfinished().byteCount
    for name in try Folder.names("\(root)/partial") { Folder.remove("\(root)/partial/\(name)") }
    return freed
  }

  /// The manifests in the store, by name; unreadable ones are left out.
  public func list() throws(ModelsError) -> [ModelManifest] {
    var manifests: [ModelManifest] = []
    for name in try Folder.names("\(root)/manifests") {
      guard let digest = Digest(Hex.decode(name) ?? []) else { continue }
      // A manifest that was damaged is reported by `verify`; a list shows what can be used.
      if let manifest = try? manifest(ModelID(digest)) { manifests.append(manifest) }
    }
    return manifests.sorted { ($0.name, $0.id) < ($1.name, $1.id) }
  }

  /// Reads a manifest and checks it against its digest.
  public func manifest(_ id: ModelID) throws(ModelsError) -> ModelManifest {
    guard
      let bytes = try Folder.contents(
        manifestPath(id), limitBytes: ModelManifest.Limits.byteCount)
    else { throw ModelsError(.notFound, "\(id)") }
    let manifest = try ModelManifest(decoding: bytes)
    guard manifest.id == id else { throw ModelsError(.digestMismatch, "the manifest of \(id)") }
    return manifest
  }

  /// The one model of a name, or of at least eight digits of its id.
  ///
  /// - Throws: ``ModelsError`` `notFound` when there is none or more than one.
  public func manifest(named name: String) throws(ModelsError) -> ModelManifest {
    let found = try list().filter {
      $0.name == name || name.utf8.count >= 8 && $0.id.digest.hex.hasPrefix(name)
    }
    guard let first = found.first, found.count == 1 || name == first.id.digest.hex else {
      throw ModelsError(.notFound, found.isEmpty ? name : "\(name) names \(found.count) models")
    }
    return first
  }

  /// Writes a manifest; the files may come later.
  public func write(_ manifest: ModelManifest) throws(ModelsError) {
    let bytes = manifest.encoded
    _ = try ModelManifest(decoding: bytes)
    let target = "\(root)/partial/manifest-\(manifest.id.digest.hex)"
    try Folder.write(bytes, to: target)
    try Folder.rename(target, to: manifestPath(manifest.id))
  }

  /// Where a file of the model is to be opened.
  public func path(of file: ModelManifest.File) -> String { blobPath(file.sha256) }

  /// Whether a file is there, by its size alone; ``verify(_:)`` reads it.
  public func presence(of file: ModelManifest.File) -> Presence {
    let path = blobPath(file.sha256)
    if Folder.byteCount(path) == file.byteCount { return Folder.isLink(path) ? .linked : .stored }
    guard let some = Folder.byteCount(partialPath(file.sha256)) else { return .missing }
    return .partial(byteCount: some)
  }

  /// Whether every file of a model is there, by size.
  public func isComplete(_ manifest: ModelManifest) -> Bool {
    manifest.files.allSatisfy { file in
      switch presence(of: file) {
      case .stored, .linked: true
      case .partial, .missing: false
      }
    }
  }

  /// Hashes every file of a model on a thread of its own.
  ///
  /// - Throws: ``ModelsError`` `digestMismatch` naming the first damaged file, or `notFound`.
  public func verify(_ manifest: ModelManifest) async throws(ModelsError) {
    for file in manifest.files {
      guard presence(of: file) == .stored || presence(of: file) == .linked else {
        throw ModelsError(.notFound, file.name)
      }
      let (digest, byteCount) = try await hasher.digest(of: path(of: file))
      guard digest == file.sha256, byteCount == file.byteCount else {
        throw ModelsError(.digestMismatch, file.name)
      }
    }
  }

  /// Removes a model and the files that no other model uses; a linked file itself stays.
  ///
  /// - Returns: The bytes set free.
  @discardableResult
  public func remove(_ id: ModelID) throws(ModelsError) -> UInt64 {
    let manifest = try manifest(id)
    let others = try list().filter { $0.id != id }
    let used = Set(others.flatMap { $0.files.map(\.sha256) })
    Folder.remove(manifestPath(id))
    var freed: UInt64 = 0
    for file in manifest.files where !used.contains(file.sha256) {
      if presence(of: file) == .stored { freed += file.byteCount }
      Folder.remove(blobPath(file.sha256))
      Folder.remove(partialPath(file.sha256))
    }
    return freed
  }

  func blobPath(_ digest: Digest) -> String { "\(root)/blobs/sha256-\(digest.hex)" }
  func partialPath(_ digest: Digest) -> String { "\(root)/partial/sha256-\(digest.hex)" }
  private func manifestPath(_ id: ModelID) -> String { "\(root)/manifests/\(id.digest.hex)" }
}

extension ModelManifest {
  /// The manifest of one GGUF file, from its header.
  static func describing(
    _ header: GGUFHeader, name: String, fileName: String, sha256: Digest, byteCount: UInt64
  ) -> ModelManifest {
    let kind: Kind =
      header.isEmbeddingModel ? .embeddings : header.hasChatTemplate ? .chat : .completion
    let plain = isPlainName(fileName) ? fileName : "weights.gguf"
    return ModelManifest(
      name: name, kind: kind,
      files: [File(role: .weights, name: plain, sha256: sha256, byteCount: byteCount)],
      licence: String((header.licence ?? "").prefix(64)),
      contextTokens: Int(clamping: min(header.contextTokens ?? 0, UInt64(Limits.contextTokens))),
      weightBytes: byteCount, contextBytesPerToken: header.contextBytesPerToken ?? 0)
  }

  /// A file's name in the form of model names: lower case, without `.gguf`, at most 128 bytes.
  static func plainName(_ fileName: String) -> String {
    var name = fileName.lowercased()
    if name.hasSuffix(".gguf") { name.removeLast(5) }
    let allowed = name.utf8.map { (character) -> UInt8 in
      switch character {
      case 0x61...0x7a, 0x30...0x39, 0x2e, 0x5f, 0x2d, 0x3a: character
      default: 0x2d
      }
    }
    let cut = String(decoding: allowed.prefix(128), as: UTF8.self)
    return cut.isEmpty ? "model" : cut
  }
}
