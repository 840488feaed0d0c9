// Requantizes the bundled Q4_1 model to Q8_0 when it is set up: the same text, but x86 has much
// faster kernels for it. Deterministic: the same input gives the same bytes.
#include <stdio.h>
#include "llama.h"

static void silent(enum ggml_log_level level, const char *text, void *context) {
  (void)context;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: quantize IN.gguf OUT.gguf\n");
    return 2;
  }
  llama_log_set(silent, NULL);
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_MOSTLY_Q8_0;
  params.allow_requantize = true;
  return llama_model_quantize(argv[1], argv[2], &params) == 0 ? 0 : 1;
}
