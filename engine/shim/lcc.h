// lcc.h - C face of llama.cpp's common/ (chat templates, output parsing, grammars, sampler).
// Every text is UTF-8. No globals, no logging. A handle is used by one thread at a time;
// different handles are independent. Returned texts are owned by the caller: lcc_free().
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "llama.h"
#ifdef __cplusplus
extern "C" {
#endif

typedef enum lcc_code {
    LCC_OK            = 0,
    LCC_E_REQUEST     = 1, // the request JSON is malformed or asks for something impossible -> HTTP 400
    LCC_E_TEMPLATE    = 2, // the template does not compile or raised while rendering        -> HTTP 400/500
    LCC_E_OUTPUT      = 3, // the model's text does not fit the format; lcc_parser_raw() has it all
    LCC_E_GRAMMAR     = 4, // a grammar/schema cannot be compiled, or a token was refused by it
    LCC_E_LIMIT       = 5, // nesting or size limit of this shim
    LCC_E_INTERNAL    = 6
} lcc_code;

typedef struct lcc_result { int32_t code; char * text; size_t len; } lcc_result; // code==0: JSON, else: message
void lcc_free(char * text);
const char * lcc_abi(void); // build canary

// --- templates -------------------------------------------------------------
typedef struct lcc_templates lcc_templates;
// exactly one of model / source is used (source wins when not NULL); bos/eos only with model==NULL
lcc_result lcc_templates_create(const struct llama_model * model, const char * source,
                                const char * bos, const char * eos, lcc_templates ** out); // text: caps JSON
void       lcc_templates_free(lcc_templates * t);
// request: the OpenAI chat body {messages, tools?, tool_choice?, parallel_tool_calls?, response_format?,
// json_schema?, grammar?, reasoning_format? (none|auto|deepseek), reasoning_effort?, chat_template_kwargs?,
// add_generation_prompt?, continue_final_message? (true|"content"|"reasoning_content"), now? (unix s)}
// result: {prompt, grammar, grammar_type, grammar_lazy, triggers, preserved_tokens, stops, format, parser,
// generation_prompt, reasoning_format, parse_tool_calls, is_continuation, supports_thinking,
// thinking_start_tag, thinking_end_tags}. It is self-contained: store it or send it to another node.
lcc_result lcc_templates_apply(const lcc_templates * t, const char * request, size_t len);

// --- output parser ---------------------------------------------------------
typedef struct lcc_parser lcc_parser;
// applied: the text from lcc_templates_apply. id_prefix: tool-call ids become prefix+index (deterministic)
lcc_result lcc_parser_create(const char * applied, size_t len, const char * id_prefix, lcc_parser ** out);
// text: more model output, may end inside a UTF-8 character. Result: JSON array of OpenAI deltas.
// final (is_partial=false) may give LCC_E_OUTPUT: content not yet sent is in lcc_parser_raw().
lcc_result lcc_parser_feed(lcc_parser * p, const char * text, size_t len, bool is_partial);
lcc_result lcc_parser_message(const lcc_parser * p); // {role, content, reasoning_content?, tool_calls?}
lcc_result lcc_parser_raw(const lcc_parser * p);     // everything fed so far, as it is (not JSON)
void       lcc_parser_free(lcc_parser * p);

// --- grammar ---------------------------------------------------------------
lcc_result lcc_schema_to_grammar(const char * schema, size_t len); // text: GBNF (not JSON)

// --- sampler ---------------------------------------------------------------
typedef struct lcc_sampler lcc_sampler;
// params: {seed,temperature,top_k,top_p,min_p,typical_p,repeat_penalty,repeat_last_n,frequency_penalty,
// presence_penalty,logit_bias:[[id,bias]],ignore_eos,reasoning_budget_tokens}; applied may be NULL
lcc_result lcc_sampler_create(const struct llama_model * model, const char * params, size_t len,
                              const char * applied, size_t applied_len, lcc_sampler ** out);
lcc_code   lcc_sampler_sample(lcc_sampler * s, struct llama_context * ctx, int32_t idx, llama_token * out);
lcc_code   lcc_sampler_accept(lcc_sampler * s, llama_token token, bool is_generated);
lcc_result lcc_sampler_clone(lcc_sampler * s, lcc_sampler ** out);
void       lcc_sampler_free(lcc_sampler * s);

#ifdef __cplusplus
}
#endif
