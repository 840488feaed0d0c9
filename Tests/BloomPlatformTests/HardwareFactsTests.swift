import BloomPlatform
import Testing

@Suite struct HardwareFactsTests {
  @Test func `this machine has processors and memory`() {
    let facts = HardwareFacts.current()
    #expect(facts.logicalCores >= 1)
    #expect((1...facts.logicalCores).contains(facts.usableCores))
    #expect(facts.memoryBytes > 1 << 20)
    #expect(!facts.architecture.isEmpty)
  }

  @Test(
    arguments: [
      ("max 100000\n", nil), ("200000 100000\n", 2), ("150000 100000", 2), ("1000 100000", 1),
      ("100001 100000", 2), ("50000 10000", 5), ("", nil), ("100000", nil), ("0 100000", nil),
      ("-1 100000", nil), ("100000 0", nil), ("1 2 3", nil), ("many 100000", nil),
    ] as [(String, Int?)])
  func `a quota is worth its processors, rounded up`(text: String, processors: Int?) {
    #expect(ProcessorQuota.processors(text) == processors)
  }

  @Test func `the quotas of a group and of all its parents hold`() {
    let groups = "12:cpu,cpuacct:/old\n0::/user.slice/app.slice/node.service\n"
    #expect(
      ProcessorQuota.folders(groups) == [
        "/sys/fs/cgroup/user.slice/app.slice/node.service", "/sys/fs/cgroup/user.slice/app.slice",
        "/sys/fs/cgroup/user.slice", "/sys/fs/cgroup",
      ])
    for outside in ["0::/\n", "0::/../sibling\n", "4:memory:/x\n", ""] {
      #expect(ProcessorQuota.folders(outside) == ["/sys/fs/cgroup"])
    }
    let files = [
      "/proc/self/cgroup": groups,
      "/sys/fs/cgroup/user.slice/app.slice/node.service/cpu.max": "max 100000\n",
      "/sys/fs/cgroup/user.slice/app.slice/cpu.max": "350000 100000\n",
      "/sys/fs/cgroup/user.slice/cpu.max": "250000 100000\n",
    ]
    #expect(ProcessorQuota.strictest { files[$0] } == 3)
    #expect(ProcessorQuota.strictest { $0 == "/proc/self/cgroup" ? groups : nil } == nil)
    #expect(ProcessorQuota.strictest { _ in nil } == nil)
  }
}
