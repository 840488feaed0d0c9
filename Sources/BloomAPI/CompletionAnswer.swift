internal import BloomBase
internal import BloomWire

/// Answers of `POST /v1/completions`.
package struct CompletionStream: StreamRenderer {
  private let header: AnswerHeader
  private let includesUsage: Bool
  private let choices: Int
  private let echo: String?

  /// Creates a renderer; `echo` is the prompt, when it is to come before each choice.
  package init(header: AnswerHeader, choices: Int, includesUsage: Bool, echo: String? = nil) {
    self.header = header
    self.choices = choices
    self.includesUsage = includesUsage
    self.echo = echo
  }

  /// The prompt of each choice when it is wanted; there is no other opening chunk.
  package mutating func begin() -> [APIEvent] {
    guard let echo else { return [] }
    return (0..<choices).flatMap { render(AnswerDelta(choice: $0, content: echo)) }
  }

  /// One chunk with text, finish reason or both.
  package mutating func render(_ delta: AnswerDelta) -> [APIEvent] {
    guard delta.content != nil || delta.finishReason != nil || !delta.logprobs.isEmpty else {
      return []
    }
    var writer = JSONWriter(capacity: 256)
    writer.object { object in
      CompletionAnswer.writeHead(header, to: &object)
      object.key("choices")
      object.array {
        CompletionAnswer.write(
          delta.choice, text: delta.content ?? "", logprobs: delta.logprobs,
          finishReason: delta.finishReason, to: &$0)
      }
      if includesUsage {
        object.key("usage")
        object.null()
      }
    }
    return [APIEvent(data: writer.bytes)]
  }

  /// The usage chunk when asked for, then `[DONE]`.
  package mutating func end(usage: AnswerUsage) -> [APIEvent] {
    guard includesUsage else { return [.done] }
    var writer = JSONWriter()
    writer.object {
      CompletionAnswer.writeHead(header, to: &$0)
      $0.key("choices")
      $0.array { _ in }
      $0.key("usage")
      usage.writeOpenAI(&$0)
    }
    return [APIEvent(data: writer.bytes), .done]
  }

  /// OpenAI's error object as the last event.
  package mutating func fail(_ error: APIError) -> [APIEvent] { [APIEvent(data: error.openAIBody)] }
}

/// The whole object of `POST /v1/completions`.
package enum CompletionAnswer: Sendable {
  /// Writes the answer of a client that did not ask for a stream.
  package static func body(
    header: AnswerHeader, choices: [AnswerCollector.Choice], usage: AnswerUsage,
    echo: String? = nil
  ) -> [UInt8] {
    var writer = JSONWriter(capacity: 512)
    writer.object { object in
      writeHead(header, to: &object)
      object.key("choices")
      object.array { list in
        for (index, choice) in choices.enumerated() {
          write(
            index, text: (echo ?? "") + choice.content, logprobs: choice.logprobs,
            finishReason: choice.finishReason ?? .stop, to: &list)
        }
      }
      object.key("usage")
      usage.writeOpenAI(&object)
    }
    return writer.bytes
  }

  static func writeHead(_ header: AnswerHeader, to writer: inout JSONWriter) {
    writer.key("id")
    writer.string("cmpl-\(header.id)")
    writer.key("object")
    writer.string("text_completion")
    writer.key("created")
    writer.integer(header.created)
    writer.key("model")
    writer.string(header.model)
  }

  static func write(
    _ index: Int, text: String, logprobs: [JSONValue], finishReason: FinishReason?,
    to writer: inout JSONWriter
  ) {
    writer.object {
      $0.key("index")
      $0.integer(index)
      $0.key("text")
      $0.string(text)
      $0.key("logprobs")
      write(logprobs: logprobs, to: &$0)
      $0.key("finish_reason")
      if let finishReason { $0.string(finishReason.rawValue) } else { $0.null() }
    }
  }

  /// The older shape: parallel arrays of tokens and their log-probabilities.
  private static func write(logprobs: [JSONValue], to writer: inout JSONWriter) {
    guard !logprobs.isEmpty else { return writer.null() }
    writer.object { object in
      object.key("tokens")
      object.array { list in for item in logprobs { list.value(item["token"] ?? .null) } }
      object.key("token_logprobs")
      object.array { list in for item in logprobs { list.value(item["logprob"] ?? .null) } }
      object.key("top_logprobs")
      object.array { list in
        for item in logprobs {
          list.object { top in
            for candidate in item["top_logprobs"]?.items ?? [] {
              top.key(candidate["token"]?.string ?? "")
              top.value(candidate["logprob"] ?? .null)
            }
          }
        }
      }
    }
  }
}

/// The object of `POST /v1/embeddings`.
package enum EmbeddingsAnswer: Sendable {
  /// Writes the vectors, in the order of the inputs.
  package static func body(
    model: String, vectors: [[Float]], promptTokens: Int, encoding: EmbeddingsRequest.Encoding
  ) -> [UInt8] {
    var writer = JSONWriter(capacity: 64 + vectors.count * 8192)
    writer.object { object in
      object.key("object")
      object.string("list")
      object.key("data")
      object.array { list in
        for (index, vector) in vectors.enumerated() {
          list.object {
            $0.key("object")
            $0.string("embedding")
            $0.key("index")
            $0.integer(index)
            $0.key("embedding")
            write(vector, encoding, to: &$0)
          }
        }
      }
      object.key("model")
      object.string(model)
      object.key("usage")
      object.object {
        $0.key("prompt_tokens")
        $0.integer(promptTokens)
        $0.key("total_tokens")
        $0.integer(promptTokens)
      }
    }
    return writer.bytes
  }

  private static func write(
    _ vector: [Float], _ encoding: EmbeddingsRequest.Encoding, to writer: inout JSONWriter
  ) {
    switch encoding {
    case .float:
      // The shortest text of a Float reads back to the same Float.
      writer.array { list in
        for value in vector { list.raw(Array((value.isFinite ? "\(value)" : "0").utf8)) }
      }
    case .base64:
      var bytes: [UInt8] = []
      bytes.reserveCapacity(vector.count * 4)
      for value in vector {
        let bits = value.bitPattern
        for shift in [0, 8, 16, 24] as [UInt32] {
          bytes.append(UInt8(truncatingIfNeeded: bits >> shift))
        }
      }
      writer.string(Base64.encode(bytes))
    }
  }
}
