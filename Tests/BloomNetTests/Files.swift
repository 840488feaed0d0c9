import BloomNet

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

func write(_ identity: TLSIdentity, _ certificate: String, _ key: String) throws {
  for (source, path) in [(identity.certificate, certificate), (identity.key, key)] {
    guard case .text(let bytes) = source, let file = unsafe fopen(path, "w") else { continue }
    _ = unsafe fwrite(bytes, 1, bytes.count, file)
    unsafe fclose(file)
  }
}

func remove(_ paths: String...) { for path in paths { unsafe unlink(path) } }

func variable(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }

func openForReading(_ path: String) -> Int32 { unsafe open(path, O_RDONLY) }
func closeDescriptor(_ descriptor: Int32) { _ = close(descriptor) }
