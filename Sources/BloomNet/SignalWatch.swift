internal import CLibuv

/// One `uv_signal_t`; lives until its loop stops.
final class SignalWatch: LoopHandle, @unchecked Sendable {
  // @unchecked: touched on its loop only.
  private let action: () -> Void

  init(_ loop: EventLoop, _ number: Int32, _ action: @escaping () -> Void) {
    self.action = action
    super.init()
    allocate(UV_SIGNAL)
    guard let signal = unsafe handle(uv_signal_t.self) else { return }
    unsafe UVCode.check(uv_signal_init(loop.uv, signal))
    unsafe UVCode.check(
      uv_signal_start(
        signal, { handle, _ in unsafe (LoopHandle.owner(handle) as? SignalWatch)?.action() }, number
      )
    )
    unsafe uv_unref(UnsafeMutableRawPointer(signal).assumingMemoryBound(to: uv_handle_t.self))
  }
}
