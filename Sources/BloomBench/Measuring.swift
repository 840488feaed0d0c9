internal import BloomBase

extension Collection where Element: Comparable {
  /// The middle one of the samples; of an even number the later one.
  ///
  /// There must be a sample.
  public var median: Element { quantile(0.5) }

  /// The sample that a share of all lies below, for example 0.99.
  ///
  /// There must be a sample.
  public func quantile(_ share: Double) -> Element {
    let ordered = self.sorted()
    return ordered[Swift.min(ordered.count - 1, Int(Double(ordered.count) * share))]
  }
}

extension Duration {
  /// The time in seconds, to the nanosecond.
  public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}
