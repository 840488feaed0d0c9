/// A QR code of a short text, for a camera before a terminal.
///
/// ISO/IEC 18004: alphanumeric mode, error correction level M, versions 1 to 6, so at most 154
/// characters. Pure.
package struct QRCode: Sendable, Equatable {
  /// Modules on one side, 21…41.
  package let size: Int
  /// The mask that was applied, 0…7.
  package let mask: Int
  private var dark: [Bool]
  /// Modules of patterns and format, which carry no data.
  private var isFixed: [Bool]

  /// Characters that the alphanumeric mode knows, in the order of their values.
  private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")

  /// What one version at level M holds: equal blocks, each with its own correction.
  private struct Version {
    let number: Int
    let blocks: Int
    let dataPerBlock: Int
    let correctionPerBlock: Int

    var dataCount: Int { blocks * dataPerBlock }
    var size: Int { 17 + 4 * number }

    static let all = [
      Version(number: 1, blocks: 1, dataPerBlock: 16, correctionPerBlock: 10),
      Version(number: 2, blocks: 1, dataPerBlock: 28, correctionPerBlock: 16),
      Version(number: 3, blocks: 1, dataPerBlock: 44, correctionPerBlock: 26),
      Version(number: 4, blocks: 2, dataPerBlock: 32, correctionPerBlock: 18),
      Version(number: 5, blocks: 2, dataPerBlock: 43, correctionPerBlock: 24),
      Version(number: 6, blocks: 4, dataPerBlock: 27, correctionPerBlock: 16),
    ]
  }

  /// Encodes a text in the smallest version that holds it; `nil` for another character, or more
  /// than 154 of them.
  ///
  /// - Parameters:
  ///   - text: Capitals, digits, space and `$%*+-./:`; small letters become capitals.
  ///   - mask: 0…7; the one that scanners read best unless given.
  package init?(_ text: String, mask: Int? = nil) {
    var values: [Int] = []
    for character in text.uppercased() {
      guard let value = Self.alphabet.firstIndex(of: character) else { return nil }
      values.append(value)
    }
    let bitCount = 13 + values.count / 2 * 11 + values.count % 2 * 6
    guard let version = Version.all.first(where: { $0.dataCount * 8 >= bitCount }) else {
      return nil
    }
    let codewords = Self.interleaved(Self.data(values, version), version)
    var best: QRCode?
    for mask in mask.map({ [$0] }) ?? Array(0..<8) {
      let code = QRCode(version, codewords, mask: mask)
      if best.map({ code.penalty < $0.penalty }) ?? true { best = code }
    }
    guard let best else { return nil }
    self = best
  }

  /// Whether a module is dark; those outside are light.
  package subscript(row: Int, column: Int) -> Bool {
    guard (0..<size).contains(row), (0..<size).contains(column) else { return false }
    return dark[row * size + column]
  }

  /// Two rows of modules a line, black on white whatever the terminal's colours, with a margin.
  package var terminalText: String {
    let margin = 2
    var text = ""
    for row in stride(from: -margin, to: size + margin, by: 2) {
      text += "\u{1b}[30;107m"
      for column in -margin..<size + margin {
        switch (self[row, column], self[row + 1, column]) {
        case (true, true): text += "█"
        case (true, false): text += "▀"
        case (false, true): text += "▄"
        case (false, false): text += " "
        }
      }
      text += "\u{1b}[0m\n"
    }
    return text
  }

  // MARK: Codewords

  private static func data(_ values: [Int], _ version: Version) -> [UInt8] {
    var bits: [Bool] = []
    func append(_ value: Int, _ count: Int) {
      for bit in (0..<count).reversed() { bits.append(value >> bit & 1 == 1) }
    }
    append(0b0010, 4)
    append(values.count, 9)
    for start in stride(from: 0, to: values.count, by: 2) {
      if start + 1 < values.count {
        append(values[start] * 45 + values[start + 1], 11)
      } else {
        append(values[start], 6)
      }
    }
    append(0, min(4, version.dataCount * 8 - bits.count))
    append(0, (8 - bits.count % 8) % 8)
    var bytes = stride(from: 0, to: bits.count, by: 8).map { start in
      bits[start..<start + 8].reduce(UInt8(0)) { $0 << 1 | ($1 ? 1 : 0) }
    }
    var filler: UInt8 = 0xec
    while bytes.count < version.dataCount {
      bytes.append(filler)
      filler ^= 0xec ^ 0x11
    }
    return bytes
  }

  /// The blocks with their correction, a codeword of each block in turn.
  private static func interleaved(_ data: [UInt8], _ version: Version) -> [UInt8] {
    let blocks = (0..<version.blocks).map {
      Array(data[$0 * version.dataPerBlock..<($0 + 1) * version.dataPerBlock])
    }
    let corrections = blocks.map { correction(of: $0, count: version.correctionPerBlock) }
    var result: [UInt8] = []
    for index in 0..<version.dataPerBlock { result += blocks.map { $0[index] } }
    for index in 0..<version.correctionPerBlock { result += corrections.map { $0[index] } }
    return result
  }

  /// Reed and Solomon's code over GF(256) with the polynomial 0x11d.
  private static func correction(of data: [UInt8], count: Int) -> [UInt8] {
    var generator: [UInt8] = [1]
    var root: UInt8 = 1
    for _ in 0..<count {
      var next = generator + [0]
      for index in generator.indices { next[index + 1] ^= product(generator[index], root) }
      generator = next
      root = product(root, 2)
    }
    var remainder = data + [UInt8](repeating: 0, count: count)
    for index in data.indices {
      let factor = remainder[index]
      if factor == 0 { continue }
      for (offset, term) in generator.enumerated() {
        remainder[index + offset] ^= product(term, factor)
      }
    }
    return Array(remainder.suffix(count))
  }

  private static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
    var result = 0
    var factor = Int(a)
    for bit in 0..<8 {
      if b >> bit & 1 == 1 { result ^= factor }
      factor <<= 1
      if factor & 0x100 != 0 { factor ^= 0x11d }
    }
    return UInt8(result)
  }

  // MARK: Modules

  private init(_ version: Version, _ codewords: [UInt8], mask: Int) {
    size = version.size
    self.mask = mask
    dark = [Bool](repeating: false, count: size * size)
    isFixed = dark
    drawPatterns(version)
    drawFormat()
    draw(codewords)
  }

  private mutating func fix(_ row: Int, _ column: Int, _ isDark: Bool) {
    guard (0..<size).contains(row), (0..<size).contains(column) else { return }
    dark[row * size + column] = isDark
    isFixed[row * size + column] = true
  }

  private mutating func drawPatterns(_ version: Version) {
    for index in 0..<size {
      fix(6, index, index.isMultiple(of: 2))
      fix(index, 6, index.isMultiple(of: 2))
    }
    for (row, column) in [(3, 3), (3, size - 4), (size - 4, 3)] {
      for down in -4...4 {
        for right in -4...4 {
          let ring = max(abs(down), abs(right))
          fix(row + down, column + right, ring != 2 && ring != 4)
        }
      }
    }
    guard version.number > 1 else { return }
    for down in -2...2 {
      for right in -2...2 {
        fix(size - 7 + down, size - 7 + right, max(abs(down), abs(right)) != 1)
      }
    }
  }

  /// Level and mask with their own correction, twice.
  private mutating func drawFormat() {
    // Level M is 00, so the five bits are the mask's alone.
    var remainder = mask << 10
    for bit in (10..<15).reversed() where remainder >> bit & 1 == 1 {
      remainder ^= 0x537 << (bit - 10)
    }
    let format = (mask << 10 | remainder) ^ 0x5412
    for bit in 0..<15 {
      let isDark = format >> bit & 1 == 1
      // Around the upper left corner, past the timing patterns.
      switch bit {
      case 0..<6: fix(bit, 8, isDark)
      case 6, 7: fix(bit + 1, 8, isDark)
      case 8: fix(8, 7, isDark)
      default: fix(8, 14 - bit, isDark)
      }
      if bit < 8 { fix(8, size - 1 - bit, isDark) } else { fix(size - 15 + bit, 8, isDark) }
    }
    fix(size - 8, 8, true)
  }

  /// Two columns at a time from the right, up and down in turn, masked.
  private mutating func draw(_ codewords: [UInt8]) {
    var index = 0
    var right = size - 1
    var isUpward = true
    while right > 0 {
      if right == 6 { right -= 1 }
      for step in 0..<size {
        let row = isUpward ? size - 1 - step : step
        for column in [right, right - 1] where !isFixed[row * size + column] {
          // What is left of the last codeword stays light.
          let isDark =
            index < codewords.count * 8 && codewords[index / 8] >> (7 - index % 8) & 1 == 1
          dark[row * size + column] = isDark != isMasked(row, column)
          index += 1
        }
      }
      isUpward.toggle()
      right -= 2
    }
  }

  private func isMasked(_ row: Int, _ column: Int) -> Bool {
    switch mask {
    case 0: (row + column).isMultiple(of: 2)
    case 1: row.isMultiple(of: 2)
    case 2: column.isMultiple(of: 3)
    case 3: (row + column).isMultiple(of: 3)
    case 4: (row / 2 + column / 3).isMultiple(of: 2)
    case 5: row * column % 2 + row * column % 3 == 0
    case 6: (row * column % 2 + row * column % 3).isMultiple(of: 2)
    default: ((row + column) % 2 + row * column % 3).isMultiple(of: 2)
    }
  }

  // MARK: Penalty

  /// How hard the code is to read: long runs, squares, false finders, and an uneven share of dark.
  private var penalty: Int {
    var sum = 0
    for index in 0..<size {
      sum += Self.penalty(ofLine: (0..<size).map { self[index, $0] })
      sum += Self.penalty(ofLine: (0..<size).map { self[$0, index] })
    }
    for row in 0..<size - 1 {
      for column in 0..<size - 1 {
        let count = [self[row, column + 1], self[row + 1, column], self[row + 1, column + 1]]
        if count.allSatisfy({ $0 == self[row, column] }) { sum += 3 }
      }
    }
    let share = dark.count(where: { $0 }) * 100 / dark.count
    return sum + abs(share - 50) / 5 * 10
  }

  private static let finder = [true, false, true, true, true, false, true]

  private static func penalty(ofLine line: [Bool]) -> Int {
    var sum = 0
    var run = 0
    for index in line.indices {
      run = index > 0 && line[index] == line[index - 1] ? run + 1 : 1
      if run == 5 { sum += 3 } else if run > 5 { sum += 1 }
    }
    let light = [false, false, false, false]
    for start in 0...line.count - 11 {
      let piece = Array(line[start..<start + 11])
      if piece == finder + light || piece == light + finder { sum += 40 }
    }
    return sum
  }
}
