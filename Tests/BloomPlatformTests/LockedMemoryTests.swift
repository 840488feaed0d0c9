import BloomPlatform
import Testing

@Suite struct LockedMemoryTests {
  @Test(arguments: [true, false])
  func `memory starts zeroed and keeps what is written`(allowsSecret: Bool) throws {
    var memory = try LockedMemory(count: 5000, allowsSecret: allowsSecret)
    #expect(memory.withBytes { bytes in bytes.indices.allSatisfy { bytes[$0] == 0 } })
    memory.withMutableBytes { bytes in
      for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index) }
    }
    #expect(memory.withBytes { bytes in bytes.count == 5000 && bytes[4999] == 135 })
    if !allowsSecret { #expect(memory.protection == .locked) }
  }

  @Test(arguments: [0, -1, Int.max, Int.max / 2])
  func `a count that cannot be had is refused`(count: Int) {
    #expect(throws: PlatformError.self) { _ = try LockedMemory(count: count) }
  }
}
