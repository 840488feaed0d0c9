public import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Writes entries to standard error: short text at a terminal, lines of JSON otherwise.
public struct StandardErrorLog: LogSink {
  /// How an entry becomes a line.
  public enum Style: Sendable {
    /// One JSON object a line, for services.
    case json
    /// A short line for people.
    case text
  }

  private let style: Style

  /// Chooses text when standard error is a terminal, unless told.
  public init(style: Style? = nil) { self.style = style ?? (isatty(2) == 1 ? .text : .json) }

  /// Writes one line with one call of write(2), so that lines of threads do not mix.
  public func write(_ entry: LogEntry) {
    let line = Array(((style == .json ? entry.json : entry.text) + "\n").utf8)
    unsafe line.withUnsafeBytes { bytes in
      var start = 0
      while start < bytes.count {
        let rest = unsafe UnsafeRawBufferPointer(rebasing: bytes[start...])
        #if canImport(Glibc)
        let count = unsafe Glibc.write(2, rest.baseAddress, rest.count)
        #else
        let count = unsafe Darwin.write(2, rest.baseAddress, rest.count)
        #endif
        // A log that nobody reads must not stop the program: the line is lost.
        if count < 0, errno != EINTR { return }
        start += max(0, count)
      }
    }
  }
}
