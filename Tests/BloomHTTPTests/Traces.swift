import BloomBase
import BloomHTTP
import Testing

/// Where inputs are cut, so that tests can show that it does not matter.
struct Cuts: Sendable {
  let places: [Int]

  static let none = Cuts(places: [])

  /// The pieces of some bytes.
  func pieces(_ bytes: [UInt8]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var start = 0
    for place in places.filter({ $0 > 0 && $0 < bytes.count }) + [bytes.count] where place > start {
      result.append(Array(bytes[start..<place]))
      start = place
    }
    return result
  }

  /// Every way to cut once, and one piece a byte.
  static func all(_ count: Int) -> [Cuts] {
    (1..<max(2, count)).map { Cuts(places: [$0]) } + [Cuts(places: Array(0..<count))]
  }

  static func random(_ count: Int, using generator: inout SeededGenerator) -> Cuts {
    guard count > 1 else { return .none }
    let places = (0..<Int.random(in: 1...4, using: &generator)).map { _ in
      Int.random(in: 1..<count, using: &generator)
    }
    return Cuts(places: places.sorted())
  }
}

/// What a parser said, as text, with adjacent pieces of a body joined.
struct Trace: Equatable, CustomStringConvertible {
  var steps: [String] = []
  var body: [UInt8] = []
  var error: String?

  mutating func add(_ step: String) {
    flush()
    steps.append(step)
  }

  mutating func flush() {
    if !body.isEmpty { steps.append("body \(Hex.encode(body))") }
    body = []
  }

  /// A failed parse may have handed out more or less of the broken message before it failed.
  func agrees(with other: Trace) -> Bool {
    if error != nil || other.error != nil { return error == other.error }
    return self == other
  }

  var description: String {
    (steps + (error.map { ["error \($0)"] } ?? [])).joined(separator: "; ")
  }
}

func describe(_ fields: HTTPFields) -> String {
  var parts: [String] = []
  fields.forEach { parts.append("\($0.lowercased())=\($1)") }
  return parts.joined(separator: "|")
}

func requestTrace(
  _ bytes: [UInt8], _ cuts: Cuts = .none, limits: HTTPLimits = HTTPLimits(), atEnd: Bool = false
) -> Trace {
  var trace = Trace()
  var parser = RequestParser(limits: limits)
  do throws(HTTPError) {
    for piece in cuts.pieces(bytes) {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) {
        switch event {
        case .head(let head):
          trace.add(
            "\(head.method) \(head.target) \(head.version) \(head.framing) keep=\(head.keepsAlive)"
              + " \(describe(head.fields))")
        case .body(let range): trace.body += piece[range]
        case .end: trace.add("end")
        }
      }
    }
    if atEnd { try parser.finish() }
  } catch {
    trace.error = "\(error.code)"
  }
  trace.flush()
  return trace
}

func responseTrace(
  _ bytes: [UInt8], _ cuts: Cuts = .none, method: HTTPMethod = .get,
  upgrade: Bool = false, limits: HTTPLimits = HTTPLimits()
) -> Trace {
  var trace = Trace()
  var parser = ResponseParser(limits: limits)
  func note(_ event: ResponseParser.Event, _ piece: [UInt8]) {
    switch event {
    case .interim(let head): trace.add("interim \(head.status.code)")
    case .head(let head):
      trace.add(
        "\(head.status.code) \(head.framing) keep=\(head.keepsAlive) \(describe(head.fields))")
    case .body(let range): trace.body += piece[range]
    case .end: trace.add("end")
    }
  }
  do throws(HTTPError) {
    _ = parser.expect(method, asksUpgrade: upgrade)
    for piece in cuts.pieces(bytes) {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) { note(event, piece) }
    }
    if let event = try parser.finish() { note(event, []) }
  } catch {
    trace.error = "\(error.code)"
  }
  trace.flush()
  return trace
}

func socketTrace(
  _ bytes: [UInt8], _ cuts: Cuts = .none, role: WebSocketRole = .server,
  limits: WebSocketLimits = WebSocketLimits()
) -> Trace {
  var trace = Trace()
  var parser = WebSocketFrameParser(role: role, limits: limits)
  do throws(WebSocketError) {
    for piece in cuts.pieces(bytes) {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) {
        switch event {
        case .message(.text(let text)): trace.add("text \(Hex.encode(Array(text.utf8)))")
        case .message(.binary(let bytes)): trace.add("binary \(Hex.encode(bytes))")
        case .ping(let bytes): trace.add("ping \(Hex.encode(bytes))")
        case .pong(let bytes): trace.add("pong \(Hex.encode(bytes))")
        case .close(let code, let reason):
          trace.add("close \(code.map { "\($0.rawValue)" } ?? "-") \(Hex.encode(reason.utf8))")
        }
      }
    }
  } catch {
    trace.error = "\(error.code)"
  }
  return trace
}

func eventTrace(
  _ bytes: [UInt8], _ cuts: Cuts = .none, limits: SSELimits = SSELimits()
) -> Trace {
  var trace = Trace()
  var parser = SSEParser(limits: limits)
  do throws(HTTPError) {
    for piece in cuts.pieces(bytes) {
      var offset = 0
      while let event = try parser.next(piece.span, at: &offset) {
        trace.add("\(event.type) [\(event.text)] \(event.lastEventID)")
      }
    }
    trace.add("retry \(parser.retryMilliseconds ?? -1)")
  } catch {
    trace.error = "\(error.code)"
  }
  return trace
}

func formTrace(
  _ bytes: [UInt8], _ cuts: Cuts = .none, type: String = "multipart/form-data; boundary=b0",
  limits: MultipartLimits = MultipartLimits()
) -> Trace {
  var trace = Trace()
  do throws(HTTPError) {
    var parser = try MultipartParser(contentType: type, limits: limits)
    for piece in cuts.pieces(bytes) {
      for event in try parser.feed(piece.span) {
        switch event {
        case .part(let head): trace.add("part \(head.name) \(head.fileName ?? "-")")
        case .data(let bytes): trace.body += bytes
        case .partEnd: trace.add("partEnd")
        case .end: trace.add("end")
        }
      }
    }
    try parser.finish()
  } catch {
    trace.error = "\(error.code)"
  }
  trace.flush()
  return trace
}
