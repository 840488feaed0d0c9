package import BloomBase
package import BloomCrypto
internal import BloomLedger
package import BloomPlatform
package import BloomStore
internal import BloomStorePostgres
internal import BloomWire

/// What a coordinator keeps on disk: its log key, its settings, the ledger and the log's leaves.
package struct CoordinatorFolder: Sendable {
  /// Why a data folder cannot be used.
  package enum Problem: PublicError, Equatable {
    /// `init` was not run for it.
    case notInitialised
    /// `init` was run for it before.
    case alreadyInitialised
    /// The log key's file is damaged.
    case badKey
    /// Another coordinator serves it.
    case inUse
    /// There are no books where the setting says.
    case noLedger
    /// The database is a ledger already.
    case ledgerTaken

    /// What is wrong and what to do.
    package var publicDescription: String {
      switch self {
      case .notInitialised:
        "this folder is not a coordinator's; run: darkbloom-coordinator init --data DIR"
      case .alreadyInitialised:
        "this folder is a coordinator's already; its keys are kept as they are"
      case .inUse: "another coordinator serves this folder; stop it first"
      case .noLedger:
        "there is no ledger of this coordinator; check database in settings.json5, or restore one"
      case .ledgerTaken:
        "this database holds a ledger already; name an empty one, or serve with the folder it is of"
      case .badKey: "the log key cannot be read; restore log.key from your backup"
      }
    }
  }

  private static let keyName = "log.key"
  /// Settings of the operator, JSON5.
  package static let settingsName = "settings.json5"
  private static let noticeName = "local.json"

  /// The folder.
  package let folder: PrivateFolder

  /// Opens or makes the folder; nothing is written into it.
  ///
  /// - Throws: `PrivateFolderError` when it cannot be made.
  package init(_ path: String) throws { folder = try PrivateFolder(making: path) }

  /// Opens a folder that is there.
  ///
  /// - Throws: ``Problem/notInitialised`` when it is not.
  package init(existing path: String) throws {
    guard ByteFile.mode(of: path) != nil else { throw Problem.notInitialised }
    try self.init(path)
  }

  static let ledgerName = "ledger.sqlite"

  /// The ledger's database, unless it is elsewhere; ``LedgerPlace``.
  package var databasePath: String { folder.path(of: Self.ledgerName) }

  /// The operator's settings; `nil` when there are none.
  ///
  /// - Throws: `PrivateFolderError` when the file cannot be read.
  package func settings() throws -> String? {
    try folder.read(Self.settingsName, limitBytes: 1 << 20).map {
      String(decoding: $0, as: UTF8.self)
    }
  }

  /// Makes the log key and the settings.
  ///
  /// - Throws: ``Problem/alreadyInitialised``, or what writing throws.
  package func initialise(
    origin: String, settings more: [(name: String, value: String)] = []
  ) throws -> SigningKey {
    try checkNew()
    let key = try SigningKey.generate(.ed25519)
    let settings =
      "// Settings of this coordinator; flags and DARKBLOOM_… variables win.\n{\n"
      + "  // The log's name, part of every checkpoint: it cannot change.\n"
      + "  origin: \(Self.quoted(origin)),\n"
      + more.map { "  \"\($0.name)\": \(Self.quoted($0.value)),\n" }.joined() + "}\n"
    try folder.replace(Self.settingsName, with: Array(settings.utf8))
    var bytes = try key.pkcs8().exposed()
    defer { wipe(&bytes) }
    // Last: a folder with a key is a whole one.
    try folder.replace(Self.keyName, with: bytes)
    return key
  }

  /// Throws when the folder is a coordinator's already.
  func checkNew() throws {
    guard try folder.read(Self.keyName, limitBytes: 4096) == nil else {
      throw Problem.alreadyInitialised
    }
  }

  private static func quoted(_ text: String) -> String {
    String(decoding: JSONValue.string(text).encoded, as: UTF8.self)
  }

  /// The log's Ed25519 key.
  ///
  /// - Throws: ``Problem`` when there is none or it is damaged.
  package func logKey() throws -> SigningKey {
    guard var bytes = try folder.read(Self.keyName, limitBytes: 4096) else {
      throw Problem.notInitialised
    }
    defer { wipe(&bytes) }
    guard let key = try? SigningKey(pkcs8: SecretBytes(bytes)), key.verifyingKey.kind == .ed25519
    else { throw Problem.badKey }
    return key
  }

  /// Opens the ledger and the tables.
  ///
  /// - Throws: `StoreError` when the database cannot be used.
  package func openStore(
    _ place: LedgerPlace = .sqlite, clock: any TimeSource = SystemTime()
  ) async throws -> LedgerStore {
    try await LedgerStore.open(place.backend(self), clock: clock)
  }

  /// Throws unless the books that `init` or `restore` made are there: a mistaken setting must not
  /// open empty ones.
  func checkLedger(_ place: LedgerPlace) throws {
    switch place {
    case .sqlite:
      guard ByteFile.mode(of: databasePath) != nil else { throw Problem.noLedger }
    case .postgresql(let address):
      guard try PostgresBackend.look(address.text).isFilled else { throw Problem.noLedger }
    }
  }

  /// Throws when a database is somebody's ledger already.
  func checkUnused(_ place: LedgerPlace) throws {
    guard case .postgresql(let address) = place else { return }
    if try PostgresBackend.look(address.text).isFilled { throw Problem.ledgerTaken }
  }

  // MARK: The notice for programs of the same user

  /// What `darkbloom up` reads to find the coordinator of this machine.
  package struct Notice: Equatable, Sendable {
    /// The log's name.
    package var origin: String
    /// The log's public key.
    package var logKey: [UInt8]
    /// A key of the account `local`.
    package var apiKey: String
    /// Where the coordinator listens.
    package var url: String
  }

  /// The notice; `nil` when there is none that can be read.
  package func notice() -> Notice? {
    guard let bytes = try? folder.read(Self.noticeName, limitBytes: 65_536),
      let value = try? JSONValue(decoding: bytes), let origin = value["origin"]?.string,
      let key = value["log_key"]?.string.flatMap({ Hex.decode($0) }),
      let apiKey = value["api_key"]?.string, let url = value["url"]?.string
    else { return nil }
    return Notice(origin: origin, logKey: key, apiKey: apiKey, url: url)
  }

  /// Writes `local.json`, mode 0600.
  ///
  /// - Throws: `PrivateFolderError` when it was not kept.
  package func write(_ notice: Notice) throws {
    let value = JSONValue.members([
      "origin": .string(notice.origin), "log_key": .string(Hex.encode(notice.logKey)),
      "api_key": .string(notice.apiKey), "url": .string(notice.url),
    ])
    try folder.replace(Self.noticeName, with: value.encoded + [0x0a])
  }
}
