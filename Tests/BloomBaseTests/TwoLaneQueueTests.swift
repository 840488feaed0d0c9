import BloomBase
import Testing

@Suite struct TwoLaneQueueTests {
  @Test func `control passes data, data keeps its order`() async {
    let queue = TwoLaneQueue(byteLimit: 100)
    queue.push([1], isControl: false)
    queue.push([2], isControl: false)
    queue.push([9], isControl: true)
    queue.push([8], isControl: true)
    #expect(await queue.next() == [[9], [8], [1], [2]])
    queue.finish()
    #expect(await queue.next() == [])
    #expect(!queue.push([1], isControl: true))
  }

  @Test func `control waits for a bounded count of data bytes, or one message`() async {
    let queue = TwoLaneQueue(byteLimit: 1 << 20)
    let half = [UInt8](repeating: 1, count: TwoLaneQueue.dataBytes / 2)
    let large = [UInt8](repeating: 2, count: 2 * TwoLaneQueue.dataBytes)
    for message in [half, half, half, large, [3]] { queue.push(message, isControl: false) }
    #expect(await queue.next() == [half, half])
    queue.push([9], isControl: true)
    #expect(await queue.next() == [[9], half])
    #expect(await queue.next() == [large])
    #expect(await queue.next() == [[3]])
    #expect(queue.byteCount == 0)
  }

  @Test func `an overflow ends the queue instead of growing it`() async {
    let queue = TwoLaneQueue(byteLimit: 10)
    #expect(queue.push([UInt8](repeating: 0, count: 10), isControl: false))
    #expect(!queue.push([1], isControl: true))
    #expect(queue.byteCount == 0)
    #expect(await queue.next() == [])
  }

  @Test func `a cancelled consumer is released`() async {
    let queue = TwoLaneQueue(byteLimit: 10)
    let task = Task { await queue.next() }
    task.cancel()
    #expect(await task.value == [])
  }

  @Test func `nothing is lost between threads`() async {
    let queue = TwoLaneQueue(byteLimit: 1 << 20)
    async let sum: Int = {
      var sum = 0
      while true {
        let batch = await queue.next()
        if batch.isEmpty { return sum }
        sum += batch.reduce(0) { $0 + $1.count }
      }
    }()
    await withTaskGroup(of: Void.self) { group in
      for lane in 0..<4 {
        group.addTask {
          for _ in 0..<500 { queue.push([0, 0], isControl: lane % 2 == 0) }
        }
      }
    }
    queue.finish()
    #expect(await sum == 4000)
  }
}
