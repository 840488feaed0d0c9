internal import BloomBase

extension SQLiteBackend {
  /// Copies a database as of one moment, while others read and write it; nothing of it is changed.
  ///
  /// - Parameters:
  ///   - path: The database.
  ///   - target: A new file.
  /// - Throws: ``StoreError`` when either file cannot be read or written.
  package static func copy(_ path: String, to target: String) throws {
    try SQLiteConnection(path: path, readOnly: true).backUp(to: target)
  }

  /// Reads the version of a database's schema without changing anything.
  ///
  /// - Throws: ``StoreError`` when it is no database or damaged at first sight.
  package static func storedSchemaVersion(_ path: String) throws -> Int64 {
    let connection = try SQLiteConnection(path: path, readOnly: true)
    _ = try connection.integer("SELECT value FROM meta WHERE name = 'writer'")
    return try connection.integer("PRAGMA user_version") ?? 0
  }

  /// The time of the last entry of a database; `nil` without any.
  ///
  /// - Throws: ``StoreError`` when it cannot be read.
  package static func lastEntrySeconds(_ path: String) throws -> Int64? {
    try SQLiteConnection(path: path, readOnly: true)
      .integer("SELECT time FROM entries ORDER BY sequence DESC LIMIT 1")
  }
}
