import BloomBase
import BloomNet
import BloomPlatform
import BloomWire
import Testing

/// The receipts of real answers, looked at with the commands that a user has.
struct ReceiptCommands {
  private let folder: String

  init(_ network: LocalNetwork) { folder = network.folder }

  /// At least one answer must have been given with `--keep-content`.
  func run() async throws {
    let list = try await darkbloom(["receipts", "list", "--json"])
    let receipts = try #require(try JSONValue(decoding: list.output).items)
    let first = try #require(receipts.first { ($0["completion_tokens"]?.integer ?? 0) > 0 })
    let path = try #require(first["path"]?.string)
    let machine = try #require(first["machine"]?.string)
    let shown = try await darkbloom(["receipts", "show", path])
    #expect(shown.code == 0 && String(decoding: shown.output, as: UTF8.self).contains(machine))
    #expect(try await darkbloom(["receipts", "verify"]).code == 0)

    let stem = path.dropLast(".receipt".count)
    let request = "\(stem).request"
    let response = "\(stem).response"
    let good = try await darkbloom(
      ["verify", path, "--request", request, "--response", response])
    let text = String(decoding: good.output, as: UTF8.self)
    #expect(good.code == 0, "\(text)")
    for proven in [
      "machine \(machine) vouches for its worker's keys",
      "that machine's worker signed the receipt",
      "this request is the one that was answered", "this answer is the one that was signed",
    ] { #expect(text.contains("proven: \(proven)"), "\(proven)") }
    #expect(text.contains("open: what the machine is: its identity is a file"))

    try await refutes(path, request: request, response: response)
    // Without content beside it and none given, content stays open.
    let bare = "\(folder)/alone.receipt"
    let kept = try #require(try PrivateFile.read(path))
    try PrivateFile.write(kept, to: bare)
    let alone = try await darkbloom(["verify", bare])
    #expect(alone.code == 0)
    #expect(String(decoding: alone.output, as: UTF8.self).contains("open: which request"))
  }

  /// One changed bit of any of the three files.
  private func refutes(_ path: String, request: String, response: String) async throws {
    for (index, original) in [path, request, response].enumerated() {
      var bytes = try #require(try PrivateFile.read(original, limitBytes: 1 << 24))
      // In the receipt's payload, in the request's first text, in the last frame.
      let place = index == 0 ? 100 : index == 1 ? bytes.count / 2 : bytes.count - 1
      bytes[place] ^= 1
      let changed = "\(folder)/changed"
      try PrivateFile.write(bytes, to: changed)
      var paths = [path, request, response]
      paths[index] = changed
      let outcome = try await darkbloom(
        ["verify", paths[0], "--request", paths[1], "--response", paths[2]])
      #expect(outcome.code != 0, "\(original) was changed")
    }
  }

  private func darkbloom(_ words: [String]) async throws -> (code: Int, output: [UInt8]) {
    let output = "\(folder)/output"
    let program = "\(ProcessEnvironment.programFolder)/darkbloom"
    let process = try await Subprocess.start(
      .init(
        "/bin/sh",
        ["-c", "output=$1; shift; exec \"$@\" >\"$output\"", "sh", output, program]
          + words + ["--data", folder]))
    let code = try await process.exit().code
    return (code, try PrivateFile.read(output, limitBytes: 1 << 22) ?? [])
  }
}
