/// What libFuzzer calls; each target defines `fuzz(_:)` and traps where a property is broken.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzerTestOneInput(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  fuzz([UInt8](UnsafeBufferPointer(start: start, count: count)))
  return 0
}

/// Traps, which libFuzzer reports with the input.
func require(_ condition: Bool, _ message: String) {
  if !condition { fatalError(message) }
}

/// Two cuts of the input, chosen by its first byte: whole, and in two pieces.
func pieces(_ input: [UInt8]) -> [[UInt8]] {
  guard let first = input.first, input.count > 1 else { return [input] }
  let place = 1 + Int(first) % (input.count - 1)
  return [Array(input[..<place]), Array(input[place...])]
}

/// Traps unless bytes that were read are written the same again.
///
/// Extensions, which a reader skips, are not written: then the shorter form must be stable.
func requireOneEncoding(
  _ input: [UInt8], _ message: String, _ again: ([UInt8]) -> [UInt8]?
) {
  guard let written = again(input), written != input else { return }
  require(written.count < input.count && again(written) == written, message)
}
