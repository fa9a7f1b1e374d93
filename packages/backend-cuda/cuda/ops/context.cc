#include "context.h"

#include <cstdlib>
#include <string>

#include "../device/kernels.h"

namespace tunesmith::cuda {

Context::Context(int number, Type activations, bool tf32) : type(activations) {
  runtime = makeRuntime(number);
  device = runtime->info();
  gemm = makeGemm(tf32, *runtime);
  const char* poison = std::getenv("TUNESMITH_CUDA_POISON");
  allocator = std::make_unique<Allocator>(*runtime, poison && std::string(poison) == "1");
  staging = std::make_unique<Staging>(*runtime);
  stream = runtime->createStream();
  pager = std::make_unique<Pager>(*runtime, *allocator, stream);
  scratchLabel = allocator->label("working memory");
  workspace = allocator->allocate(kWorkspaceBytes, stream, allocator->label("matrix product workspace"));
}

Context::~Context() {
  if (stream) {
    try {
      runtime->synchronize(stream);
    } catch (...) {
      // Whoever wanted the results was told already.
    }
  }
}

Operand::Operand(Context& c, Array a, int64_t elements, Type type) : array_(a) {
  if (!a || a.type == type) return;
  array_ = copy_.emplace(c, elements, type).array();
  convert(c.stream, a, array_, elements);
}

Result::Result(Context& c, Array wanted, int64_t elements, Type type)
    : context_(c), wanted_(wanted), array_(wanted), elements_(elements) {
  if (wanted.type != type) array_ = memory_.emplace(c, elements, type).array();
}
void Result::finish() {
  if (memory_) convert(context_.stream, array_, wanted_, elements_);
}

Expanded::Expanded(Context& c, const Weight& w) : array_{const_cast<void*>(w.data), c.type} {
  if (w.format == (c.type == Type::bf16 ? Format::bf16 : Format::f32)) return;
  array_ = memory_.emplace(c, w.rows * w.cols, c.type).array();
  dequantize(c.stream, w, 0, w.rows, array_);
}

Temp upload(Context& c, const std::vector<int32_t>& values) {
  Temp t(c, static_cast<int64_t>(values.size()), Type::i32);
  c.staging->upload(t.ints(), values.data(), values.size() * 4, c.stream);
  return t;
}

}  // namespace tunesmith::cuda
