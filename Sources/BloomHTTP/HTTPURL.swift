/// An absolute `http`, `https`, `ws` or `wss` URL, RFC 3986, for clients.
public struct HTTPURL: Sendable, Hashable, CustomStringConvertible {
  /// The schemes a client here can speak.
  public enum Scheme: String, Sendable, Hashable {
    /// Plain HTTP, port 80.
    case http
    /// HTTP over TLS, port 443.
    case https
    /// Plain WebSocket, port 80.
    case ws
    /// WebSocket over TLS, port 443.
    case wss

    /// Whether the connection is encrypted.
    public var usesTLS: Bool { self == .https || self == .wss }
    /// 80 or 443.
    public var defaultPort: Int { usesTLS ? 443 : 80 }
  }

  /// The scheme.
  public let scheme: Scheme
  /// Host, and port when written.
  public let authority: Authority
  /// Path and query in origin form; `/` when the URL has none.
  public let target: RequestTarget

  /// Checks a URL; a fragment is dropped, user information is refused.
  ///
  /// - Throws: ``HTTPError`` with `badURL`.
  public init(_ text: String) throws(HTTPError) {
    guard let mark = text.range(ofASCII: "://") else { throw HTTPError(.badURL) }
    guard let scheme = Scheme(rawValue: text[..<mark.lowerBound].lowercased()) else {
      throw HTTPError(.badURL)
    }
    let rest = text[mark.upperBound...].prefix { $0 != "#" }
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    guard let authority = Authority(rest[..<end]) else { throw HTTPError(.badURL) }
    let path = rest[end...].hasPrefix("/") ? String(rest[end...]) : "/" + rest[end...]
    guard let target = try? RequestTarget(origin: path) else { throw HTTPError(.badURL) }
    self.scheme = scheme
    self.authority = authority
    self.target = target
  }

  /// Resolves a reference, such as a Location field's, against the URL that it came from.
  ///
  /// RFC 3986 §5.2; a fragment is dropped.
  /// - Parameters:
  ///   - reference: An absolute URL, or what differs from the base.
  ///   - base: Where the reference was found.
  /// - Throws: ``HTTPError`` with `badURL` when the result is none that a client here can speak.
  public init(_ reference: String, relativeTo base: HTTPURL) throws(HTTPError) {
    let text = reference.prefix { $0 != "#" }
    let scheme = base.scheme.rawValue
    let isAbsolute = text.prefix { $0 != "/" && $0 != "?" }.contains(":")
    if isAbsolute {
      self = try HTTPURL(String(text))
    } else if text.hasPrefix("//") {
      self = try HTTPURL("\(scheme):\(text)")
    } else {
      let place = "\(scheme)://\(base.authority)"
      var path = String(text.prefix { $0 != "?" })
      var query = String(text.dropFirst(path.count))
      if path.isEmpty {
        path = base.target.path
        if query.isEmpty { query = base.target.query.map { "?\($0)" } ?? "" }
      } else {
        if !path.hasPrefix("/") {
          let whole = base.target.path
          path = String(whole[...(whole.lastIndex(of: "/") ?? whole.startIndex)]) + path
        }
        path = Self.withoutDots(path)
      }
      self = try HTTPURL(place + path + query)
    }
  }

  /// RFC 3986 §5.2.4, of a path that begins with a slash.
  private static func withoutDots(_ path: String) -> String {
    let segments = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    var kept: [Substring] = []
    for (index, segment) in segments.enumerated() {
      guard segment == "." || segment == ".." else {
        kept.append(segment)
        continue
      }
      if segment == "..", !kept.isEmpty { kept.removeLast() }
      // What dots at the end name is a folder.
      if index == segments.count - 1 { kept.append("") }
    }
    return "/" + kept.joined(separator: "/")
  }

  /// The port to connect to.
  public var port: Int { authority.port ?? scheme.defaultPort }

  /// The whole URL.
  public var description: String { "\(scheme.rawValue)://\(authority)\(target.text)" }
}

extension String {
  /// The first place of a short ASCII text.
  func range(ofASCII needle: StaticString) -> Range<String.Index>? {
    let wanted = Array("\(needle)".utf8)
    var start = utf8.startIndex
    while start < utf8.endIndex {
      if utf8[start...].starts(with: wanted) {
        return start..<utf8.index(start, offsetBy: wanted.count)
      }
      start = utf8.index(after: start)
    }
    return nil
  }
}
