internal import CLibuv

/// The owner of one libuv handle.
///
/// The handle's memory belongs to libuv from its init call to its close callback, also when a
/// later call fails. While it is open it owns one reference to this object through `data`, so no
/// callback can meet a dead object. docs.libuv.org/en/v1.x/handle.html
@safe
class LoopHandle: WheelEntry {
  private var memory: UnsafeMutableRawPointer?

  override init() {}

  /// Whether ``closeHandle()`` was not called yet.
  final var isOpen: Bool { unsafe memory != nil }

  /// Allocates the handle's memory; the caller must call the init function of its type at once.
  final func allocate(_ type: uv_handle_type) {
    let new = UnsafeMutableRawPointer.allocate(
      byteCount: uv_handle_size(type), alignment: 16)
    unsafe memory = new
    let handle = unsafe new.assumingMemoryBound(to: uv_handle_t.self)
    unsafe handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
  }

  /// The handle under one of its C types; `nil` once closed.
  final func handle<T>(_: T.Type) -> UnsafeMutablePointer<T>? {
    unsafe memory?.assumingMemoryBound(to: T.self)
  }

  /// Closes the handle; the memory is freed in the close callback. Safe to call twice.
  final func closeHandle() {
    guard let open = unsafe handle(uv_handle_t.self) else { return }
    unsafe memory = nil
    unsafe uv_close(open) { handle in
      guard let handle = unsafe handle, let data = unsafe handle.pointee.data else { return }
      unsafe UnsafeMutableRawPointer(handle).deallocate()
      unsafe Unmanaged<LoopHandle>.fromOpaque(data).release()
    }
  }

  /// The loop stops: wake everybody who waits, and close.
  func closeForStop() { closeHandle() }

  /// The object that owns a handle; `nil` for the loop's own handles.
  static func owner(of handle: UnsafeMutablePointer<uv_handle_t>) -> LoopHandle? {
    switch unsafe handle.pointee.type {
    case UV_ASYNC: return nil
    case UV_TIMER where unsafe handle.pointee.data == handle.pointee.loop.pointee.data:
      return nil
    default:
      guard let data = unsafe handle.pointee.data else { return nil }
      return unsafe Unmanaged<LoopHandle>.fromOpaque(data).takeUnretainedValue()
    }
  }

  /// The same for typed handles inside callbacks.
  static func owner<T>(_ handle: UnsafeMutablePointer<T>?) -> LoopHandle? {
    guard let handle = unsafe handle else { return nil }
    return unsafe owner(
      of: UnsafeMutableRawPointer(handle).assumingMemoryBound(to: uv_handle_t.self))
  }
}
