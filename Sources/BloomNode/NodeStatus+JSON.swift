internal import BloomBase
internal import BloomWire

extension UsageBook.Day {
  /// The day with its costs and what is left.
  func json(_ costs: OwnerSettings.Costs) -> JSONValue {
    let (electricity, wear) = cost(costs)
    // What was earned is the coordinator's word: a number too large wraps, as in its sum.
    let net = earned.rawValue &- electricity.rawValue &- wear.rawValue
    return .members([
      "date": .integer(date), "worked_seconds": .integer(workedMilliseconds / 1_000),
      "uploaded_bytes": .integer(uploadedBytes), "jobs": .integer(jobs),
      "prompt_tokens": .integer(promptTokens), "completion_tokens": .integer(completionTokens),
      "earned_micros": .string("\(earned.rawValue)"),
      "electricity_micros": .string("\(electricity.rawValue)"),
      "wear_micros": .string("\(wear.rawValue)"), "net_micros": .string("\(net)"),
    ])
  }
}

extension UsageBook {
  /// Every day, newest first.
  func json(_ costs: OwnerSettings.Costs) -> JSONValue {
    .members(["days": .array(days.reversed().map { $0.json(costs) })])
  }
}

extension FinishedJob {
  var json: JSONValue {
    .members([
      "at": .integer(at.seconds), "model": .string(model),
      "prompt_tokens": .integer(promptTokens), "completion_tokens": .integer(completionTokens),
      "seconds": .integer(seconds), "self_test": .bool(isSelfTest),
    ])
  }
}

extension SelfTestResult {
  var json: JSONValue {
    .members([
      "ok": .bool(failure == nil), "at": .integer(at.seconds),
      "milliseconds": .integer(took.wholeNanoseconds / 1_000_000), "tokens": .integer(tokens),
      "failure": failure.map { .string($0) } ?? .null,
    ])
  }
}

extension NodeStatus.Signals {
  var json: JSONValue {
    func whole(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }
    func flag(_ value: Bool?) -> JSONValue { value.map { .bool($0) } ?? .null }
    return .members([
      "causes": .array(causes.map { .string("\($0)") }),
      "input_idle_seconds": whole(snapshot.inputIdle.map { Int(clamping: $0.components.seconds) }),
      "screen_locked": flag(snapshot.isLocked), "on_battery": flag(snapshot.isOnBattery),
      "battery_percent": whole(snapshot.batteryPercent),
      "heat": snapshot.heat.map { .string("\($0)") } ?? .null,
      "memory": snapshot.memory.map { .string("\($0)") } ?? .null,
      "others_cpu_percent": whole(snapshot.othersCPUPermille.map { $0 / 10 }),
      "others_gpu_percent": whole(snapshot.othersGPUPermille.map { $0 / 10 }),
      "watts": whole(snapshot.watts), "metered": flag(snapshot.isMetered),
    ])
  }
}
