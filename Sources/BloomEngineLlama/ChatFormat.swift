internal import BloomEngine
internal import CLlama

/// The model's chat template; used on one thread.
@safe
final class ChatTemplate {
  private let handle: OpaquePointer
  private let model: LlamaModel?
  /// The bits `LCC_CAP_…` of lcc.h.
  let abilities: UInt32

  /// Compiles a template.
  ///
  /// - Parameters:
  ///   - model: Whose template and special tokens are used; `nil` in tests of bare templates.
  ///   - source: Jinja text that replaces the model's.
  /// - Throws: ``EngineError`` with `template` when it does not compile.
  init(model: LlamaModel?, source: String? = nil) throws(EngineError) {
    var made: OpaquePointer?
    var abilities: UInt32 = 0
    _ = unsafe try take(
      lcc_templates_create(model?.handle, source, "<s>", "</s>", &made, &abilities))
    guard let made = unsafe made else { throw EngineError(.engine, "no template was made") }
    unsafe handle = made
    self.model = model
    self.abilities = abilities
  }

  deinit { unsafe lcc_templates_free(handle) }

  /// Renders a chat body.
  func apply(_ body: [UInt8], now: Int64) throws(EngineError) -> ChatFormat {
    var made: OpaquePointer?
    _ = try unsafe take(
      body.withUnsafeBufferPointer { bytes in
        unsafe bytes.withMemoryRebound(to: CChar.self) {
          unsafe lcc_templates_apply(handle, $0.baseAddress, $0.count, now, &made)
        }
      })
    guard let made = unsafe made else { throw EngineError(.engine, "no prompt was made") }
    return unsafe ChatFormat(owning: made)
  }
}

/// A rendered prompt with everything needed to constrain and read the answer.
@safe
final class ChatFormat: @unchecked Sendable {
  // @unchecked: never changed after it was made.
  let handle: OpaquePointer

  init(owning handle: OpaquePointer) { unsafe self.handle = unsafe handle }

  deinit { unsafe lcc_applied_free(handle) }

  /// The text before the answer.
  var prompt: [UInt8] {
    var count = 0
    guard let start = unsafe lcc_applied_prompt(handle, &count) else { return [] }
    return unsafe Self.copy(start, count)
  }

  /// The grammar that constrains the answer, in GBNF; empty for none.
  var grammar: String {
    var count = 0
    guard let start = unsafe lcc_applied_grammar(handle, &count) else { return "" }
    return String(decoding: unsafe Self.copy(start, count), as: UTF8.self)
  }

  /// Texts that end the answer by the template's own rules.
  var stops: [String] {
    unsafe (0..<lcc_applied_stop_count(handle)).compactMap { index in
      var count = 0
      guard let start = unsafe lcc_applied_stop(handle, index, &count) else { return nil }
      return String(decoding: unsafe Self.copy(start, count), as: UTF8.self)
    }
  }

  /// Whether the answer is text only.
  var isPlain: Bool { has(LCC_APPLIED_PLAIN) }

  /// Whether a control token must be visible to the parser.
  func preserves(_ token: Int32, of model: LlamaModel) -> Bool {
    unsafe lcc_applied_preserves(handle, model.vocabulary, token)
  }

  private func has(_ bit: some BinaryInteger) -> Bool {
    unsafe lcc_applied_flags(handle) & UInt32(bit) != 0
  }

  private static func copy(_ start: UnsafePointer<CChar>, _ count: Int) -> [UInt8] {
    unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
  }
}

/// Reads an answer as it grows: content, reasoning, calls.
@safe
final class ChatParser: @unchecked Sendable {
  // @unchecked: made on the preparing thread, then used on the decoding thread only.
  private let handle: OpaquePointer

  /// Creates a parser.
  ///
  /// - Parameters:
  ///   - format: Of the request.
  ///   - answerID: Tool-call ids derive from it, so that every part gives equal ones.
  ///   - choice: Keeps the ids of choices apart.
  /// - Throws: ``EngineError`` when the format is damaged.
  init(format: ChatFormat, answerID: String, choice: Int) throws(EngineError) {
    var made: OpaquePointer?
    let prefix = choice == 0 ? "call_\(answerID)_" : "call_\(answerID)_\(choice)_"
    _ = unsafe try take(lcc_parser_create(format.handle, prefix, &made))
    guard let made = unsafe made else { throw EngineError(.engine, "no parser was made") }
    unsafe handle = made
  }

  deinit { unsafe lcc_parser_free(handle) }

  /// Whether calls were found.
  var hasCalls: Bool { unsafe lcc_parser_has_calls(handle) }

  /// Takes more of the answer.
  func feed(_ text: [UInt8], isFinal: Bool) throws(EngineError) -> [EngineDelta] {
    let records = unsafe try take(
      text.withUnsafeBufferPointer {
        unsafe lcc_parser_feed(handle, $0.baseAddress, $0.count, isFinal)
      })
    return Self.deltas(records)
  }

  /// Reads the shim's records (lcc.h).
  private static func deltas(_ records: [UInt8]) -> [EngineDelta] {
    var rest = records[...]
    func field() -> String {
      let count = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      defer { rest = rest.dropFirst(count) }
      return String(decoding: rest.prefix(count), as: UTF8.self)
    }
    var deltas: [EngineDelta] = []
    while let kind = rest.popFirst() {
      switch kind {
      case 1: deltas.append(.content(field()))
      case 2: deltas.append(.reasoning(field()))
      case 3:
        let index = Int(field()) ?? 0
        let id = field()
        deltas.append(.toolCall(index: index, id: id, name: field()))
      default:
        let index = Int(field()) ?? 0
        deltas.append(.toolArguments(index: index, field()))
      }
    }
    return deltas
  }
}
