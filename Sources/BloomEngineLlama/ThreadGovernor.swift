/// Chooses the number of computing threads from the time steps take.
///
/// Pure.
///
/// llama.cpp's threads wait for each other by spinning: when another program takes a processor,
/// two threads are many times slower than one (measured). So the number falls when steps become
/// slow, and one more thread is tried again after a while.
struct ThreadGovernor {
  private let most: Int
  private var typical: [[Double]]
  private var slowSteps = 0
  private var calmSteps = 0
  private var patience = ThreadGovernor.firstPatience

  /// Threads to use now.
  private(set) var threads: Int

  /// Steps before one more thread is tried; doubles with each failed try.
  static let firstPatience = 200
  static let mostPatience = 12_800
  static let slowStepsToAct = 6
  /// Classes of steps by their rows; the last one has all that are larger.
  static let rowClasses = 9

  /// Creates a governor that begins with the most threads.
  init(most: Int) {
    self.most = max(1, most)
    threads = self.most
    typical = Array(
      repeating: Array(repeating: 0, count: Self.rowClasses), count: self.most + 1)
  }

  /// Takes the time of a decode step.
  ///
  /// - Parameters:
  ///   - seconds: Of the whole step.
  ///   - rows: Tokens in the step; only steps of about equal size are compared.
  /// - Returns: Whether ``threads`` has changed.
  mutating func note(seconds: Double, rows: Int) -> Bool {
    guard most > 1 else { return false }
    let size = min(rows, Self.rowClasses - 1)
    let usual = typical[threads][size]
    let alone = typical[1][size]
    let isSlow =
      (usual > 0 && seconds > 2 * usual) || (alone > 0 && threads > 1 && seconds > 1.2 * alone)
    if !isSlow { typical[threads][size] = usual == 0 ? seconds : 0.9 * usual + 0.1 * seconds }
    slowSteps = isSlow ? slowSteps + 1 : 0
    calmSteps = isSlow ? 0 : calmSteps + 1
    if slowSteps >= Self.slowStepsToAct, threads > 1 {
      threads -= 1
      slowSteps = 0
      calmSteps = 0
      patience = min(patience * 2, Self.mostPatience)
      return true
    }
    if calmSteps >= patience, threads < most {
      threads += 1
      calmSteps = 0
      return true
    }
    return false
  }
}
