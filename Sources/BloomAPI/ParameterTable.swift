internal import BloomWire

/// What happens to each parameter of an endpoint; `docs/api.md` prints it and a test compares.
package struct ParameterTable: Sendable {
  /// How a parameter is treated.
  package enum Treatment: Hashable, Sendable {
    /// It changes the answer as OpenAI documents.
    case honoured
    /// Taken and checked for its type, without effect; the text says why.
    case ignored(String)
    /// A 400 that names it; the text says why.
    case refused(String)
  }

  /// The endpoint's path.
  package let endpoint: String
  /// What is to be said of the endpoint as a whole.
  package var note: String?
  /// Parameters in the order of the docs.
  package let parameters: [(name: String, treatment: Treatment)]

  /// The treatment of one parameter; `nil` when nobody knows it.
  package func treatment(of name: String) -> Treatment? {
    parameters.first { $0.name == name }?.treatment
  }

  /// Checks every member of a request by name.
  func check(_ root: Field) throws(APIError) {
    for member in try root.members() where member.value != .null {
      switch treatment(of: member.name) {
      case .honoured, .ignored: break
      case .refused(let reason):
        throw .invalid(
          member.name, "Unsupported parameter: '\(member.name)' \(reason).",
          code: "unsupported_parameter")
      case nil:
        throw .invalid(
          member.name, "Unrecognized request argument supplied: \(printable(member.name)).",
          code: "unknown_parameter")
      }
    }
  }

  /// Names come from the client: only short identifiers are repeated to it.
  private func printable(_ name: String) -> String {
    let isIdentifier =
      name.utf8.count <= 64
      && name.utf8.allSatisfy { byte in
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f, 0x2d: true
        default: false
        }
      }
    return isIdentifier ? name : "a name that is not an identifier"
  }

  /// The tables of every endpoint with a body.
  package static let all: [ParameterTable] = [
    chat, completions, embeddings, responses, messages, countTokens, ollamaChat, ollamaGenerate,
  ]

  private static let textOnly = "needs a model that takes more than text"
  private static let nothingStored = "nothing is stored anywhere"
  private static let nothingLeaves = "is not offered: nothing leaves the sealed machine"
  private static let noServerTools = "is not offered: no tool runs on the server"
  private static let cacheIsTheirs = "machines keep prefixes as long as their memory allows"

  /// `POST /v1/chat/completions`.
  package static let chat = ParameterTable(
    endpoint: "/v1/chat/completions",
    parameters: [
      ("model", .honoured), ("messages", .honoured), ("stream", .honoured),
      ("stream_options", .honoured), ("max_completion_tokens", .honoured),
      ("max_tokens", .honoured), ("temperature", .honoured), ("top_p", .honoured),
      ("top_k", .honoured), ("min_p", .honoured), ("n", .honoured), ("stop", .honoured),
      ("seed", .honoured), ("presence_penalty", .honoured), ("frequency_penalty", .honoured),
      ("logit_bias", .honoured), ("logprobs", .honoured), ("top_logprobs", .honoured),
      ("tools", .honoured), ("tool_choice", .honoured), ("parallel_tool_calls", .honoured),
      ("response_format", .honoured), ("reasoning_effort", .honoured),
      ("chat_template_kwargs", .honoured), ("prompt_cache_key", .honoured),
      ("user", .ignored("no account below the API key is known")),
      ("safety_identifier", .ignored("no account below the API key is known")),
      ("metadata", .ignored(nothingStored)), ("store", .ignored(nothingStored)),
      ("service_tier", .ignored("there is one tier of service")),
      ("verbosity", .ignored("open models have no such control")),
      ("prompt_cache_options", .ignored(cacheIsTheirs)),
      ("prompt_cache_retention", .ignored(cacheIsTheirs)),
      ("functions", .refused("is deprecated; use 'tools'")),
      ("function_call", .refused("is deprecated; use 'tool_choice'")),
      ("audio", .refused(textOnly)), ("modalities", .refused(textOnly)),
      ("prediction", .refused("is not offered")),
      ("moderation", .refused(nothingLeaves)),
      ("web_search_options", .refused(nothingLeaves)),
    ])

  /// `POST /v1/completions`.
  package static let completions = ParameterTable(
    endpoint: "/v1/completions",
    parameters: [
      ("model", .honoured), ("prompt", .honoured), ("stream", .honoured),
      ("stream_options", .honoured), ("max_tokens", .honoured), ("temperature", .honoured),
      ("top_p", .honoured), ("top_k", .honoured), ("min_p", .honoured), ("n", .honoured),
      ("stop", .honoured), ("seed", .honoured), ("presence_penalty", .honoured),
      ("frequency_penalty", .honoured), ("logit_bias", .honoured), ("logprobs", .honoured),
      ("echo", .honoured), ("prompt_cache_key", .honoured),
      ("user", .ignored("no account below the API key is known")),
      ("suffix", .refused("needs a model made for insertion")),
      ("best_of", .refused("is not offered; use 'n'")),
    ])

  /// `POST /v1/embeddings`.
  package static let embeddings = ParameterTable(
    endpoint: "/v1/embeddings",
    parameters: [
      ("model", .honoured), ("input", .honoured), ("encoding_format", .honoured),
      ("dimensions", .honoured), ("user", .ignored("no account below the API key is known")),
    ])

  /// `POST /v1/responses`.
  package static let responses = ParameterTable(
    endpoint: "/v1/responses",
    parameters: [
      ("model", .honoured), ("input", .honoured), ("instructions", .honoured),
      ("stream", .honoured), ("stream_options", .ignored("the last event has the usage")),
      ("max_output_tokens", .honoured), ("temperature", .honoured),
      ("top_p", .honoured), ("tools", .honoured), ("tool_choice", .honoured),
      ("parallel_tool_calls", .honoured), ("text", .honoured), ("reasoning", .honoured),
      ("top_logprobs", .honoured), ("prompt_cache_key", .honoured),
      ("user", .ignored("no account below the API key is known")),
      ("safety_identifier", .ignored("no account below the API key is known")),
      ("metadata", .honoured), ("store", .ignored(nothingStored)),
      ("prompt_cache_options", .ignored(cacheIsTheirs)),
      ("prompt_cache_retention", .ignored(cacheIsTheirs)),
      ("include", .honoured),
      ("truncation", .ignored("a prompt is never shortened unasked")),
      ("service_tier", .ignored("there is one tier of service")),
      ("background", .refused("is not offered: an answer lives as long as its connection")),
      ("previous_response_id", .refused("is not offered: nothing is stored; send the whole input")),
      ("conversation", .refused("is not offered: nothing is stored; send the whole input")),
      ("prompt", .refused("is not offered: nothing is stored; send 'instructions'")),
      ("max_tool_calls", .refused(noServerTools)),
      ("background_options", .refused("is not offered, as 'background' is not")),
      ("context_management", .refused("is not offered: shorten the input yourself")),
      ("moderation", .refused(nothingLeaves)), ("access_programs", .refused("is not offered")),
      ("image", .refused(textOnly)),
    ])

  /// `POST /v1/messages`.
  package static let messages = ParameterTable(
    endpoint: "/v1/messages",
    parameters: [
      ("model", .honoured), ("messages", .honoured), ("system", .honoured),
      ("max_tokens", .honoured), ("stream", .honoured), ("temperature", .honoured),
      ("top_p", .honoured), ("top_k", .honoured), ("stop_sequences", .honoured),
      ("tools", .honoured), ("tool_choice", .honoured), ("thinking", .honoured),
      ("output_config", .honoured), ("metadata", .ignored(nothingStored)),
      ("service_tier", .ignored("there is one tier of service")),
      ("speed", .ignored("there is one tier of service")),
      ("diagnostics", .ignored(nothingStored)),
      ("cache_control", .ignored("prefixes are reused without being asked")),
      ("context_management", .ignored("a prompt is never edited unasked")),
      (
        "inference_geo",
        .refused("is not offered; `darkbloom gateway --tier` says which machines may answer")
      ),
      ("container", .refused(noServerTools)), ("mcp_servers", .refused(noServerTools)),
    ])

  /// `POST /v1/messages/count_tokens`.
  package static let countTokens = ParameterTable(
    endpoint: "/v1/messages/count_tokens",
    note: "Checked and then refused with 501 `unsupported`: only the sealed machine has the model's"
      + " tokenizer, and the network has no kind of job that counts without answering. `usage` of"
      + " an answer has the exact count.",
    parameters: [
      ("model", .honoured), ("messages", .honoured), ("system", .honoured), ("tools", .honoured),
      ("tool_choice", .honoured), ("thinking", .honoured), ("output_config", .honoured),
      ("output_format", .refused("is deprecated; use 'output_config'")),
      ("speed", .ignored("there is one tier of service")),
      ("cache_control", .ignored("prefixes are reused without being asked")),
    ])

  /// `POST /api/chat`, Ollama.
  package static let ollamaChat = ParameterTable(
    endpoint: "/api/chat",
    parameters: [
      ("model", .honoured), ("messages", .honoured), ("stream", .honoured), ("tools", .honoured),
      ("format", .honoured), ("options", .honoured), ("think", .honoured),
      ("logprobs", .refused("is not offered here; use /v1/chat/completions")),
      ("top_logprobs", .refused("is not offered here; use /v1/chat/completions")),
      ("keep_alive", .ignored("machines keep their models loaded")),
    ])

  /// `POST /api/generate`, Ollama.
  package static let ollamaGenerate = ParameterTable(
    endpoint: "/api/generate",
    parameters: [
      ("model", .honoured), ("prompt", .honoured), ("system", .honoured), ("stream", .honoured),
      ("format", .honoured), ("options", .honoured), ("think", .honoured), ("raw", .honoured),
      ("keep_alive", .ignored("machines keep their models loaded")),
      ("logprobs", .refused("is not offered here; use /v1/completions")),
      ("top_logprobs", .refused("is not offered here; use /v1/completions")),
      ("suffix", .refused("needs a model made for insertion")),
      ("template", .refused("is not offered: templates come with the model")),
      ("context", .refused("is not offered: nothing is stored; use /api/chat")),
      ("images", .refused(textOnly)),
    ])
}
