internal import BloomBase
internal import BloomCrypto

/// Where missing bytes come from: HTTPS with ranges in the node, memory in tests.
public protocol ModelSource: Sendable {
  /// Fetches a file's bytes from an offset on, in order.
  ///
  /// - Parameters:
  ///   - file: What is wanted; sources find it by digest or name.
  ///   - offset: The first byte, below the file's size.
  ///   - receive: Takes the next bytes, at most ``ModelPuller/Limits/pieceBytes`` at once, and
  ///     suspends while they are written; when it throws the source must stop and rethrow.
  /// - Throws: When it cannot go on; what was received stays and is resumed.
  func fetch(
    _ file: ModelManifest.File, from offset: UInt64,
    receive: (ArraySlice<UInt8>) async throws(ModelsError) -> Void
  ) async throws(ModelsError)
}

/// Completes a model's files from a source: resumes, verifies, and only then gives a file its name.
public struct ModelPuller: Sendable {
  /// Bounds of a pull.
  public enum Limits: Sendable {
    /// Bytes of one piece.
    public static let pieceBytes = 1 << 20
    /// Attempts of one file before the pull fails; each resumes where the last one stopped.
    public static let attempts = 5
  }

  /// How far a pull is.
  public struct Progress: Equatable, Sendable {
    /// The file being fetched.
    public let fileName: String
    /// Its bytes on disk.
    public let byteCount: UInt64
    /// Its size.
    public let totalBytes: UInt64
  }

  private let store: ModelStore
  private let source: any ModelSource
  private let onProgress: @Sendable (Progress) -> Void

  /// Creates a puller.
  ///
  /// - Parameters:
  ///   - store: Gets the files.
  ///   - source: Gives the bytes.
  ///   - onProgress: Called from the writing thread after each piece; must be quick.
  public init(
    store: ModelStore, source: any ModelSource,
    onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
  ) {
    self.store = store
    self.source = source
    self.onProgress = onProgress
  }

  /// Fetches what is missing of a model and then stores its manifest.
  ///
  /// - Throws: ``ModelsError`` `badSource` or `digestMismatch` after the last attempt.
  public func pull(_ manifest: ModelManifest) async throws(ModelsError) {
    for file in manifest.files { try await pull(file) }
    try store.write(manifest)
  }

  /// Fetches one file unless the store has it.
  ///
  /// - Throws: ``ModelsError`` `badSource` or `digestMismatch` after the last attempt.
  package func pull(_ file: ModelManifest.File) async throws(ModelsError) {
    switch store.presence(of: file) {
    case .stored, .linked: return
    case .partial, .missing: break
    }
    let writer = try PartialFile(store.partialPath(file.sha256), file: file)
    var failure = ModelsError(.badSource, file.name)
    for _ in 0..<Limits.attempts where !Task.isCancelled {
      do throws(ModelsError) {
        let start = try await writer.resume()
        if start < file.byteCount {
          let onProgress = onProgress
          try await source.fetch(file, from: start) { (piece) async throws(ModelsError) in
            onProgress(
              Progress(
                fileName: file.name, byteCount: try await writer.append(piece),
                totalBytes: file.byteCount))
          }
        }
        try await writer.finish()
        try Folder.rename(store.partialPath(file.sha256), to: store.blobPath(file.sha256))
        return
      } catch {
        failure = error
        if error.code == .system { break }
      }
    }
    await writer.removeIfEmpty()
    throw failure
  }
}
