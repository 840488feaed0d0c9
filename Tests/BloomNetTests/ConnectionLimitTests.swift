import BloomBase
import Testing

@testable import BloomNet

@Suite struct ConnectionLimitTests {
  @Test func `one address, or one /64 of IPv6, has so many connections and no more`() throws {
    var configuration = HTTPServer.Configuration()
    configuration.maxConnectionsPerAddress = 2
    let server = HTTPServer(configuration, responder: Router())
    func peer(_ text: String) throws -> SocketAddress {
      .ip(try #require(IPAddress(text)), port: 9)
    }
    let first = try peer("2001:db8::1")
    #expect(server.admit(first))
    #expect(server.admit(try peer("2001:db8::ffff:2")))
    #expect(!server.admit(try peer("2001:db8::3")))
    #expect(server.admit(try peer("2001:db8:0:1::1")))
    #expect(server.admit(try peer("192.0.2.1")))
    #expect(server.admit(try peer("192.0.2.1")))
    #expect(!server.admit(try peer("192.0.2.1")))
    #expect(server.admit(try peer("192.0.2.2")))
    // A proxy on this machine speaks for many.
    for _ in 0..<10 { #expect(server.admit(try peer("127.0.0.1"))) }
    #expect(server.refusedConnectionCount == 2)
    server.leave(first)
    #expect(server.admit(try peer("2001:db8::4")))
  }
}
