// llama.cpp and the shim around its common/, as scripts/deps-engine built them.
#pragma once
#include <lcc.h>

// What the engine was compiled for and this processor, or its system, lacks; NULL when it can run.
// An engine from another machine would otherwise end with an illegal instruction.
static inline const char *darkbloom_engine_lacks(void) {
#if defined(__x86_64__)
  if (ggml_cpu_has_avx2() && !__builtin_cpu_supports("avx2")) return "AVX2";
  if (ggml_cpu_has_fma() && !__builtin_cpu_supports("fma")) return "FMA";
  if (ggml_cpu_has_avx512() && !__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (ggml_cpu_has_avx512_vnni() && !__builtin_cpu_supports("avx512vnni")) return "AVX-512 VNNI";
  if (ggml_cpu_has_avx512_bf16() && !__builtin_cpu_supports("avx512bf16")) return "AVX-512 BF16";
#endif
  return 0;
}
