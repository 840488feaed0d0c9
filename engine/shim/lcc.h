// lcc.h: the C face of llama.cpp's common/: chat templates, output parsing, grammars, sampling.
//
// Every text is UTF-8. No globals, no logging; no C++ exception leaves a function. A handle is used
// by one thread at a time; different handles are independent. Results own their bytes: lcc_free().
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ggml-backend.h"
#include "gguf.h"
#include "llama.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcc_code {
  LCC_OK = 0,
  LCC_E_REQUEST = 1,   // the request is malformed or asks for something impossible
  LCC_E_TEMPLATE = 2,  // the template does not compile, or raised while rendering
  LCC_E_OUTPUT = 3,    // the model's text does not fit its format
  LCC_E_GRAMMAR = 4,   // a grammar or schema cannot be compiled, or a token was refused by it
  LCC_E_LIMIT = 5,     // a nesting or size limit of this shim
  LCC_E_INTERNAL = 6
} lcc_code;

// code 0: the bytes asked for; else a message, which may quote the request and must not be logged.
typedef struct lcc_result {
  int32_t code;
  uint8_t *bytes;
  size_t count;
} lcc_result;
void lcc_free(uint8_t *bytes);

// --- agreement of header and library ---------------------------------------------------------
// The digest of everything the libraries were built from.
const char *lcc_build_id(void);
// sizeof(llama_model_params) << 32 | sizeof(llama_context_params), as the library was compiled.
uint64_t lcc_layout(void);

// --- models ----------------------------------------------------------------------------------
// What a GGUF file claims to hold, read from its header without loading it; a damaged header gives
// LCC_E_REQUEST. The descriptor stays open and is the caller's.
typedef struct lcc_file_facts {
  uint64_t file_bytes;       // up to the end of the last tensor
  uint64_t tensor_bytes;     // all tensors together
  uint64_t context_tokens;   // trained context
  uint64_t kv_token_bytes;   // key/value memory of one token at f16, an upper estimate
  uint64_t embedding_width;
  uint64_t vocabulary;
} lcc_file_facts;
lcc_result lcc_file_inspect(int descriptor, lcc_file_facts *out);
// progress returns false to stop. The descriptor may be closed afterwards.
lcc_result lcc_model_load(int descriptor, llama_progress_callback progress, void *context,
                          struct llama_model **out);

// --- templates -------------------------------------------------------------------------------
enum {
  LCC_CAP_TOOLS = 1,
  LCC_CAP_PARALLEL_CALLS = 2,
  LCC_CAP_EXPLICIT = 4,  // the model brought a template of its own
  LCC_CAP_THINKING = 8
};
typedef struct lcc_templates lcc_templates;
// source wins over the model's own template when not NULL; bos and eos count only without a model.
lcc_result lcc_templates_create(const struct llama_model *model, const char *source,
                                const char *bos, const char *eos, lcc_templates **out,
                                uint32_t *caps);
void lcc_templates_free(lcc_templates *templates);

enum {
  LCC_APPLIED_PLAIN = 1,     // the output is text only: no parser is needed
  LCC_APPLIED_GRAMMAR = 2,   // sampling is constrained
  LCC_APPLIED_THINKING = 4,  // the format has reasoning tags
  LCC_APPLIED_TOOLS = 8      // tool calls are parsed
};
typedef struct lcc_applied lcc_applied;
// request: an OpenAI chat body. Read are messages, tools, tool_choice, parallel_tool_calls,
// response_format, json_schema, grammar, reasoning_format, reasoning_effort, chat_template_kwargs,
// add_generation_prompt, continue_final_message. now: Unix seconds, what the template prints.
lcc_result lcc_templates_apply(const lcc_templates *templates, const char *request, size_t count,
                               int64_t now, lcc_applied **out);
void lcc_applied_free(lcc_applied *applied);
uint32_t lcc_applied_flags(const lcc_applied *applied);
const char *lcc_applied_prompt(const lcc_applied *applied, size_t *count);
const char *lcc_applied_grammar(const lcc_applied *applied, size_t *count);
size_t lcc_applied_stop_count(const lcc_applied *applied);
const char *lcc_applied_stop(const lcc_applied *applied, size_t index, size_t *count);
// Whether this special token must appear in the text that the parser reads.
bool lcc_applied_preserves(const lcc_applied *applied, const struct llama_vocab *vocab,
                           llama_token token);

// --- output parser ---------------------------------------------------------------------------
// Records of a feed: kind(1) then fields, each count(4, little-endian) and bytes:
//   1 content{text}   2 reasoning{text}   3 call{index as decimal, id, name}
//   4 arguments{index as decimal, text}
typedef struct lcc_parser lcc_parser;
// Tool-call ids are id_prefix + index, so that two machines give equal ids.
lcc_result lcc_parser_create(const lcc_applied *applied, const char *id_prefix, lcc_parser **out);
// final: the text is complete; may give LCC_E_OUTPUT, what was returned before stays valid then.
lcc_result lcc_parser_feed(lcc_parser *parser, const uint8_t *text, size_t count, bool final);
bool lcc_parser_has_calls(const lcc_parser *parser);
void lcc_parser_free(lcc_parser *parser);

// --- sampling --------------------------------------------------------------------------------
typedef struct lcc_sampling {
  float temperature, top_p, min_p, frequency_penalty, presence_penalty, repeat_penalty;
  int32_t top_k;
  int32_t reasoning_tokens;  // -1: no limit
  uint64_t seed;
  uint64_t choice;
  const llama_token *bias_tokens;
  const float *bias_values;
  size_t bias_count;
} lcc_sampling;
typedef struct lcc_sampler lcc_sampler;
// applied may be NULL.
lcc_result lcc_sampler_create(const struct llama_model *model, const lcc_sampling *params,
                              const lcc_applied *applied, lcc_sampler **out);
// Draws from row `row` of the last decode. The draw is a function of (seed, choice, position).
lcc_code lcc_sampler_sample(lcc_sampler *sampler, struct llama_context *context, int32_t row,
                            uint64_t position, llama_token *out);
lcc_code lcc_sampler_accept(lcc_sampler *sampler, llama_token token);
void lcc_sampler_free(lcc_sampler *sampler);

// Log-probabilities from raw logits: of `chosen`, and of the `top_count` likeliest, likeliest first.
void lcc_logprobs(const float *logits, int32_t vocabulary, llama_token chosen, int32_t top_count,
                  float *chosen_out, llama_token *top_tokens, float *top_values);

#ifdef __cplusplus
}
#endif
