// Steps that are captured once and launched again with other values in their inputs.
#include <map>
#include <vector>

#include "args.h"

namespace tunesmith::cuda {
namespace {

// By number; step 0 is none.
std::map<int64_t, std::unique_ptr<CapturedStep>>& steps() {
  static auto* all = new std::map<int64_t, std::unique_ptr<CapturedStep>>;
  return *all;
}

// Steps that use memory which is given back must not run again.
void noteRelease(const void* memory) {
  if (context().capture) context().capture->released(memory);
  for (const auto& [number, step] : steps()) step->released(memory);
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
  const int64_t number = steps().empty() ? 1 : steps().rbegin()->first + 1;
  steps()[number] = std::move(step);
  return Napi::Number::New(a.env(), static_cast<double>(number));
}

auto stepOf(Args& a) {
  const auto at = steps().find(a.integer());
  if (at == steps().end()) a.fail("a captured step");
  return at;
}

// Tensors with the values they get, in pairs up to the last argument.
std::vector<Staging::Upload> inputs(Args& a, CapturedStep* step) {
  std::vector<Staging::Upload> uploads;
  while (!a.atEnd()) {
    const Buffer* b = bufferOf(a.integer());
    uploads.push_back(uploadOf(a, b));
    if (step && b->array.type == Type::i32)
      step->assign(
          static_cast<const int32_t*>(b->array.data), static_cast<const int32_t*>(uploads.back().from), b->elements);
  }
  return uploads;
}

// assign(then a tensor and its values, and so on): new values in the memory the tensors have.
void assign(Args& a) { context().staging->upload(inputs(a, nullptr), context().stream); }

// launchStep(step, then tensors and values as in assign). A check that fails leaves everything as it was. False when
// the step must be captured again, because memory that it uses was given back.
Napi::Value launch(Args& a) {
  CapturedStep& step = *stepOf(a)->second;
  if (!step.intact()) return Napi::Boolean::New(a.env(), false);
  const std::vector<Staging::Upload> uploads = inputs(a, &step);
  step.check();
  context().staging->upload(uploads, context().stream);
  step.launch();
  return Napi::Boolean::New(a.env(), true);
}

}  // namespace

void dropCapturedSteps() {
  context().capture.reset();
  context().allocator->onRelease = nullptr;
  steps().clear();
}

void addCapture(Napi::Env env, Napi::Object exports) {
  add(env, exports, "beginCapture", begin);
  add(env, exports, "endCapture", end);
  add(env, exports, "abandonCapture", [](Args&) { context().capture.reset(); });
  add(env, exports, "assign", assign);
  add(env, exports, "launchStep", launch);
  add(env, exports, "dropStep", [](Args& a) { steps().erase(stepOf(a)); });
}

}  // namespace tunesmith::cuda
