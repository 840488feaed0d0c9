import BloomCrypto
import BloomHPKE
import COpenSSL

/// The primitives that an exchange cannot do without, called on libcrypto with nothing around them.
///
/// Same sizes, same order, ready objects and fixed buffers: what any implementation must pay.
@safe
final class RawPrimitives {
  private let cipher: OpaquePointer
  private let ready: OpaquePointer
  private let buffer: UnsafeMutablePointer<UInt8>
  private let capacity = 1 << 17
  private let aes: OpaquePointer
  private let group: OpaquePointer
  private let key: KeyHandle
  private let scalar: OpaquePointer
  private let point: [UInt8]

  init() throws {
    unsafe aes = Self.required(EVP_CIPHER_fetch(nil, "AES-256-GCM", nil))
    unsafe cipher = Self.required(EVP_CIPHER_CTX_new())
    unsafe ready = Self.required(EVP_CIPHER_CTX_new())
    unsafe buffer = .allocate(capacity: capacity)
    unsafe buffer.initialize(repeating: 7, count: capacity)
    unsafe group = Self.required(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1))
    let secret = try SecretBytes([UInt8](repeating: 3, count: 32))
    point = try PrimeCurve.p256.publicPoint(scalar: secret)
    key = try KeyHandle(.p256, point: point, scalar: secret)
    unsafe scalar = try PrimeCurve.p256.number(secret)
    unsafe EVP_EncryptInit_ex2(ready, aes, buffer, buffer, nil)
  }

  deinit {
    unsafe EVP_CIPHER_CTX_free(cipher)
    unsafe EVP_CIPHER_CTX_free(ready)
    unsafe EVP_CIPHER_free(aes)
    unsafe EC_GROUP_free(group)
    unsafe BN_clear_free(scalar)
    unsafe buffer.deallocate()
  }

  private static func required(_ pointer: OpaquePointer?) -> OpaquePointer {
    guard let pointer = unsafe pointer else { fatalError("libcrypto lacks a primitive") }
    return unsafe pointer
  }

  /// Fresh secrets: a key from the private generator, a nonce from the public one.
  func draw() {
    unsafe RAND_priv_bytes(buffer, 32)
    unsafe RAND_bytes(buffer, 32)
  }

  /// SHA-256 over so many bytes.
  func hash(_ count: Int) {
    var state = SHA256_CTX()
    unsafe SHA256_Init(&state)
    unsafe SHA256_Update(&state, buffer, count)
    unsafe SHA256_Final(buffer, &state)
  }

  /// Bytes that go on in a hash which runs along, such as a commitment.
  func absorb(_ state: inout SHA256_CTX, _ count: Int) {
    unsafe SHA256_Update(&state, buffer, count)
  }

  /// HMAC-SHA256 over so many bytes: the two pads and the message.
  func code(_ count: Int) {
    for length in [64 + count, 64 + 32] { hash(length) }
  }

  /// Expands a key schedule for a new body or answer: HKDF to key and nonce, AES key expansion.
  func schedule() {
    code(32)
    code(21)
    code(23)
    unsafe EVP_EncryptInit_ex2(cipher, aes, buffer, buffer, nil)
  }

  /// HPKE's key schedule with two exports, RFC 9180 §4.1 and §5.1, and its AES key expansion.
  func exchange() {
    for count in [47, 110, 27, 85, 20, 80, 86, 80, 50, 50] { code(count) }
    unsafe EVP_EncryptInit_ex2(ready, aes, buffer, buffer, nil)
  }

  /// AES-256-GCM in place under a ready key.
  func seal(_ count: Int, bound: Int, ready isReady: Bool = false) {
    let context = unsafe isReady ? ready : cipher
    var written: Int32 = 0
    unsafe EVP_EncryptInit_ex2(context, nil, nil, buffer, nil)
    if bound > 0 { unsafe EVP_EncryptUpdate(context, nil, &written, buffer, Int32(bound)) }
    unsafe EVP_EncryptUpdate(context, buffer, &written, buffer, Int32(count))
    unsafe EVP_EncryptFinal_ex(context, buffer, &written)
    unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, buffer)
  }

  /// AES-256-GCM decryption in place; the tag is wrong, which costs the same to find out.
  func open(_ count: Int, bound: Int) {
    var written: Int32 = 0
    unsafe EVP_DecryptInit_ex2(cipher, nil, nil, buffer, nil)
    if bound > 0 { unsafe EVP_DecryptUpdate(cipher, nil, &written, buffer, Int32(bound)) }
    unsafe EVP_DecryptUpdate(cipher, buffer, &written, buffer, Int32(count))
    unsafe EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, 16, buffer)
    unsafe EVP_DecryptFinal_ex(cipher, buffer, &written)
  }

  /// ECDH on P-256: read the peer's point, multiply, take x.
  func agree() {
    let peer = unsafe Self.required(EC_POINT_new(group))
    unsafe EC_POINT_oct2point(group, peer, point, point.count, nil)
    unsafe EC_POINT_mul(group, peer, nil, peer, scalar, nil)
    let x = unsafe Self.required(BN_new())
    unsafe EC_POINT_get_affine_coordinates(group, peer, x, nil, nil)
    unsafe BN_free(x)
    unsafe EC_POINT_free(peer)
  }

  /// ECDSA P-256: signs a digest and verifies the signature.
  func signAndVerify() {
    var signature = [UInt8](repeating: 0, count: 80)
    var count = signature.count
    let digest = [UInt8](repeating: 1, count: 32)
    let signer = unsafe Self.required(EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil))
    unsafe EVP_PKEY_sign_init(signer)
    unsafe EVP_PKEY_sign(signer, &signature, &count, digest, digest.count)
    unsafe EVP_PKEY_CTX_free(signer)
    let verifier = unsafe Self.required(EVP_PKEY_CTX_new_from_pkey(nil, key.pointer, nil))
    unsafe EVP_PKEY_verify_init(verifier)
    guard unsafe EVP_PKEY_verify(verifier, signature, count, digest, digest.count) == 1 else {
      fatalError("libcrypto refuses its own signature")
    }
    unsafe EVP_PKEY_CTX_free(verifier)
  }
}
