internal import BloomBase
internal import BloomEngine
internal import BloomWire

/// Takes pictures and sound out of a chat body and leaves a mark where each stood.
///
/// Pure. The worker reaches no network, so what a part only links to is refused by name.
enum MediaParts: Sendable {
  /// Bounds of one request; the envelope's own size bounds their bytes.
  enum Limits: Sendable {
    /// Pictures and sounds together.
    static let count = 16
  }

  /// A chat body as the engine takes it.
  ///
  /// - Parameter body: In OpenAI's form: `image_url` and `input_audio` parts.
  /// - Returns: The body with marks, and what they stand for, in order. A body without such parts
  ///   comes back as it is.
  /// - Throws: ``SealedFailure`` naming the part that cannot be read.
  static func take(from body: JSONValue) throws(SealedFailure) -> (JSONValue, [EngineMedia]) {
    guard case .object(var members) = body,
      let place = members.firstIndex(where: { $0.name == "messages" }),
      case .array(let messages) = members[place].value
    else { return (body, []) }
    var media: [EngineMedia] = []
    var taken: [JSONValue] = []
    for message in messages { taken.append(try mark(message, &media)) }
    guard !media.isEmpty else { return (body, []) }
    guard media.count <= Limits.count else {
      throw .invalid("a request takes at most \(Limits.count) pictures and sounds")
    }
    guard !taken.contains(where: holdsMark) else {
      throw .invalid("a text beside pictures or sound must not hold \(EngineMedia.mark)")
    }
    members[place] = .init("messages", .array(taken))
    return (.object(members), media)
  }

  private static func mark(
    _ message: JSONValue, _ media: inout [EngineMedia]
  ) throws(SealedFailure) -> JSONValue {
    guard case .object(var members) = message,
      let place = members.firstIndex(where: { $0.name == "content" }),
      case .array(let parts) = members[place].value
    else { return message }
    var marked: [JSONValue] = []
    for part in parts {
      guard let found = try read(part) else {
        marked.append(part)
        continue
      }
      media.append(found)
      marked.append(
        .members(["type": .string("media_marker"), "text": .string(EngineMedia.mark)]))
    }
    members[place] = .init("content", .array(marked))
    return .object(members)
  }

  private static func read(_ part: JSONValue) throws(SealedFailure) -> EngineMedia? {
    switch part["type"]?.string {
    case "image_url":
      let link = part["image_url"]
      guard let url = link?["url"]?.string ?? link?.string else {
        throw .invalid("image_url needs a url")
      }
      return EngineMedia(kind: .image, bytes: try bytes(ofDataURL: url))
    case "input_audio":
      guard let text = part["input_audio"]?["data"]?.string, let bytes = Base64.decode(text),
        !bytes.isEmpty
      else { throw .invalid("input_audio needs data in base64") }
      return EngineMedia(kind: .audio, bytes: bytes)
    default: return nil
    }
  }

  /// RFC 2397, base64 only.
  private static func bytes(ofDataURL url: String) throws(SealedFailure) -> [UInt8] {
    guard url.hasPrefix("data:image/") else {
      throw .invalid(
        "pictures must be inside the request as data:image/…;base64: the worker fetches nothing")
    }
    guard let comma = url.firstIndex(of: ","), url[..<comma].hasSuffix(";base64"),
      let bytes = Base64.decode(url[url.index(after: comma)...]), !bytes.isEmpty
    else { throw .invalid("a picture's data: URL is not base64") }
    return bytes
  }

  /// Whether a text that is no mark of ours holds one, however deep.
  private static func holdsMark(_ value: JSONValue) -> Bool {
    switch value {
    case .string(let text): text.contains(EngineMedia.mark)
    case .array(let items): items.contains(where: holdsMark)
    case .object(let members):
      value["type"]?.string != "media_marker" && members.contains { holdsMark($0.value) }
    case .null, .bool, .number: false
    }
  }
}
