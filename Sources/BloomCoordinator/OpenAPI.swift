internal import BloomBase
internal import BloomHTTP
internal import BloomWire

/// The OpenAPI 3.1 description, made from ``PublicEndpoint/all``.
enum OpenAPI: Sendable {
  /// The document as JSON; the same bytes each time.
  static let document: [UInt8] = make(PublicEndpoint.all).encoded

  static func make(_ endpoints: [PublicEndpoint]) -> JSONValue {
    var paths: [JSONValue.Member] = []
    var seen: Set<String> = []
    for endpoint in endpoints where seen.insert(endpoint.path).inserted {
      let operations = endpoints.filter { $0.path == endpoint.path }.map {
        JSONValue.Member($0.method.name.lowercased(), operation($0))
      }
      paths.append(.init(template(endpoint.path), .object(operations)))
    }
    return .members([
      "openapi": .string("3.1.0"),
      "info": .members([
        "title": .string("Darkbloom coordinator"),
        "version": .string(CoordinatorProgram.version),
        "description": .string(
          "Accounts, the directory of machines and the relay of what only they can read."),
        "license": .members([
          "name": .string("Apache 2.0"), "identifier": .string("Apache-2.0"),
        ]),
      ]),
      "paths": .object(paths),
      "components": .members([
        "securitySchemes": .members([
          "account": .members([
            "type": .string("http"), "scheme": .string("bearer"),
            "description": .string("an API key, db-…"),
          ])
        ]),
        "schemas": OpenAPISchemas.all,
      ]),
    ])
  }

  /// `/v1/manifests/:digest` as `/v1/manifests/{digest}`.
  static func template(_ path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).map {
      $0.hasPrefix(":") || $0.hasPrefix("*") ? "{\($0.dropFirst())}" : String($0)
    }.joined(separator: "/")
  }

  private static func operation(_ endpoint: PublicEndpoint) -> JSONValue {
    var members: [JSONValue.Member] = [
      .init("operationId", .string(name(endpoint))), .init("summary", .string(endpoint.summary)),
    ]
    if endpoint.access == .account {
      members.append(
        .init("security", .array([.members(["account": .array([])])])))
    }
    if !endpoint.parameters.isEmpty {
      members.append(.init("parameters", .array(endpoint.parameters.map(parameter))))
    }
    if let request = endpoint.request {
      members.append(
        .init(
          "requestBody",
          .members(["required": .bool(true), "content": content(request.type, request.schema)])))
    }
    var responses: [JSONValue.Member] = [
      .init(
        "\(endpoint.status)",
        endpoint.status == 101
          ? .members(["description": .string("the connection becomes a WebSocket")])
          : .members([
            "description": .string("done"),
            "content": content(endpoint.response.type, endpoint.response.schema),
          ]))
    ]
    for status in endpoint.failures + [429] {
      responses.append(
        .init(
          "\(status)",
          .members(["description": .string(HTTPStatus(status)?.reason ?? "refused")])))
    }
    members.append(.init("responses", .object(responses)))
    return .object(members)
  }

  private static func name(_ endpoint: PublicEndpoint) -> String {
    let words = endpoint.path.split { !$0.isLetter && !$0.isNumber }.map(\.capitalizedFirst)
    return endpoint.method.name.lowercased() + words.joined()
  }

  private static func parameter(_ parameter: PublicEndpoint.Parameter) -> JSONValue {
    .members([
      "name": .string(parameter.name), "in": .string(parameter.isInPath ? "path" : "query"),
      "required": .bool(parameter.isRequired), "description": .string(parameter.meaning),
      "schema": .members(["type": .string(parameter.type)]),
    ])
  }

  private static func content(_ type: String, _ schema: String) -> JSONValue {
    .object([
      .init(
        type,
        .members(["schema": .members(["$ref": .string("#/components/schemas/\(schema)")])]))
    ])
  }
}

extension Substring {
  fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
