internal import BloomBase
internal import BloomNet
internal import BloomPlatform

/// `doctor`, `backup`, `restore` and `verify`: what an operator runs beside the service.
enum OperatorCommands: Sendable {
  /// Their command lines; `data` is the option that names the folder.
  static func specs(_ data: OptionSpec, _ database: OptionSpec) -> [CommandSpec] {
    [
      CommandSpec(
        "doctor", "look the coordinator over and say what to put right",
        discussion: """
          Checks keys, modes, settings, database, disk, clock, certificate, port, directory and \
          models. Exits with 1 when something must be put right.
          """,
        options: [data, database, .json],
        examples: [
          .init(
            "darkbloom-coordinator doctor --data /var/lib/darkbloom", "before and after changes")
        ]),
      CommandSpec(
        "backup", "copy keys, settings and databases into one file",
        discussion: """
          May be run while the coordinator serves. The file is a tar archive of mode 0600 and holds \
          the log's private key: keep it as you keep the key. Books of a PostgreSQL database are in \
          it as a SQLite file.
          """,
        options: [data, database, .json], arguments: [ArgumentSpec("FILE", "a new file")],
        examples: [
          .init(
            "darkbloom-coordinator backup --data /var/lib/darkbloom /mnt/backup/monday.tar",
            "once a day")
        ]),
      CommandSpec(
        "restore", "bring a backup back",
        discussion: """
          All of it or nothing; its digests are checked first. A folder that is a coordinator's \
          already is left alone without --force. What was settled after the backup is lost; a \
          directory's log that goes on from the backup's is kept, since clients have seen it. \
          The books go where the setting database says, so this also moves them between SQLite and \
          PostgreSQL.
          """,
        options: [
          data, database, OptionSpec("force", "replace the keys and books that are there"), .json,
        ], arguments: [ArgumentSpec("FILE", "the backup")],
        examples: [
          .init(
            "darkbloom-coordinator restore --data /var/lib/darkbloom /mnt/backup/monday.tar",
            "on a new machine")
        ]),
      CommandSpec(
        "verify", "recompute every balance and prove every kept receipt",
        discussion: """
          Works on a copy, offline and while the coordinator serves. Exits with 1 when something \
          does not hold.
          """,
        options: [data, database, .json],
        examples: [
          .init("darkbloom-coordinator verify --data /var/lib/darkbloom", "after a restore")
        ]),
    ]
  }

  /// Runs one; `nil` when the command is none of these.
  ///
  /// - Returns: Whether all is well.
  /// - Throws: What the command throws.
  static func run(
    _ command: ParsedCommand, _ environment: [String: String], _ folder: CoordinatorFolder
  ) async throws -> Bool? {
    let isJSON = command.has("json")
    switch command.path {
    case ["doctor"]:
      let doctor = CoordinatorDoctor(
        folder, settings: Result { try ServeSettings(command, environment, folder) },
        time: SystemTime())
      let findings = await doctor.run()
      show(isJSON, CoordinatorDoctor.json(findings), CoordinatorDoctor.text(findings))
      return !findings.contains { $0.status == .fault }
    case ["backup"]:
      let backup = CoordinatorBackup(
        folder, place: try LedgerPlace(command, environment, folder), now: SystemTime().unixTime())
      let summary = try backup.make(try file(command))
      show(isJSON, summary.json, summary.text)
      return true
    case ["restore"]:
      let now = SystemTime().unixTime()
      let summary = try CoordinatorBackup(folder, now: now).restore(
        try file(command), force: command.has("force")
      ) { settings in try LedgerPlace(command, environment, file: settings) }
      let isSet =
        try LedgerPlace(nil, environment, folder) == LedgerPlace(command, environment, folder)
      let next = "darkbloom-coordinator verify, then doctor, then serve"
      show(
        isJSON, summary.json,
        summary.text + "\nnext: " + (isSet ? next : "set database in settings.json5, then \(next)"))
      return true
    case ["verify"]:
      let result = try await OfflineVerification.run(
        folder, place: try LedgerPlace(command, environment, folder))
      show(isJSON, result.json, result.text)
      return result.findings.isEmpty
    default: return nil
    }
  }

  private static func file(_ command: ParsedCommand) throws -> String {
    guard let file = command.arguments.first else { throw UsageError("FILE is needed") }
    return file
  }

  private static func show(_ isJSON: Bool, _ json: [UInt8], _ text: String) {
    print(isJSON ? String(decoding: json, as: UTF8.self) : text)
  }
}
