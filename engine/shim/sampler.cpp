// Sampling: common/'s chain with its last stage, the draw, replaced by one that is a function of
// (seed, choice, position). A sequential generator could not be resumed on another machine.
#include "shim.h"
#include "common.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace {

struct draw_state {
  uint64_t seed = 0, choice = 0, position = 0, attempt = 0;
};

uint64_t mix(uint64_t v) {  // SplitMix64's mixer (Steele, Lea, Flood, 2014)
  v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9ull;
  v = (v ^ (v >> 27)) * 0x94d049bb133111ebull;
  return v ^ (v >> 31);
}

// The same mixing as CounterRandom in BloomEngine.
uint64_t counter_bits(const draw_state &s) {
  uint64_t v = mix(s.seed + 0x9e3779b97f4a7c15ull);
  v = mix(v ^ s.choice * 0xd1b54a32d192ed03ull);
  v = mix(v ^ s.position * 0x8cb92ba72f3d8dd7ull);
  return mix(v ^ s.attempt * 0xaaaaaaaaaaaaaaabull);
}

const char *draw_name(const llama_sampler *) { return "counter"; }

void draw_apply(llama_sampler *smpl, llama_token_data_array *candidates) {
  auto *state = static_cast<draw_state *>(smpl->ctx);
  float best = -INFINITY;
  for (size_t i = 0; i < candidates->size; i++) {
    best = std::max(best, candidates->data[i].logit);
  }
  double sum = 0;
  for (size_t i = 0; i < candidates->size; i++) {
    float gap = candidates->data[i].logit - best;
    float p = gap < -60 ? 0 : std::exp(gap);  // far below what a float's sum can notice
    candidates->data[i].p = p;
    sum += p;
  }
  double goal = double(counter_bits(*state) >> 11) * 0x1p-53 * sum;
  state->attempt++;  // a second draw at this position (the grammar refused the first) differs
  candidates->selected = 0;
  for (size_t i = 0; i < candidates->size; i++) {
    if (candidates->data[i].p <= 0) { continue; }
    candidates->selected = int64_t(i);
    goal -= candidates->data[i].p;
    if (goal < 0) { break; }
  }
}

llama_sampler *draw_make(const draw_state &state);
llama_sampler *draw_clone(const llama_sampler *smpl) {
  return draw_make(*static_cast<const draw_state *>(smpl->ctx));
}
void draw_free(llama_sampler *smpl) { delete static_cast<draw_state *>(smpl->ctx); }

llama_sampler *draw_make(const draw_state &state) {
  static llama_sampler_i interface = [] {
    llama_sampler_i i = {};
    i.name = draw_name;
    i.apply = draw_apply;
    i.clone = draw_clone;
    i.free = draw_free;
    return i;
  }();
  return llama_sampler_init(&interface, new draw_state(state));
}

llama_sampler *counter_draw(uint32_t) { return draw_make({}); }

}  // namespace

#define llama_sampler_init_dist counter_draw
#include "sampling.cpp"
#undef llama_sampler_init_dist

struct lcc_sampler {
  common_sampler *inner = nullptr;
  draw_state *draw = nullptr;
  bool is_plain_greedy = false;       // only biases and the largest logit: no need for the chain
  std::vector<llama_logit_bias> bias;  // each token once
  ~lcc_sampler() { common_sampler_free(inner); }
};

namespace {

// The first of the largest. Sixteen lanes, so that the compiler can use vector instructions.
llama_token greedy(const float *logits, int32_t count) {
  constexpr int32_t kLanes = 16;
  float best[kLanes];
  std::fill(best, best + kLanes, -INFINITY);
  int32_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int32_t k = 0; k < kLanes; k++) { best[k] = logits[i + k] > best[k] ? logits[i + k] : best[k]; }
  }
  float top = *std::max_element(best, best + kLanes);
  for (; i < count; i++) { top = std::max(top, logits[i]); }
  return llama_token(std::find(logits, logits + count, top) - logits);
}

void add_format(common_params_sampling &sp, const llama_vocab *vocab, const lcc_applied &a) {
  const auto &p = a.params;
  if (!p.grammar.empty()) {
    if (p.grammar.compare(0, 11, "%llguidance") == 0) { throw fail(LCC_E_REQUEST, "only GBNF grammars"); }
    sp.grammar = common_grammar(a.is_user_grammar ? COMMON_GRAMMAR_TYPE_USER : COMMON_GRAMMAR_TYPE_TOOL_CALLS, p.grammar);
  }
  sp.grammar_lazy = p.grammar_lazy && !a.is_user_grammar;
  sp.generation_prompt = p.generation_prompt;
  for (const auto &text : p.preserved_tokens) {
    auto ids = common_tokenize(vocab, text, false, true);
    if (ids.size() == 1) { sp.preserved_tokens.insert(ids[0]); }
  }
  for (auto trigger : p.grammar_triggers) {
    if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {  // a word that is one token: by its id
      auto ids = common_tokenize(vocab, trigger.value, false, true);
      if (ids.size() == 1) {
        trigger.type = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
        trigger.token = ids[0];
      }
    }
    sp.grammar_triggers.push_back(trigger);
  }
  if (sp.grammar_lazy && sp.grammar_triggers.empty()) { throw fail(LCC_E_GRAMMAR, "lazy grammar without triggers"); }
  if (!p.thinking_end_tags.empty()) {  // also keeps tool triggers off inside the reasoning
    sp.reasoning_budget_start = common_tokenize(vocab, p.thinking_start_tag, false, true);
    for (const auto &end : p.thinking_end_tags) {
      sp.reasoning_budget_end.push_back(common_tokenize(vocab, end, false, true));
    }
    sp.reasoning_budget_forced = sp.reasoning_budget_end[0];
  }
}

}  // namespace

extern "C" {

lcc_result lcc_sampler_create(const llama_model *model, const lcc_sampling *params,
                              const lcc_applied *applied, lcc_sampler **out) {
  return guard(LCC_E_GRAMMAR, [&] {
    *out = nullptr;
    const llama_vocab *vocab = llama_model_get_vocab(model);
    common_params_sampling sp;
    sp.no_perf = true;
    sp.dry_penalty_last_n = 0;
    sp.samplers = {COMMON_SAMPLER_TYPE_PENALTIES, COMMON_SAMPLER_TYPE_TOP_K, COMMON_SAMPLER_TYPE_TOP_P,
                   COMMON_SAMPLER_TYPE_MIN_P, COMMON_SAMPLER_TYPE_TEMPERATURE};
    sp.temp = params->temperature;
    sp.top_k = params->top_k;
    sp.top_p = params->top_p;
    sp.min_p = params->min_p;
    sp.penalty_repeat = params->repeat_penalty;
    sp.penalty_last_n = int32_t(llama_model_n_ctx_train(model));
    sp.penalty_freq = params->frequency_penalty;
    sp.penalty_present = params->presence_penalty;
    bool penalizes = params->repeat_penalty != 1 || params->frequency_penalty != 0 || params->presence_penalty != 0;
    if (!penalizes) { sp.penalty_last_n = 0; }
    for (size_t i = 0; i < params->bias_count; i++) {
      float value = params->bias_values[i];
      sp.logit_bias.push_back({params->bias_tokens[i], value <= -100 ? -INFINITY : value});
    }
    sp.reasoning_budget_tokens = params->reasoning_tokens;
    if (applied) { add_format(sp, vocab, *applied); }
    auto s = std::make_unique<lcc_sampler>();
    s->inner = common_sampler_init(model, sp);
    llama_sampler *chain = common_sampler_get(s->inner);
    llama_sampler *last = llama_sampler_chain_get(chain, llama_sampler_chain_n(chain) - 1);
    s->draw = static_cast<draw_state *>(last->ctx);
    s->draw->seed = params->seed;
    s->draw->choice = params->choice;
    int32_t suppressed = 0;
    llama_vocab_get_suppress_tokens(vocab, &suppressed);
    s->is_plain_greedy = params->temperature <= 0 && !penalizes && suppressed == 0
        && s->inner->grmr == nullptr && s->inner->rbudget == nullptr;
    s->bias = sp.logit_bias;
    *out = s.release();
    return give(LCC_OK, {});
  });
}

lcc_code lcc_sampler_sample(lcc_sampler *s, llama_context *context, int32_t row, uint64_t position,
                            llama_token *out) {
  try {
    if (s->is_plain_greedy) {  // what the chain would do, without copying the vocabulary
      float *logits = llama_get_logits_ith(context, row);
      int32_t count = llama_vocab_n_tokens(llama_model_get_vocab(llama_get_model(context)));
      std::vector<float> saved;
      for (const auto &b : s->bias) {
        saved.push_back(logits[b.token]);
        logits[b.token] += b.bias;
      }
      *out = greedy(logits, count);
      for (size_t i = 0; i < saved.size(); i++) { logits[s->bias[i].token] = saved[i]; }
      return LCC_OK;
    }
    s->draw->position = position;
    s->draw->attempt = 0;
    *out = common_sampler_sample(s->inner, context, row);
    return LCC_OK;
  } catch (...) {
    return LCC_E_GRAMMAR;
  }
}

lcc_code lcc_sampler_accept(lcc_sampler *s, llama_token token) {
  if (s->is_plain_greedy) { return LCC_OK; }
  try {
    common_sampler_accept(s->inner, token, true);
    return LCC_OK;
  } catch (...) {
    return LCC_E_GRAMMAR;
  }
}

void lcc_sampler_free(lcc_sampler *s) { delete s; }

void lcc_logprobs(const float *logits, int32_t vocabulary, llama_token chosen, int32_t top_count,
                  float *chosen_out, llama_token *top_tokens, float *top_values) {
  float best = *std::max_element(logits, logits + vocabulary);
  double sum = 0;
  for (int32_t i = 0; i < vocabulary; i++) { sum += std::exp(logits[i] - best); }
  float log_sum = best + float(std::log(sum));
  *chosen_out = logits[chosen] - log_sum;
  if (top_count <= 0) { return; }
  std::vector<llama_token> order(vocabulary);
  for (int32_t i = 0; i < vocabulary; i++) { order[i] = i; }
  std::partial_sort(order.begin(), order.begin() + top_count, order.end(), [&](llama_token a, llama_token b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  for (int32_t i = 0; i < top_count; i++) {
    top_tokens[i] = order[i];
    top_values[i] = logits[order[i]] - log_sum;
  }
}

}  // extern "C"
