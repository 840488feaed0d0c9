internal import BloomEngine

/// V: the visible message as a function of the token ids delivered so far, and of nothing else.
///
/// A resumed part feeds the delivered ids again and throws away what comes out; what comes after
/// is exactly what an uninterrupted answer would have shown.
struct AnswerText {
  private let model: LlamaModel
  private let format: ChatFormat?
  private let parser: ChatParser?
  private var visible: VisibleText
  private let askedStops: Int
  private var pending: [UInt8] = []
  private var all: [UInt8] = []
  private var count = 0
  private var hasShown = false

  /// Creates the empty text of one choice.
  init(model: LlamaModel, request: EngineRequest, choice: Int, format: ChatFormat?)
    throws(EngineError)
  {
    self.model = model
    self.format = format
    visible = VisibleText(stops: request.stops + (format?.stops ?? []))
    askedStops = request.stops.count
    if let format, !format.isPlain {
      parser = try ChatParser(format: format, answerID: request.answerID, choice: choice)
    } else {
      parser = nil
    }
  }

  /// Whether a stop text was met.
  var isStopped: Bool { visible.isStopped }

  /// Which of the request's stop texts was met; `nil` for none, or for one of the template's own.
  var metStop: Int? { visible.metStop.flatMap { $0 < askedStops ? $0 : nil } }

  /// Whether the answer calls functions.
  var hasCalls: Bool { parser?.hasCalls ?? false }

  /// Takes the next token.
  ///
  /// - Returns: What became visible; `nil` when the parser is not asked yet. It reads the whole
  ///   answer each time, so it is asked less often as the answer grows: at counts that depend on
  ///   nothing but the number of tokens.
  mutating func feed(_ token: Int32) throws(EngineError) -> [EngineDelta]? {
    let bytes = visible.feed(piece(of: token))
    count += 1
    guard let parser else { return Self.content(bytes) }
    pending += bytes
    all += bytes
    guard visible.isStopped || count.isMultiple(of: Self.interval(at: count)) else { return nil }
    defer { pending = [] }
    let deltas = try parser.feed(pending, isFinal: false)
    hasShown = hasShown || !deltas.isEmpty
    return deltas
  }

  /// Ends the text.
  ///
  /// - Returns: What was held back. When the answer does not fit its format and nothing of it was
  ///   shown, its raw text.
  mutating func finish() throws(EngineError) -> [EngineDelta] {
    let rest = visible.finish()
    guard let parser else { return Self.content(rest) }
    all += rest
    do {
      return try parser.feed(pending + rest, isFinal: true)
    } catch {
      if error.code == .limit { throw error }
      return hasShown ? [] : Self.content(all)
    }
  }

  static func interval(at count: Int) -> Int { count <= 256 ? 1 : count <= 1024 ? 2 : 4 }

  private func piece(of token: Int32) -> [UInt8] {
    let bytes = model.bytes(of: token)
    guard bytes.isEmpty, let format, format.preserves(token, of: model) else { return bytes }
    return model.bytes(of: token, showsSpecial: true)
  }

  private static func content(_ bytes: [UInt8]) -> [EngineDelta] {
    bytes.isEmpty ? [] : [.content(String(decoding: bytes, as: UTF8.self))]
  }
}
