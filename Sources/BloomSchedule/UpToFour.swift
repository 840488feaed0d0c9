/// At most four elements without an allocation: the candidates of one request.
///
/// Everything is inlinable: other modules would otherwise call it through generic witnesses.
package struct UpToFour<Element: Sendable>: RandomAccessCollection, Sendable {
  /// The largest number of elements.
  @inlinable package static var capacity: Int { 4 }

  @usableFromInline var elements: (Element?, Element?, Element?, Element?) = (nil, nil, nil, nil)
  /// How many elements are held.
  @usableFromInline package var count = 0

  /// Holds nothing.
  @inlinable package init() {}

  /// Takes the elements of a sequence; `nil` when there are more than four.
  @inlinable package init?(_ sequence: some Sequence<Element>) {
    for element in sequence {
      guard append(element) else { return nil }
    }
  }

  /// The first position, always zero.
  @inlinable package var startIndex: Int { 0 }
  /// The position after the last element.
  @inlinable package var endIndex: Int { count }
  /// All positions.
  @inlinable package var indices: Range<Int> { 0..<count }
  /// The position after another.
  @inlinable package func index(after position: Int) -> Int { position + 1 }
  /// The position before another.
  @inlinable package func index(before position: Int) -> Int { position - 1 }

  /// Adds an element; `false`, and nothing happens, when four are held.
  @inlinable
  @discardableResult
  package mutating func append(_ element: Element) -> Bool {
    switch count {
    case 0: elements.0 = element
    case 1: elements.1 = element
    case 2: elements.2 = element
    case 3: elements.3 = element
    default: return false
    }
    count += 1
    return true
  }

  /// One element.
  ///
  /// The position must be below ``count``.
  @inlinable package subscript(position: Int) -> Element {
    get {
      let element: Element? =
        switch position {
        case 0: elements.0
        case 1: elements.1
        case 2: elements.2
        default: elements.3
        }
      guard position < count, let element else { fatalError("position \(position) of \(count)") }
      return element
    }
    set {
      switch position {
      case 0: elements.0 = newValue
      case 1: elements.1 = newValue
      case 2: elements.2 = newValue
      default: elements.3 = newValue
      }
    }
  }
}

extension UpToFour: Equatable where Element: Equatable {
  /// Whether both hold equal elements in the same order.
  package static func == (a: Self, b: Self) -> Bool { a.elementsEqual(b) }
}

extension UpToFour: ExpressibleByArrayLiteral {
  /// Takes a literal of at most four elements; more is a programming error.
  package init(arrayLiteral elements: Element...) {
    for element in elements {
      guard append(element) else { fatalError("more than four elements") }
    }
  }
}
