internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// A page of text that is drawn over again on a terminal.
enum LivePage {
  /// Whether standard output is a terminal that can move its cursor.
  static var isTerminal: Bool {
    let hasName = unsafe getenv("TERM") != nil
    return hasName && isatty(1) == 1
  }

  /// Shows pages until the task is cancelled or one cannot be made.
  ///
  /// ECMA-48: cursor home, erase to the end of the line and of the page; nothing flickers.
  static func show(
    _ first: String, every pause: Duration, _ next: () async throws -> String
  ) async throws {
    var page = first
    print("\u{1b}[2J", terminator: "")
    defer {
      print("")
      ProcessEnvironment.flush()
    }
    while !Task.isCancelled {
      let lines = page.split(separator: "\n", omittingEmptySubsequences: false)
      print("\u{1b}[H" + lines.joined(separator: "\u{1b}[K\n") + "\u{1b}[J", terminator: "")
      ProcessEnvironment.flush()
      guard (try? await Task.sleep(for: pause)) != nil else { return }
      page = try await next()
    }
  }
}
