package import BloomBase
internal import BloomCrypto
internal import BloomModels
package import BloomPlatform
internal import BloomWire

/// Model manifests by their digest: those that the operator listed, and those that machines offer.
///
/// A manifest's digest is the model's id, so its bytes are believed whoever sends them; its *name* is
/// not: users choose by it, and anybody can call anything by any name. So a network that strangers
/// may join serves what its operator listed only.
///
/// Listed ones are `*.manifest` files of a folder, which is read again when a digest is asked for that
/// is not known, at most once a second. Offered ones are kept while a machine with them is connected.
package final class ManifestCatalog: Sendable {
  /// Which manifests clients get.
  package enum Serving: String, Sendable {
    /// Those that the operator listed.
    case listed
    /// Also those that machines offer: for networks whose machines are all known.
    case any
  }

  /// One model as the operator sees it.
  package struct Entry: Equatable, Sendable {
    /// The model.
    package let model: ModelID
    /// Its name; `nil` when a listed file is no manifest.
    package let name: String?
    /// Whether the operator listed it.
    package let isListed: Bool
    /// Whether users are told of it.
    package let isServed: Bool
    /// Connected machines that offer it.
    package let machines: Int
  }

  /// Bytes of a listed manifest.
  package static let manifestBytes = 1 << 20
  /// Models that one machine may offer.
  package static let offersPerMachine = 64
  /// Bytes of all offered manifests; what comes beyond is passed over.
  package static let offeredBytes = 16 << 20

  private struct Offer: Sendable {
    let bytes: [UInt8]
    let name: String
    let weightBytes: Int
    var machines: Set<SessionID>
  }

  private struct State: Sendable {
    var manifests: [ModelID: [UInt8]] = [:]
    var names: [ModelID: String] = [:]
    var weightBytes: [ModelID: Int] = [:]
    var offers: [ModelID: Offer] = [:]
    var offersOf: [SessionID: Set<ModelID>] = [:]
    var offeredBytes = 0
    var readAt: Instant?

    mutating func add(_ bytes: [UInt8]) {
      let model = ModelID(SHA256.digest(bytes))
      guard manifests.updateValue(bytes, forKey: model) == nil else { return }
      // What cannot be read has no name; clients find out by themselves.
      guard let manifest = try? ModelManifest(decoding: bytes) else { return }
      names[model] = manifest.name
      weightBytes[model] = Int(clamping: manifest.weightBytes)
    }
  }

  private let folder: PrivateFolder?
  private let serving: Serving
  private let time: any TimeSource
  private let state: Locked<State>

  /// Creates a catalog.
  ///
  /// - Parameters:
  ///   - folder: Where listed manifests lie; `nil` for none.
  ///   - serving: Which manifests clients get.
  ///   - fixed: Manifests listed beside the folder's.
  ///   - time: For the bound on how often the folder is read.
  package init(
    folder: PrivateFolder? = nil, serving: Serving = .listed, fixed: [[UInt8]] = [],
    time: any TimeSource = SystemTime()
  ) {
    self.folder = folder
    self.serving = serving
    self.time = time
    var state = State()
    for manifest in fixed { state.add(manifest) }
    self.state = Locked(state)
  }

  // MARK: What clients ask

  /// A manifest by its digest; `nil` when there is none for clients.
  package func manifest(_ model: ModelID) -> [UInt8]? {
    if let known = state.withLock({ $0.manifests[model] }) { return known }
    reloadWhenDue()
    return state.withLock { state in
      state.manifests[model] ?? (serving == .any ? state.offers[model]?.bytes : nil)
    }
  }

  /// Whether clients get a model's manifest, as far as the folder was read; never reads it.
  package func serves(_ model: ModelID) -> Bool {
    state.withLock { state in
      state.manifests[model] != nil || serving == .any && state.offers[model] != nil
    }
  }

  /// The models of a name that clients may ask, in order of their digests.
  package func models(named name: String) -> [ModelID] {
    func known() -> [ModelID] {
      state.withLock { state in
        var found = Set(state.names.filter { $0.value == name }.keys)
        if serving == .any { found.formUnion(state.offers.filter { $0.value.name == name }.keys) }
        return found.sorted()
      }
    }
    let found = known()
    guard found.isEmpty else { return found }
    // It may have come since the folder was read.
    reloadWhenDue()
    return known()
  }

  /// The name in a model's manifest; `nil` when that is not known.
  package func name(of model: ModelID) -> String? {
    state.withLock { $0.names[model] ?? (serving == .any ? $0.offers[model]?.name : nil) }
  }

  /// What the operator's list calls models, as far as the folder was read.
  ///
  /// Without what machines offer: a statement says the same whoever is connected.
  package var listedNames: [ModelID: String] { state.withLock { $0.names } }

  /// Bytes of a model's weights, from its manifest; 0 when no manifest that clients get says it.
  ///
  /// Never reads the folder. A machine's score grows with them, so where strangers may join only
  /// what the operator listed counts: a manifest says of itself how large its model is.
  package func weightBytes(of model: ModelID) -> Int {
    state.withLock { state in
      let offered = serving == .any ? state.offers[model]?.weightBytes : nil
      return state.weightBytes[model] ?? offered ?? 0
    }
  }

  // MARK: What machines offer

  /// A connected machine has this model.
  ///
  /// - Returns: Whether it is a manifest, and there was room for it.
  @discardableResult
  package func offer(_ bytes: [UInt8], from machine: SessionID) -> Bool {
    guard let manifest = try? ModelManifest(decoding: bytes),
      // Names stand in terminals and file names of operators and users.
      manifest.name.unicodeScalars.allSatisfy({ Self.isVisible($0) })
    else { return false }
    let model = ModelID(SHA256.digest(bytes))
    return state.withLock { state in
      guard state.offersOf[machine, default: []].count < Self.offersPerMachine else { return false }
      if state.offers[model] == nil {
        guard state.offeredBytes + bytes.count <= Self.offeredBytes else { return false }
        state.offeredBytes += bytes.count
        state.offers[model] = Offer(
          bytes: bytes, name: manifest.name, weightBytes: Int(clamping: manifest.weightBytes),
          machines: [])
      }
      state.offers[model]?.machines.insert(machine)
      state.offersOf[machine, default: []].insert(model)
      return true
    }
  }

  /// No space, control character or one that turns the text around.
  private static func isVisible(_ scalar: Unicode.Scalar) -> Bool {
    scalar.value > 0x20 && !(0x7f...0x9f).contains(scalar.value)
      && scalar.properties.generalCategory != .format
  }

  /// A machine is gone, and with the last one that had them its offers.
  package func withdraw(_ machine: SessionID) {
    state.withLock { state in
      for model in state.offersOf.removeValue(forKey: machine) ?? [] {
        state.offers[model]?.machines.remove(machine)
        guard let offer = state.offers[model], offer.machines.isEmpty else { continue }
        state.offers[model] = nil
        state.offeredBytes -= offer.bytes.count
      }
    }
  }

  // MARK: What the operator decides

  /// How many are listed.
  package var count: Int { state.withLock { $0.manifests.count } }

  /// Listed and offered models, in order of their digests.
  package func entries() -> [Entry] {
    reload()
    return state.withLock { state in
      Set(state.manifests.keys).union(state.offers.keys).sorted().map { model in
        Entry(
          model: model, name: state.names[model] ?? state.offers[model]?.name,
          isListed: state.manifests[model] != nil,
          isServed: serving == .any || state.manifests[model] != nil,
          machines: state.offers[model]?.machines.count ?? 0)
      }
    }
  }

  /// Lists a model that a connected machine offers.
  ///
  /// - Throws: ``AccountError`` when no machine does, or the folder cannot be written.
  package func list(_ model: ModelID) throws {
    guard let bytes = state.withLock({ $0.offers[model]?.bytes }) else {
      throw AccountError(.notFound, "no connected machine offers this model")
    }
    _ = try list(bytes)
  }

  /// Lists a manifest.
  ///
  /// - Returns: Its model.
  /// - Throws: ``AccountError`` when it is none, or the folder cannot be written.
  package func list(_ bytes: [UInt8]) throws -> ModelID {
    guard (try? ModelManifest(decoding: bytes)) != nil else {
      throw AccountError(.invalid, "this is not a model's manifest")
    }
    guard let folder else { throw AccountError(.invalid, "this coordinator has no catalog folder") }
    let model = ModelID(SHA256.digest(bytes))
    try folder.replace("\(model.digest.hex).manifest", with: bytes)
    state.withLock { $0.add(bytes) }
    return model
  }

  /// Takes a model out of the list; programs that know its manifest keep it.
  ///
  /// - Throws: ``AccountError`` when it is not listed, or the folder cannot be written.
  package func unlist(_ model: ModelID) throws {
    var wasListed = false
    for name in try folder?.names(endingWith: ".manifest") ?? [] {
      guard let folder, let bytes = try folder.read(name, limitBytes: Self.manifestBytes),
        ModelID(SHA256.digest(bytes)) == model
      else { continue }
      try folder.remove(name)
      wasListed = true
    }
    guard wasListed else { throw AccountError(.notFound, "this model is not listed") }
    state.withLock { state in
      state.manifests[model] = nil
      state.names[model] = nil
      state.weightBytes[model] = nil
    }
  }

  /// Reads the folder; files that cannot be read are passed over.
  package func reload() {
    guard let folder, let names = try? folder.names(endingWith: ".manifest") else { return }
    for name in names.prefix(10_000) {
      guard let bytes = try? folder.read(name, limitBytes: Self.manifestBytes) else { continue }
      state.withLock { $0.add(bytes) }
    }
  }

  private func reloadWhenDue() {
    let now = time.now()
    let isDue = state.withLock { state in
      let isDue = state.readAt.map { now - $0 >= .seconds(1) } ?? true
      if isDue { state.readAt = now }
      return isDue
    }
    if isDue { reload() }
  }
}
