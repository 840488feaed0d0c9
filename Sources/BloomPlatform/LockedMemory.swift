internal import CPlatform

/// A block of memory for secrets: never swapped, outside core dumps, wiped when it is let go.
///
/// Not for bulk data: it counts against the locked-memory limit of the user (8 MiB by default).
@safe
public struct LockedMemory: ~Copyable, @unchecked Sendable {
  // @unchecked: the pointer has one owner, and writing needs exclusive access to it.

  /// How well a block is kept, weakest first.
  public enum Protection: String, Sendable {
    /// mlock(2), MADV_DONTDUMP and MADV_WIPEONFORK: safe from swap and dumps.
    case locked
    /// memfd_secret(2): also outside the kernel's own view, so that root cannot read it through
    /// `/proc/PID/mem`, process_vm_readv(2), hibernation or a dump.
    case secret
  }

  /// What keeps this block.
  public let protection: Protection
  /// Usable bytes.
  public let count: Int
  private let memory: UnsafeMutableRawPointer
  private let mappedBytes: Int

  /// Maps zeroed memory.
  ///
  /// - Parameters:
  ///   - count: Bytes, at least 1; whole pages are used.
  ///   - allowsSecret: False keeps to mlock(2), for tests of the fallback.
  /// - Throws: ``PlatformError`` `memoryNotLocked` when nothing can be locked.
  public init(count: Int, allowsSecret: Bool = true) throws(PlatformError) {
    var mapped = 0
    var kind: Int32 = 0
    guard count > 0,
      let memory = unsafe cplatform_secret_map(count, allowsSecret ? 1 : 0, &mapped, &kind)
    else { throw PlatformError(.memoryNotLocked, "\(count) bytes") }
    unsafe self.memory = unsafe memory
    self.count = count
    mappedBytes = mapped
    protection = kind == Int32(cplatform_memory_secret) ? .secret : .locked
  }

  deinit { unsafe cplatform_secret_unmap(memory, mappedBytes) }

  /// Lends the bytes for reading; they must not be copied out without need.
  ///
  /// - Parameter body: Must not let the span escape.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  public func withBytes<R: ~Copyable, E: Error>(
    _ body: (Span<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    let bytes = unsafe UnsafeBufferPointer(
      start: memory.assumingMemoryBound(to: UInt8.self), count: count)
    return try unsafe body(bytes.span)
  }

  /// Lends the bytes for writing.
  ///
  /// - Parameter body: Must not let the span escape.
  /// - Returns: What `body` returns.
  /// - Throws: What `body` throws.
  public mutating func withMutableBytes<R: ~Copyable, E: Error>(
    _ body: (inout MutableSpan<UInt8>) throws(E) -> R
  ) throws(E) -> R {
    let bytes = unsafe UnsafeMutableBufferPointer(
      start: memory.assumingMemoryBound(to: UInt8.self), count: count)
    var span = unsafe bytes.mutableSpan
    return try body(&span)
  }

  /// The bytes by address, for allocators; valid as long as this value lives.
  package var unsafeBytes: UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(start: memory, count: count)
  }
}
