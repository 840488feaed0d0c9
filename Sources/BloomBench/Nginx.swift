internal import BloomPlatform
internal import BloomTestSupport

#if canImport(Glibc)
internal import Glibc
#else
internal import Darwin
#endif

/// An nginx with one worker process beside which a server is measured; it ends with its owner.
public final class Nginx: Sendable {
  /// The number of the process that serves.
  public let worker: Int32
  private let process: ChildProcess

  private init(_ process: ChildProcess, worker: Int32) {
    self.process = process
    self.worker = worker
  }

  deinit { Nginx.end(process) }

  /// Starts one; `nil` when it is not installed or does not start, which standard error tells.
  ///
  /// - Parameters:
  ///   - folder: Takes its settings, logs and temporary files; must outlive it.
  ///   - http: What the `http` block of its settings says beside that.
  /// - Returns: nginx, which accepts connections.
  /// - Throws: What writing its settings throws, or `CancellationError`.
  public static func start(folder: String, http: String) async throws -> Nginx? {
    let text = """
      daemon off; worker_processes 1; pid \(folder)/nginx.pid; error_log \(folder)/error.log;
      events { worker_connections 1024; }
      http { access_log off; keepalive_requests 1000000; client_body_temp_path \(folder);
        proxy_temp_path \(folder); fastcgi_temp_path \(folder); uwsgi_temp_path \(folder);
        scgi_temp_path \(folder);
      \(http) }
      """
    let (settings, output) = (folder + "/nginx.conf", folder + "/nginx.out")
    try PrivateFile.write(Array(text.utf8), to: settings)
    let process: ChildProcess
    do throws(TestSupportError) {
      process = try ChildProcess.start(["/usr/sbin/nginx", "-c", settings], output: output)
    } catch {
      ProcessEnvironment.complain("no nginx: \(error)")
      return nil
    }
    do {
      try await Task.sleep(for: .milliseconds(500))
    } catch {
      end(process)
      throw error
    }
    guard let worker = ProcessCost.child(of: process.pid) else {
      end(process)
      let said = SmallFile.read(output, limitBytes: 1 << 16) ?? ""
      ProcessEnvironment.complain("nginx did not start: \(said)")
      return nil
    }
    return Nginx(process, worker: worker)
  }

  private static func end(_ process: ChildProcess) {
    // Not killed: its worker would go on.
    _ = kill(process.pid, SIGTERM)
    process.wait()
  }
}
