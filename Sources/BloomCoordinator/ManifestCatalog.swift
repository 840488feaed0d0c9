package import BloomBase
internal import BloomCrypto
package import BloomPlatform

/// Model manifests by their digest, from `*.manifest` files of a folder.
///
/// The folder is read again when a digest is asked for that is not known, at most once a second.
package final class ManifestCatalog: Sendable {
  private struct State: Sendable {
    var manifests: [ModelID: [UInt8]] = [:]
    var readAt: Instant?
  }

  private static let manifestBytes = 1 << 20
  private let folder: PrivateFolder?
  private let time: any TimeSource
  private let state: Locked<State>

  /// Creates a catalog.
  ///
  /// - Parameters:
  ///   - folder: Where manifests lie; `nil` for none.
  ///   - fixed: Manifests known beside the folder's.
  ///   - time: For the bound on how often the folder is read.
  package init(
    folder: PrivateFolder? = nil, fixed: [[UInt8]] = [], time: any TimeSource = SystemTime()
  ) {
    self.folder = folder
    self.time = time
    var state = State()
    for manifest in fixed { state.manifests[ModelID(SHA256.digest(manifest))] = manifest }
    self.state = Locked(state)
  }

  /// How many are known.
  package var count: Int { state.withLock { $0.manifests.count } }

  /// A manifest by its digest; `nil` when there is none.
  package func manifest(_ model: ModelID) -> [UInt8]? {
    let now = time.now()
    let (known, isDue) = state.withLock { state in
      let known = state.manifests[model]
      let isDue = known == nil && state.readAt.map { now - $0 >= .seconds(1) } ?? true
      if isDue { state.readAt = now }
      return (known, isDue)
    }
    guard known == nil, isDue else { return known }
    reload()
    return state.withLock { $0.manifests[model] }
  }

  /// Reads the folder; files that cannot be read are passed over.
  package func reload() {
    guard let folder, let names = try? folder.names(endingWith: ".manifest") else { return }
    for name in names.prefix(10_000) {
      guard let bytes = try? folder.read(name, limitBytes: Self.manifestBytes) else { continue }
      let model = ModelID(SHA256.digest(bytes))
      state.withLock { $0.manifests[model] = bytes }
    }
  }
}
