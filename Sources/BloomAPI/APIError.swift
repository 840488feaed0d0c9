internal import BloomBase
internal import BloomWire

/// What is wrong with a request, in the shape OpenAI's clients parse.
///
/// The message names parameters and limits, never the request's content.
package struct APIError: PublicError, Equatable {
  /// The HTTP status.
  package let status: Int
  /// For example `invalid_request_error`, `server_error`.
  package let type: String
  /// A stable code, for example `unsupported_parameter`.
  package let code: String?
  /// The parameter at fault, with its path, for example `messages[0].role`.
  package let parameter: String?
  /// One sentence for people.
  package let message: String
  /// Seconds after which trying again makes sense; sent as `Retry-After`.
  package let retryAfterSeconds: Int?

  /// Creates an error.
  package init(
    status: Int, type: String, code: String?, parameter: String? = nil, message: String,
    retryAfterSeconds: Int? = nil
  ) {
    self.status = status
    self.type = type
    self.code = code
    self.parameter = parameter
    self.message = message
    self.retryAfterSeconds = retryAfterSeconds
  }

  /// A 400 about one parameter.
  package static func invalid(
    _ parameter: String?, _ message: String, code: String = "invalid_value"
  ) -> APIError {
    APIError(
      status: 400, type: "invalid_request_error", code: code, parameter: parameter,
      message: message)
  }

  /// A value of the wrong JSON type.
  package static func wrongType(_ parameter: String, expected: String) -> APIError {
    .invalid(
      parameter, "Invalid type for '\(parameter)': expected \(expected).", code: "invalid_type")
  }

  /// The message alone; it holds no content.
  package var publicDescription: String { message }

  /// OpenAI's error object.
  package var openAIBody: [UInt8] {
    var writer = JSONWriter()
    writer.object {
      $0.key("error")
      $0.object {
        $0.key("message")
        $0.string(message)
        $0.key("type")
        $0.string(type)
        $0.key("param")
        if let parameter { $0.string(parameter) } else { $0.null() }
        $0.key("code")
        if let code { $0.string(code) } else { $0.null() }
      }
    }
    return writer.bytes
  }

  /// Anthropic's error object.
  package var anthropicBody: [UInt8] {
    let kind =
      switch status {
      case 400: "invalid_request_error"
      case 401: "authentication_error"
      case 403: "permission_error"
      case 404: "not_found_error"
      case 413: "request_too_large"
      case 429: "rate_limit_error"
      case 503, 529: "overloaded_error"
      default: "api_error"
      }
    var writer = JSONWriter()
    writer.object {
      $0.key("type")
      $0.string("error")
      $0.key("error")
      $0.object {
        $0.key("type")
        $0.string(kind)
        $0.key("message")
        $0.string(message)
      }
    }
    return writer.bytes
  }

  /// Ollama's error object.
  package var ollamaBody: [UInt8] {
    JSONValue.members(["error": .string(message)]).encoded
  }
}
