/// Stops the process when a rule of the program itself is broken, in release builds too.
///
/// For programming errors only; bad input throws. `message` must not contain user content.
/// `fatalError` is used because `precondition` loses its text in optimised builds.
@inlinable
public func invariant(
  _ condition: Bool, _ message: @autoclosure () -> String,
  file: StaticString = #fileID, line: UInt = #line
) {
  if !condition { fatalError("invariant broken: \(message())", file: file, line: line) }
}
