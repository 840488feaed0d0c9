internal import BloomBase
internal import BloomCrypto
package import BloomPlatform

/// Hands out pieces of one block of locked memory: keys and what is derived from them.
///
/// Made after lock-down, as all secrets are; lives as long as any secret in it.
@safe
package final class SecretArena: SecretMemory {
  /// Bytes of one slot; a scalar or a symmetric key takes one.
  private static let slotBytes = 64

  private let memory: LockedMemory
  private let slots: Locked<[Bool]>

  /// How the block is kept.
  package var protection: LockedMemory.Protection { memory.protection }

  /// Locks a block.
  ///
  /// - Parameter byteCount: 64 KiB hold a thousand keys; counts against the locked-memory limit.
  /// - Throws: ``PlatformError`` `memoryNotLocked`.
  package init(byteCount: Int = 65_536) throws(PlatformError) {
    memory = try LockedMemory(count: byteCount)
    slots = Locked([Bool](repeating: false, count: byteCount / Self.slotBytes))
  }

  /// Gives zeroed bytes; `nil` when no run of free slots is long enough.
  package func allocate(byteCount: Int) -> UnsafeMutableRawBufferPointer? {
    let wanted = max(1, (byteCount + Self.slotBytes - 1) / Self.slotBytes)
    let first = slots.withLock { slots -> Int? in
      var run = 0
      for index in slots.indices {
        run = slots[index] ? 0 : run + 1
        if run == wanted {
          let first = index - wanted + 1
          for slot in first...index { slots[slot] = true }
          return first
        }
      }
      return nil
    }
    guard let first else { return nil }
    let start = first * Self.slotBytes
    return unsafe UnsafeMutableRawBufferPointer(
      rebasing: memory.unsafeBytes[start..<start + byteCount])
  }

  /// Takes back wiped bytes.
  package func deallocate(_ bytes: UnsafeMutableRawBufferPointer) {
    guard let start = bytes.baseAddress, let base = unsafe memory.unsafeBytes.baseAddress else {
      return
    }
    let first = unsafe (start - base) / Self.slotBytes
    let count = max(1, (bytes.count + Self.slotBytes - 1) / Self.slotBytes)
    slots.withLock { slots in
      for slot in first..<first + count { slots[slot] = false }
    }
  }
}
