internal import BloomWire

/// Ollama's `options`: sampling, and settings of the machine that runs the model.
struct OllamaOptions {
  let members: [JSONValue.Member]
  let maxTokens: Int?
  let seed: Int64?

  /// Settings of the machine: its owner decides them.
  private static let machineSettings: Set = [
    "num_ctx", "num_batch", "num_gpu", "main_gpu", "use_mmap", "use_mlock", "num_thread",
    "num_keep", "numa", "low_vram", "vocab_only", "f16_kv",
  ]

  init(_ field: Field?) throws(APIError) {
    var members: [JSONValue.Member] = []
    var maxTokens: Int?
    var seed: Int64?
    for member in try field?.members() ?? [] where member.value != .null {
      let option = Field("options.\(member.name)", member.value)
      switch member.name {
      case "temperature": members.append(try Self.number(option, member.name, 0...2))
      case "top_p", "min_p": members.append(try Self.number(option, member.name, 0...1))
      case "presence_penalty", "frequency_penalty":
        members.append(try Self.number(option, member.name, -2...2))
      // Machines divide by it.
      case "repeat_penalty": members.append(try Self.number(option, member.name, 0.1...2))
      case "top_k": members.append(.init("top_k", .integer(try option.integer(0...1_000_000))))
      case "seed": seed = try option.integer(Int64.min...Int64.max)
      case "num_predict":
        // -1 and -2: as many as fit.
        let count = try option.integer(-2...APILimits.outputTokens)
        if count > 0 { maxTokens = Int(count) }
      case "stop": members.append(.init("stop", .array(try Self.stops(option))))
      case let name where Self.machineSettings.contains(name): break
      default:
        throw .invalid(
          "options", "Unsupported member of 'options'; see docs/api.md.", code: "unknown_parameter")
      }
    }
    if let maxTokens { members.append(.init("max_tokens", .integer(maxTokens))) }
    self.members = members
    self.maxTokens = maxTokens
    self.seed = seed
  }

  private static func number(
    _ option: Field, _ name: String, _ range: ClosedRange<Double>
  ) throws(APIError) -> JSONValue.Member {
    _ = try option.number(range)
    return .init(name, option.value)
  }

  private static func stops(_ option: Field) throws(APIError) -> [JSONValue] {
    if case .string = option.value { return [try option.stopText()] }
    var stops: [JSONValue] = []
    for item in try option.items(0...APILimits.stops) { stops.append(try item.stopText()) }
    return stops
  }
}
