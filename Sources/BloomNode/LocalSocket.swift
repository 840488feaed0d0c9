#if os(Linux)
internal import Glibc

/// A blocking connection to a local server; each call takes at most 200 ms.
///
/// Belongs on a thread of one's own. Once a call fails the connection is of no use any more.
final class LocalSocket: Sendable {
  private let descriptor: Int32

  /// Connects; `nil` when nobody listens there.
  ///
  /// - Parameters:
  ///   - path: A socket file's path, or an abstract name.
  ///   - isAbstract: Whether the name is no file. unix(7).
  init?(path: String, isAbstract: Bool = false) {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    var wait = timeval(tv_sec: 0, tv_usec: 200_000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
    guard Self.connect(descriptor, (isAbstract ? [0] : []) + Array(path.utf8), isAbstract) else {
      close(descriptor)
      return nil
    }
  }

  deinit { close(descriptor) }

  private static func connect(_ descriptor: Int32, _ name: [UInt8], _ isAbstract: Bool) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let fits = unsafe withUnsafeMutableBytes(of: &address.sun_path) { memory in
      guard name.count < memory.count else { return false }
      unsafe memory.copyBytes(from: name)
      return true
    }
    guard fits else { return false }
    let head = MemoryLayout<sockaddr_un>.size - 108
    let size = isAbstract ? head + name.count : MemoryLayout<sockaddr_un>.size
    return unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        unsafe Glibc.connect(descriptor, address, socklen_t(size)) == 0
      }
    }
  }

  /// Sends all bytes.
  func send(_ bytes: [UInt8]) -> Bool {
    unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  /// Exactly so many bytes; `nil` when they do not come.
  func receive(_ count: Int) -> [UInt8]? {
    var files: [Int32] = []
    let bytes = receive(count, files: &files)
    for file in files { close(file) }
    return bytes
  }

  /// Exactly so many bytes, and the files that came with them, which the caller closes.
  func receive(_ count: Int, files: inout [Int32]) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let got = unsafe bytes.withUnsafeMutableBytes { memory in
        unsafe receive(into: UnsafeMutableRawBufferPointer(rebasing: memory[done...]), &files)
      }
      guard got > 0 else { return nil }
      done += got
    }
    return bytes
  }

  /// recvmsg(2), cmsg(3).
  ///
  /// On Linux a control message is its size as a word, level and type as 32 bits each, then the
  /// payload; sizes are rounded up to words.
  private func receive(into memory: UnsafeMutableRawBufferPointer, _ files: inout [Int32]) -> Int {
    var control = [UInt64](repeating: 0, count: 8)
    let word = MemoryLayout<Int>.size
    return unsafe control.withUnsafeMutableBytes { control in
      var piece = unsafe iovec(iov_base: memory.baseAddress, iov_len: memory.count)
      return unsafe withUnsafeMutablePointer(to: &piece) { piece in
        var message = unsafe msghdr()
        unsafe message.msg_iov = piece
        unsafe message.msg_iovlen = 1
        unsafe message.msg_control = control.baseAddress
        unsafe message.msg_controllen = control.count
        let got = unsafe recvmsg(descriptor, &message, Int32(MSG_CMSG_CLOEXEC))
        let end = unsafe Int(message.msg_controllen)
        var offset = 0
        while got >= 0, offset + word + 8 <= end {
          let size = unsafe control.load(fromByteOffset: offset, as: Int.self)
          let level = unsafe control.load(fromByteOffset: offset + word, as: Int32.self)
          let kind = unsafe control.load(fromByteOffset: offset + word + 4, as: Int32.self)
          guard size >= word + 8, offset + size <= end else { break }
          if level == SOL_SOCKET, kind == Int32(SCM_RIGHTS) {
            for place in stride(from: offset + word + 8, to: offset + size, by: 4) {
              unsafe files.append(control.load(fromByteOffset: place, as: Int32.self))
            }
          }
          offset += (size + word - 1) / word * word
        }
        return got
      }
    }
  }
}
#endif
