// What the parts of the shim share: results, the exception guard, limits on hostile input.
#pragma once
#include "lcc.h"
#include "chat.h"

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

struct lcc_applied {
  common_chat_params params;
  bool is_user_grammar = false;
  bool parses_calls = false;
  bool is_continuation = false;
  common_reasoning_format reasoning = COMMON_REASONING_FORMAT_AUTO;
};

struct fail : std::runtime_error {
  int code;
  fail(int c, const std::string &m) : std::runtime_error(m), code(c) {}
};

inline lcc_result give(int code, const std::string &s) {
  auto *bytes = static_cast<uint8_t *>(std::malloc(s.size() + 1));
  if (!bytes) { return {LCC_E_INTERNAL, nullptr, 0}; }
  std::memcpy(bytes, s.data(), s.size());
  bytes[s.size()] = 0;
  return {code, bytes, s.size()};
}

template <class F>
lcc_result guard(int fallback, F &&f) noexcept {
  try {
    return f();
  } catch (const fail &e) {
    return give(e.code, e.what());
  } catch (const common_json_error &e) {
    return give(LCC_E_REQUEST, e.what());
  } catch (const std::invalid_argument &e) {
    return give(fallback == LCC_E_OUTPUT ? fallback : int(LCC_E_REQUEST), e.what());
  } catch (const std::bad_alloc &) {
    return {LCC_E_INTERNAL, nullptr, 0};
  } catch (const std::exception &e) {
    return give(fallback, e.what());
  } catch (...) {
    return {LCC_E_INTERNAL, nullptr, 0};
  }
}
