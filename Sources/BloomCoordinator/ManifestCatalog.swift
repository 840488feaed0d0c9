package import BloomBase
internal import BloomCrypto
internal import BloomModels
package import BloomPlatform

/// Model manifests by their digest, from `*.manifest` files of a folder.
///
/// The folder is read again when a digest is asked for that is not known, at most once a second.
package final class ManifestCatalog: Sendable {
  private struct State: Sendable {
    var manifests: [ModelID: [UInt8]] = [:]
    var names: [ModelID: String] = [:]
    var readAt: Instant?

    mutating func add(_ bytes: [UInt8]) {
      let model = ModelID(SHA256.digest(bytes))
      guard manifests.updateValue(bytes, forKey: model) == nil else { return }
      // What cannot be read has no name; clients find out by themselves.
      names[model] = (try? ModelManifest(decoding: bytes))?.name
    }
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
    for manifest in fixed { state.add(manifest) }
    self.state = Locked(state)
  }

  /// How many are known.
  package var count: Int { state.withLock { $0.manifests.count } }

  /// The models of a name, in order of their digests.
  package func models(named name: String) -> [ModelID] {
    func known() -> [ModelID] {
      state.withLock { $0.names.filter { $0.value == name }.keys.sorted() }
    }
    let found = known()
    guard found.isEmpty else { return found }
    // It may have come since the folder was read.
    let now = time.now()
    let isDue = state.withLock { state in
      let isDue = state.readAt.map { now - $0 >= .seconds(1) } ?? true
      if isDue { state.readAt = now }
      return isDue
    }
    if isDue { reload() }
    return known()
  }

  /// The name in a model's manifest; `nil` when that is not known.
  package func name(of model: ModelID) -> String? { state.withLock { $0.names[model] } }

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
      state.withLock { $0.add(bytes) }
    }
  }
}
