/// Randomness as a function of (seed, choice, position), never a sequence.
///
/// A resumed answer therefore continues its own stream on any machine. The mixer is SplitMix64's
/// (Steele, Lea, Flood, 2014). Not for secrets.
public enum CounterRandom: Sendable {
  /// The 64 bits for one draw; `attempt` tells a second draw at the same position from the first.
  public static func bits(seed: UInt64, choice: Int, position: Int, attempt: Int = 0) -> UInt64 {
    var value = mix(seed &+ 0x9e37_79b9_7f4a_7c15)
    value = mix(value ^ UInt64(truncatingIfNeeded: choice) &* 0xd1b5_4a32_d192_ed03)
    value = mix(value ^ UInt64(truncatingIfNeeded: position) &* 0x8cb9_2ba7_2f3d_8dd7)
    return mix(value ^ UInt64(truncatingIfNeeded: attempt) &* 0xaaaa_aaaa_aaaa_aaab)
  }

  private static func mix(_ input: UInt64) -> UInt64 {
    var value = input
    value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
    value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
    return value ^ (value >> 31)
  }
}
