internal import BloomBase
internal import BloomNet
internal import BloomPlatform

/// The processes that `up` started; they end with it, also when it is killed: each holds a channel
/// to it and leaves when that closes.
struct Children: Sendable {
  private struct Child: Sendable {
    let name: String
    let process: Subprocess
    let exit: Locked<Subprocess.Exit?>
  }

  private var children: [Child] = []

  /// Starts a program that lies beside this one.
  ///
  /// - Parameters:
  ///   - name: How messages call it.
  ///   - program: Its file.
  ///   - arguments: Its command line.
  ///   - keepsSettings: Whether this process's `DARKBLOOM_…` variables are for it too.
  /// - Throws: `NetError` when it cannot be started.
  mutating func start(
    _ name: String, _ program: String, _ arguments: [String], keepsSettings: Bool = true
  ) async throws {
    var options = Subprocess.Options("\(ProcessEnvironment.programFolder)/\(program)", arguments)
    options.environment = ParentWatch.childEnvironment(
      ProcessEnvironment.current, keepsSettings: keepsSettings)
    options.isDetached = true
    let process = try await Subprocess.start(options)
    let exit = Locked<Subprocess.Exit?>(nil)
    Task {
      // Only a cancelled wait throws, and nobody cancels this one.
      let result = try? await process.exit()
      exit.withLock { $0 = result ?? Subprocess.Exit(code: 1, signal: 0) }
    }
    children.append(Child(name: name, process: process, exit: exit))
  }

  /// Throws when one of them has ended.
  func check() throws {
    for child in children where child.exit.withLock({ $0 }) != nil {
      throw UsageError("the \(child.name) ended unexpectedly; its messages are above")
    }
  }

  /// Returns, by throwing, when one of them ends or this task is cancelled.
  func waitForFirstExit() async throws {
    while true {
      try check()
      try await Task.sleep(for: .milliseconds(200))
    }
  }

  /// Asks all to end, the last started first, and kills what is left after ten seconds.
  func stop() async {
    for child in children.reversed() { child.process.signal(15) }
    // Not cancellable: Ctrl-C has cancelled this task already, and the children need the time.
    await Task {
      for _ in 0..<200 where children.contains(where: { $0.exit.withLock { $0 } == nil }) {
        try? await Task.sleep(for: .milliseconds(50))  // this task is not cancelled
      }
    }.value
    for child in children where child.exit.withLock({ $0 }) == nil { child.process.signal(9) }
  }
}
