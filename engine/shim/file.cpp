// Models from open descriptors: the worker has no right to open files by name.
#include "shim.h"

#include <unistd.h>

#include <memory>

namespace {

struct closer {
  void operator()(gguf_context *c) const { gguf_free(c); }
};

uint64_t number(const gguf_context *g, const std::string &key, uint64_t fallback) {
  int64_t id = gguf_find_key(g, key.c_str());
  if (id < 0) { return fallback; }
  switch (gguf_get_kv_type(g, id)) {
    case GGUF_TYPE_UINT32: return gguf_get_val_u32(g, id);
    case GGUF_TYPE_INT32: return uint64_t(std::max(0, gguf_get_val_i32(g, id)));
    case GGUF_TYPE_UINT64: return gguf_get_val_u64(g, id);
    case GGUF_TYPE_UINT16: return gguf_get_val_u16(g, id);
    default: return fallback;
  }
}

}  // namespace

namespace {

struct file_closer {
  void operator()(FILE *f) const { std::fclose(f); }
};
using file_ptr = std::unique_ptr<FILE, file_closer>;

file_ptr reopen(int descriptor) {
  int copy = dup(descriptor);
  FILE *file = copy < 0 ? nullptr : fdopen(copy, "rb");
  if (!file) {
    if (copy >= 0) { close(copy); }
    throw fail(LCC_E_REQUEST, "the model's descriptor cannot be read");
  }
  std::rewind(file);
  return file_ptr(file);
}

}  // namespace

extern "C" lcc_result lcc_model_load(int descriptor, llama_progress_callback progress, void *context,
                                     struct llama_model **out) {
  return guard(LCC_E_INTERNAL, [&] {
    *out = nullptr;
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    llama_backend_init();
    file_ptr file = reopen(descriptor);
    llama_model_params params = llama_model_default_params();
    params.progress_callback = progress;
    params.progress_callback_user_data = context;
    *out = llama_model_load_from_file_ptr(file.get(), params);
    if (!*out) { throw fail(LCC_E_REQUEST, "the model cannot be loaded"); }
    return give(LCC_OK, {});
  });
}

extern "C" lcc_result lcc_file_inspect(int descriptor, lcc_file_facts *out) {
  return guard(LCC_E_REQUEST, [&] {
    *out = {};
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    file_ptr file = reopen(descriptor);
    gguf_init_params params = {/*no_alloc*/ true, /*ctx*/ nullptr};
    std::unique_ptr<gguf_context, closer> g(gguf_init_from_file_ptr(file.get(), params));
    if (!g) { throw fail(LCC_E_REQUEST, "not a readable GGUF file"); }
    int64_t arch_id = gguf_find_key(g.get(), "general.architecture");
    if (arch_id < 0 || gguf_get_kv_type(g.get(), arch_id) != GGUF_TYPE_STRING) {
      throw fail(LCC_E_REQUEST, "the GGUF file names no architecture");
    }
    std::string arch = gguf_get_val_str(g.get(), arch_id);
    for (int64_t i = 0; i < gguf_get_n_tensors(g.get()); i++) {
      uint64_t size = gguf_get_tensor_size(g.get(), i);
      out->tensor_bytes += size;
      out->file_bytes = std::max(out->file_bytes,
          uint64_t(gguf_get_data_offset(g.get()) + gguf_get_tensor_offset(g.get(), i)) + size);
    }
    uint64_t layers = number(g.get(), arch + ".block_count", 0);
    uint64_t heads = number(g.get(), arch + ".attention.head_count", 1);
    uint64_t kv_heads = number(g.get(), arch + ".attention.head_count_kv", heads);
    out->embedding_width = number(g.get(), arch + ".embedding_length", 0);
    uint64_t head = heads ? out->embedding_width / heads : 0;
    uint64_t key = number(g.get(), arch + ".attention.key_length", head);
    uint64_t value = number(g.get(), arch + ".attention.value_length", head);
    out->kv_token_bytes = layers * kv_heads * (key + value) * 2;
    out->context_tokens = number(g.get(), arch + ".context_length", 0);
    int64_t tokens = gguf_find_key(g.get(), "tokenizer.ggml.tokens");
    out->vocabulary = tokens >= 0 && gguf_get_kv_type(g.get(), tokens) == GGUF_TYPE_ARRAY
        ? gguf_get_arr_n(g.get(), tokens) : 0;
    return give(LCC_OK, {});
  });
}
