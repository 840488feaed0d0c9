internal import Dispatch
package import Testing

/// Runs each test on a thread of its own; see ``Testing/Trait/ownThread``.
package struct OwnThreadTrait: SuiteTrait, TestTrait, TestScoping {
  package var isRecursive: Bool { true }

  package func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @Sendable @concurrent () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(OwnThread()) { try await function() }
  }
}

extension Trait where Self == OwnThreadTrait {
  /// For tests that compute or wait for a process without suspending.
  ///
  /// The cooperative pool has as many threads as the computer has cores. Two tests that hold them
  /// for seconds would stop every actor of the tests beside them, and what these simulate, a node
  /// that answers within 2 s for one, would look dead.
  package static var ownThread: OwnThreadTrait { OwnThreadTrait() }
}

/// Runs jobs in order; the queue has a thread whenever it has a job, whatever other threads do.
private final class OwnThread: TaskExecutor {
  private let queue = DispatchQueue(label: "test")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { unsafe job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}
