// Steps that are captured once and launched again with other values in their inputs.
#include <vector>

#include "args.h"

namespace tunesmith::cuda {
namespace {

// Slot 0 stays empty: step 0 is none.
std::vector<std::unique_ptr<CapturedStep>>& steps() {
  static auto* all = new std::vector<std::unique_ptr<CapturedStep>>(1);
  return *all;
}

// Steps that use memory which is given back must not run again.
void noteRelease(const void* memory) {
  if (context().capture) context().capture->released(memory);
  for (const std::unique_ptr<CapturedStep>& step : steps())
    if (step) step->released(memory);
}

void begin(Args&) {
  Context& c = context();
  c.allocator->onRelease = noteRelease;
  if (c.capture) throw Failure("backend", "another step is being captured");
  c.capture = std::make_unique<CapturedStep>(*c.runtime, *c.allocator, c.stream);
}

// endCapture(outputs): how many tensors of the step are read after it. Gives the step's number.
Napi::Value end(Args& a) {
  Context& c = context();
  const int64_t outputs = a.integer();
  if (!c.capture) throw Failure("backend", "no step is being captured");
  std::unique_ptr<CapturedStep> step = std::move(c.capture);
  step->finish(static_cast<size_t>(outputs));
  size_t slot = 1;
  while (slot < steps().size() && steps()[slot]) slot++;
  if (slot == steps().size()) steps().emplace_back();
  steps()[slot] = std::move(step);
  return Napi::Number::New(a.env(), static_cast<double>(slot));
}

std::unique_ptr<CapturedStep>& stepOf(Args& a) {
  const int64_t slot = a.integer();
  if (slot <= 0 || static_cast<size_t>(slot) >= steps().size() || !steps()[static_cast<size_t>(slot)])
    a.fail("a captured step");
  return steps()[static_cast<size_t>(slot)];
}

// Tensors with the values they get, in pairs up to the last argument.
struct Inputs {
  std::vector<Staging::Upload> uploads;
  explicit Inputs(Args& a, CapturedStep* step) {
    while (!a.atEnd()) {
      const Buffer* b = bufferOf(a.integer());
      const Napi::TypedArray values = a.hostArray();
      const bool ints = b && b->array.type == Type::i32;
      if (!b || b->array.type == Type::bf16 ||
          values.TypedArrayType() != (ints ? napi_int32_array : napi_float32_array) ||
          static_cast<int64_t>(values.ElementLength()) != b->elements)
        a.fail("values of the tensor's type and size");
      const void* from = static_cast<const char*>(values.ArrayBuffer().Data()) + values.ByteOffset();
      if (step && ints)
        step->assign(static_cast<const int32_t*>(b->array.data), static_cast<const int32_t*>(from), b->elements);
      uploads.push_back({b->array.data, from, values.ByteLength()});
    }
  }
};

// assign(then a tensor and its values, and so on): new values in the memory the tensors have.
void assign(Args& a) {
  const Inputs inputs(a, nullptr);
  context().staging->upload(inputs.uploads, context().stream);
}

// launchStep(step, then tensors and values as in assign). A check that fails leaves everything as it was. False when
// the step must be captured again, because memory that it uses was given back.
Napi::Value launch(Args& a) {
  CapturedStep& step = *stepOf(a);
  if (!step.intact()) return Napi::Boolean::New(a.env(), false);
  const Inputs inputs(a, &step);
  step.check();
  context().staging->upload(inputs.uploads, context().stream);
  step.launch();
  return Napi::Boolean::New(a.env(), true);
}

}  // namespace

void dropCapturedSteps() {
  context().capture.reset();
  context().allocator->onRelease = nullptr;
  steps().clear();
  steps().emplace_back();
}

void addCapture(Napi::Env env, Napi::Object exports) {
  add(env, exports, "beginCapture", begin);
  add(env, exports, "endCapture", end);
  add(env, exports, "abandonCapture", [](Args&) { context().capture.reset(); });
  add(env, exports, "assign", assign);
  add(env, exports, "launchStep", launch);
  add(env, exports, "dropStep", [](Args& a) { stepOf(a).reset(); });
}

}  // namespace tunesmith::cuda
