import BloomSeal

/// A user's receipt file has one encoding, and any file gives a report.
func fuzz(_ input: [UInt8]) {
  if let file = try? ReceiptFile(decoding: input) {
    requireOneEncoding(input, "a receipt file has two encodings") {
      try? ReceiptFile(decoding: $0).encoded
    }
    let report = ReceiptReport(
      receipt: file.receipt, record: file.record, commitKey: file.commitKey, request: input,
      frames: [])
    require(!report.lines.isEmpty, "a report is empty")
  }
  if let frames = try? ReceiptContent.frames(input) {
    require(frames.reduce(0) { $0 + $1.count } <= input.count, "frames from nothing")
  }
  let report = ReceiptReport(
    receipt: input, record: input, commitKey: nil, request: nil, frames: nil)
  require(!report.text.isEmpty, "a report is empty")
}
