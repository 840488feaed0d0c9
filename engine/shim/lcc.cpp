#include "lcc.h"
#include "chat.h"
#include "json-schema-to-grammar.h"
#include "sampling.h"
#include <cstdlib>
#include <cstring>
#include <set>

using json = common_json;
struct lcc_templates { common_chat_templates_ptr t; };
struct lcc_parser {
    common_chat_parser_params params;
    common_chat_msg           msg;
    std::string               raw, ok, tail, id_prefix;   // ok: complete UTF-8 handed to the parser, tail: cut-off character
    std::set<size_t>          named;                      // tool calls whose header was sent
    std::vector<std::string>  ids;
    size_t                    open = 0;                   // brackets open so far in the output
    bool                      finished = false;
};
struct lcc_sampler { common_sampler_ptr s; };

namespace {
constexpr size_t kMaxDepth = 96, kMaxRequest = 64u << 20, kMaxOutput = 16u << 20;
constexpr size_t kMaxAlt = 256;
constexpr size_t kMaxOpen = 256;   // unclosed brackets in model output: the parser needs about 2 kB of stack for each

struct fail : std::runtime_error { int code; fail(int c, const std::string & m) : std::runtime_error(m), code(c) {} };

lcc_result give(int code, const std::string & s) {
    char * p = (char *) std::malloc(s.size() + 1);
    if (!p) { return { LCC_E_INTERNAL, nullptr, 0 }; }
    std::memcpy(p, s.data(), s.size()); p[s.size()] = 0;
    return { code, p, s.size() };
}
template <class F> lcc_result guard(int fallback, F && f) noexcept {
    try { return f(); }
    catch (const fail & e)                  { try { return give(e.code, e.what()); } catch (...) {} }
    catch (const common_json_error & e)     { try { return give(LCC_E_REQUEST, e.what()); } catch (...) {} }
    catch (const std::invalid_argument & e) { try { return give(fallback == LCC_E_OUTPUT ? fallback : (int) LCC_E_REQUEST, e.what()); } catch (...) {} }
    catch (const std::bad_alloc &)          { }
    catch (const std::exception & e)        { try { return give(fallback, e.what()); } catch (...) {} }
    catch (...)                             { }
    return { LCC_E_INTERNAL, nullptr, 0 };
}
// nlohmann, the schema converter and Jinja recurse: refuse deep nesting before any of them runs
void limit(const char * s, size_t n, size_t max_size) {
    if (n > max_size) { throw fail(LCC_E_LIMIT, "input too large"); }
    size_t d = 0; bool str = false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (str) { if (c == '\\') { i++; } else if (c == '"') { str = false; } }
        else if (c == '"') { str = true; }
        else if (c == '[' || c == '{') { if (++d > kMaxDepth) { throw fail(LCC_E_LIMIT, "nested too deeply"); } }
        else if ((c == ']' || c == '}') && d) { d--; }
    }
}
// GBNF sampling is slow with many alternatives (about 0.5 s per token at 1000): count enum/anyOf/oneOf members
size_t alternatives(const json & j) {
    size_t n = 0;
    if (j.is_object()) { for (const auto & kv : j.items()) {
        bool alt = kv.key() == "enum" || kv.key() == "anyOf" || kv.key() == "oneOf";
        if (alt && kv.value().is_array()) { n += kv.value().size(); }
        if (kv.key() != "enum") { n += alternatives(kv.value()); }
    } } else if (j.is_array()) { for (const auto & x : j) { n += alternatives(x); } }
    return n;
}
json parse(const char * s, size_t n) { limit(s, n, kMaxRequest); return json::parse(std::string(s, n)); }
template <class T> T opt(const json & j, const char * k, T def) {
    return j.contains(k) && !j.at(k).is_null() ? j.at(k).get<T>() : def;
}
std::vector<std::string> strings(const json & j) {
    std::vector<std::string> v; for (const auto & x : j) { v.push_back(x.get<std::string>()); } return v;
}
// length of the longest prefix that ends on a character border (at most 3 bytes are held back)
size_t utf8_whole(const std::string & s) {
    size_t n = s.size();
    for (size_t k = 1; k <= 3 && k <= n; k++) {
        unsigned char c = (unsigned char) s[n - k];
        if ((c & 0xC0) == 0x80) { continue; }
        size_t need = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
        return need > k ? n - k : n;
    }
    return n;
}
json delta_json(const common_chat_msg_diff & d) {   // as llama-server does it
    json r = json::object();
    if (!d.reasoning_content_delta.empty()) { r["reasoning_content"] = d.reasoning_content_delta; }
    if (!d.content_delta.empty())           { r["content"] = d.content_delta; }
    if (d.tool_call_index != std::string::npos) {
        json tc = json::object(); tc["index"] = d.tool_call_index;
        if (!d.tool_call_delta.id.empty()) { tc["id"] = d.tool_call_delta.id; tc["type"] = "function"; }
        json fn = json::object();
        if (!d.tool_call_delta.name.empty())      { fn["name"] = d.tool_call_delta.name; }
        if (!d.tool_call_delta.id.empty() || !d.tool_call_delta.arguments.empty()) { fn["arguments"] = d.tool_call_delta.arguments; }
        tc["function"] = fn;
        json a = json::array(); a.push_back(tc); r["tool_calls"] = a;
    }
    return r;
}
}  // namespace

extern "C" {

void lcc_free(char * t) { std::free(t); }
const char * lcc_abi(void) { return "lcc1"; }

lcc_result lcc_templates_create(const llama_model * model, const char * source, const char * bos, const char * eos, lcc_templates ** out) {
    return guard(LCC_E_TEMPLATE, [&] {
        if (!out || (!model && !(source && *source))) { throw fail(LCC_E_REQUEST, "neither model nor template given"); }
        *out = nullptr;
        auto t = std::make_unique<lcc_templates>();
        try { t->t = common_chat_templates_init(model, source ? source : "", bos ? bos : "", eos ? eos : ""); }
        catch (const std::exception & e) { throw fail(LCC_E_TEMPLATE, e.what()); }
        json caps = json::object();
        for (auto & kv : common_chat_templates_get_caps(t->t.get())) { caps[kv.first] = kv.second; }
        caps["explicit_template"] = common_chat_templates_was_explicit(t->t.get());
        auto r = give(LCC_OK, caps.dump_safe());
        *out = t.release();
        return r;
    });
}
void lcc_templates_free(lcc_templates * t) { delete t; }

lcc_result lcc_templates_apply(const lcc_templates * t, const char * request, size_t len) {
    return guard(LCC_E_TEMPLATE, [&] {
        if (!t) { throw fail(LCC_E_REQUEST, "no templates"); }
        json b = parse(request, len);
        if (!b.is_object() || !b.contains("messages")) { throw fail(LCC_E_REQUEST, "'messages' is required"); }
        common_chat_templates_inputs in;
        try { in.messages = common_chat_msgs_parse_oaicompat(b.at("messages")); }
        catch (const std::exception & e) { throw fail(LCC_E_REQUEST, e.what()); }
        std::string user_grammar = opt<std::string>(b, "grammar", "");
        bool has_tools = b.contains("tools") && b.at("tools").is_array() && !b.at("tools").empty();
        if (has_tools) {
            json tools = b.at("tools"), choice = b.contains("tool_choice") ? b.at("tool_choice") : json("auto");
            if (choice.is_object()) {            // {"type":"function","function":{"name":...}}: keep that one tool
                std::string want = choice.at("function").at("name").get<std::string>();
                json one = json::array();
                for (const auto & x : tools) { if (x.at("function").at("name").get<std::string>() == want) { one.push_back(x); } }
                if (one.empty()) { throw fail(LCC_E_REQUEST, "tool_choice names an unknown function"); }
                tools = one; choice = json("required");
            }
            if (!choice.is_string()) { throw fail(LCC_E_REQUEST, "bad tool_choice"); }
            if (alternatives(tools) > kMaxAlt) { throw fail(LCC_E_LIMIT, "too many alternatives in the tool schemas"); }
            in.tools       = common_chat_tools_parse_oaicompat(tools);
            in.tool_choice = common_chat_tool_choice_parse_oaicompat(choice.get<std::string>());
            if (!user_grammar.empty() && in.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE) { throw fail(LCC_E_REQUEST, "grammar cannot be used with tools"); }
        }
        json schema;
        if (b.contains("json_schema")) { schema = b.at("json_schema"); }
        if (b.contains("response_format") && b.at("response_format").is_object()) {
            const json & rf = b.at("response_format");
            std::string ty = opt<std::string>(rf, "type", "");
            if (ty == "json_object")      { schema = rf.contains("schema") ? rf.at("schema") : json::object(); }
            else if (ty == "json_schema") {
                if (!rf.contains("json_schema") || !rf.at("json_schema").contains("schema")) { throw fail(LCC_E_REQUEST, "response_format.json_schema.schema is required"); }
                schema = rf.at("json_schema").at("schema");
            } else if (!ty.empty() && ty != "text") { throw fail(LCC_E_REQUEST, "unknown response_format type"); }
        }
        if (schema.is_object() && schema.empty()) { schema["type"] = "object"; }
        if (!schema.is_null()) {
            if (!user_grammar.empty()) { throw fail(LCC_E_REQUEST, "grammar and schema together"); }
            if (alternatives(schema) > kMaxAlt) { throw fail(LCC_E_LIMIT, "too many alternatives in the schema"); }
            in.json_schema = schema.dump();
        }
        auto caps = common_chat_templates_get_caps(t->t.get());
        in.parallel_tool_calls   = opt<bool>(b, "parallel_tool_calls", caps["supports_parallel_tool_calls"]);
        in.add_generation_prompt = opt<bool>(b, "add_generation_prompt", true);
        if (b.contains("continue_final_message")) { in.continue_final_message = common_chat_continuation_parse(b.at("continue_final_message")); }
        bool cont = in.continue_final_message != COMMON_CHAT_CONTINUATION_NONE;
        if (cont) {
            in.add_generation_prompt = false;
            if (in.messages.empty() || in.messages.back().role != "assistant") { throw fail(LCC_E_REQUEST, "the message to continue must be the assistant's"); }
            if (!in.messages.back().tool_calls.empty()) { throw fail(LCC_E_REQUEST, "cannot continue a message with tool calls"); }
        }
        in.reasoning_format = common_reasoning_format_from_name(opt<std::string>(b, "reasoning_format", "auto"));
        if (b.contains("now")) { in.now = std::chrono::system_clock::time_point(std::chrono::seconds(b.at("now").get<int64_t>())); }
        if (b.contains("chat_template_kwargs")) {
            for (const auto & kv : b.at("chat_template_kwargs").items()) { in.chat_template_kwargs[kv.key()] = kv.value().dump(); }
        }
        if (in.chat_template_kwargs.count("enable_thinking")) { in.enable_thinking = in.chat_template_kwargs["enable_thinking"] != "false"; }
        std::string effort = opt<std::string>(b, "reasoning_effort", "");
        if (effort == "none")     { in.enable_thinking = false; }
        else if (!effort.empty()) { in.chat_template_kwargs["reasoning_effort"] = json(effort).dump(); }

        common_chat_params p = common_chat_templates_apply(t->t.get(), in);

        json r = json::object(), trig = json::array();
        for (const auto & g : p.grammar_triggers) {
            json x = json::object(); x["type"] = (int) g.type; x["value"] = g.value;
            if (g.type == COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN) { x["token"] = (int) g.token; }
            trig.push_back(x);
        }
        bool own = !p.grammar.empty();
        r["prompt"] = p.prompt;
        r["grammar"] = own ? p.grammar : user_grammar;
        r["grammar_type"] = own ? "template" : user_grammar.empty() ? "none" : "user";
        r["grammar_lazy"] = own && p.grammar_lazy;
        r["triggers"] = trig;
        r["preserved_tokens"] = p.preserved_tokens;
        r["stops"] = p.additional_stops;
        r["format"] = (int) p.format;
        r["format_name"] = common_chat_format_name(p.format);
        r["parser"] = p.parser;
        r["generation_prompt"] = p.generation_prompt;
        r["reasoning_format"] = common_reasoning_format_name(in.reasoning_format);
        r["parse_tool_calls"] = has_tools && in.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
        r["is_continuation"] = cont;
        r["supports_thinking"] = p.supports_thinking;
        r["thinking_start_tag"] = p.thinking_start_tag;
        r["thinking_end_tags"] = p.thinking_end_tags;
        return give(LCC_OK, r.dump_safe());
    });
}

lcc_result lcc_parser_create(const char * applied, size_t len, const char * id_prefix, lcc_parser ** out) {
    return guard(LCC_E_REQUEST, [&] {
        *out = nullptr;
        json a = parse(applied, len);
        auto p = std::make_unique<lcc_parser>();
        int f = a.at("format").get<int>();
        if (f < 0 || f >= COMMON_CHAT_FORMAT_COUNT) { throw fail(LCC_E_REQUEST, "unknown format"); }
        p->params.format            = (common_chat_format) f;
        p->params.reasoning_format  = common_reasoning_format_from_name(a.at("reasoning_format").get<std::string>());
        p->params.generation_prompt = a.at("generation_prompt").get<std::string>();
        p->params.parse_tool_calls  = a.at("parse_tool_calls").get<bool>();
        p->params.is_continuation   = a.at("is_continuation").get<bool>();
        std::string arena = a.at("parser").get<std::string>();
        if (!arena.empty()) { p->params.parser.load(arena); }
        p->id_prefix = id_prefix ? id_prefix : "call_";
        p->msg.role = "assistant";
        if (p->params.is_continuation) { p->msg = common_chat_parse("", true, p->params); } // do not repeat the prefill
        *out = p.release();
        return give(LCC_OK, "{}");
    });
}
void lcc_parser_free(lcc_parser * p) { delete p; }

lcc_result lcc_parser_feed(lcc_parser * p, const char * text, size_t len, bool partial) {
    return guard(LCC_E_OUTPUT, [&] {
        if (p->finished) { throw fail(LCC_E_REQUEST, "parser already finished"); }
        if (p->raw.size() + len > kMaxOutput) { throw fail(LCC_E_LIMIT, "output too large"); }
        for (size_t i = 0; i < len && p->open <= kMaxOpen; i++) {
            char c = text[i];
            if (c == '[' || c == '{') { p->open++; } else if ((c == ']' || c == '}') && p->open) { p->open--; }
        }
        p->raw.append(text, len); p->tail.append(text, len);
        if (p->open > kMaxOpen) { throw fail(LCC_E_LIMIT, "model output nested too deeply"); }   // stays so
        size_t n = partial ? utf8_whole(p->tail) : p->tail.size();
        p->ok.append(p->tail, 0, n); p->tail.erase(0, n);
        json arr = json::array();
        if (partial && n == 0) { return give(LCC_OK, arr.dump()); }
        if (!partial) { p->finished = true; }
        common_chat_msg m;
        try { m = common_chat_parse(p->ok, partial, p->params); }
        catch (const std::exception &) { if (partial) { return give(LCC_OK, arr.dump()); } throw; }
        if (m.empty()) { return give(LCC_OK, arr.dump()); }
        m.set_tool_call_ids(p->ids, [&] { return p->id_prefix + std::to_string(p->ids.size()); });
        std::vector<common_chat_msg_diff> diffs;
        try { diffs = common_chat_msg_diff::compute_diffs(p->msg, m); }
        catch (const std::exception &) { if (partial) { return give(LCC_OK, arr.dump()); } throw; }
        p->msg = m;
        auto header = [&](size_t i) {                       // id, type and whole name, once per call
            common_chat_msg_diff h; h.tool_call_index = i;
            h.tool_call_delta.id = m.tool_calls[i].id; h.tool_call_delta.name = m.tool_calls[i].name;
            p->named.insert(i); arr.push_back(delta_json(h));
        };
        for (auto & d : diffs) {
            size_t i = d.tool_call_index;
            // an earlier call can no longer change its name
            for (size_t k = 0; k < m.tool_calls.size() && k < (i == std::string::npos ? 0 : i); k++) { if (!p->named.count(k) && !m.tool_calls[k].name.empty()) { header(k); } }
            if (i == std::string::npos) { arr.push_back(delta_json(d)); continue; }
            if (!p->named.count(i)) {
                if (d.tool_call_delta.arguments.empty() && partial) { continue; } // the name may still grow
                header(i);
            }
            if (!d.tool_call_delta.arguments.empty()) { d.tool_call_delta.name.clear(); d.tool_call_delta.id.clear(); arr.push_back(delta_json(d)); }
        }
        if (!partial) { for (size_t k = 0; k < m.tool_calls.size(); k++) { if (!p->named.count(k) && !m.tool_calls[k].name.empty()) { header(k); } } }
        return give(LCC_OK, arr.dump_safe());
    });
}
lcc_result lcc_parser_message(const lcc_parser * p) { return guard(LCC_E_INTERNAL, [&] { return give(LCC_OK, p->msg.to_json_oaicompat().dump_safe()); }); }
lcc_result lcc_parser_raw(const lcc_parser * p)     { return guard(LCC_E_INTERNAL, [&] { return give(LCC_OK, p->raw); }); }

lcc_result lcc_schema_to_grammar(const char * s, size_t n) {
    return guard(LCC_E_GRAMMAR, [&] { json j = parse(s, n); if (alternatives(j) > kMaxAlt) { throw fail(LCC_E_LIMIT, "too many alternatives in the schema"); } return give(LCC_OK, json_schema_to_grammar(j, true)); });
}

lcc_result lcc_sampler_create(const llama_model * model, const char * params, size_t len, const char * applied, size_t alen, lcc_sampler ** out) {
    return guard(LCC_E_GRAMMAR, [&] {
        if (!model || !out) { throw fail(LCC_E_REQUEST, "no model"); }
        *out = nullptr;
        const llama_vocab * vocab = llama_model_get_vocab(model);
        json j = parse(params, len);
        common_params_sampling sp;
        sp.no_perf = true; sp.dry_penalty_last_n = 0;
        sp.seed            = opt<uint32_t>(j, "seed", LLAMA_DEFAULT_SEED);
        sp.temp            = opt<float>(j, "temperature", 1.0f);
        sp.top_k           = opt<int>(j, "top_k", 0);
        sp.top_p           = opt<float>(j, "top_p", 1.0f);
        sp.min_p           = opt<float>(j, "min_p", 0.0f);
        sp.typ_p           = opt<float>(j, "typical_p", 1.0f);
        sp.penalty_repeat  = opt<float>(j, "repeat_penalty", 1.0f);
        sp.penalty_last_n  = opt<int>(j, "repeat_last_n", 64);
        sp.penalty_freq    = opt<float>(j, "frequency_penalty", 0.0f);
        sp.penalty_present = opt<float>(j, "presence_penalty", 0.0f);
        int nv = llama_vocab_n_tokens(vocab);
        auto bias = [&](llama_token id, float v) { if (id >= 0 && id < nv) { sp.logit_bias.push_back({ id, v }); } };
        if (j.contains("logit_bias")) { for (const auto & x : j.at("logit_bias")) { bias(x.at(0).get<int>(), x.at(1).get<float>()); } }
        if (opt<bool>(j, "ignore_eos", false)) { for (llama_token k = 0; k < nv; k++) { if (llama_vocab_is_eog(vocab, k)) { bias(k, -INFINITY); } } }
        if (applied) {
            json a = parse(applied, alen);
            std::string g = a.at("grammar").get<std::string>();
            if (!g.empty()) {
                if (g.compare(0, 11, "%llguidance") == 0) { throw fail(LCC_E_REQUEST, "only GBNF grammars"); }
                sp.grammar = common_grammar(a.at("grammar_type").get<std::string>() == "user" ? COMMON_GRAMMAR_TYPE_USER : COMMON_GRAMMAR_TYPE_TOOL_CALLS, g);
            }
            sp.grammar_lazy      = a.at("grammar_lazy").get<bool>();
            sp.generation_prompt = a.at("generation_prompt").get<std::string>();
            for (const auto & t : strings(a.at("preserved_tokens"))) { auto ids = common_tokenize(vocab, t, false, true); if (ids.size() == 1) { sp.preserved_tokens.insert(ids[0]); } }
            for (const auto & t : a.at("triggers")) {
                common_grammar_trigger g2; int ty = t.at("type").get<int>();
                if (ty < 0 || ty > (int) COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL) { throw fail(LCC_E_REQUEST, "bad trigger"); }
                g2.type = (common_grammar_trigger_type) ty; g2.value = t.at("value").get<std::string>();
                if (g2.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {          // a word that is one token triggers by id
                    auto ids = common_tokenize(vocab, g2.value, false, true);
                    if (ids.size() == 1) { g2.type = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN; g2.token = ids[0]; }
                } else if (g2.type == COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN) { g2.token = t.at("token").get<int>(); }
                sp.grammar_triggers.push_back(g2);
            }
            if (sp.grammar_lazy && sp.grammar_triggers.empty()) { throw fail(LCC_E_GRAMMAR, "lazy grammar without triggers"); }
            auto ends = strings(a.at("thinking_end_tags"));
            if (!ends.empty()) {                                            // also keeps tool triggers off inside thinking
                sp.reasoning_budget_tokens = opt<int>(j, "reasoning_budget_tokens", -1);
                sp.reasoning_budget_start  = common_tokenize(vocab, a.at("thinking_start_tag").get<std::string>(), false, true);
                for (auto & e : ends) { sp.reasoning_budget_end.push_back(common_tokenize(vocab, e, false, true)); }
                sp.reasoning_budget_forced = sp.reasoning_budget_end[0];
            }
        }
        auto s = std::make_unique<lcc_sampler>();
        s->s.reset(common_sampler_init(model, sp));
        *out = s.release();
        return give(LCC_OK, "{}");
    });
}
lcc_code lcc_sampler_sample(lcc_sampler * s, llama_context * ctx, int32_t idx, llama_token * out) {
    try { *out = common_sampler_sample(s->s.get(), ctx, idx); return LCC_OK; } catch (...) { return LCC_E_GRAMMAR; }
}
lcc_code lcc_sampler_accept(lcc_sampler * s, llama_token tok, bool gen) {
    try { common_sampler_accept(s->s.get(), tok, gen); return LCC_OK; } catch (...) { return LCC_E_GRAMMAR; }
}
lcc_result lcc_sampler_clone(lcc_sampler * s, lcc_sampler ** out) {
    return guard(LCC_E_INTERNAL, [&] { auto c = std::make_unique<lcc_sampler>(); c->s.reset(common_sampler_clone(s->s.get())); *out = c.release(); return give(LCC_OK, "{}"); });
}
void lcc_sampler_free(lcc_sampler * s) { delete s; }

}  // extern "C"
