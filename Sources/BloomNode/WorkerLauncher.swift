internal import BloomBase
internal import BloomModels
package import BloomNet
internal import BloomPlatform

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// An agent's end of the channel to one running worker.
package protocol WorkerChannel: Sendable {
  /// Sends bytes; suspends while the worker does not read. Throws when it is gone.
  func send(_ bytes: [UInt8]) async throws
  /// The next bytes; `nil` when the worker is gone.
  func receive() async throws -> [UInt8]?
  /// Asks the worker to leave, makes it leave, and returns when it is gone.
  func close() async
}

/// Starts workers.
package protocol WorkerLauncher: Sendable {
  /// Starts a worker with a model's files open.
  ///
  /// - Returns: The channel, and the descriptors under which the worker has the files.
  /// - Throws: ``NodeError`` or `NetError` when it cannot be started.
  func launch(_ model: NodeModel) async throws -> (any WorkerChannel, descriptors: [Int32])
}

/// Starts `darkbloom-worker` as a child process.
package struct ProcessLauncher: WorkerLauncher {
  private let path: String
  private let group: EventLoopGroup

  /// Names the program.
  package init(path: String, group: EventLoopGroup = .shared) {
    self.path = path
    self.group = group
  }

  /// Where the worker's program lies when nothing else is said: beside the running one.
  package static func besideThisProgram() -> String {
    ProcessEnvironment.programFolder + "/darkbloom-worker"
  }

  /// Opens the files, starts the child, and closes them here again.
  package func launch(
    _ model: NodeModel
  ) async throws -> (any WorkerChannel, descriptors: [Int32]) {
    var files: [Int32] = []
    defer { for file in files { close(file) } }
    for (file, path) in zip(model.manifest.files, model.paths) {
      let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw NodeError(
          .modelMissing, "cannot open \(file.name) of \(model.manifest.name); fetch it again")
      }
      files.append(descriptor)
    }
    var options = Subprocess.Options(path)
    // The worker gets nothing of the owner's environment.
    options.environment = ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]
    options.folder = "/"
    options.descriptors = files
    let child = try await Subprocess.start(options, group: group)
    let first: Int32 = 4
    return (ProcessChannel(child), files.indices.map { first + Int32($0) })
  }
}

/// The channel of a child process.
private struct ProcessChannel: WorkerChannel {
  private let child: Subprocess
  /// A worker that was asked to leave has this long: the weights must be gone within 3 s.
  private static let leaveTime = Duration.seconds(2)

  init(_ child: Subprocess) { self.child = child }

  func send(_ bytes: [UInt8]) async throws { try await child.send(bytes) }

  func receive() async throws -> [UInt8]? { try await child.receive() }

  func close() async {
    await child.closeChannel()
    let child = child
    // A task of its own, so that a cancelled caller leaves no child behind.
    await Task {
      let killer = Task {
        // Cancelled when the child is gone in time: then nothing is to be done.
        guard (try? await Task.sleep(for: Self.leaveTime)) != nil else { return }
        child.signal(SIGKILL)
      }
      _ = try? await child.exit()  // how it ended does not matter any more
      killer.cancel()
    }.value
  }
}
