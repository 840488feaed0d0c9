// Templates and output parsing. The hard limits guard recursive code of common/ against input
// that would exhaust its stack or its time; each was measured with the pinned source.
#include "shim.h"

#include <set>
#include <vector>

using json = common_json;

struct lcc_templates {
  common_chat_templates_ptr inner;
};
struct lcc_parser {
  common_chat_parser_params params;
  common_chat_msg message;
  std::string text, id_prefix;
  std::set<size_t> named;        // calls whose header was given out
  std::vector<std::string> ids;
  size_t open = 0;               // brackets open so far in the output
  bool finished = false;
};

namespace {

constexpr size_t kMaxDepth = 96;            // nesting of a request
constexpr size_t kMaxRequest = 64u << 20;   // bytes of a request
constexpr size_t kMaxOutput = 16u << 20;    // bytes of one answer
constexpr size_t kMaxAlternatives = 256;    // a grammar step costs 0.5 ms for each
constexpr size_t kMaxBound = 2000;          // beyond it llama.cpp silently drops an upper bound
constexpr size_t kMaxOpen = 256;            // each costs the parser about 2 kB of stack

void check_depth(const char *s, size_t n) {
  if (n > kMaxRequest) { throw fail(LCC_E_LIMIT, "the request is larger than 64 MiB"); }
  size_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (quoted) {
      if (c == '\\') { i++; } else if (c == '"') { quoted = false; }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) { throw fail(LCC_E_LIMIT, "the request is nested deeper than 96 levels"); }
    } else if ((c == ']' || c == '}') && depth) {
      depth--;
    }
  }
}

// Counts enum, anyOf and oneOf members, and refuses bounds that the grammar would drop.
size_t alternatives(const json &j) {
  size_t count = 0;
  if (j.is_object()) {
    for (const auto &entry : j.items()) {
      const std::string &key = entry.key();
      const json &value = entry.value();
      bool choice = key == "enum" || key == "anyOf" || key == "oneOf";
      if (choice && value.is_array()) { count += value.size(); }
      bool bound = key == "maxLength" || key == "maxItems" || key == "minLength" || key == "minItems";
      if (bound && value.is_number() && value.get<double>() > double(kMaxBound)) {
        throw fail(LCC_E_LIMIT, "the schema's " + key + " is above 2000");
      }
      if (key != "enum" && key != "const" && key != "default" && key != "examples") { count += alternatives(value); }
    }
  } else if (j.is_array()) {
    for (const auto &item : j) { count += alternatives(item); }
  }
  return count;
}

void check_schema(const json &schema, const char *what) {
  if (alternatives(schema) > kMaxAlternatives) {
    throw fail(LCC_E_LIMIT, std::string(what) + " has more than 256 alternatives (enum, anyOf, oneOf)");
  }
}

template <class T>
T opt(const json &j, const char *key, T fallback) {
  return j.contains(key) && !j.at(key).is_null() ? j.at(key).get<T>() : fallback;
}

// Marks every parser below `id`.
void mark(const json &parsers, size_t id, std::set<size_t> &marked) {
  if (id >= parsers.size() || !marked.insert(id).second) { return; }
  const json &p = parsers.at(id);
  if (p.contains("child")) { mark(parsers, p.at("child").get<size_t>(), marked); }
  if (p.contains("children")) {
    for (const auto &child : p.at("children")) { mark(parsers, child.get<size_t>(), marked); }
  }
}

// An answer that must be a call may not begin with free text, which upstream's grammars allow.
// Free text is a parser "until" below a tag "content", and its rule is named after the parser's
// number: such rules become empty.
std::string without_content(const std::string &grammar, const std::string &arena_text) {
  json parsers = json::parse(arena_text).at("parsers");
  std::set<size_t> content, cut;
  for (size_t id = 0; id < parsers.size(); id++) {
    const json &p = parsers.at(id);
    if (p.at("type").get<std::string>() == "tag" && p.at("tag").get<std::string>() == "content") { mark(parsers, id, content); }
  }
  for (size_t id : content) {
    if (parsers.at(id).at("type").get<std::string>() == "until") { cut.insert(id); }
  }
  std::string result, line;
  for (size_t start = 0; start < grammar.size(); start += line.size() + 1) {
    line = grammar.substr(start, grammar.find('\n', start) - start);
    bool is_cut = false;
    for (size_t id : cut) {
      std::string name = "until-" + std::to_string(id);
      if (line.compare(0, name.size() + 5, name + " ::= ") == 0) {
        result += name + " ::= \"\"\n";
        is_cut = true;
      }
    }
    if (!is_cut) { result += line + "\n"; }
  }
  return result;
}

// Formats that mark each call apart repeat the whole call whatever was asked for: the repetition of
// their rule "tool-calls" is taken away.
std::string with_one_call(const std::string &grammar) {
  const std::string rule = "tool-calls ::= ";
  size_t start = grammar.compare(0, rule.size(), rule) == 0 ? 0 : grammar.find("\n" + rule);
  if (start == std::string::npos) { return grammar; }
  size_t end = grammar.find('\n', start + 1);
  if (end == std::string::npos) { end = grammar.size(); }
  if (grammar.compare(end - 2, 2, ")+") != 0) { return grammar; }
  return grammar.substr(0, end - 1) + grammar.substr(end);
}

void read_tools(const json &body, common_chat_templates_inputs &in) {
  if (!body.contains("tools") || !body.at("tools").is_array() || body.at("tools").empty()) {
    std::string choice = body.contains("tool_choice") && body.at("tool_choice").is_string()
        ? body.at("tool_choice").get<std::string>() : "";
    if (choice == "required") { throw fail(LCC_E_REQUEST, "tool_choice is required but there are no tools"); }
    return;
  }
  json tools = body.at("tools"), choice = opt<json>(body, "tool_choice", json("auto"));
  for (const auto &tool : tools) {
    bool good = tool.is_object() && tool.contains("function") && tool.at("function").is_object()
        && tool.at("function").contains("name") && tool.at("function").at("name").is_string()
        && !tool.at("function").at("name").get<std::string>().empty();
    if (!good) { throw fail(LCC_E_REQUEST, "each tool needs a function with a name"); }
  }
  if (choice.is_object()) {  // {"type":"function","function":{"name":…}}: keep that one
    if (!choice.contains("function") || !choice.at("function").is_object()
        || !choice.at("function").contains("name") || !choice.at("function").at("name").is_string()) {
      throw fail(LCC_E_REQUEST, "tool_choice needs a function with a name");
    }
    std::string want = choice.at("function").at("name").get<std::string>();
    json one = json::array();
    for (const auto &tool : tools) {
      if (tool.at("function").at("name").get<std::string>() == want) { one.push_back(tool); }
    }
    if (one.empty()) { throw fail(LCC_E_REQUEST, "tool_choice names an unknown function"); }
    tools = one;
    choice = json("required");
  }
  if (!choice.is_string()) { throw fail(LCC_E_REQUEST, "tool_choice must be a text or an object"); }
  std::string word = choice.get<std::string>();
  if (word != "auto" && word != "none" && word != "required") {
    throw fail(LCC_E_REQUEST, "tool_choice must be auto, none, required or a function");
  }
  check_schema(tools, "the tools");
  in.tools = common_chat_tools_parse_oaicompat(tools);
  in.tool_choice = common_chat_tool_choice_parse_oaicompat(word);
}

json read_schema(const json &body) {
  json schema;
  if (body.contains("json_schema")) { schema = body.at("json_schema"); }
  if (body.contains("response_format") && body.at("response_format").is_object()) {
    const json &format = body.at("response_format");
    std::string type = opt<std::string>(format, "type", "");
    if (type == "json_object") {
      schema = format.contains("schema") ? json(format.at("schema")) : json::object();
    } else if (type == "json_schema") {
      if (!format.contains("json_schema") || !format.at("json_schema").is_object()
          || !format.at("json_schema").contains("schema")) {
        throw fail(LCC_E_REQUEST, "response_format needs json_schema.schema");
      }
      schema = format.at("json_schema").at("schema");
    } else if (!type.empty() && type != "text") {
      throw fail(LCC_E_REQUEST, "response_format.type must be text, json_object or json_schema");
    }
  }
  if (schema.is_object() && schema.empty()) { schema["type"] = "object"; }
  if (!schema.is_null()) {
    if (!schema.is_object() && !schema.is_boolean()) { throw fail(LCC_E_REQUEST, "the schema must be an object"); }
    check_schema(schema, "the schema");
  }
  return schema;
}

void read_thinking(const json &body, common_chat_templates_inputs &in) {
  in.reasoning_format = common_reasoning_format_from_name(opt<std::string>(body, "reasoning_format", "auto"));
  if (body.contains("chat_template_kwargs") && body.at("chat_template_kwargs").is_object()) {
    for (const auto &entry : body.at("chat_template_kwargs").items()) {
      in.chat_template_kwargs[entry.key()] = entry.value().dump();
    }
  }
  if (in.chat_template_kwargs.count("enable_thinking")) {
    in.enable_thinking = in.chat_template_kwargs["enable_thinking"] != "false";
  }
  std::string effort = opt<std::string>(body, "reasoning_effort", "");
  if (effort == "none") {
    in.enable_thinking = false;
  } else if (!effort.empty()) {
    in.chat_template_kwargs["reasoning_effort"] = json(effort).dump();
  }
}

struct records {
  std::string bytes;
  void field(const std::string &s) {
    for (int shift = 0; shift < 32; shift += 8) { bytes.push_back(char(uint32_t(s.size()) >> shift)); }
    bytes += s;
  }
  void text(char kind, const std::string &s) {
    bytes.push_back(kind);
    field(s);
  }
  void call(size_t index, const common_chat_tool_call &call) {
    bytes.push_back(3);
    field(std::to_string(index));
    field(call.id);
    field(call.name);
  }
  void arguments(size_t index, const std::string &s) {
    bytes.push_back(4);
    field(std::to_string(index));
    field(s);
  }
};

}  // namespace

extern "C" {

void lcc_free(uint8_t *bytes) { std::free(bytes); }
const char *lcc_build_id(void) { return LCC_BUILD_ID; }
uint64_t lcc_layout(void) {
  return uint64_t(sizeof(llama_model_params)) << 32 | sizeof(llama_context_params);
}

lcc_result lcc_templates_create(const llama_model *model, const char *source, const char *bos,
                                const char *eos, lcc_templates **out, uint32_t *caps) {
  return guard(LCC_E_TEMPLATE, [&] {
    *out = nullptr;
    if (!model && !(source && *source)) { throw fail(LCC_E_REQUEST, "neither model nor template given"); }
    auto t = std::make_unique<lcc_templates>();
    try {
      t->inner = common_chat_templates_init(model, source ? source : "", bos ? bos : "", eos ? eos : "");
    } catch (const std::exception &e) {
      throw fail(LCC_E_TEMPLATE, e.what());
    }
    auto found = common_chat_templates_get_caps(t->inner.get());
    *caps = (found["supports_tools"] ? LCC_CAP_TOOLS : 0)
        | (found["supports_parallel_tool_calls"] ? LCC_CAP_PARALLEL_CALLS : 0)
        | (common_chat_templates_was_explicit(t->inner.get()) ? LCC_CAP_EXPLICIT : 0);
    common_chat_templates_inputs probe;
    common_chat_msg hello;
    hello.role = "user";
    hello.content = "hello";
    probe.messages = {hello};
    probe.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    try {
      auto p = common_chat_templates_apply(t->inner.get(), probe);
      if (!p.thinking_end_tags.empty()) { *caps |= LCC_CAP_THINKING; }
    } catch (const std::exception &) {
      // The probe says only whether reasoning tags exist; real requests report their own errors.
    }
    *out = t.release();
    return give(LCC_OK, {});
  });
}
void lcc_templates_free(lcc_templates *t) { delete t; }

lcc_result lcc_templates_apply(const lcc_templates *t, const char *request, size_t count, int64_t now,
                               lcc_applied **out) {
  return guard(LCC_E_TEMPLATE, [&] {
    *out = nullptr;
    check_depth(request, count);
    json body = json::parse(std::string(request, count));
    if (!body.is_object() || !body.contains("messages") || !body.at("messages").is_array()) {
      throw fail(LCC_E_REQUEST, "messages must be a list");
    }
    if (body.at("messages").empty()) { throw fail(LCC_E_REQUEST, "messages must not be empty"); }
    common_chat_templates_inputs in;
    try {
      in.messages = common_chat_msgs_parse_oaicompat(body.at("messages"));
    } catch (const std::exception &e) {
      throw fail(LCC_E_REQUEST, e.what());
    }
    auto caps = common_chat_templates_get_caps(t->inner.get());
    try {
      read_tools(body, in);
    } catch (const fail &) {
      throw;
    } catch (const std::exception &e) {
      throw fail(LCC_E_REQUEST, e.what());
    }
    bool calls = !in.tools.empty() && in.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE;
    if (calls && !caps["supports_tools"] && !caps["supports_tool_calls"]) {
      throw fail(LCC_E_REQUEST, "this model's template knows no tools");
    }
    std::string user_grammar = opt<std::string>(body, "grammar", "");
    json schema = read_schema(body);
    if (!user_grammar.empty() && (calls || !schema.is_null())) {
      throw fail(LCC_E_REQUEST, "a grammar cannot be combined with tools or a schema");
    }
    if (!schema.is_null()) { in.json_schema = schema.dump(); }
    in.parallel_tool_calls = opt<bool>(body, "parallel_tool_calls", caps["supports_parallel_tool_calls"]);
    in.add_generation_prompt = opt<bool>(body, "add_generation_prompt", true);
    if (body.contains("continue_final_message")) {
      in.continue_final_message = common_chat_continuation_parse(body.at("continue_final_message"));
    }
    bool continues = in.continue_final_message != COMMON_CHAT_CONTINUATION_NONE;
    if (continues) {
      in.add_generation_prompt = false;
      if (in.messages.back().role != "assistant" || !in.messages.back().tool_calls.empty()) {
        throw fail(LCC_E_REQUEST, "the message to continue must be the assistant's, without calls");
      }
    }
    read_thinking(body, in);
    in.now = std::chrono::system_clock::time_point(std::chrono::seconds(now));

    auto a = std::make_unique<lcc_applied>();
    a->params = common_chat_templates_apply(t->inner.get(), in);
    a->is_user_grammar = a->params.grammar.empty() && !user_grammar.empty();
    if (a->is_user_grammar) { a->params.grammar = user_grammar; }
    a->parses_calls = calls;
    a->is_continuation = continues;
    a->reasoning = in.reasoning_format;
    if (calls && !in.parallel_tool_calls) { a->params.grammar = with_one_call(a->params.grammar); }
    bool must_call = calls && in.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED;
    if (must_call) {
      if (a->params.grammar.empty() || a->params.grammar_lazy) {
        throw fail(LCC_E_REQUEST, "this model's format cannot force a call");
      }
      a->params.grammar = without_content(a->params.grammar, a->params.parser);
    }
    *out = a.release();
    return give(LCC_OK, {});
  });
}
void lcc_applied_free(lcc_applied *a) { delete a; }

uint32_t lcc_applied_flags(const lcc_applied *a) {
  const auto &p = a->params;
  bool plain = p.format == COMMON_CHAT_FORMAT_CONTENT_ONLY && p.parser.empty();
  return (plain ? LCC_APPLIED_PLAIN : 0) | (p.grammar.empty() ? 0 : LCC_APPLIED_GRAMMAR)
      | (p.thinking_end_tags.empty() ? 0 : LCC_APPLIED_THINKING) | (a->parses_calls ? LCC_APPLIED_TOOLS : 0);
}
const char *lcc_applied_prompt(const lcc_applied *a, size_t *count) {
  *count = a->params.prompt.size();
  return a->params.prompt.data();
}
const char *lcc_applied_grammar(const lcc_applied *a, size_t *count) {
  *count = a->params.grammar.size();
  return a->params.grammar.data();
}
size_t lcc_applied_stop_count(const lcc_applied *a) { return a->params.additional_stops.size(); }
const char *lcc_applied_stop(const lcc_applied *a, size_t index, size_t *count) {
  *count = a->params.additional_stops[index].size();
  return a->params.additional_stops[index].data();
}
bool lcc_applied_preserves(const lcc_applied *a, const llama_vocab *vocab, llama_token token) {
  const char *text = llama_vocab_get_text(vocab, token);
  for (const auto &kept : a->params.preserved_tokens) {
    if (kept == text) { return true; }
  }
  return false;
}

lcc_result lcc_parser_create(const lcc_applied *a, const char *id_prefix, lcc_parser **out) {
  return guard(LCC_E_REQUEST, [&] {
    *out = nullptr;
    auto p = std::make_unique<lcc_parser>();
    p->params = common_chat_parser_params(a->params);
    p->params.reasoning_format = a->reasoning;
    p->params.parse_tool_calls = a->parses_calls;
    p->params.is_continuation = a->is_continuation;
    if (!a->params.parser.empty()) { p->params.parser.load(a->params.parser); }
    p->id_prefix = id_prefix;
    p->message.role = "assistant";
    if (a->is_continuation) { p->message = common_chat_parse("", true, p->params); }  // not shown again
    *out = p.release();
    return give(LCC_OK, {});
  });
}
void lcc_parser_free(lcc_parser *p) { delete p; }
bool lcc_parser_has_calls(const lcc_parser *p) { return !p->message.tool_calls.empty(); }

lcc_result lcc_parser_feed(lcc_parser *p, const uint8_t *bytes, size_t count, bool final) {
  return guard(LCC_E_OUTPUT, [&] {
    if (p->finished) { throw fail(LCC_E_REQUEST, "the parser has finished"); }
    if (p->text.size() + count > kMaxOutput) { throw fail(LCC_E_LIMIT, "the answer is larger than 16 MiB"); }
    for (size_t i = 0; i < count && p->open <= kMaxOpen; i++) {
      if (bytes[i] == '[' || bytes[i] == '{') {
        p->open++;
      } else if ((bytes[i] == ']' || bytes[i] == '}') && p->open) {
        p->open--;
      }
    }
    p->text.append(reinterpret_cast<const char *>(bytes), count);
    if (p->open > kMaxOpen) { throw fail(LCC_E_LIMIT, "the answer is nested deeper than 256 levels"); }
    p->finished = final;
    common_chat_msg message;
    std::vector<common_chat_msg_diff> diffs;
    try {
      message = common_chat_parse(p->text, !final, p->params);
      if (message.empty()) { return give(LCC_OK, {}); }
      // Always ours: some formats write their own id after the arguments, too late for the header.
      for (auto &call : message.tool_calls) { call.id.clear(); }
      message.set_tool_call_ids(p->ids, [&] { return p->id_prefix + std::to_string(p->ids.size()); });
      diffs = common_chat_msg_diff::compute_diffs(p->message, message);
    } catch (const std::exception &) {
      if (final) { throw; }
      return give(LCC_OK, {});  // an unfinished text may be unreadable; more of it will not be
    }
    p->message = message;
    records r;
    auto name = [&](size_t i) {
      p->named.insert(i);
      r.call(i, message.tool_calls[i]);
    };
    auto name_before = [&](size_t end) {  // an earlier call's name can no longer grow
      for (size_t k = 0; k < message.tool_calls.size() && k < end; k++) {
        if (!p->named.count(k) && !message.tool_calls[k].name.empty()) { name(k); }
      }
    };
    for (const auto &d : diffs) {
      if (!d.reasoning_content_delta.empty()) { r.text(2, d.reasoning_content_delta); }
      if (!d.content_delta.empty()) { r.text(1, d.content_delta); }
      size_t i = d.tool_call_index;
      if (i == std::string::npos) { continue; }
      name_before(i);
      if (!p->named.count(i)) {
        if (d.tool_call_delta.arguments.empty() && !final) { continue; }
        name(i);
      }
      if (!d.tool_call_delta.arguments.empty()) { r.arguments(i, d.tool_call_delta.arguments); }
    }
    if (final) { name_before(message.tool_calls.size()); }
    return give(LCC_OK, r.bytes);
  });
}

}  // extern "C"
