internal import BloomBase
internal import BloomHTTP
package import BloomStore
internal import BloomStorePostgres

/// Where a coordinator's books are: in its data folder, or in a PostgreSQL database.
package enum LedgerPlace: Sendable, Equatable {
  /// `ledger.sqlite` of the data folder.
  case sqlite
  /// A database of a server.
  case postgresql(PostgresAddress)

  /// The setting's name.
  static let setting = "database"

  /// Reads the setting alone, for commands that need no other.
  ///
  /// - Throws: `ConfigurationError`, or what reading the file throws.
  init(
    _ command: ParsedCommand?, _ environment: [String: String], _ folder: CoordinatorFolder
  ) throws {
    try self.init(command, environment, file: try folder.settings())
  }

  /// The same from the text of a settings file.
  init(
    _ command: ParsedCommand?, _ environment: [String: String], file: String?
  ) throws {
    let flags = command.map { Self.flags($0) } ?? [:]
    let values = try Configuration(
      known: CoordinatorProgram.settings, flags: flags, environment: environment, file: file,
      fileName: CoordinatorFolder.settingsName)
    try self.init(values, isFlag: !flags.isEmpty)
  }

  /// Reads the setting among others.
  init(_ values: Configuration, isFlag: Bool) throws {
    guard let text = try values.string(Self.setting), text != "sqlite" else {
      self = .sqlite
      return
    }
    let address = try PostgresAddress(text)
    guard !isFlag || !address.hasPassword else {
      throw UsageError(
        "a password on the command line is seen by everybody on this machine; give it in "
          + "\(Configuration.variable(Self.setting)), in settings.json5 or in ~/.pgpass")
    }
    self = .postgresql(address)
  }

  /// What the command line says of it.
  static func flags(_ command: ParsedCommand) -> [String: String] {
    command.value(setting).map { [setting: $0] } ?? [:]
  }

  /// A backend of its own; nothing is opened yet.
  package func backend(_ folder: CoordinatorFolder) -> any StoreBackend {
    switch self {
    case .sqlite: SQLiteBackend(path: folder.databasePath)
    case .postgresql(let address): PostgresBackend(address.text)
    }
  }

  /// Copies the books as of one moment to a new SQLite file, while they are in use; blocks.
  func copy(_ folder: CoordinatorFolder, to path: String) throws {
    switch self {
    case .sqlite: try SQLiteBackend.copy(folder.databasePath, to: path)
    case .postgresql(let address): try PostgresBackend.copy(address.text, to: path)
    }
  }
}

/// A `postgresql://` address, which may hold a password: it does not print.
package struct PostgresAddress: Sendable, Equatable, CustomStringConvertible, CustomReflectable {
  /// For the library that connects, and nobody else.
  let text: String

  /// Checks the form; the server's library reads it. postgresql.org/docs/15 §34.1.1.2
  ///
  /// - Throws: `ConfigurationError` that does not repeat the text.
  init(_ text: String) throws(ConfigurationError) {
    guard text.hasPrefix("postgresql://") || text.hasPrefix("postgres://"),
      text.utf8.allSatisfy({ (0x21...0x7e).contains($0) })
    else {
      throw ConfigurationError(
        "database must be sqlite or postgresql://USER@HOST/NAME; other characters as %XX")
    }
    self.text = text
  }

  private init(checked text: String) { self.text = text }

  /// Never the address.
  package var description: String { "postgresql" }
  /// Never the address.
  package var customMirror: Mirror { Mirror(self, children: [:]) }

  /// The same without a password, in the address or among its parameters.
  var withoutPassword: PostgresAddress {
    let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var address = String(parts[0])
    let start = address.range(after: "://")
    // The host ends at the first slash; a password may hold an @ of its own.
    let end = address[start...].firstIndex(of: "/") ?? address.endIndex
    if let at = address[start..<end].lastIndex(of: "@"),
      let colon = address[start..<at].firstIndex(of: ":")
    {
      address.removeSubrange(colon..<at)
    }
    if parts.count > 1 {
      let kept = parts[1].split(separator: "&").filter { parameter in
        let name = parameter.prefix { $0 != "=" }.lowercased()
        // There is one for the key of a certificate too, and any letter may be written as %XX.
        return !name.hasSuffix("password") && !name.contains(where: { $0 == "%" })
      }
      if !kept.isEmpty { address += "?" + kept.joined(separator: "&") }
    }
    return PostgresAddress(checked: address)
  }

  /// Whether the address itself has a password.
  var hasPassword: Bool { withoutPassword != self }

  /// Whether what goes to the server can be read or changed on its way: it is on another machine
  /// and its certificate is not asked for.
  var isExposed: Bool {
    let plain = withoutPassword.text
    let start = plain.range(after: "://")
    let authority = plain[start...].prefix { $0 != "/" && $0 != "?" }
    let address = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? ""
    let parameters = plain[start...].drop { $0 != "?" }.dropFirst().split(separator: "&")
    guard !parameters.contains(where: { $0 == "sslmode=verify-full" }) else { return false }
    // Hosts stand among the parameters as well, and there may be a list of them.
    var hosts = address.split(separator: ",")
    for parameter in parameters
    where parameter.hasPrefix("host=") || parameter.hasPrefix("hostaddr=") {
      hosts += parameter.drop { $0 != "=" }.dropFirst().split(separator: ",")
    }
    return !hosts.allSatisfy(Self.isLocal)
  }

  private static func isLocal(_ host: Substring) -> Bool {
    host.hasPrefix("/") || host.hasPrefix("%2F") || host.hasPrefix("%2f") || host == "::1"
      || Authority(host)?.isLoopback ?? false
  }
}

extension String {
  /// The place behind the first occurrence of a text, or the start.
  fileprivate func range(after text: String) -> Index {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(text) { return self.index(index, offsetBy: text.count) }
      index = self.index(after: index)
    }
    return startIndex
  }
}
