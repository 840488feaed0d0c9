internal import BloomBase
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// What this program is connected to.
enum Terminal {
  /// Whether a person types the input.
  static var hasInput: Bool { isatty(0) == 1 }
  /// Whether a person sees the output.
  static var hasOutput: Bool { isatty(1) == 1 }
  /// Whether a person sees the messages.
  static var hasMessages: Bool { isatty(2) == 1 }

  /// Writes to standard error without a line end.
  static func hint(_ text: String) {
    let bytes = Array(text.utf8)
    // A hint that nobody reads is lost.
    _ = unsafe write(2, bytes, bytes.count)
  }

  /// Shows a piece of an answer at once.
  ///
  /// A stranger's machine wrote it: at a terminal nothing of it may steer the terminal, ECMA-48.
  static func show(_ text: String) {
    print(hasOutput ? plain(text) : text, terminator: "")
    ProcessEnvironment.flush()
  }

  /// Prints a line with words of other people in it, for example the name of a machine.
  static func tell(_ text: String) { print(hasOutput ? plain(text) : text) }

  /// The text without control characters but line end and tab.
  private static func plain(_ text: String) -> String {
    var kept = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0x09, 0x0a: kept.append(scalar)
      case 0...0x1f, 0x7f...0x9f: break
      default: kept.append(scalar)
      }
    }
    return String(kept)
  }
}

/// Lines of standard input, read on a thread of its own because reading blocks.
actor LineReader {
  private let executor = ThreadExecutor(name: "line-reader")

  nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe executor.asUnownedSerialExecutor()
  }

  deinit { executor.stop() }

  /// The next line without its end; `nil` after the last.
  func next() -> String? { readLine() }

  /// Everything up to the end of the input, at most 32 MiB.
  func all() -> String {
    var text = ""
    while text.utf8.count < 32 << 20, let line = readLine(strippingNewline: false) { text += line }
    return text
  }
}

/// A line that says what is being waited for, and how long it has taken.
enum Waiting {
  /// Runs something slow; says so at once, and again while it lasts.
  ///
  /// At a terminal one line is rewritten each second; elsewhere a line comes every ten seconds.
  /// - Parameters:
  ///   - text: What is done, lower case.
  ///   - detail: How far it is, asked when a line is written.
  ///   - body: What takes its time.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  static func say<R: Sendable>(
    _ text: String, detail: @escaping @Sendable () async -> String? = { nil },
    _ body: () async throws -> R
  ) async throws -> R {
    let isTerminal = Terminal.hasMessages
    Terminal.hint("· \(text)" + (isTerminal ? "" : "\n"))
    let teller = Task {
      let step = isTerminal ? 1 : 10
      for seconds in sequence(first: step, next: { $0 + step }) {
        try await Task.sleep(for: .seconds(step))
        let more = await detail().map { ", \($0)" } ?? ""
        if Task.isCancelled { return }
        let line = "· \(text): \(seconds) s\(more)"
        Terminal.hint(isTerminal ? "\r\(line)\u{1b}[K" : "\(line)\n")
      }
    }
    defer {
      teller.cancel()
      if isTerminal { Terminal.hint("\n") }
    }
    return try await body()
  }
}
