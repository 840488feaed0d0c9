/// A request target, RFC 9112 §3.2, or the same parts of a URL to be asked for.
public struct RequestTarget: Sendable, Equatable, Hashable, CustomStringConvertible {
  /// The four forms.
  public enum Form: Sendable, Equatable, Hashable {
    /// `/path?query`.
    case origin
    /// `http://host/path?query`; accepted from clients that think we are a proxy.
    case absolute
    /// `host:port`, with CONNECT only.
    case authority
    /// `*`, with OPTIONS only.
    case asterisk
  }

  /// The text as it was on the wire.
  public let text: String
  /// Its form.
  public let form: Form
  private let pathStart: Int32
  private let queryMark: Int32

  /// `*`.
  public static let asterisk = RequestTarget(
    text: "*", form: .asterisk, pathStart: 1, queryMark: 1)

  /// Checks an origin-form target, for example `/v1/models?limit=2`.
  ///
  /// - Throws: ``HTTPError`` with `badTarget`.
  public init(origin text: String) throws(HTTPError) {
    let bytes = Array(text.utf8)
    self = try RequestTarget(bytes.span, 0..<bytes.count, method: .get)
    guard form == .origin else { throw HTTPError(.badTarget) }
  }

  /// The target of a CONNECT request.
  public init(authority: Authority) {
    let text = authority.textWithPort
    let end = Int32(text.utf8.count)
    self.init(text: text, form: .authority, pathStart: end, queryMark: end)
  }

  private init(text: String, form: Form, pathStart: Int32, queryMark: Int32) {
    self.text = text
    self.form = form
    self.pathStart = pathStart
    self.queryMark = queryMark
  }

  /// Reads a target out of a head; every byte must be allowed in a URI and no `#` may be in it.
  init(_ bytes: Span<UInt8>, _ range: Range<Int>, method: HTTPMethod) throws(HTTPError) {
    guard let first = range.first else { throw HTTPError(.badTarget) }
    var queryMark = range.upperBound
    for index in range {
      let byte = bytes[index]
      guard byte > 0x20, byte < 0x7f, byte != 0x23 else { throw HTTPError(.badTarget) }
      if byte == 0x3f, queryMark == range.upperBound { queryMark = index }
    }
    let text = unsafe bytes.extracting(range).withUnsafeBufferPointer {
      unsafe String(decoding: $0, as: UTF8.self)
    }
    let end = Int32(range.count)
    let mark = Int32(queryMark - first)
    if method == .connect {
      guard let authority = Authority(text), authority.port != nil else {
        throw HTTPError(.badTarget)
      }
      self.init(text: text, form: .authority, pathStart: end, queryMark: end)
    } else if bytes[first] == 0x2f {
      self.init(text: text, form: .origin, pathStart: 0, queryMark: mark)
    } else if range.count == 1, bytes[first] == 0x2a {
      guard method == .options else { throw HTTPError(.badTarget) }
      self = .asterisk
    } else {
      guard let start = Self.pathStart(ofAbsolute: text), start <= Int(mark) else {
        throw HTTPError(.badTarget)
      }
      self.init(text: text, form: .absolute, pathStart: Int32(start), queryMark: mark)
      guard authority != nil else { throw HTTPError(.badTarget) }
    }
  }

  /// The path as sent, percent-encoded; `/` for an absolute form without one.
  public var path: String {
    let path = part(Int(pathStart), Int(queryMark))
    return path.isEmpty && form == .absolute ? "/" : path
  }

  /// The query as sent, without `?`; `nil` when there is none.
  public var query: String? {
    let end = text.utf8.count
    return Int(queryMark) < end ? part(Int(queryMark) + 1, end) : nil
  }

  /// The authority of an absolute or authority form.
  public var authority: Authority? {
    switch form {
    case .origin, .asterisk: return nil
    case .authority: return Authority(text)
    case .absolute:
      guard let scheme = text.utf8.firstIndex(of: 0x3a) else { return nil }
      let start = text.utf8.distance(from: text.utf8.startIndex, to: scheme) + 3
      return Authority(part(start, Int(pathStart)))
    }
  }

  /// The decoded segments of the path, without empty ones; what routers match.
  ///
  /// - Throws: ``HTTPError`` with `badTarget` on a bad escape, an escape that hides `/`, NUL or a
  ///   control character, or a segment `.` or `..`, encoded or not.
  public func segments() throws(HTTPError) -> [String] {
    var result: [String] = []
    for raw in path.split(separator: "/") {
      guard let segment = PercentCoding.decode(raw), segment != ".", segment != "..",
        !segment.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f || $0 == 0x2f || $0 == 0x5c })
      else { throw HTTPError(.badTarget) }
      result.append(segment)
    }
    return result
  }

  /// The decoded pairs of the query, in order; `+` is a space.
  ///
  /// - Throws: ``HTTPError`` with `badTarget` on a bad escape.
  public func queryItems() throws(HTTPError) -> [QueryItem] {
    guard let query else { return [] }
    return try QueryItem.parse(query)
  }

  /// The text as it was on the wire.
  public var description: String { text }

  private func part(_ start: Int, _ end: Int) -> String {
    let utf8 = text.utf8
    if start == 0, end == utf8.count { return text }
    let from = utf8.index(utf8.startIndex, offsetBy: start)
    return String(text[from..<utf8.index(utf8.startIndex, offsetBy: end)])
  }

  /// Where the path starts in `http://host/…` or `https://host/…`; `nil` for anything else.
  private static func pathStart(ofAbsolute text: String) -> Int? {
    let bytes = Array(text.utf8)
    for scheme in ["http://", "https://"] where bytes.count > scheme.utf8.count {
      guard equalIgnoringCase(bytes.prefix(scheme.utf8.count), Array(scheme.utf8)) else { continue }
      let rest = bytes.dropFirst(scheme.utf8.count)
      return rest.firstIndex { $0 == 0x2f || $0 == 0x3f } ?? bytes.count
    }
    return nil
  }
}
