internal import BloomBase
internal import BloomCrypto
internal import BloomHTTP
internal import BloomNet
internal import BloomPlatform
internal import BloomStore
internal import BloomStorePostgres
internal import BloomWire

/// Looks a coordinator over: what is wrong, and what puts it right.
///
/// Reads only, and may be run while the coordinator serves.
package struct CoordinatorDoctor: Sendable {
  /// How one check went.
  package enum Status: String, Sendable {
    /// Nothing to do.
    case good = "ok"
    /// Works, and will not for ever.
    case warning
    /// Must be put right.
    case fault
  }

  /// One line of the report.
  package struct Finding: Equatable, Sendable {
    /// What was looked at.
    package let name: String
    /// How it is.
    package let status: Status
    /// What was seen.
    package let detail: String
    /// What to do; empty when nothing is.
    package let fix: String
  }

  private let folder: CoordinatorFolder
  private let settings: ServeSettings?
  private let settingsProblem: String
  private let time: any TimeSource

  /// Prepares a look at a folder with the settings that `serve` would have.
  init(
    _ folder: CoordinatorFolder, settings: Result<ServeSettings, any Error>,
    time: any TimeSource
  ) {
    self.folder = folder
    self.time = time
    switch settings {
    case .success(let value):
      self.settings = value
      settingsProblem = ""
    case .failure(let error):
      self.settings = nil
      settingsProblem = error.safeDescription
    }
  }

  /// All checks, in order; takes some seconds at most.
  package func run() async -> [Finding] {
    let books = Result { try self.books() }
    var findings = [key(), modes(), configuration(), database(books), disk(), clock(books)]
    if let settings {
      if let tls = settings.certificatePath { findings.append(certificate(tls)) }
      findings += await service(settings)
    }
    return findings
  }

  // MARK: Files

  private func key() -> Finding {
    do {
      let key = try folder.logKey()
      return good("log key", "ed25519 \(Hex.encode(key.verifyingKey.bytes).prefix(16))…")
    } catch {
      return fault("log key", error.safeDescription, "restore log.key from your backup")
    }
  }

  private func modes() -> Finding {
    let path = folder.folder.path
    if let mode = ByteFile.mode(of: path), mode & 0o077 != 0 {
      return fault("modes", "other users may enter the data folder", "chmod 700 DATA")
    }
    let open = PrivateFile.names(in: path).filter {
      ByteFile.mode(of: "\(path)/\($0)").map { $0 & 0o077 != 0 } ?? false
    }
    guard open.isEmpty else {
      return fault(
        "modes", "other users may read \(open.sorted().joined(separator: ", "))",
        "chmod 600 the files of the data folder")
    }
    return good("modes", "for this user only")
  }

  private func configuration() -> Finding {
    settings == nil
      ? fault("settings", settingsProblem, "edit settings.json5 of the data folder")
      : good("settings", "can be used")
  }

  /// What the ledger's database says of itself.
  private struct Books {
    var schema: Int64
    var newest: Int64
    var lastEntrySeconds: Int64?
  }

  private func books() throws -> Books {
    switch settings?.place ?? .sqlite {
    case .sqlite:
      return Books(
        schema: try SQLiteBackend.storedSchemaVersion(folder.databasePath),
        newest: SQLiteBackend.schemaVersion,
        lastEntrySeconds: try SQLiteBackend.lastEntrySeconds(folder.databasePath))
    case .postgresql(let address):
      let look = try PostgresBackend.look(address.text)
      guard let schema = look.schemaVersion, look.isFilled else {
        throw CoordinatorFolder.Problem.noLedger
      }
      return Books(
        schema: schema, newest: PostgresBackend.schemaVersion,
        lastEntrySeconds: look.lastEntrySeconds)
    }
  }

  private func database(_ books: Result<Books, any Error>) -> Finding {
    let address: PostgresAddress? =
      if case .postgresql(let address)? = settings?.place { address } else { nil }
    switch books {
    case .success(let books):
      guard books.schema <= books.newest else {
        return fault(
          "database", "made by a newer version (schema \(books.schema))",
          "install the newer version")
      }
      let name = address.map { "\($0), " } ?? ""
      guard address?.isExposed != true else {
        return warning(
          "database", "\(name)schema \(books.schema); the line to it can be listened in",
          "add ?sslmode=verify-full to database in settings.json5")
      }
      return good("database", "\(name)schema \(books.schema)")
    case .failure(let error):
      return fault(
        "database", error.safeDescription,
        address == nil
          ? "darkbloom-coordinator restore BACKUP --data DIR --force, then verify"
          : "start the server, or check database in settings.json5")
    }
  }

  private func disk() -> Finding {
    guard let free = ByteFile.freeBytes(at: folder.folder.path) else {
      return fault("disk", "the data folder's disk cannot be examined", "check that it is mounted")
    }
    let text = "\(free >> 20) MiB free"
    if free < 200 << 20 {
      return fault("disk", text, "free some space: without it nothing is paid")
    }
    if free < 2 << 30 { return warning("disk", text, "free some space soon") }
    return good("disk", text)
  }

  private func clock(_ books: Result<Books, any Error>) -> Finding {
    guard case .success(let books) = books else {
      return warning("clock", "not compared: the database cannot be read", "see database")
    }
    let now = time.unixTime()
    if let last = books.lastEntrySeconds, last > now.seconds + 60 {
      return fault(
        "clock", "\(last - now.seconds) s behind the last entry of the ledger",
        "set the clock: timedatectl set-ntp true")
    }
    return good("clock", "not behind the ledger")
  }

  private func certificate(_ path: String) -> Finding {
    let fix = "renew it, then restart the coordinator"
    do {
      guard let pem = try PrivateFile.read(path),
        let first = try Certificate.certificates(pem: pem).first
      else { return fault("certificate", "there is none in the file", fix) }
      let days = (first.notAfter.seconds - time.unixTime().seconds) / 86400
      if first.notAfter < time.unixTime() { return fault("certificate", "expired", fix) }
      if time.unixTime() < first.notBefore { return fault("certificate", "not valid yet", fix) }
      if days < 14 { return warning("certificate", "expires in \(days) days", fix) }
      return good("certificate", "valid for \(days) days")
    } catch {
      return fault("certificate", "cannot be read", "check tls.certificate in settings.json5")
    }
  }

  // MARK: The running service

  private func service(_ settings: ServeSettings) async -> [Finding] {
    guard let place = settings.listen.first else { return [] }
    var configuration = HTTPClient.Configuration()
    // This machine's own port: the certificate is for the name that others use.
    if let path = settings.certificatePath { configuration.tls.roots = .custom(.file(path)) }
    let client = HTTPClient(configuration)
    defer { client.close() }
    let base = settings.ownURL
    do {
      let ready = try await get(base + "/readyz", place, client)
      guard ["ok\n", "draining\n", "no database\n"].contains(ready.text) else {
        return [
          fault(
            "port", "another program answers at \(base)",
            "stop it, or set listen in settings.json5")
        ]
      }
      var findings = [good("port", "the coordinator answers at \(base)")]
      if ready.text == "no database\n" {
        findings.append(fault("ready", "the coordinator lost its database", "see database"))
      } else if ready.text != "ok\n" {
        findings.append(warning("ready", "draining: takes no new work", "start it again"))
      }
      findings.append(try await directory(base, place, client))
      if let found = await models() { findings.append(found) }
      return findings
    } catch {
      return [
        warning(
          "port", "nothing answers at \(base)", "start it: darkbloom-coordinator serve --data DIR")
      ]
    }
  }

  private func directory(
    _ base: String, _ place: HTTPServer.Listen, _ client: HTTPClient
  ) async throws -> Finding {
    let fix = "look at the log for: directory not published"
    let answer = try await get(base + "/v1/directory?from=0", place, client)
    guard answer.status == 200 else { return fault("directory", "not published", fix) }
    do {
      var reader = try CBORReader(answer.bytes)
      try reader.array("directory", count: 4)
      var snapshot = try CBORReader(try reader.byteString("snapshot", 1...(64 << 20)))
      try snapshot.array("snapshot", count: 4)
      _ = try snapshot.unsigned("version")
      let number = try snapshot.unsigned("number")
      let age = time.unixTime().seconds - (try snapshot.integer("time"))
      return age > 3600
        ? fault("directory", "snapshot \(number) is \(age / 60) minutes old", fix)
        : good("directory", "snapshot \(number), \(age) s old")
    } catch {
      return fault("directory", "cannot be read", fix)
    }
  }

  /// What users are told of; `nil` when the operator's socket does not answer.
  private func models() async -> Finding? {
    let socket = folder.folder.path(of: AdminCommand.socketName)
    guard let answer = try? await AdminCommand.ask("/models/list", .object([]), socket: socket)
    else { return nil }
    let models = answer["models"]?.items ?? []
    let served = models.filter { $0["served"]?.bool == true }
    let waiting = models.count - served.count
    let fix = "darkbloom-coordinator admin models list, then: admin models allow MODEL"
    if served.isEmpty {
      return waiting == 0
        ? warning(
          "models", "none yet", "let a machine join: darkbloom-coordinator admin invites create")
        : fault("models", "users are told of none of the \(waiting) that machines offer", fix)
    }
    return waiting == 0
      ? good("models", "\(served.count) served")
      : warning("models", "\(served.count) served, \(waiting) offered and not listed", fix)
  }

  private func get(
    _ url: String, _ place: HTTPServer.Listen, _ client: HTTPClient
  ) async throws -> (status: Int, bytes: [UInt8], text: String) {
    var request = try ClientRequest.get(url)
    if case .unix(let path) = place { request.unixSocket = path }
    let response = try await client.send(request, timeout: .seconds(5))
    let bytes = try await response.body.collect(upTo: 64 << 20)
    return (response.status.code, bytes, String(decoding: bytes.prefix(64), as: UTF8.self))
  }

  // MARK: Reports

  private func good(_ name: String, _ detail: String) -> Finding {
    Finding(name: name, status: .good, detail: detail, fix: "")
  }
  private func warning(_ name: String, _ detail: String, _ fix: String) -> Finding {
    Finding(name: name, status: .warning, detail: detail, fix: fix)
  }
  private func fault(_ name: String, _ detail: String, _ fix: String) -> Finding {
    Finding(name: name, status: .fault, detail: detail, fix: fix)
  }

  /// For people.
  package static func text(_ findings: [Finding]) -> String {
    findings.map { finding in
      let line =
        finding.status.rawValue.padded(to: 9) + finding.name.padded(to: 13) + finding.detail
      return finding.fix.isEmpty ? line : line + "\n" + "".padded(to: 22) + "→ \(finding.fix)"
    }.joined(separator: "\n")
  }

  /// For programs.
  package static func json(_ findings: [Finding]) -> [UInt8] {
    JSONValue.members([
      "ok": .bool(!findings.contains { $0.status == .fault }),
      "checks": .array(
        findings.map {
          .members([
            "name": .string($0.name), "status": .string($0.status.rawValue),
            "detail": .string($0.detail), "fix": $0.fix.isEmpty ? .null : .string($0.fix),
          ])
        }),
    ]).encoded
  }
}
