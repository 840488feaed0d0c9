/// Values under small reusable numbers.
struct Slab<Value: Sendable>: Sendable {
  private var values: [Value] = []
  private var free: [Int] = []

  /// How many numbers are in use.
  var count: Int { values.count - free.count }
  /// One more than the largest number ever given out.
  var bound: Int { values.count }

  /// The number that the next value gets; `nil` when it will be a new one.
  var upcoming: Int? { free.last }

  /// Stores a value and returns its number.
  mutating func insert(_ value: Value) -> Int {
    guard let number = free.popLast() else {
      values.append(value)
      return values.count - 1
    }
    values[number] = value
    return number
  }

  /// Gives a number back.
  ///
  /// The old value stays until the number is used again.
  mutating func remove(_ number: Int) { free.append(number) }

  // Inlined, so that reading one field does not copy the whole value.
  subscript(number: Int) -> Value {
    @inline(__always) get { values[number] }
    @inline(__always) _modify { yield &values[number] }
  }
}
