internal import BloomBase
internal import BloomNode
internal import BloomWire

/// `darkbloom node schedule`: the hours of service.
struct NodeScheduleCommand {
  static let spec = CommandSpec(
    "schedule", "show or change the hours of service",
    discussion: """
      Without an action the hours are shown; without any hours the node serves whenever the machine is \
      free. A window that ends before it starts goes over midnight and belongs to the day it starts on. \
      A running node takes a change at once.
      """,
    options: [CommandContext.data, NodeSetup.socket, NodeSetup.settings, OptionSpec.json],
    arguments: [
      ArgumentSpec("ACTION", "add, remove or clear", isOptional: true),
      ArgumentSpec("WINDOW", "days and hours, as in the examples", isOptional: true, repeats: true),
    ],
    examples: [
      .init("darkbloom node schedule", "show the hours"),
      .init("darkbloom node schedule add mon-fri 22:00-07:00", "nights of working days"),
      .init("darkbloom node schedule add sat,sun 00:00-24:00", "and the weekend"),
      .init("darkbloom node schedule clear", "any hour again"),
    ])

  private let setup: NodeSetup

  init(_ setup: NodeSetup) { self.setup = setup }

  func run() async throws -> ExitCode {
    let arguments = setup.context.command.arguments
    let file = setup.settingsFile
    var windows = try file.load().windows
    switch arguments.first {
    case nil: break
    case "add":
      for window in try Self.windows(arguments.dropFirst()) where !windows.contains(window) {
        windows.append(window)
      }
    case "remove":
      for window in try Self.windows(arguments.dropFirst()) {
        guard windows.contains(window) else {
          throw UsageError("there is no window \(window); see: darkbloom node schedule")
        }
        windows.removeAll { $0 == window }
      }
    case "clear": windows = []
    default: throw UsageError("choose one of add, remove, clear, or nothing to see the hours")
    }
    if !arguments.isEmpty {
      try file.setWindows(windows)
      // Nobody there to hear it: the next start reads the file.
      _ = try? await setup.ask(.reload)
    }
    show(windows, fleet: try file.load().fleetWindows)
    return .done
  }

  /// Each window is two words, or one text of both.
  private static func windows(_ words: ArraySlice<String>) throws -> [ScheduleWindow] {
    let all = words.joined(separator: " ").split(separator: " ").map(String.init)
    guard !all.isEmpty, all.count % 2 == 0 else {
      throw UsageError("name a window, for example: mon-fri 22:00-07:00")
    }
    return try stride(from: 0, to: all.count, by: 2).map {
      try ScheduleWindow("\(all[$0]) \(all[$0 + 1])")
    }
  }

  private func show(_ windows: [ScheduleWindow], fleet: [ScheduleWindow]) {
    if setup.context.command.has("json") {
      func texts(_ list: [ScheduleWindow]) -> JSONValue { .array(list.map { .string("\($0)") }) }
      let facts = JSONValue.members(["windows": texts(windows), "fleet_windows": texts(fleet)])
      print(String(decoding: facts.encoded, as: UTF8.self))
      return
    }
    if windows.isEmpty { print("at any hour") }
    for window in windows { print(window) }
    for window in fleet { print("\(window) (only within, by the fleet's policy)") }
  }
}
