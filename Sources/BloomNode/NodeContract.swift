internal import BloomBase
internal import BloomCrypto
internal import BloomPlatform

/// What an owner agrees to before a node starts for the first time, in plain words; pure.
package struct NodeContract: Sendable, Equatable {
  /// The whole text.
  package let text: String

  private static let fileName = "accepted"

  /// Writes it for a machine's settings.
  ///
  /// - Parameters:
  ///   - settings: The owner's.
  ///   - models: Names of what is served.
  ///   - memoryBytes: The machine's memory.
  package init(settings: OwnerSettings, models: [String], memoryBytes: UInt64) {
    let limits = settings.limits
    var stops: [String] = ["you pause it: darkbloom node pause"]
    if !settings.isDedicated {
      if settings.yieldsToInput {
        stops.append(
          "you touch keyboard, mouse or screen; it comes back "
            + "\(settings.inputLeaveAfter.components.seconds / 60) minutes after your last input")
      }
      if !settings.exclusiveApps.isEmpty {
        stops.append(
          "one of these runs: \(settings.exclusiveApps.sorted().joined(separator: ", "))")
      }
      if !settings.servesOnBattery { stops.append("the machine runs on its battery") }
      stops.append("the machine is hot, memory is short or other programs use the graphics")
      if !settings.servesOnMetered { stops.append("the network costs by volume") }
    }
    let windows = settings.windows + settings.fleetWindows
    let hours =
      windows.isEmpty || settings.isDedicated
      ? "at any hour" : windows.map(\.description).joined(separator: ", ")
    let daily = limits.hoursPerDay > 0 ? ", at most \(limits.hoursPerDay) hours a day" : ""
    let memory =
      settings.isDedicated && limits.memoryMebibytes == 0
      ? "what the models need" : "at most \(limits.memoryBytes(total: memoryBytes) >> 20) MiB"
    text = """
      Before this machine serves the Darkbloom network:

      what    strangers' requests are computed here by \(models.joined(separator: ", ")).
              They come sealed; you cannot read them, and must not try.
      memory  \(memory) while it serves; none when you are here
      disk    \(limits.diskMebibytes > 0 ? "at most \(limits.diskMebibytes) MiB of models" : "the models you choose, no limit set")
      upload  \(limits.uploadMebibytesPerDay > 0 ? "at most \(limits.uploadMebibytesPerDay) MiB a day" : "answers only, a few KiB each; no limit set")
      hours   \(hours)\(daily)
      power   \(limits.watts > 0 ? "polite above \(limits.watts) W" : "processor and graphics at full load while it works; no limit set")
      pay     what the coordinator books for receipts that this machine signs; nothing is promised
      leaves  sizes and timing of requests, speed and free memory; no host name, no serial number

      It stops when
      \(stops.map { "  - \($0)" }.joined(separator: "\n"))

      Change any of it in the settings file or with `darkbloom node schedule`.
      """
  }

  /// Whether this very text was accepted for a data folder.
  package func isAccepted(in dataFolder: String) -> Bool {
    let bytes = try? PrivateFile.read("\(dataFolder)/\(Self.fileName)")
    return bytes.flatMap { $0 } == Array(digest.utf8)
  }

  /// Remembers that the owner accepted it.
  package func accept(in dataFolder: String) throws {
    try PrivateFile.makeFolder(dataFolder)
    try PrivateFile.write(Array(digest.utf8), to: "\(dataFolder)/\(Self.fileName)")
  }

  private var digest: String { SHA256.digest(Array(text.utf8)).hex }
}
