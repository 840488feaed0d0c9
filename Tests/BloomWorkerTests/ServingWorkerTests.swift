#if os(Linux)
import BloomBase
import BloomNet
import BloomPlatform
import BloomRecords
import BloomSeal
import BloomTestSupport
import BloomTestTraits
import BloomWire
import Testing

/// Attacks on the real worker while it computes an answer.
@Suite(.ownThread, .serialized, .timeLimit(.minutes(3))) struct ServingWorkerTests {
  private static let isChunk: @Sendable (WorkerEvent) -> Bool = { event in
    if case .chunk = event { true } else { false }
  }
  private static let isDone: @Sendable (WorkerEvent) -> Bool = { event in
    if case .done = event { true } else { false }
  }

  /// A worker that is in the middle of an answer while `body` runs, and ends it well after.
  private func serving(guarded: Bool, _ body: (ServingWorker) async throws -> Void) async throws {
    let worker = try await ServingWorker.start(guarded: guarded)
    do {
      let request = try await worker.ask("Tell me a long story about the sea.", tokens: 200)
      try await worker.wait(for: Self.isChunk)
      try await body(worker)
      try await worker.wait(for: Self.isDone)
      var opener = request.opener()
      let events = try opener.receive(worker.answer)
      guard case .finished(let receipt) = events.last else {
        throw WorkerTestError("the answer has no end")
      }
      #expect(receipt.claims.completionTokens > 20)
    } catch {
      await worker.stop()
      throw error
    }
    await worker.stop()
  }

  /// An address that surely holds memory, where we may know one.
  private func address(in worker: ServingWorker) -> String {
    let maps = Shell.run("awk '/rw-p/ {print $1; exit}' /proc/\(worker.pid)/maps")
    let start = maps.split(separator: "-").first.flatMap { UInt64($0, radix: 16) }
    return "\(start ?? 4_096)"
  }

  @Test func `the same user can neither read nor trace nor dump a worker that serves`()
    async throws
  {
    try await serving(guarded: true) { worker in
      let facts = SandboxFacts(names: worker.ready.facts).facts
      #expect(SandboxFacts.requiredOfWorker.isSubset(of: facts))
      #expect(facts.isSuperset(of: [.lockedKeys, .guarded]))
      let address = address(in: worker)
      // The control: the same attack on a process of the same user that is not protected.
      let control = Shell.run(
        """
        coproc V { exec \(Shell.asUser)\(Shell.probe) victim plain; }
        victim=$V_PID
        read -r pid ordinary rest <&${V[0]}
        \(Shell.asUser)\(Shell.probe) reach $pid $ordinary
        kill -KILL $victim
        """)
      #expect(control.hasPrefix("process_vm_readv ok\nproc_mem ok\nattach ok\n"), "\(control)")
      let attack = Shell.run("\(Shell.asUser)\(Shell.probe) reach \(worker.pid) \(address)")
      #expect(
        attack == "process_vm_readv refused\nproc_mem refused\nattach refused\n", "\(attack)")
      let files = Shell.run(
        """
        for f in mem maps environ syscall stack auxv; do
          \(Shell.asUser)head -c 1 /proc/\(worker.pid)/$f >/dev/null 2>&1 && echo $f
        done
        \(Shell.asUser)ls /proc/\(worker.pid)/fd >/dev/null 2>&1 && echo fd
        """)
      #expect(files.isEmpty, "readable in /proc: \(files)")
      if Shell.has("gdb") {
        let gdb = Shell.run("\(Shell.asUser)gdb -nx -batch -p \(worker.pid) 2>&1")
        #expect(gdb.contains("Operation not permitted"), "\(gdb)")
      }
    }
  }

  /// What root still can do is part of the threat model: this documents it.
  @Test(.enabled(if: ServingWorker.isRoot))
  func `root reads the memory of a worker that serves, and cannot attach to it`() async throws {
    try await serving(guarded: true) { worker in
      let address = address(in: worker)
      let root = Shell.run("\(Shell.probe) reach \(worker.pid) \(address)")
      #expect(root == "process_vm_readv ok\nproc_mem ok\nattach refused\n", "\(root)")
    }
  }

  #if arch(x86_64)
  /// Without a guard root may attach, and so makes the worker itself try: every call is refused.
  @Test(.enabled(if: ServingWorker.isRoot && Shell.has("gdb")))
  func `from inside a worker that serves nothing can be opened, connected, forked or run`()
    async throws
  {
    try await serving(guarded: false) { worker in
      let text = "**(char***)&environ"
      let calls = [
        ("getpid", "39"), ("open", "2,\(text),0"), ("openat", "257,-100,\(text),0"),
        ("create", "85,\(text),0"), ("socket", "41,2,1,0"), ("socket6", "41,10,2,0"),
        ("socketpair", "53,1,1,0,0"), ("connect", "42,0,0,0"), ("bind", "49,0,0,0"),
        ("sendto", "44,0,0,0,0,0,0"), ("fork", "57"), ("vfork", "58"), ("clone", "56,17,0,0,0,0"),
        ("execve", "59,0,0,0"), ("execveat", "322,-1,0,0,0,0"), ("ptrace", "101,16,1,0,0"),
        ("process_vm_readv", "310,1,0,0,0,0,0"), ("kill", "62,1,0"), ("bpf", "321,0,0,0"),
        ("io_uring_setup", "425,1,0"), ("memfd_create", "319,\(text),0"),
        ("mmap_exec", "9,0,4096,5,34,-1,0"), ("pidfd_open", "434,1,0"), ("unshare", "272,0"),
        ("prctl_dumpable", "157,4,1,0,0,0"), ("setuid", "105,0"), ("mount", "165,0,0,0,0,0"),
      ]
      let prints = calls.map { name, arguments in
        "-ex 'printf \"\(name) %ld %d\\n\", ((long(*)())syscall)(\(arguments)), "
          + "*((int*(*)())__errno_location)()'"
      }
      let output = Shell.run(
        "gdb -nx -batch -iex 'set debuginfod enabled off' -p \(worker.pid) "
          + "-ex 'handle SIGSYS nostop noprint pass' \(prints.joined(separator: " ")) 2>&1")
      let lines = Set(output.split(separator: "\n").map(String.init))
      // The control: a call that is allowed comes back with its answer.
      #expect(lines.contains { $0.hasPrefix("getpid \(worker.pid) ") }, "\(output)")
      for (name, _) in calls.dropFirst() {
        #expect(lines.contains("\(name) -1 1"), "\(name) is not EPERM: \(output)")
      }
    }
  }
  #endif

  @Test func `a worker without a protection that is demanded names it, with what to do`()
    async throws
  {
    let required = SandboxFacts.requiredOfWorker.union([.guarded])
    let error = await #expect(throws: WorkerTestError.self) {
      _ = try await ServingWorker.start(guarded: false, demanding: required)
    }
    #expect(
      error?.description
        == "a protection is not in force: guarded; \(SandboxFact.guarded.remedy)")
  }

  @Test(.enabled(if: Shell.leavesCores))
  func `a worker that is made to crash leaves no core`() async throws {
    let worker = try await ServingWorker.start()
    _ = try await worker.ask("Tell me a long story.", tokens: 200)
    try await worker.wait(for: Self.isChunk)
    _ = Shell.run("kill -ABRT \(worker.pid)")
    let exit = try await worker.exit()
    #expect(exit.signal == 6)
    #expect(Shell.run("ls \(worker.folder)") == "models\n")
    await worker.stop()
  }

  @Test func `beats come at least every 50 ms inside a long prompt`() async throws {
    let worker = try await ServingWorker.start()
    let text = String(repeating: "the river runs to the sea and ", count: 60)
    _ = try await worker.ask(text, tokens: 2)
    let seen = try await worker.wait(for: Self.isChunk)
    await worker.stop()
    let accepted = try #require(
      seen.first { if case .accept = $0.event { true } else { false } })
    let last = try #require(seen.last)
    let elapsed = (last.at - accepted.at).wholeNanoseconds / 1_000_000
    let beats = seen.count { entry in
      if case .beat = entry.event { entry.at >= accepted.at } else { false }
    }
    // A relation, not a time: whatever the machine needs for the prompt, the beats keep pace.
    #expect(elapsed > 200, "the prompt was not long")
    #expect(beats >= Int(elapsed) / 50, "\(beats) beats in \(elapsed) ms")
  }
}
#endif
