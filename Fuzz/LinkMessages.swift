import BloomWire

/// A control message has one encoding, on the node's link and on the worker's.
func fuzz(_ input: [UInt8]) {
  if let message = try? AgentMessage(decoding: input) {
    require(message.encoded == input, "an agent's message has two encodings")
  }
  if let message = try? CoordinatorMessage(decoding: input) {
    require(message.encoded == input, "a coordinator's message has two encodings")
  }
  if let command = try? WorkerCommand(decoding: input) {
    require(command.encoded == input, "a worker's command has two encodings")
  }
  if let event = try? WorkerEvent(decoding: input) {
    require(event.encoded == input, "a worker's event has two encodings")
  }
}
