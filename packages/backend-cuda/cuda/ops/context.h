// One device and what every operation on it needs: its stream, memory, matrix products and precision.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "../host/allocator.h"
#include "../host/captured_step.h"
#include "../host/gemm.h"
#include "../host/launch_profile.h"
#include "../host/pager.h"
#include "../host/runtime.h"
#include "../host/staging.h"

namespace tunesmith::cuda {

struct AttentionLists;

struct Context {
  Context(int number, Type activations, bool tf32);
  ~Context();

  std::unique_ptr<Runtime> runtime;
  std::unique_ptr<Allocator> allocator;
  std::unique_ptr<Staging> staging;
  std::unique_ptr<Pager> pager;
  std::unique_ptr<Gemm> gemm;
  Stream stream = nullptr;  // all kernels run here, in the order they were asked for
  DeviceInfo device;        // as it was when it was opened
  Type type;                // of activations: bf16, or float32 in the modes for tests
  void* workspace = nullptr;
  int scratchLabel = 0;
  // The step that is being captured, if any. Memory that operations keep between calls is announced to it with `uses`.
  std::unique_ptr<CapturedStep> capture;
  std::shared_ptr<AttentionLists> attentionLists;  // the last ones, which every layer of a step uses

  void multiply(const GemmCall& call) {
    const LaunchScope scope("product", stream);
    gemm->run(stream, call, workspace);
  }
};

// Working memory until the end of the scope. Giving it back while the stream still uses it is safe: the next owner's
// work comes after it on the same stream.
class Temp {
 public:
  Temp(Context& c, int64_t elements, Type type) : context_(&c) {
    array_.type = type;
    array_.data = c.allocator->allocate(static_cast<size_t>(elements) * bytesOf(type), c.stream, c.scratchLabel);
  }
  Temp(Temp&& other) noexcept : context_(other.context_), array_(other.array_) { other.array_.data = nullptr; }
  Temp(const Temp&) = delete;
  Temp& operator=(const Temp&) = delete;
  ~Temp() {
    if (array_.data) context_->allocator->release(array_.data);
  }
  Array array() const { return array_; }
  float* floats() const { return static_cast<float*>(array_.data); }
  int32_t* ints() const { return static_cast<int32_t*>(array_.data); }

 private:
  Context* context_;
  Array array_;
};

// An array in the type an operation needs: itself, or a converted copy that lives as long as this.
class Operand {
 public:
  Operand(Context& c, Array a, int64_t elements, Type type);
  operator Array() const { return array_; }
  float* floats() const { return static_cast<float*>(array_.data); }

 private:
  std::optional<Temp> copy_;
  Array array_;
};

// An output: in another type than it is computed in, it is computed beside, and `finish` converts it.
class Result {
 public:
  Result(Context& c, Array wanted, int64_t elements, Type type);
  operator Array() const { return array_; }
  void finish();

 private:
  Context& context_;
  Array wanted_, array_;
  int64_t elements_;
  std::optional<Temp> memory_;
};

// A weight as a matrix cuBLASLt can multiply with: itself when it has the context's type.
class Expanded {
 public:
  Expanded(Context& c, const Weight& w);
  operator Array() const { return array_; }

 private:
  std::optional<Temp> memory_;
  Array array_;
};

// Host integers on the device.
Temp upload(Context& c, const std::vector<int32_t>& values);

}  // namespace tunesmith::cuda
