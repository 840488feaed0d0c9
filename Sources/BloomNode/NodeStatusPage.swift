package import BloomWire

/// The owner's page about a running node, as lines of text; pure.
package struct NodeStatusPage: Sendable {
  private let status: JSONValue

  /// Takes the status as the node's console gives it.
  package init(_ status: JSONValue) { self.status = status }

  /// The page, with a line end after each line.
  package var text: String {
    var lines = head()
    lines += ["", "models"] + models()
    lines += ["", "today"] + today()
    lines += ["", "standing"] + standing()
    lines += ["", "last requests"] + recent()
    return lines.joined(separator: "\n") + "\n"
  }

  private func head() -> [String] {
    let level = status["level"]?.string ?? "unknown"
    let isLoaded = status["models"]?.items?.contains { $0["state"]?.string == "loaded" } == true
    let words = [
      "serve": "serves with all slots", "polite": "serves one request at a time",
      "drain": "takes nothing new",
      "away": isLoaded ? "serves its owner alone" : "is away, weights unloaded",
    ]
    let node = String((status["node"]?.string ?? "").prefix(12))
    var lines = ["Darkbloom node \(node) \(words[level] ?? level)"]
    if let reason = status["reason"]?.string { lines.append("  why   \(why(reason))") }
    let link = status["link"]?.string ?? "unknown"
    let isBound = status["link_bound"]?.bool == true
    lines.append(
      "  link  \(link)\(link == "open" && !isBound ? ", not bound to TLS" : "")"
        + (status["link_problem"]?.string.map { "; \($0)" } ?? ""))
    if let signals = status["signals"], signals.members != nil { lines += self.signals(signals) }
    return lines
  }

  /// What is in the way, in words; everything that holds now, in the order of telling.
  private func why(_ reason: String) -> String {
    let causes = (status["signals"]?["causes"]?.items ?? []).compactMap { $0.string }
    // By hand, or nobody looks at signals.
    guard reason != "paused", !causes.isEmpty else { return Self.plain(reason) }
    let words = [
      "schedule": "outside its hours", "app": "a listed program runs", "battery": "on battery",
      "heat": "the machine is hot", "memory": "memory is short",
      "metered": "the network costs by volume", "cap": "a daily limit is used up",
      "input": "somebody is at the machine", "cpu": "other programs use the processor",
      "gpu": "other programs use the graphics", "power": "above limits.watts",
    ]
    return causes.map { words[$0] ?? Self.plain($0) }.joined(separator: "; ")
  }

  private func signals(_ signals: JSONValue) -> [String] {
    var parts: [String] = []
    if let idle = signals["input_idle_seconds"]?.integer {
      parts.append("last input \(idle) s ago")
    }
    if signals["screen_locked"]?.bool == true { parts.append("screen locked") }
    if signals["on_battery"]?.bool == true {
      parts.append("on battery, \(signals["battery_percent"]?.integer ?? 0) %")
    }
    if let heat = signals["heat"]?.string { parts.append("heat \(heat)") }
    if let memory = signals["memory"]?.string { parts.append("memory \(memory)") }
    if let cpu = signals["others_cpu_percent"]?.integer { parts.append("others' cpu \(cpu) %") }
    if let gpu = signals["others_gpu_percent"]?.integer { parts.append("others' gpu \(gpu) %") }
    if let watts = signals["watts"]?.integer { parts.append("\(watts) W") }
    return parts.isEmpty ? [] : ["  sees  \(parts.joined(separator: " · "))"]
  }

  private func models() -> [String] {
    let items = status["models"]?.items ?? []
    return items.isEmpty ? ["  none"] : items.map(model)
  }

  private func model(_ model: JSONValue) -> String {
    var line = "  \(Self.padded(model["name"]?.string ?? "", 32)) \(model["state"]?.string ?? "")"
    if let permille = model["loaded_permille"]?.integer, permille < 1_000,
      model["state"]?.string == "loading"
    {
      line += " \(permille / 10) %"
    }
    if let slots = model["slots"]?.integer, slots > 0 {
      line += " · \(model["active"]?.integer ?? 0) of \(slots) slots"
    }
    if let speed = model["decode_tokens_per_second"]?.double, speed > 0 {
      line += " · \(Self.tenths(speed)) tokens/s"
    }
    if let test = model["self_test"], let isWell = test["ok"]?.bool {
      let milliseconds = test["milliseconds"]?.integer ?? 0
      line +=
        isWell
        ? " · self-test passed in \(milliseconds) ms"
        : " · self-test FAILED: \(test["failure"]?.string ?? "")"
    }
    if model["crash_looping"]?.bool == true { line += " · CRASHES again and again" }
    if let failure = model["failure"]?.string { line += " · \(failure)" }
    return line
  }

  private func today() -> [String] {
    guard let today = status["today"] else { return ["  unknown"] }
    let seconds = today["worked_seconds"]?.integer ?? 0
    func money(_ name: String) -> String {
      Self.units(today[name]?.string.flatMap { Int64($0) } ?? 0)
    }
    return [
      "  \(today["jobs"]?.integer ?? 0) requests, "
        + "\(today["completion_tokens"]?.integer ?? 0) tokens, "
        + "\(Self.tenths(Double(seconds) / 3_600)) h of work",
      "  earned \(money("earned_micros")) − electricity \(money("electricity_micros")) "
        + "− wear \(money("wear_micros")) = \(money("net_micros"))",
    ]
  }

  private func standing() -> [String] {
    guard let standing = status["standing"], let score = standing["permille"]?.integer else {
      return ["  the coordinator has not said yet"]
    }
    let parts = (standing["parts"]?.members ?? []).map { "\($0.name) \($0.value.integer ?? 0)" }
    let reasons = (standing["no_work"]?.members ?? []).map {
      "\(Self.plain($0.name)) ×\($0.value.integer ?? 0)"
    }
    return [
      "  \(score) of 1000: \(parts.joined(separator: ", "))",
      reasons.isEmpty
        ? "  nothing kept work away in the last hour"
        : "  no work in the last hour because: \(reasons.joined(separator: ", "))",
    ]
  }

  /// One day of the earnings as a line.
  package static func line(ofDay day: JSONValue) -> String {
    let date = String(day["date"]?.integer ?? 0)
    let shown =
      date.count == 8
      ? "\(date.prefix(4))-\(date.dropFirst(4).prefix(2))-\(date.suffix(2))" : date
    func money(_ name: String) -> String {
      units(day[name]?.string.flatMap { Int64($0) } ?? 0)
    }
    let hours = tenths(Double(day["worked_seconds"]?.integer ?? 0) / 3_600)
    return "\(shown)  \(day["jobs"]?.integer ?? 0) requests, "
      + "\(day["completion_tokens"]?.integer ?? 0) tokens, \(hours) h, "
      + "earned \(money("earned_micros")), costs "
      + "\(money("electricity_micros")) + \(money("wear_micros")), net \(money("net_micros"))"
  }

  private func recent() -> [String] {
    let jobs = (status["last_jobs"]?.items ?? []).suffix(8).reversed()
    if jobs.isEmpty { return ["  none yet"] }
    return jobs.map { job in
      "  \(Self.padded(job["model"]?.string ?? "", 32)) "
        + "\(job["prompt_tokens"]?.integer ?? 0) + \(job["completion_tokens"]?.integer ?? 0) tokens, "
        + "\(job["seconds"]?.integer ?? 0) s"
        + (job["self_test"]?.bool == true ? ", self-test" : "")
    }
  }

  /// `owner_active` as people write it.
  static func plain(_ name: String) -> String {
    name.split(separator: "_").joined(separator: " ")
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }

  private static func tenths(_ value: Double) -> String {
    let tenths = Int(max(0, min(1e12, (value * 10).rounded())))
    return "\(tenths / 10).\(tenths % 10)"
  }

  /// Millionths as units with six decimals.
  static func units(_ micros: Int64) -> String {
    let fraction = String(micros.magnitude % 1_000_000)
    return "\(micros < 0 ? "-" : "")\(micros.magnitude / 1_000_000)."
      + String(repeating: "0", count: 6 - fraction.count) + fraction
  }
}
