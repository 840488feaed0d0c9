import BloomEngine
import Testing

@testable import BloomEngineLlama

/// A template family, an answer as its models write it, and what must come out.
struct Family: Sendable, CustomTestStringConvertible {
  var template: String
  var output: String
  var visible: String
  var testDescription: String { template }

  static let call = "|C|call_r1_0:get_weather:"
  static let all: [Family] = [
    Family(
      template: "Qwen-Qwen3-0.6B",
      output: "<think>\nhm\n</think>\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": "
        + "{\"city\": \"Bern\"}}\n</tool_call>",
      visible: "|R|hm\(call){\"city\": \"Bern\"}"),
    Family(
      template: "Qwen-Qwen2.5-7B-Instruct",
      output:
        "Grüezi 🌱<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\"}}"
        + "\n</tool_call>",
      visible: "Grüezi 🌱\(call){\"city\": \"Bern\"}"),
    Family(
      template: "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
      output: "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Zürich\"}}\n"
        + "</tool_call>",
      visible: "\(call){\"city\": \"Zürich\"}"),
    Family(
      template: "meta-llama-Llama-3.1-8B-Instruct",
      output: "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Bern\"}}",
      visible: "\(call){\"city\": \"Bern\"}"),
    Family(
      template: "mistralai-Mistral-Nemo-Instruct-2407",
      output: "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\"}, "
        + "\"id\": \"123456789\"}]",
      visible: "\(call){\"city\": \"Bern\"}"),
    Family(
      template: "openai-gpt-oss-120b",
      output: "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary "
        + "to=functions.get_weather <|constrain|>json<|message|>{\"city\": \"Bern\"}",
      visible: "|R|hm\(call){\"city\": \"Bern\"}"),
    Family(
      template: "Qwen3-Coder",
      output: "<tool_call>\n<function=get_weather>\n<parameter=city>\nBern\n</parameter>\n"
        + "</function>\n</tool_call>",
      visible: "\(call){\"city\":\"Bern\"}"),
    Family(
      template: "ibm-granite-granite-4.0",
      output: "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Bern\"}}\n"
        + "</tool_call>",
      visible: "\(call){\"city\": \"Bern\"}"),
    Family(
      template: "moonshotai-Kimi-K2",
      output: "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0"
        + "<|tool_call_argument_begin|>{\"city\": \"Bern\"}<|tool_call_end|>"
        + "<|tool_calls_section_end|>",
      visible: "\(call){\"city\": \"Bern\"}"),
    Family(
      template: "CohereForAI-c4ai-command-r7b-12-2024-tool_use",
      output: "<|START_THINKING|>hm<|END_THINKING|><|START_ACTION|>[{\"tool_call_id\": \"0\", "
        + "\"tool_name\": \"get_weather\", \"parameters\": {\"city\": \"Bern\"}}]<|END_ACTION|>",
      visible: "|R|hm\(call){\"city\": \"Bern\"}"),
  ]
}

@Suite struct ChatFormatTests {
  static let tool =
    ##","tools":[{"type":"function","function":{"name":"get_weather","description":"w","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]"##

  static func format(_ template: String, _ more: String = tool) throws -> ChatFormat {
    let source = try Fixtures.read("\(Fixtures.share)/templates/\(template).jinja")
    guard case .chat(let body) = chat("Weather in Bern?", more) else { throw CancellationError() }
    return try ChatTemplate(model: nil, source: source).apply(body, now: 1_763_000_000)
  }

  static func read(_ format: ChatFormat, _ bytes: [UInt8], step: Int) throws -> [EngineDelta] {
    let parser = try ChatParser(format: format, answerID: "r1", choice: 0)
    var visible = VisibleText(stops: format.stops)
    var deltas: [EngineDelta] = []
    var start = 0
    while start < bytes.count {
      let end = min(start + step, bytes.count)
      deltas += try parser.feed(visible.feed(bytes[start..<end]), isFinal: false)
      start = end
    }
    return try deltas + parser.feed(visible.finish(), isFinal: true)
  }

  @Test(arguments: Family.all)
  func `calls and reasoning come out, whatever the pieces`(family: Family) throws {
    let format = try Self.format(family.template)
    for step in [1, 7, 1000] {
      let deltas = try Self.read(format, Array(family.output.utf8), step: step)
      let visible = Transcript.visible(deltas).replacing("hm\n", with: "hm")
      #expect(visible == family.visible, "in steps of \(step)")
    }
  }

  @Test(arguments: Family.all)
  func `a malformed answer is an error at most`(family: Family) throws {
    let format = try Self.format(family.template)
    let good = Array(family.output.utf8)
    for seed in 0..<(Fixtures.isDeep ? 400 : 25) {
      var bytes = good
      let random = { (salt: Int) in
        Int(CounterRandom.bits(seed: UInt64(seed), choice: salt, position: 0) % UInt64(good.count))
      }
      switch seed % 3 {
      case 0: bytes.removeSubrange(min(random(1), random(2))..<max(random(1), random(2)))
      case 1: bytes[random(1)] = UInt8(truncatingIfNeeded: random(2))
      default: bytes.insert(contentsOf: good[..<random(1)], at: random(2))
      }
      do throws(EngineError) {
        let parser = try ChatParser(format: format, answerID: "r1", choice: 0)
        for byte in bytes { _ = try parser.feed([byte], isFinal: false) }
        _ = try parser.feed([], isFinal: true)
      } catch {
        #expect([.engine, .limit, .badRequest].contains(error.code))
      }
    }
  }

  @Test func `an answer nested too deeply is refused, not followed`() throws {
    let format = try Self.format("Qwen-Qwen3-0.6B")
    let parser = try ChatParser(format: format, answerID: "r1", choice: 0)
    #expect(throws: EngineError.self) {
      try parser.feed(Array(repeating: UInt8(ascii: "["), count: 20_000), isFinal: true)
    }
  }

  @Test(arguments: Family.all)
  func `a required call leaves no room for free text before it`(family: Family) throws {
    let auto = try Self.format(family.template).grammar
    let forced = try Self.format(family.template, Self.tool + #","tool_choice":"required""#)
    #expect(!forced.grammar.isEmpty)
    #expect(forced.grammar.contains("get_weather"))
    #expect(forced.grammar != auto)
    let named =
      Self.tool + #","tool_choice":{"type":"function","function":{"name":"get_weather"}}"#
    #expect(try Self.format(family.template, named).grammar == forced.grammar)
    #expect(throws: EngineError.self) {
      try Self.format(
        family.template, Self.tool + #","tool_choice":{"type":"function","function":{"name":"x"}}"#)
    }
  }

  @Test(arguments: ["Qwen-Qwen2.5-7B-Instruct", "NousResearch-Hermes-3-Llama-3.1-8B-tool_use"])
  func `without parallel calls the grammar ends after one`(template: String) throws {
    for choice in ["auto", "required"] {
      let rules = try ["true", "false"].map { parallel in
        let more = #","tool_choice":"\#(choice)","parallel_tool_calls":\#(parallel)"#
        let grammar = try Self.format(template, Self.tool + more).grammar
        return grammar.split(separator: "\n").first { $0.hasPrefix("tool-calls ::= ") }
      }
      let many = try #require(rules[0])
      #expect(many.hasSuffix(")+"))
      #expect(rules[1] == many.dropLast())
    }
  }

  @Test func `a broken or raising template is an error`() {
    #expect(throws: EngineError.self) { try ChatTemplate(model: nil, source: "{% if %}") }
    #expect(throws: EngineError.self) {
      guard case .chat(let body) = chat("x") else { return }
      _ = try ChatTemplate(model: nil, source: "{{ raise_exception('no') }}").apply(body, now: 0)
    }
  }
}
