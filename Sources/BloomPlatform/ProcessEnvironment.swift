#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// The process's environment variables.
public enum ProcessEnvironment: Sendable {
  /// A copy of all of them; call before threads may change any. environ(7).
  public static func current() -> [String: String] {
    var result: [String: String] = [:]
    // Optional on some systems, not on others.
    let start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = unsafe environ
    guard var entry = unsafe start else { return result }
    while let line = unsafe entry.pointee {
      let text = unsafe String(cString: line)
      if let sign = text.firstIndex(of: "=") {
        result[String(text[..<sign])] = String(text[text.index(after: sign)...])
      }
      unsafe entry += 1
    }
    return result
  }
}
