#if os(Linux)
internal import BloomBase
internal import Glibc

/// What NVIDIA's management library tells of the graphics processors, where it is installed.
///
/// Loaded at run time, so that no machine needs it. Calls block for about a millisecond.
/// docs.nvidia.com/deploy/nvml-api
@safe
final class NvidiaManagement: @unchecked Sendable {
  // @unchecked: the pointers are set once, and the library's functions may be called from any
  // thread.

  /// One graphics processor.
  struct Device: Sendable, Equatable {
    var name: String
    var memoryBytes: UInt64
    var freeBytes: UInt64
    /// Bytes a second between memory and processor at full clock; 0 when unknown.
    var bytesPerSecond: Double
    var milliwatts: Int?
  }

  private typealias Init = @convention(c) () -> Int32
  private typealias Count = @convention(c) (UnsafeMutablePointer<UInt32>) -> Int32
  private typealias Handle =
    @convention(c) (
      UInt32, UnsafeMutablePointer<UnsafeMutableRawPointer?>
    ) -> Int32
  private typealias Name =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutablePointer<CChar>, UInt32
    ) -> Int32
  private typealias Memory =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt64>
    ) -> Int32
  private typealias Number =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>
    ) -> Int32
  private typealias Clock =
    @convention(c) (
      UnsafeMutableRawPointer?, UInt32, UnsafeMutablePointer<UInt32>
    ) -> Int32
  private typealias Samples =
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafeMutableRawPointer?, UnsafeMutablePointer<UInt32>, UInt64
    ) -> Int32

  /// `nvmlProcessUtilizationSample_t`: process, time in microseconds, four shares in percent.
  private static let sampleByteCount = 32

  private let library: UnsafeMutableRawPointer
  private let devices: [UnsafeMutableRawPointer]
  private let since = Locked<[UInt64]>([])

  /// Loads the library; `nil` where there is none or no device.
  init?(path: String = "libnvidia-ml.so.1") {
    guard let library = unsafe dlopen(path, RTLD_NOW | RTLD_LOCAL) else { return nil }
    unsafe self.library = unsafe library
    var found: [UnsafeMutableRawPointer] = unsafe []
    var count: UInt32 = 0
    if let start = unsafe Self.symbol(library, "nvmlInit_v2", Init.self), start() == 0,
      let counter = unsafe Self.symbol(library, "nvmlDeviceGetCount_v2", Count.self),
      unsafe counter(&count) == 0,
      let handle = unsafe Self.symbol(library, "nvmlDeviceGetHandleByIndex_v2", Handle.self)
    {
      for index in 0..<min(count, 64) {
        var device: UnsafeMutableRawPointer?
        if unsafe handle(index, &device) == 0, let device = unsafe device {
          unsafe found.append(device)
        }
      }
    }
    unsafe devices = unsafe found
    since.withLock { $0 = [UInt64](repeating: 0, count: Int(count)) }
    if unsafe found.isEmpty { return nil }
  }

  private static func symbol<F>(
    _ library: UnsafeMutableRawPointer, _ name: String, _ type: F.Type
  ) -> F? {
    unsafe dlsym(library, name).map { unsafe unsafeBitCast($0, to: type) }
  }

  /// Names, memory and power of every device.
  func read() -> [Device] {
    unsafe devices.indices.map { unsafe device(devices[$0]) }
  }

  private func device(_ handle: UnsafeMutableRawPointer) -> Device {
    var name = [CChar](repeating: 0, count: 96)
    if let call = unsafe Self.symbol(library, "nvmlDeviceGetName", Name.self) {
      _ = unsafe call(handle, &name, UInt32(name.count))
    }
    // Total, free and used bytes.
    var memory = [UInt64](repeating: 0, count: 3)
    if let call = unsafe Self.symbol(library, "nvmlDeviceGetMemoryInfo", Memory.self) {
      _ = unsafe call(handle, &memory)
    }
    let width = unsafe number(handle, "nvmlDeviceGetMemoryBusWidth") ?? 0
    var megahertz: UInt32 = 0
    if let call = unsafe Self.symbol(library, "nvmlDeviceGetMaxClockInfo", Clock.self) {
      // 2 is the clock of the memory, which moves data at both edges.
      _ = unsafe call(handle, 2, &megahertz)
    }
    let text = String(
      decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Device(
      name: text, memoryBytes: memory[0], freeBytes: memory[1],
      bytesPerSecond: Double(width) / 8 * Double(megahertz) * 2e6,
      milliwatts: unsafe number(handle, "nvmlDeviceGetPowerUsage").map { Int($0) })
  }

  private func number(_ handle: UnsafeMutableRawPointer, _ name: String) -> UInt32? {
    guard let call = unsafe Self.symbol(library, name, Number.self) else { return nil }
    var value: UInt32 = 0
    return unsafe call(handle, &value) == 0 ? value : nil
  }

  /// Graphics time that other processes took since the last call, 0…1,000 of the busiest device.
  ///
  /// - Parameter own: Processes that are not others.
  /// - Returns: `nil` where the library does not tell.
  func othersPermille(own: Set<Int32>) -> Int? {
    guard
      let call = unsafe Self.symbol(library, "nvmlDeviceGetProcessUtilization", Samples.self)
    else { return nil }
    var busiest: Int?
    for index in unsafe devices.indices {
      let last = since.withLock { $0.indices.contains(index) ? $0[index] : 0 }
      var count: UInt32 = 256
      var bytes = [UInt8](repeating: 0, count: 256 * Self.sampleByteCount)
      let code = unsafe bytes.withUnsafeMutableBytes { memory in
        unsafe call(devices[index], memory.baseAddress, &count, last)
      }
      // 6: no process used the device since then.
      guard code == 0 || code == 6 else { continue }
      let samples = code == 0 ? Self.samples(bytes, Int(min(count, 256))) : []
      since.withLock { since in
        guard since.indices.contains(index) else { return }
        since[index] = max(last, samples.map(\.time).max() ?? 0)
      }
      var newest: [Int32: (time: UInt64, percent: Int)] = [:]
      for sample in samples where !own.contains(sample.process) {
        if sample.time >= newest[sample.process]?.time ?? 0 {
          newest[sample.process] = (sample.time, sample.percent)
        }
      }
      let percent = min(100, newest.values.reduce(0) { $0 + $1.percent })
      busiest = max(busiest ?? 0, percent * 10)
    }
    return busiest
  }

  private static func samples(
    _ bytes: [UInt8], _ count: Int
  ) -> [(process: Int32, time: UInt64, percent: Int)] {
    unsafe bytes.withUnsafeBytes { memory in
      (0..<count).map { index in
        let start = index * sampleByteCount
        return unsafe (
          Int32(truncatingIfNeeded: memory.load(fromByteOffset: start, as: UInt32.self)),
          memory.load(fromByteOffset: start + 8, as: UInt64.self),
          Int(min(100, memory.load(fromByteOffset: start + 16, as: UInt32.self)))
        )
      }
    }
  }
}
#endif
