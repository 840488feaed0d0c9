/// A status code, RFC 9110 §15, in 100…999.
public struct HTTPStatus: Hashable, Sendable, CustomStringConvertible {
  /// Three digits.
  public let code: Int

  /// Checks the range 100…999; `nil` outside it.
  public init?(_ code: Int) {
    guard (100...999).contains(code) else { return nil }
    self.code = code
  }

  private init(known code: Int) { self.code = code }

  init(parsed code: Int) { self.code = code }

  /// 100: send the body.
  public static let `continue` = HTTPStatus(known: 100)
  /// 101.
  public static let switchingProtocols = HTTPStatus(known: 101)
  /// 200.
  public static let ok = HTTPStatus(known: 200)
  /// 201.
  public static let created = HTTPStatus(known: 201)
  /// 202.
  public static let accepted = HTTPStatus(known: 202)
  /// 204: never has a body.
  public static let noContent = HTTPStatus(known: 204)
  /// 206.
  public static let partialContent = HTTPStatus(known: 206)
  /// 301.
  public static let movedPermanently = HTTPStatus(known: 301)
  /// 302.
  public static let found = HTTPStatus(known: 302)
  /// 303.
  public static let seeOther = HTTPStatus(known: 303)
  /// 304: never has a body.
  public static let notModified = HTTPStatus(known: 304)
  /// 307.
  public static let temporaryRedirect = HTTPStatus(known: 307)
  /// 308.
  public static let permanentRedirect = HTTPStatus(known: 308)
  /// 400.
  public static let badRequest = HTTPStatus(known: 400)
  /// 401.
  public static let unauthorized = HTTPStatus(known: 401)
  /// 402.
  public static let paymentRequired = HTTPStatus(known: 402)
  /// 403.
  public static let forbidden = HTTPStatus(known: 403)
  /// 404.
  public static let notFound = HTTPStatus(known: 404)
  /// 405.
  public static let methodNotAllowed = HTTPStatus(known: 405)
  /// 406.
  public static let notAcceptable = HTTPStatus(known: 406)
  /// 408.
  public static let requestTimeout = HTTPStatus(known: 408)
  /// 409.
  public static let conflict = HTTPStatus(known: 409)
  /// 410.
  public static let gone = HTTPStatus(known: 410)
  /// 413.
  public static let contentTooLarge = HTTPStatus(known: 413)
  /// 414.
  public static let uriTooLong = HTTPStatus(known: 414)
  /// 415.
  public static let unsupportedMediaType = HTTPStatus(known: 415)
  /// 416.
  public static let rangeNotSatisfiable = HTTPStatus(known: 416)
  /// 417.
  public static let expectationFailed = HTTPStatus(known: 417)
  /// 421.
  public static let misdirectedRequest = HTTPStatus(known: 421)
  /// 422.
  public static let unprocessableContent = HTTPStatus(known: 422)
  /// 426.
  public static let upgradeRequired = HTTPStatus(known: 426)
  /// 429.
  public static let tooManyRequests = HTTPStatus(known: 429)
  /// 431.
  public static let requestHeaderFieldsTooLarge = HTTPStatus(known: 431)
  /// 500.
  public static let internalServerError = HTTPStatus(known: 500)
  /// 501.
  public static let notImplemented = HTTPStatus(known: 501)
  /// 502.
  public static let badGateway = HTTPStatus(known: 502)
  /// 503.
  public static let serviceUnavailable = HTTPStatus(known: 503)
  /// 504.
  public static let gatewayTimeout = HTTPStatus(known: 504)
  /// 505.
  public static let httpVersionNotSupported = HTTPStatus(known: 505)

  /// Whether another response follows: 1xx, but not 101.
  public var isInterim: Bool { code < 200 && code != 101 }

  /// Whether a response with it has no body whatever its fields say: 1xx, 204, 304.
  public var hasNoBody: Bool { code < 200 || code == 204 || code == 304 }

  /// The registered phrase; empty for codes that have none here.
  public var reason: String {
    switch code {
    case 100: "Continue"
    case 101: "Switching Protocols"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 206: "Partial Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 402: "Payment Required"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 422: "Unprocessable Content"
    case 426: "Upgrade Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: ""
    }
  }

  /// Code and phrase.
  public var description: String { reason.isEmpty ? "\(code)" : "\(code) \(reason)" }
}
