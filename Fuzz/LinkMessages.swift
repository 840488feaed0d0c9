import BloomWire

/// A control message has one encoding, on the node's link and on the worker's.
func fuzz(_ input: [UInt8]) {
  requireOneEncoding(input, "an agent's message has two encodings") {
    try? AgentMessage(decoding: $0).encoded
  }
  requireOneEncoding(input, "a coordinator's message has two encodings") {
    try? CoordinatorMessage(decoding: $0).encoded
  }
  requireOneEncoding(input, "a worker's command has two encodings") {
    try? WorkerCommand(decoding: $0).encoded
  }
  requireOneEncoding(input, "a worker's event has two encodings") {
    try? WorkerEvent(decoding: $0).encoded
  }
}
