import BloomWire

/// A frame has one encoding, and a chunk's plaintext gives the same frames whatever the cuts.
func fuzz(_ input: [UInt8]) {
  requireOneEncoding(input, "a frame has two encodings") { try? Frame(decoding: $0).encoded }
  var decoder = FrameDecoder()
  guard let frames = try? decoder.append(input[...]), decoder.isAtBoundary else { return }
  var plaintext: [UInt8] = []
  for frame in frames { FrameDecoder.append(frame: frame, to: &plaintext) }
  require(input.starts(with: plaintext), "frames lie otherwise than they were written")
  require(input.dropFirst(plaintext.count).allSatisfy { $0 == 0 }, "padding is not zero")
}
