import BloomPlatform

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A process with something worth reading.
enum Victim {
  /// Never written as one literal, so that the program file does not contain it.
  static let secret: [UInt8] = (0..<16).map { 0x41 + UInt8($0) ^ 0x2a }

  /// Prints the addresses of the secret in ordinary and in secret memory, then waits.
  static func run(_ kind: String) {
    var begun: ProcessHardening.Begun?
    var error: PlatformError?
    if kind != "plain" {
      do throws(PlatformError) {
        begun = try ProcessHardening.begin(
          .init(keptDescriptors: [], startsGuard: kind == "guarded"))
      } catch let failure { error = failure }
    }
    let ordinary = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
    for index in secret.indices { unsafe ordinary[index] = secret[index] }
    do throws(PlatformError) {
      var locked = try LockedMemory(count: 4096)
      locked.withMutableBytes { bytes in
        for index in secret.indices { bytes[index] = secret[index] }
      }
      if let begun { _ = try ProcessHardening.finish(begun) }
      let address = locked.withBytes { bytes in
        unsafe bytes.withUnsafeBufferPointer { UInt(bitPattern: $0.baseAddress) }
      }
      let plain = UInt(bitPattern: ordinary)
      say(
        "\(getpid()) \(plain) \(address) \(locked.protection.rawValue)"
          + " \(begun?.facts.contains(.guarded) == true ? "guarded" : "unguarded")")
    } catch let failure { error = failure }
    if let error { say("error: \(error.publicDescription)") }
    _ = readLine()
    unsafe ordinary.deallocate()
  }

  /// Writes a line at once: `print` keeps it back while the output is a pipe.
  private static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe write(1, bytes, bytes.count)
  }
}
