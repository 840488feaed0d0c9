#if os(Linux)
import BloomPlatform
import BloomTestSupport
import BloomTestTraits
import Testing

/// The probe program is victim and attacker; see its `main.swift`.
@Suite(.ownThread) struct HardeningTests {
  /// Starts a victim as an ordinary user and runs a script with its facts in `$pid`, `$ordinary`,
  /// `$secret`, `$kind` and `$guard`.
  private func withVictim(_ kind: String, _ script: String) -> String {
    Shell.run(
      """
      coproc V { exec \(Shell.asUser)\(Shell.probe) victim \(kind); }
      victim=$V_PID
      read -r pid ordinary secret kind guard <&${V[0]}
      \(script)
      kill -KILL $victim 2>/dev/null
      wait $victim 2>/dev/null
      """)
  }

  private let attack = "\(Shell.asUser)\(Shell.probe) attack $pid "
  private let attackAsRoot = "\(Shell.probe) attack $pid "

  @Test func `everything a worker must have is in force after lock-down`() {
    let names = Shell.run("\(Shell.asUser)\(Shell.probe) facts").split { $0 == " " || $0 == "\n" }
    let facts = SandboxFacts(names: names.map(String.init))
    #expect(SandboxFacts.requiredOfWorker.isSubset(of: facts.facts), "\(names)")
  }

  @Test func `before lock-down nothing is claimed`() {
    let facts = ProcessHardening.inForce().facts
    #expect(facts.isDisjoint(with: [.noNetwork, .noFiles, .noProcesses, .noNewCode]))
    #expect(throws: PlatformError.self) {
      try ProcessHardening.require(
        SandboxFacts.requiredOfWorker, in: SandboxFacts(facts))
    }
  }

  @Test func `an absent protection is named with what to do, and is found again in the text`() {
    let error = #expect(throws: PlatformError.self) {
      try ProcessHardening.require(
        [.noFiles, .noNewCode, .guarded, .noCoreDumps], in: SandboxFacts([.noCoreDumps]))
    }
    let text = error?.publicDescription ?? ""
    #expect(
      text == "a protection is not in force: guarded, no-files, no-new-code; "
        + "\(SandboxFact.guarded.remedy); \(SandboxFact.noFiles.remedy)")
    #expect(
      PlatformError.protections(missingIn: text)
        == SandboxFacts([.guarded, .noFiles, .noNewCode]))
    let memory = PlatformError(.memoryNotLocked, "65536 bytes").publicDescription
    #expect(PlatformError.protections(missingIn: memory) == SandboxFacts([.lockedKeys]))
    #expect(PlatformError.protections(missingIn: "no-files").facts.isEmpty)
    #expect(PlatformError.isRefusal(PlatformError(.hardeningFailed, "x").publicDescription))
    #expect(!PlatformError.isRefusal(text))
    // The name list ends at the first semicolon, and an event's text has 4,096 bytes.
    #expect(SandboxFact.allCases.allSatisfy { !$0.remedy.contains(";") })
    #expect(SandboxFacts(Set(SandboxFact.allCases)).remedies.joined().utf8.count < 3_000)
  }

  @Test func `this system is said to have the protections that its workers have`() {
    let names = Shell.run("\(Shell.asUser)\(Shell.probe) facts").split { $0 == " " || $0 == "\n" }
    let inForce = SandboxFacts(names: names.map(String.init)).facts
    let lacking = SandboxSupport.current().lacking.facts
    #expect(lacking.isDisjoint(with: SandboxFacts.requiredOfWorker))
    #expect(lacking.contains(.fileSystemClosed) != inForce.contains(.fileSystemClosed))
  }

  @Test func `tasks, timers and new threads still work inside`() {
    let output = Shell.run("\(Shell.asUser)\(Shell.probe) threads")
    #expect(output.contains("sum 2016"), "\(output)")
  }

  @Test func `the same user reads and attaches to an ordinary process`() {
    // The control: without it the refusals below would prove nothing.
    let output = withVictim("plain", attack + "$ordinary")
    #expect(output.hasPrefix("process_vm_readv ok\nproc_mem ok\nattach ok\n"), "\(output)")
  }

  @Test func `the same user neither reads nor attaches to a hardened process`() {
    let output = withVictim("hard", attack + "$ordinary; " + attack + "$secret")
    let refused = "process_vm_readv refused\nproc_mem refused\nattach refused\n"
    #expect(output.hasPrefix(refused + refused), "\(output)")
  }

  @Test(.enabled(if: Shell.has("gdb")))
  func `gdb of the same user cannot attach`() {
    let gdb = "\(Shell.asUser)gdb -nx -batch -p $pid -ex \"x/2xg $ordinary\" 2>&1"
    // 0x6b is the first byte of the probe's secret; gdb prints the words in hexadecimal.
    #expect(withVictim("plain", gdb).contains("0x6"))
    let refused = withVictim("hard", gdb)
    #expect(refused.contains("ptrace: Operation not permitted"), "\(refused)")
  }

  @Test(.enabled(if: Shell.asUser != ""))
  func `root reads ordinary memory, and secret memory only by attaching`() {
    // What root still can do is part of the threat model: this test documents it.
    let output = withVictim(
      "hard", "echo $kind; " + attackAsRoot + "$ordinary; " + attackAsRoot + "$secret")
    let lines = output.split(separator: "\n").map(String.init)
    let reads = ["process_vm_readv ok", "proc_mem ok", "attach ok"]
    let hidden = ["process_vm_readv refused", "proc_mem refused", "attach ok"]
    let second = lines.first == "secret" ? hidden : reads
    #expect(lines.dropFirst().prefix(6) == ArraySlice(reads + second), "\(output)")
  }

  @Test(.enabled(if: Shell.asUser != ""))
  func `with a guard root cannot attach, and without its guard the process dies`() {
    let output = withVictim(
      "guarded",
      """
      echo $guard
      \(attackAsRoot)$secret
      tracer=$(awk '/TracerPid/ {print $2}' /proc/$pid/status)
      kill -KILL $tracer
      for i in $(seq 100); do grep -q . /proc/$pid/cmdline 2>/dev/null || break; sleep 0.05; done
      grep -q . /proc/$pid/cmdline 2>/dev/null && echo alive || echo dead
      """)
    let lines = output.split(separator: "\n").map(String.init)
    #expect(lines.first == "guarded")
    #expect(lines.contains("attach refused"))
    #expect(lines.contains("dead"), "\(output)")
  }

  @Test(.enabled(if: Shell.leavesCores))
  func `an ordinary process leaves a core, a hardened one none`() {
    func cores(_ kind: String) -> String {
      Shell.run(
        """
        folder=$(mktemp -d /tmp/bloom-core-XXXXXX); chmod 777 $folder; cd $folder; ulimit -c unlimited
        # The control must die of the signal, not go through a crash handler.
        export SWIFT_BACKTRACE=enable=no
        coproc V { exec \(Shell.asUser)\(Shell.probe) victim \(kind); }
        victim=$V_PID
        read -r line <&${V[0]}
        kill -ABRT $victim
        wait $victim 2>/dev/null
        ls $folder | wc -l
        rm -rf $folder
        """)
    }
    #expect(cores("plain").contains("1\n"))
    #expect(cores("hard").hasSuffix("0\n"))
  }

  @Test func `the filter is the same program in every process and refuses by default`() {
    let program = ProcessHardening.filterProgram(allowsDeviceControl: false)
    #expect(program == ProcessHardening.filterProgram(allowsDeviceControl: false))
    #expect(program != ProcessHardening.filterProgram(allowsDeviceControl: true))
    // The last instruction: BPF_RET with SECCOMP_RET_ERRNO and EPERM.
    #expect(Array(program.suffix(8)) == [0x00, 0x06, 0, 0, 0x00, 0x05, 0x00, 0x01])
  }
}
#endif
