/// The head of one part of a form.
public struct MultipartHead: Sendable, Equatable {
  /// The form field's name.
  public let name: String
  /// The file's name as the client gave it, never a path to write to; `nil` for plain fields.
  public let fileName: String?
  /// All field lines of the part, Content-Type among them.
  public let fields: HTTPFields

  /// Wraps the parts.
  public init(name: String, fileName: String?, fields: HTTPFields) {
    self.name = name
    self.fileName = fileName
    self.fields = fields
  }

  /// Reads Content-Disposition; exactly one is required, RFC 7578 §4.2.
  init(_ fields: HTTPFields) throws(HTTPError) {
    let values = fields.values(.contentDisposition)
    guard values.count == 1, let disposition = ParameterizedValue(values[0]),
      disposition.value == "form-data", let name = disposition["name"],
      // RFC 7578 §4.2 forbids the extended form, and parsers disagree on which name wins.
      disposition["filename*"] == nil, disposition["name*"] == nil
    else { throw HTTPError(.malformedMultipart) }
    self.init(name: name, fileName: disposition["filename"], fields: fields)
  }
}

/// A value with parameters, such as a content type, RFC 9110 §5.6.6.
public struct ParameterizedValue: Sendable, Equatable {
  /// What stands before the first `;`, in lower case.
  public let value: String
  private let parameters: [QueryItem]

  /// Parses; `nil` on a malformed or repeated parameter.
  public init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    func skipSpaces() { rest = rest.drop { $0 == 0x20 || $0 == 0x09 } }
    func token(_ isAllowed: (UInt8) -> Bool) -> String {
      let bytes = rest.prefix(while: isAllowed)
      rest = rest.dropFirst(bytes.count)
      return String(decoding: bytes, as: UTF8.self)
    }
    skipSpaces()
    value = token { isTokenByte($0) || $0 == 0x2f }.lowercased()
    guard !value.isEmpty else { return nil }
    var parameters: [QueryItem] = []
    while true {
      skipSpaces()
      guard let separator = rest.first else { break }
      guard separator == 0x3b else { return nil }
      rest = rest.dropFirst()
      skipSpaces()
      if rest.isEmpty { break }
      let name = token(isTokenByte).lowercased()
      guard !name.isEmpty, rest.first == 0x3d else { return nil }
      rest = rest.dropFirst()
      let value: String
      if rest.first == 0x22 {
        guard let quoted = Self.quoted(&rest) else { return nil }
        value = quoted
      } else {
        value = token(isTokenByte)
        if value.isEmpty { return nil }
      }
      if parameters.contains(where: { $0.name == name }) { return nil }
      parameters.append(QueryItem(name: name, value: value))
    }
    self.parameters = parameters
  }

  /// A parameter by its lower-case name.
  public subscript(name: String) -> String? { parameters.first { $0.name == name }?.value }

  /// Only `\"` and `\\` are escapes: browsers send other backslashes as they are.
  private static func quoted(_ rest: inout ArraySlice<UInt8>) -> String? {
    var bytes: [UInt8] = []
    var index = rest.startIndex + 1
    while index < rest.endIndex {
      let byte = rest[index]
      if byte == 0x22 {
        rest = rest[(index + 1)...]
        return String(validating: bytes, as: UTF8.self)
      }
      if byte == 0x5c, index + 1 < rest.endIndex, rest[index + 1] == 0x22 || rest[index + 1] == 0x5c
      {
        index += 1
      }
      bytes.append(rest[index])
      index += 1
    }
    return nil
  }
}
