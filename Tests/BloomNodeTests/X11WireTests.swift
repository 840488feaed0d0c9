#if os(Linux)
import Testing

@testable import BloomNode

@Suite struct X11WireTests {
  @Test(arguments: [(":0", 0), (":12.1", 12), ("unix:3.0", 3)])
  func `a display of this machine has a number`(_ text: String, _ number: Int) {
    #expect(X11Wire.displayNumber(text) == number)
  }

  @Test(arguments: ["", "0", "host:0", ":", ":x", "[::1]:0"])
  func `another machine's display, or none, has not`(_ text: String) {
    #expect(X11Wire.displayNumber(text) == nil)
  }

  static func entry(_ number: String, _ name: String, _ data: [UInt8]) -> [UInt8] {
    let fields = [Array("host".utf8), Array(number.utf8), Array(name.utf8), data]
    return [1, 0] + fields.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 255)] + $0 }
  }

  @Test func `the cookie of the right display is found`() {
    let name = "MIT-MAGIC-COOKIE-1"
    let file =
      Self.entry("1", name, [1]) + Self.entry("0", "XDM-AUTHORIZATION-1", [2])
      + Self.entry("0", name, [3, 4])
    #expect(X11Wire.cookie(display: 0, authority: file)?.data == [3, 4])
    #expect(X11Wire.cookie(display: 1, authority: file)?.data == [1])
    #expect(X11Wire.cookie(display: 2, authority: file) == nil)
    for count in file.indices {
      // Cut anywhere: no trap, and never a cookie that is not whole.
      let found = X11Wire.cookie(display: 0, authority: Array(file.prefix(count)))
      #expect(found == nil)
    }
  }

  @Test func `the first message is padded and names the cookie`() {
    let bytes = X11Wire.setup(.init(name: [1, 2, 3, 4, 5], data: [9]))
    #expect(bytes == [0x6c, 0, 11, 0, 0, 0, 5, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0, 9, 0, 0, 0])
    #expect(X11Wire.setup(nil).count == 12)
  }

  @Test func `the root window follows vendor and formats`() {
    var answer = [UInt8](repeating: 0, count: 40)
    answer[0] = 1
    answer[24] = 5
    answer[28] = 1
    answer[29] = 2
    answer += [UInt8](repeating: 7, count: 8 + 16) + [0x21, 0x43, 0x65, 0x07]
    #expect(X11Wire.root(answer) == 0x0765_4321)
    #expect(X11Wire.root(Array(answer.dropLast())) == nil)
    #expect(X11Wire.setupRest([1, 0, 11, 0, 0, 0, 3, 1]) == 4 * 259)
    #expect(X11Wire.setupRest([0, 0, 11, 0, 0, 0, 3, 1]) == nil)
  }

  @Test func `errors and absent extensions are no answers`() {
    var reply = [UInt8](repeating: 0, count: 32)
    #expect(X11Wire.opcode(reply) == nil)
    #expect(X11Wire.idleMilliseconds(reply) == nil)
    reply[0] = 1
    #expect(X11Wire.opcode(reply) == nil)
    reply[8] = 1
    reply[9] = 144
    #expect(X11Wire.opcode(reply) == 144)
    reply[16] = 0xe8
    reply[17] = 3
    #expect(X11Wire.idleMilliseconds(reply) == 1_000)
  }

  @Test func `a display without a server is silent, not fatal`() {
    var sensor = LinuxOwnerSensor(root: "/nowhere", environment: ["DISPLAY": ":4711"])
    #expect(sensor.inputIdle() == nil)
    var snapshot = OwnerSnapshot(local: LocalTime(weekday: 0, minute: 0))
    sensor.read(into: &snapshot)
    #expect(snapshot.isOnBattery == false)
  }
}
#endif
