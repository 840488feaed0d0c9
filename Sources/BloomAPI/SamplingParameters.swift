internal import BloomWire

/// The parameters that chat and text completions share.
struct SamplingParameters {
  let members: [JSONValue.Member]
  let isStreaming: Bool
  let includesUsage: Bool
  let choices: Int
  let maxTokens: Int?
  let seed: Int64?
  let cacheKey: String?

  init(_ root: Field) throws(APIError) {
    var members: [JSONValue.Member] = []
    func number(_ name: String, _ range: ClosedRange<Double>) throws(APIError) {
      guard let field = try root.top(name) else { return }
      _ = try field.number(range)
      members.append(.init(name, field.value))
    }
    try number("temperature", 0...2)
    try number("top_p", 0...1)
    try number("min_p", 0...1)
    try number("presence_penalty", -2...2)
    try number("frequency_penalty", -2...2)
    if let field = try root.top("top_k") {
      members.append(.init("top_k", .integer(try field.integer(0...1_000_000))))
    }
    var maxTokens: Int?
    // The newer name wins.
    for name in ["max_tokens", "max_completion_tokens"] {
      guard let field = try root.top(name) else { continue }
      maxTokens = Int(try field.integer(1...APILimits.outputTokens))
    }
    self.maxTokens = maxTokens
    if let maxTokens { members.append(.init("max_tokens", .integer(maxTokens))) }
    choices = Int(try root.top("n")?.integer(1...APILimits.choices) ?? 1)
    if choices > 1 { members.append(.init("n", .integer(choices))) }
    seed = try root.top("seed")?.integer(Int64.min...Int64.max)
    if let stop = try root.top("stop") {
      members.append(.init("stop", .array(try Self.stops(stop))))
    }
    if let bias = try root.top("logit_bias") {
      members.append(.init("logit_bias", try Self.logitBias(bias)))
    }
    isStreaming = try root.top("stream")?.bool() ?? false
    var includesUsage = false
    if let options = try root.top("stream_options") {
      guard isStreaming else {
        throw .invalid("stream_options", "'stream_options' needs 'stream' to be true.")
      }
      for member in try options.members() {
        switch member.name {
        case "include_usage":
          includesUsage = try Field("stream_options.include_usage", member.value).bool()
        case "include_obfuscation":
          _ = try Field("stream_options.include_obfuscation", member.value).bool()
        default:
          throw .invalid(
            "stream_options", "Unrecognized member of 'stream_options'.", code: "unknown_parameter")
        }
      }
    }
    self.includesUsage = includesUsage
    cacheKey = try root.top("prompt_cache_key")?.string()
    self.members = members
  }

  private static func stops(_ field: Field) throws(APIError) -> [JSONValue] {
    if case .string = field.value { return [try field.stopText()] }
    var stops: [JSONValue] = []
    for item in try field.items(0...4) { stops.append(try item.stopText()) }
    return stops
  }

  private static func logitBias(_ field: Field) throws(APIError) -> JSONValue {
    let members = try field.members()
    guard members.count <= 1024 else {
      throw .invalid("logit_bias", "'logit_bias' may name at most 1024 tokens.")
    }
    for member in members {
      guard let token = Int32(member.name), token >= 0, "\(token)" == member.name else {
        throw .invalid("logit_bias", "Keys of 'logit_bias' must be token ids.")
      }
      _ = try Field("logit_bias.\(token)", member.value).number(-100...100)
    }
    return field.value
  }
}
