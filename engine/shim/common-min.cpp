// Stands in for llama.cpp's common.cpp, log.cpp, fit.cpp: only what the chat/grammar/sampler subset calls.
#include "common.h"
#include "fit.h"
#include "log.h"
#include <regex>
#include <cstring>

int                 common_log_get_verbosity_thold(void) { return -1000; }   // nothing is logged
struct common_log * common_log_main() { return nullptr; }
void                common_log_add(struct common_log *, enum ggml_log_level, const char *, ...) {}
void                common_memory_breakdown_print(const struct llama_context *) {}

common_time_meas::common_time_meas(int64_t & t_acc, bool) : t_start_us(-1), t_acc(t_acc) {}
common_time_meas::~common_time_meas() {}

void string_replace_all(std::string & s, const std::string & search, const std::string & replace) {
    if (search.empty()) { return; }
    for (size_t p = 0; (p = s.find(search, p)) != std::string::npos; p += replace.size()) { s.replace(p, search.size(), replace); }
}
std::string regex_escape(const std::string & s) {
    std::string r;
    for (char c : s) { if (c && strchr(".^$|()*+?[]{}\\", c)) { r += '\\'; } r += c; }
    return r;
}
std::string string_join(const std::vector<std::string> & v, const std::string & sep) {
    std::string r;
    for (size_t i = 0; i < v.size(); i++) { if (i) { r += sep; } r += v[i]; }
    return r;
}
std::vector<std::string> string_split(const std::string & s, const std::string & d) {
    std::vector<std::string> v; size_t a = 0, e;
    while ((e = s.find(d, a)) != std::string::npos) { v.push_back(s.substr(a, e - a)); a = e + d.size(); }
    v.push_back(s.substr(a));
    return v;
}
std::string string_repeat(const std::string & s, size_t n) {
    std::string r; r.reserve(s.size() * n);
    while (n--) { r += s; }
    return r;
}
std::vector<llama_token> common_tokenize(const llama_vocab * vocab, const std::string & text, bool add_special, bool parse_special) {
    std::vector<llama_token> r(text.size() + 2);
    int n = llama_tokenize(vocab, text.data(), (int32_t) text.size(), r.data(), (int32_t) r.size(), add_special, parse_special);
    if (n < 0) {
        if (n == INT32_MIN) { throw std::runtime_error("text too large to tokenize"); }
        r.resize(-n);
        n = llama_tokenize(vocab, text.data(), (int32_t) text.size(), r.data(), (int32_t) r.size(), add_special, parse_special);
    }
    r.resize(n < 0 ? 0 : n);
    return r;
}
std::string common_token_to_piece(const llama_vocab * vocab, llama_token t, bool special) {
    std::string s(32, 0);
    int n = llama_token_to_piece(vocab, t, &s[0], (int32_t) s.size(), 0, special);
    if (n < 0) { s.resize(-n); n = llama_token_to_piece(vocab, t, &s[0], (int32_t) s.size(), 0, special); }
    s.resize(n < 0 ? 0 : n);
    return s;
}
std::string common_token_to_piece(const llama_context * ctx, llama_token t, bool special) {
    return common_token_to_piece(llama_model_get_vocab(llama_get_model(ctx)), t, special);
}
