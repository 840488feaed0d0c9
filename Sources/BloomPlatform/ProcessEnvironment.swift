public import BloomBase

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
internal import MachO.dyld
#endif

/// What a program gets from and gives back to the system it runs in.
public enum ProcessEnvironment: Sendable {
  /// The environment variables; names that occur twice keep their last value.
  ///
  /// environ(7).
  public static var current: [String: String] {
    var result: [String: String] = [:]
    #if canImport(Glibc)
    var entry = unsafe environ
    #else
    // The header says nothing of null: an optional, unlike Glibc's variable.
    let first: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe _NSGetEnviron().pointee
    guard var entry = unsafe first else { return result }
    #endif
    while let text = unsafe entry.pointee {
      let line = unsafe String(cString: text)
      if let sign = line.firstIndex(of: "=") {
        result[String(line[..<sign])] = String(line[line.index(after: sign)...])
      }
      unsafe entry += 1
    }
    return result
  }

  /// Writes a line to standard error.
  public static func complain(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe write(2, bytes, bytes.count)
  }

  /// Ends the process.
  public static func exit(_ code: ExitCode) -> Never {
    #if canImport(Glibc)
    Glibc.exit(code.rawValue)
    #else
    Darwin.exit(code.rawValue)
    #endif
  }

  /// The folder of the running program, where its companions lie.
  ///
  /// proc(5).
  public static var programFolder: String {
    var buffer = [CChar](repeating: 0, count: 4096)
    #if canImport(Glibc)
    let count = unsafe readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { return "." }
    let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    #else
    var size = UInt32(buffer.count)
    guard unsafe _NSGetExecutablePath(&buffer, &size) == 0 else { return "." }
    let path = String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    #endif
    return path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }
}

extension ProcessEnvironment {
  /// Writes out what `print` holds back when standard output is no terminal.
  public static func flush() { fflush(nil) }
}
