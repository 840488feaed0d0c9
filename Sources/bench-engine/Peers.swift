#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// Runs llama.cpp's own tools; `scripts/deps-engine --peers` builds them.
struct Peers {
  /// Where they are.
  let folder: String

  /// Finds the tools; `nil` when they were not built.
  init?(engineFolder: String) {
    guard
      let found = Self.output("ls -dt \(engineFolder)/peers-* 2>/dev/null").split(separator: "\n")
        .first
    else { return nil }
    folder = String(found)
  }

  /// Tokens a second of llama-bench: prompt of 512, then decoding of 128.
  func bench(model: String, threads: Int) -> (prompt: Double, decode: Double)? {
    let text = Self.output(
      "\(folder)/llama-bench -m \(model) -t \(threads) -p 512 -n 128 -r 1 -o csv 2>/dev/null")
    let lines = text.split(separator: "\n").map(Self.fields)
    guard lines.count == 3, let column = lines[0].firstIndex(of: "avg_ts"),
      let prompt = Double(lines[1][column]), let decode = Double(lines[2][column])
    else { return nil }
    return (prompt, decode)
  }

  /// Tokens a second of llama-batched-bench while `sequences` decode 64 tokens each.
  func batched(model: String, threads: Int, sequences: Int) -> Double? {
    let text = Self.output(
      "\(folder)/llama-batched-bench -m \(model) -t \(threads) -c 4096 -npp 32 -ntg 64 "
        + "-npl \(sequences) 2>/dev/null")
    for line in text.split(separator: "\n") where line.hasPrefix("|") {
      let cells = line.split(separator: "|").map { $0.filter { $0 != " " } }
      if cells.count >= 8, cells[0] == "32", let rate = Double(cells[7]) { return rate }
    }
    return nil
  }

  private static func fields(_ line: Substring) -> [String] {
    line.split(separator: ",", omittingEmptySubsequences: false).map { $0.filter { $0 != "\"" } }
  }

  static func output(_ command: String) -> String {
    guard let pipe = unsafe popen(command, "r") else { return "" }
    defer { unsafe pclose(pipe) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe fread(&chunk, 1, chunk.count, pipe)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += chunk[..<count]
    }
  }
}
