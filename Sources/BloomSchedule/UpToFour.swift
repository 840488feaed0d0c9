/// At most four elements without an allocation: the candidates of one request.
package struct UpToFour<Element: Sendable>: RandomAccessCollection, Sendable {
  /// The largest number of elements.
  package static var capacity: Int { 4 }

  private var elements: (Element?, Element?, Element?, Element?) = (nil, nil, nil, nil)
  /// How many elements are held.
  package private(set) var count = 0

  /// Holds nothing.
  package init() {}

  /// Takes the elements of a sequence; `nil` when there are more than four.
  package init?(_ sequence: some Sequence<Element>) {
    for element in sequence {
      guard append(element) else { return nil }
    }
  }

  /// The first position, always zero.
  package var startIndex: Int { 0 }
  /// The position after the last element.
  package var endIndex: Int { count }

  /// Adds an element; `false`, and nothing happens, when four are held.
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
  package subscript(position: Int) -> Element {
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
