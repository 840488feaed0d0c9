import BloomBase
import Testing

@Suite struct MetricsTests {
  @Test func `the text form is Prometheus'`() {
    let registry = MetricsRegistry()
    registry.counter("requests_total", "requests", ["code": 200]).add(3)
    registry.counter("requests_total", "requests", ["code": 200]).add(-5)
    registry.counter("requests_total", "requests", ["code": 404]).add()
    registry.gauge("open", "connections").set(-2)
    let histogram = registry.histogram("wait_seconds", "waits", bounds: [0.5, 1])
    for value in [0.25, 0.5, 0.75, 9, .nan] { histogram.record(value) }
    histogram.record(.milliseconds(250))
    #expect(
      registry.prometheusText == """
        # HELP open connections
        # TYPE open gauge
        open -2
        # HELP requests_total requests
        # TYPE requests_total counter
        requests_total{code="200"} 3
        requests_total{code="404"} 1
        # HELP wait_seconds waits
        # TYPE wait_seconds histogram
        wait_seconds_bucket{le="0.5"} 4
        wait_seconds_bucket{le="1.0"} 5
        wait_seconds_bucket{le="+Inf"} 6
        wait_seconds_sum 10.75
        wait_seconds_count 6

        """)
  }

  @Test func `a count that is kept elsewhere is read when the metrics are`() {
    let registry = MetricsRegistry()
    let kept = Locked(UInt64(3))
    registry.counter("kept_total", "kept", reading: { kept.withLock { $0 } })
    #expect(registry.prometheusText.contains("# TYPE kept_total counter\nkept_total 3\n"))
    kept.withLock { $0 = 5 }
    #expect(registry.prometheusText.contains("kept_total 5\n"))
  }

  @Test func `labels beyond the bound share one series`() throws {
    let registry = MetricsRegistry(maxSeries: 2)
    for number in 0..<10 {
      registry.counter("x_total", "x", ["peer": .count(number)]).add()
    }
    let lines = registry.prometheusText.split(separator: "\n").dropFirst(2)
    #expect(
      lines.map(String.init).sorted() == [
        #"x_total{peer="0"} 1"#, #"x_total{peer="1"} 1"#, #"x_total{peer="other"} 8"#,
      ])
  }

  @Test func `no addition is lost between threads`() async {
    let registry = MetricsRegistry()
    let counter = registry.counter("n_total", "n")
    let histogram = registry.histogram("h_seconds", "h")
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<1_000 {
            counter.add()
            histogram.record(1)
          }
        }
      }
    }
    #expect(counter.value == 8_000)
    #expect(histogram.counts.last == 8_000 && histogram.sum == 8_000)
  }
}
