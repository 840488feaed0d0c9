/// How much an entry matters; ordered.
public enum LogLevel: Int, Sendable, Comparable, CaseIterable {
  /// For people who look for a fault.
  case debug
  /// What happened, in normal running.
  case info
  /// Something is off and the program goes on.
  case warning
  /// Something failed that somebody must look at.
  case error

  /// Reads `debug`, `info`, `warning` or `error`; `nil` for anything else.
  public init?(name: String) {
    guard let level = Self.allCases.first(where: { "\($0)" == name }) else { return nil }
    self = level
  }

  /// Orders levels by how much they matter.
  public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

/// One entry of a log.
public struct LogEntry: Sendable {
  /// How much it matters.
  public let level: LogLevel
  /// Which part of the program speaks.
  public let component: String
  /// What happened, in words written in the source.
  public let event: String
  /// Names and values, in order.
  public let fields: [(name: String, value: LogValue)]
  /// When.
  public let time: UnixTime

  /// One JSON object without a line end: `time`, `level`, `component`, `event`, then the fields.
  public var json: String {
    var text = "{\"time\":\(time.seconds),\"level\":\"\(level)\",\"component\":\""
    text += Self.escaped(component) + "\",\"event\":\"" + Self.escaped(event) + "\""
    for (name, value) in fields {
      text += ",\"" + Self.escaped(name) + "\":"
      switch value.storage {
      case .integer(let number): text += "\(number)"
      case .boolean(let flag): text += "\(flag)"
      case .text(let string): text += "\"" + Self.escaped(string) + "\""
      }
    }
    return text + "}"
  }

  /// One short line for people, without a line end.
  public var text: String {
    let prefix = level == .info ? "" : "\(level): "
    return fields.reduce("\(prefix)\(component): \(event)") { "\($0) \($1.name)=\($1.value)" }
  }

  private static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\u{0}"..."\u{1f}":
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// Where entries go; must not block for long, since it is called where things happen.
public protocol LogSink: Sendable {
  /// Takes an entry; safe from any thread.
  func write(_ entry: LogEntry)
}

/// Writes entries of one component that reach a level.
///
/// Event names and field names are texts of the source and values are ``LogValue``, so user
/// content cannot get in.
public struct Log: Sendable {
  private let component: StaticString
  private let minimum: LogLevel
  private let sink: any LogSink
  private let time: any TimeSource

  /// Creates a log.
  ///
  /// - Parameters:
  ///   - component: Which part of the program speaks.
  ///   - minimum: Entries below it are dropped; their fields are not even made.
  ///   - sink: Where entries go.
  ///   - time: Where the time comes from.
  public init(
    _ component: StaticString, minimum: LogLevel = .info, sink: any LogSink,
    time: any TimeSource = SystemTime()
  ) {
    self.component = component
    self.minimum = minimum
    self.sink = sink
    self.time = time
  }

  /// The same log under another component's name.
  public func named(_ component: StaticString) -> Log {
    Log(component, minimum: minimum, sink: sink, time: time)
  }

  /// Writes an entry of level ``LogLevel/debug``.
  public func debug(
    _ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]
  ) { write(.debug, event, fields) }

  /// Writes an entry of level ``LogLevel/info``.
  public func info(
    _ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]
  ) { write(.info, event, fields) }

  /// Writes an entry of level ``LogLevel/warning``.
  public func warning(
    _ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]
  ) { write(.warning, event, fields) }

  /// Writes an entry of level ``LogLevel/error``.
  public func error(
    _ event: StaticString, _ fields: @autoclosure () -> KeyValuePairs<StaticString, LogValue> = [:]
  ) { write(.error, event, fields) }

  private func write(
    _ level: LogLevel, _ event: StaticString,
    _ fields: () -> KeyValuePairs<StaticString, LogValue>
  ) {
    guard level >= minimum else { return }
    sink.write(
      LogEntry(
        level: level, component: "\(component)", event: "\(event)",
        fields: fields().map { ("\($0.key)", $0.value) }, time: time.unixTime()))
  }
}

/// Keeps the last entries, for tests.
public final class RecentLog: LogSink {
  private let entries = Locked<[LogEntry]>([])
  private let capacity: Int

  /// Keeps at most `capacity` entries and drops the oldest.
  public init(capacity: Int = 1_000) { self.capacity = max(1, capacity) }

  /// Takes an entry.
  public func write(_ entry: LogEntry) {
    entries.withLock { entries in
      if entries.count == capacity { entries.removeFirst() }
      entries.append(entry)
    }
  }

  /// What is kept, oldest first.
  public var recent: [LogEntry] { entries.withLock { $0 } }
}
