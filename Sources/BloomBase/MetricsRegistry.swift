/// All metrics of a process, and their text form for Prometheus.
///
/// A metric is found by name and labels; ask once and keep it. Names and label names are texts of
/// the source, label values are ``LogValue``. A metric has at most ``maxSeries`` sets of labels;
/// further ones share a series whose values are `other`, so that no peer can fill the memory.
public final class MetricsRegistry: Sendable {
  private enum Metric: Sendable {
    case counter(Counter)
    case reading(@Sendable () -> UInt64)
    case gauge(Gauge)
    case histogram(Histogram)
  }

  private struct Family: Sendable {
    let help: String
    let kind: String
    var series: [String: Metric] = [:]
  }

  private let families = Locked<[String: Family]>([:])
  private let maxSeries: Int

  /// A registry without metrics.
  public init(maxSeries: Int = 200) { self.maxSeries = max(1, maxSeries) }

  /// The counter of a name and labels; by convention its name ends in `_total`.
  public func counter(
    _ name: StaticString, _ help: StaticString,
    _ labels: KeyValuePairs<StaticString, LogValue> = [:]
  ) -> Counter {
    let metric = find(name, help, "counter", labels) { .counter(Counter()) }
    guard case .counter(let counter) = metric else { return Counter() }
    return counter
  }

  /// A count that is kept elsewhere and read whenever the metrics are.
  ///
  /// `reading` gives the sum so far, from any thread. The first one of a name and labels stays.
  public func counter(
    _ name: StaticString, _ help: StaticString,
    _ labels: KeyValuePairs<StaticString, LogValue> = [:],
    reading: @escaping @Sendable () -> UInt64
  ) {
    _ = find(name, help, "counter", labels) { .reading(reading) }
  }

  /// The gauge of a name and labels.
  public func gauge(
    _ name: StaticString, _ help: StaticString,
    _ labels: KeyValuePairs<StaticString, LogValue> = [:]
  ) -> Gauge {
    let metric = find(name, help, "gauge", labels) { .gauge(Gauge()) }
    guard case .gauge(let gauge) = metric else { return Gauge() }
    return gauge
  }

  /// The histogram of a name and labels; by convention its name ends in its unit.
  public func histogram(
    _ name: StaticString, _ help: StaticString, bounds: [Double] = Histogram.seconds,
    _ labels: KeyValuePairs<StaticString, LogValue> = [:]
  ) -> Histogram {
    let metric = find(name, help, "histogram", labels) { .histogram(Histogram(bounds: bounds)) }
    guard case .histogram(let histogram) = metric else { return Histogram(bounds: bounds) }
    return histogram
  }

  /// All metrics in Prometheus' text format 0.0.4, sorted by name and labels.
  public var prometheusText: String {
    let families = families.withLock { $0 }
    var text = ""
    for (name, family) in families.sorted(by: { $0.key < $1.key }) {
      text += "# HELP \(name) \(family.help)\n# TYPE \(name) \(family.kind)\n"
      for (labels, metric) in family.series.sorted(by: { $0.key < $1.key }) {
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch metric {
        case .counter(let counter): text += "\(name)\(braces) \(counter.value)\n"
        case .reading(let read): text += "\(name)\(braces) \(read())\n"
        case .gauge(let gauge): text += "\(name)\(braces) \(gauge.value)\n"
        case .histogram(let histogram): text += Self.text(name, labels, histogram)
        }
      }
    }
    return text
  }

  private static func text(_ name: String, _ labels: String, _ histogram: Histogram) -> String {
    let comma = labels.isEmpty ? "" : ","
    let braces = labels.isEmpty ? "" : "{\(labels)}"
    let counts = histogram.counts
    var text = ""
    for (index, count) in counts.enumerated() {
      let bound = index < histogram.bounds.count ? "\(histogram.bounds[index])" : "+Inf"
      text += "\(name)_bucket{\(labels)\(comma)le=\"\(bound)\"} \(count)\n"
    }
    return text + "\(name)_sum\(braces) \(histogram.sum)\n"
      + "\(name)_count\(braces) \(counts.last ?? 0)\n"
  }

  private func find(
    _ name: StaticString, _ help: StaticString, _ kind: String,
    _ labels: KeyValuePairs<StaticString, LogValue>, _ make: () -> Metric
  ) -> Metric {
    let key = Self.key(labels) { $0 }
    let overflow = Self.key(labels) { _ in "other" }
    return families.withLock { families in
      var family = families["\(name)"] ?? Family(help: "\(help)", kind: kind)
      invariant(family.kind == kind, "one metric name has two kinds")
      let place = family.series[key] != nil || family.series.count < maxSeries ? key : overflow
      let metric = family.series[place] ?? make()
      family.series[place] = metric
      families["\(name)"] = family
      return metric
    }
  }

  private static func key(
    _ labels: KeyValuePairs<StaticString, LogValue>, _ change: (String) -> String
  ) -> String {
    labels.map { name, value in
      let text = change(value.description).reduce(into: "") { text, character in
        switch character {
        case "\\": text += "\\\\"
        case "\"": text += "\\\""
        case "\n": text += "\\n"
        default: text.append(character)
        }
      }
      return "\(name)=\"\(text)\""
    }.joined(separator: ",")
  }
}
