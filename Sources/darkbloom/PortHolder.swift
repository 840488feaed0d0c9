internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#endif

/// The program that listens on a port of this machine, as far as this user may see.
///
/// proc(5): `/proc/net/tcp` has the socket's number, `/proc/PID/fd` who holds it.
enum PortHolder {
  /// For example `python3 (process 4711)`; `nil` for another user's program, and on macOS.
  static func name(ofPort port: Int) -> String? {
    #if canImport(Glibc)
    let sockets = Set(
      ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { listening(on: port, $0) }
        .map { "socket:[\($0)]" })
    guard !sockets.isEmpty else { return nil }
    for process in numbers(in: "/proc") {
      for file in numbers(in: "/proc/\(process)/fd") {
        guard let target = target(of: "/proc/\(process)/fd/\(file)"), sockets.contains(target)
        else { continue }
        // A process that ended meanwhile has no name any more.
        let bytes = try? PrivateFile.read("/proc/\(process)/comm")
        let name = String(decoding: bytes ?? [], as: UTF8.self).filter { !$0.isNewline }
        return "\(name.isEmpty ? "a program" : name) (process \(process))"
      }
    }
    #endif
    return nil
  }

  #if canImport(Glibc)
  /// The socket numbers that listen on a port, state 0A of the table.
  private static func listening(on port: Int, _ table: String) -> [String] {
    // A kernel without IPv6 has no second table; a very long one is passed over.
    guard let bytes = try? PrivateFile.read(table, limitBytes: 1 << 24) else { return [] }
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count > 9, words[1].hasSuffix(suffix), words[3] == "0A" else { return nil }
      return String(words[9])
    }
  }

  /// The entries of a folder that are numbers; none where this user may not look.
  private static func numbers(in folder: String) -> [Int] {
    ((try? FolderNames.all(in: folder)) ?? []).compactMap { Int($0) }
  }

  private static func target(of link: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 128)
    let count = unsafe readlink(link, &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
  #endif
}
