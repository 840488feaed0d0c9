internal import BloomBase
internal import BloomPlatform
internal import BloomWire

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// One line of a benchmark's table, and one object of `.build/bench/<area>.json`.
public struct BenchRow: Sendable {
  /// What was measured.
  public let name: String
  /// The figure, in `unit`; not finite, and null in the file, when it could not be measured.
  public let value: Double
  /// For example `us/request`, `events/s`, `KiB`.
  public let unit: String
  /// What it is compared with in the same run; `nil` when a row is absolute.
  public let peer: String?
  /// Ours ÷ the peer's, always finite; `nil` without a peer, or when the peer did not run.
  public let ratio: Double?
  /// What is promised, in words, for example `<= 1.2 x nginx`.
  public let target: String?
  /// Whether the target is met; `nil` without a target.
  ///
  /// A row whose peer did not run, or whose figure is not finite, is `false`.
  public let holds: Bool?

  /// Creates a row.
  public init(
    _ name: String, value: Double, unit: String, peer: String? = nil, ratio: Double? = nil,
    target: String? = nil, holds: Bool? = nil
  ) {
    self.name = name
    self.value = value
    self.unit = unit
    self.peer = peer
    let finiteRatio = ratio.flatMap { $0.isFinite ? $0 : nil }
    self.ratio = finiteRatio
    self.target = target
    // Here and not where rows are made, so that no area can forget it.
    let isMeasured = value.isFinite && (peer == nil || finiteRatio != nil)
    self.holds = isMeasured ? holds : false
  }
}

/// Prints the rows of one area and writes them as JSON.
public enum BenchReport: Sendable {
  /// Prints a table to standard output and writes `<folder>/<area>.json`.
  ///
  /// Ends the process with status 1 when the file cannot be written: who reads it afterwards would
  /// take an older one for this run's.
  ///
  /// - Parameters:
  ///   - area: Names the file, for example `net`.
  ///   - rows: In the order of the table.
  ///   - folder: Made if missing; `.build/bench` in the repository.
  public static func finish(area: String, rows: [BenchRow], folder: String = ".build/bench") {
    for row in rows {
      let value = row.value.isFinite ? "\(round(row.value)) \(row.unit)" : "not measured"
      let ratio = row.ratio.map { " ratio \(round($0))" } ?? ""
      let peer = row.peer.map { " (peer \($0))" } ?? ""
      let target = row.target.map { " target \($0)" } ?? ""
      let holds = row.holds.map { $0 ? " HOLDS" : " MISSES" } ?? ""
      print("\(row.name): \(value)\(ratio)\(peer)\(target)\(holds)")
    }
    let objects = rows.map { String(decoding: json($0).encoded, as: UTF8.self) }
    let text = "[" + objects.joined(separator: ",\n ") + "]\n"
    makeFolder(folder)
    let path = "\(folder)/\(area).json"
    guard let file = unsafe fopen(path, "w") else { fail(path) }
    let isTaken = unsafe fputs(text, file) >= 0
    // A full disk may show only now.
    guard unsafe fclose(file) == 0, isTaken else { fail(path) }
  }

  private static func fail(_ path: String) -> Never {
    let reason = unsafe String(cString: strerror(errno))
    ProcessEnvironment.complain("cannot write \(path): \(reason)")
    ProcessEnvironment.exit(.failed)
  }

  /// Makes a folder and those above it; existing ones stay as they are.
  public static func makeFolder(_ path: String) {
    for end in path.indices.dropFirst() where path[end] == "/" {
      unsafe mkdir(String(path[..<end]), 0o755)
    }
    unsafe mkdir(path, 0o755)
  }

  private static func json(_ row: BenchRow) -> JSONValue {
    .members([
      "name": .string(row.name), "value": number(row.value), "unit": .string(row.unit),
      "peer": text(row.peer), "ratio": number(row.ratio), "target": text(row.target),
      "holds": row.holds.map { .bool($0) } ?? .null,
    ])
  }

  private static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

  /// A figure; null when it was not measured or is not finite.
  private static func number(_ value: Double?) -> JSONValue {
    guard let value, let number = JSONNumber(value) else { return .null }
    return .number(number)
  }

  private static func round(_ value: Double) -> String {
    let digits = abs(value) >= 100 ? 1.0 : abs(value) >= 1 ? 100.0 : 10000.0
    return "\((value * digits).rounded() / digits)"
  }
}
