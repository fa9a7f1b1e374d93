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
  order = std::make_unique<StreamOrder>(*runtime);
  const int compute = order->add();
  stream = order->stream(compute);
  pager = std::make_unique<Pager>(*runtime, *allocator, *order, compute);
  scratchLabel = allocator->label("working memory");
  workspace = allocator->allocate(gemm->workspaceBytes(), stream, allocator->label("matrix product workspace"));
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
  copy_.emplace_back(c, elements, type);
  array_ = copy_.back().array();
  convert(c.stream, a, array_, elements);
}

Temp upload(Context& c, const std::vector<int32_t>& values) {
  Temp t(c, static_cast<int64_t>(values.size()), Type::i32);
  c.staging->upload(t.ints(), values.data(), values.size() * 4, c.stream);
  return t;
}

}  // namespace tunesmith::cuda
