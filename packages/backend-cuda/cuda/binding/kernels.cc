// The kernels of @tunesmith/backend, argument by argument.
#include <cmath>

#include "args.h"

namespace tunesmith {
namespace cuda {
namespace {

Activation activation(Args& a) { return a.boolean() ? Activation::geluTanh : Activation::silu; }

// Each of `count` integers names one of `rows` rows.
void checkRows(const Args& a, const char* expected, const int32_t* device, const int32_t* host, int64_t count, int64_t rows) {
  const size_t argument = a.index();
  checked((expected + std::to_string(rows)).c_str(), {{device, host, count}}, [=](const std::vector<const int32_t*>& values) {
    for (int64_t i = 0; i < count; i++)
      if (values[0][i] < 0 || values[0][i] >= rows) Args::failAt(argument, expected);
  });
}

void frozen(Args& a) {
  const int64_t tokens = a.integer();
  const Weight w = a.weight();
  const Array x = a.floats(a.product(tokens, w.cols)), bias = a.optionalFloats(w.rows), y = a.floats(a.product(tokens, w.rows));
  frozenLinear(context(), tokens, w, x, bias, y);
}
void frozenGrad(Args& a) {
  const int64_t tokens = a.integer();
  const Weight w = a.weight();
  const Array dy = a.floats(a.product(tokens, w.rows)), addend = a.optionalFloats(a.product(tokens, w.cols)), dx = a.floats(a.product(tokens, w.cols));
  frozenLinearGrad(context(), tokens, w, dy, addend, dx);
}
void weightGrad(Args& a) {
  const int64_t tokens = a.integer(), out = a.integer(), in = a.integer();
  const Array dy = a.floats(a.product(tokens, out)), x = a.floats(a.product(tokens, in));
  float* dw = a.f32(a.product(out, in));
  linearWeightGrad(context(), tokens, out, in, dy, x, {dw, Type::f32});
}

void lora(Args& a) {
  const int64_t tokens = a.integer();
  Lora l;
  l.rank = a.integer();
  const Weight w = a.weight();
  const Array x = a.floats(a.product(tokens, w.cols)), bias = a.optionalFloats(w.rows);
  l.a = a.floats(a.product(l.rank, w.cols));
  l.b = a.floats(a.product(w.rows, l.rank));
  l.scaling = a.real();
  l.dropout = a.dropout();
  const Array y = a.floats(a.product(tokens, w.rows)), xa = a.floats(a.product(tokens, l.rank));
  loraLinear(context(), tokens, w, l, x, bias, y, xa);
}
// loraLinearGrad(tokens, rank, weight, dy, A, B, scaling, dropout, addend, dx, x, xa, dA, dB), the last six null or not.
void loraGrad(Args& a) {
  const int64_t tokens = a.integer();
  Lora l;
  l.rank = a.integer();
  const Weight w = a.weight();
  LoraGrad g;
  g.dy = a.floats(a.product(tokens, w.rows));
  l.a = a.floats(a.product(l.rank, w.cols));
  l.b = a.floats(a.product(w.rows, l.rank));
  l.scaling = a.real();
  l.dropout = a.dropout();
  g.addend = a.optionalFloats(a.product(tokens, w.cols));
  g.dx = a.optionalFloats(a.product(tokens, w.cols));
  g.x = a.optionalFloats(a.product(tokens, w.cols));
  g.xa = a.optionalFloats(a.product(tokens, l.rank));
  if (float* dA = a.optionalF32(a.product(l.rank, w.cols))) g.dA = {dA, Type::f32};
  if (float* dB = a.optionalF32(a.product(w.rows, l.rank))) g.dB = {dB, Type::f32};
  if (!g.dA != !g.dB || (g.dA && (!g.x || !g.xa))) a.fail("both gradients of A and B with x and xa, or neither");
  loraLinearGrad(context(), tokens, w, l, g);
}

void dequantizeRows(Args& a) {
  const int64_t first = a.integer(), end = a.integer();
  const Weight w = a.weight();
  if (first > end || end > w.rows) a.fail("rows inside the weight");
  dequantize(context().stream, w, first, end, a.floats(a.product(end - first, w.cols)));
}
void embedding(Args& a) {
  const int64_t tokens = a.integer();
  const Weight w = a.weight();
  const int32_t* ids = a.ints(tokens);
  const int32_t* host = a.hostInts(tokens);
  checkRows(a, "ids inside the table", ids, host, tokens, w.rows);
  embeddingLookup(context().stream, w, ids, a.floats(a.product(tokens, w.cols)), tokens);
}
void embeddingBack(Args& a) {
  const int64_t tokens = a.integer(), vocab = a.integer(), h = a.integer();
  const Array dy = a.floats(a.product(tokens, h));
  const int32_t* ids = a.ints(tokens);
  const int32_t* host = a.hostInts(tokens);
  float* dw = a.f32(a.product(vocab, h));
  embeddingGradient(context(), dy, ids, host, tokens, vocab, h, {dw, Type::f32});
}

void norm(Args& a) {
  Context& c = context();
  const int64_t tokens = a.integer(), h = a.integer();
  const Array x = a.floats(a.product(tokens, h));
  const Operand w(c, a.floats(h), h, Type::f32);
  const float eps = a.real(), offset = a.real();
  const Array y = a.floats(a.product(tokens, h));
  const Operand in(c, x, tokens * h, y.type);
  rmsNorm(c.stream, in, w.floats(), y, tokens, h, eps, offset);
}
void normGrad(Args& a) {
  Context& c = context();
  const int64_t tokens = a.integer(), h = a.integer();
  const Array dy = a.floats(a.product(tokens, h)), x = a.floats(a.product(tokens, h));
  const Operand w(c, a.floats(h), h, Type::f32);
  const float eps = a.real(), offset = a.real();
  const Array addend = a.optionalFloats(a.product(tokens, h)), dx = a.floats(a.product(tokens, h));
  const Operand grad(c, dy, tokens * h, dx.type), in(c, x, tokens * h, dx.type), sum(c, addend, tokens * h, dx.type);
  rmsNormGrad(c.stream, grad, in, w.floats(), sum, dx, tokens, h, eps, offset);
}
void normWeightGrad(Args& a) {
  Context& c = context();
  const int64_t tokens = a.integer(), h = a.integer();
  const Array dy = a.floats(a.product(tokens, h)), x = a.floats(a.product(tokens, h));
  const float eps = a.real();
  float* dw = a.f32(h);
  const Operand grad(c, dy, tokens * h, c.type), in(c, x, tokens * h, c.type);
  // Never more than 256 parts of the columns, and one number per token.
  const Temp partial(c, 256 * h + tokens, Type::f32);
  rmsNormWeightGrad(c.stream, grad, in, dw, partial.floats(), tokens, h, eps);
}
void rope(Args& a) {
  Context& c = context();
  const int64_t tokens = a.integer(), heads = a.integer(), headDim = a.integer(), rotaryDim = a.integer();
  const bool inverse = a.boolean();
  if (rotaryDim > headDim || rotaryDim % 2 || rotaryDim == 0) a.fail("an even rotaryDim up to headDim");
  const int64_t n = a.product(tokens, a.product(heads, headDim));
  const Array x = a.floats(n);
  const Operand cos(c, a.floats(a.product(tokens, rotaryDim / 2)), tokens * rotaryDim / 2, Type::f32), sin(c, a.floats(a.product(tokens, rotaryDim / 2)), tokens * rotaryDim / 2, Type::f32);
  const Array y = a.floats(n);
  const Operand in(c, x, n, y.type);
  rotaryEmbedding(c.stream, in, cos.floats(), sin.floats(), y, tokens, heads, headDim, rotaryDim, inverse);
}
void drop(Args& a) {
  Context& c = context();
  const int64_t n = a.integer();
  const Dropout d = a.dropout();
  const Array x = a.floats(n), y = a.floats(n);
  const Operand in(c, x, n, y.type);
  dropout(c.stream, in, y, n, d);
}
void gated(Args& a) {
  Context& c = context();
  const int64_t n = a.integer();
  const Activation f = activation(a);
  const Array gate = a.floats(n), up = a.floats(n), y = a.floats(n);
  const Operand g(c, gate, n, y.type), u(c, up, n, y.type);
  swiglu(c.stream, g, u, y, n, f);
}
void gatedGrad(Args& a) {
  Context& c = context();
  const int64_t n = a.integer();
  const Activation f = activation(a);
  const Array dy = a.floats(n), gate = a.floats(n), up = a.floats(n), dgate = a.floats(n), dup = a.floats(n);
  if (dgate.type != dup.type) a.fail("gradients of one type");
  const Operand d(c, dy, n, dup.type), g(c, gate, n, dup.type), u(c, up, n, dup.type);
  swigluGrad(c.stream, d, g, u, dgate, dup, n, f);
}

Attention attentionShape(Args& a) {
  Attention p;
  p.tokens = a.integer();
  p.keys = a.integer();
  p.sequences = a.small();
  p.heads = a.small();
  p.kvHeads = a.small();
  p.headDim = a.small();
  p.scale = a.real();
  p.window = a.small();
  p.softcap = a.real();
  if (p.tokens > 2147483647 || p.keys > 2147483647) a.fail("fewer tokens");
  return p;
}
// q, k, v, then boundaries and ranges on the device and on the host.
AttentionBounds attentionInputs(Args& a, Attention& p, AttentionTensors& t) {
  const int64_t width = a.product(p.heads, p.headDim), kvWidth = a.product(p.kvHeads, p.headDim);
  t.q = a.floats(a.product(p.tokens, width));
  t.k = a.floats(a.product(p.keys, kvWidth));
  t.v = a.floats(a.product(p.keys, kvWidth));
  p.cuSeqlens = a.ints(p.sequences + 1);
  p.kvStart = a.optionalInts(p.sequences);
  p.kvLength = a.optionalInts(p.sequences);
  AttentionBounds host;
  host.cuSeqlens = a.hostInts(p.sequences + 1);
  host.kvStart = a.optionalHostInts(p.sequences);
  host.kvLength = a.optionalHostInts(p.sequences);
  if (!p.kvStart != !p.kvLength || !p.kvStart != !host.kvStart || !p.kvStart != !host.kvLength) a.fail("both kvStart and kvLength, or none");
  return host;
}
// A captured step has as many queries of a sequence at most as it had then: its launches depend on that.
void repeatCheck(const Attention& p, const AttentionBounds& host) {
  if (!context().capture) return;
  Attention now = p;
  checkAttention(now, host);
  const int queries = now.maxQueries;
  const std::vector<CheckedInts> ints = {{p.cuSeqlens, host.cuSeqlens, p.sequences + 1}, {p.kvStart, host.kvStart, p.sequences}, {p.kvLength, host.kvLength, p.sequences}};
  context().capture->require("attention " + std::to_string(p.keys) + " " + std::to_string(queries), ints, [=](const std::vector<const int32_t*>& values) {
    Attention then = p;
    AttentionBounds bounds;
    bounds.cuSeqlens = values[0];
    bounds.kvStart = values[1];
    bounds.kvLength = values[2];
    checkAttention(then, bounds);
    if (then.maxQueries != queries) throw Failure("invalid_data", "CausalAttention: expected as many new tokens of a sequence as were captured");
  });
}
void attend(Args& a) {
  Attention p = attentionShape(a);
  AttentionTensors t;
  const AttentionBounds host = attentionInputs(a, p, t);
  t.out = a.floats(a.product(p.tokens, int64_t{p.heads} * p.headDim));
  t.lse = a.f32(a.product(p.tokens, p.heads));
  attention(context(), p, host, t);
  repeatCheck(p, host);
}
void attendGrad(Args& a) {
  Attention p = attentionShape(a);
  AttentionTensors t;
  const AttentionBounds host = attentionInputs(a, p, t);
  const int64_t size = a.product(p.tokens, int64_t{p.heads} * p.headDim), kvSize = a.product(p.keys, int64_t{p.kvHeads} * p.headDim);
  t.dout = a.floats(size);
  t.out = a.floats(size);
  t.lse = a.f32(a.product(p.tokens, p.heads));
  t.dq = a.floats(size);
  t.dk = a.floats(kvSize);
  t.dv = a.floats(kvSize);
  for (const Array& x : {t.dq, t.dk, t.dv})
    if (x.type != context().type) a.fail("gradients of the activations' type");
  attentionGrad(context(), p, host, t);
}

void loss(Args& a) {
  CrossEntropy p;
  p.tokens = a.integer();
  p.weight = a.weight();
  p.hidden = a.floats(a.product(p.tokens, p.weight.cols));
  p.bias = a.optionalFloats(p.weight.rows);
  p.labels = a.ints(p.tokens);
  p.hostLabels = a.hostInts(p.tokens);
  p.labelSmoothing = a.real();
  p.softcap = a.real();
  p.dft = a.boolean();
  p.lossSum = a.f32(1);
  p.nll = a.f32(p.tokens);
  p.entropy = a.f32(p.tokens);
  p.correct = a.f32(p.tokens);
  p.dHidden = a.optionalFloats(a.product(p.tokens, p.weight.cols));
  if (float* dw = a.optionalF32(a.product(p.weight.rows, p.weight.cols))) p.dWeight = {dw, Type::f32};
  crossEntropy(context(), p);
}

struct AdamWNumbers {
  double lr, beta1, beta2, eps, weightDecay, step, gradScale;
  explicit AdamWNumbers(Args& a) : lr(a.number()), beta1(a.number()), beta2(a.number()), eps(a.number()), weightDecay(a.number()), step(static_cast<double>(a.integer())), gradScale(a.number()) {}
};

// The bf16 copy of a parameter, or null.
void* copyOf(Args& a, int64_t n) {
  const Array copy = a.optionalFloats(n);
  if (copy && copy.type != Type::bf16) a.fail("a bf16 copy of the parameter");
  return copy.data;
}

// adamW(lr, beta1, beta2, eps, weightDecay, step, gradScale, then per tensor n, param, copy, grad, expAvg, expAvgSq).
void optimize(Args& a) {
  Context& c = context();
  const AdamWNumbers given(a);
  AdamW o;
  o.lr = static_cast<float>(given.lr);
  o.beta1 = static_cast<float>(given.beta1);
  o.beta2 = static_cast<float>(given.beta2);
  o.eps = static_cast<float>(given.eps);
  o.weightDecay = static_cast<float>(given.weightDecay);
  o.gradScale = static_cast<float>(given.gradScale);
  o.correction1 = static_cast<float>(1 - std::pow(given.beta1, given.step));
  o.correction2 = static_cast<float>(std::sqrt(1 - std::pow(given.beta2, given.step)));
  std::vector<AdamWTensor> tensors;
  std::vector<Operand> grads;
  const auto read = [&] {
    AdamWTensor t;
    t.n = a.integer();
    t.param = a.f32(t.n);
    t.copy = copyOf(a, t.n);
    grads.emplace_back(c, a.floats(t.n), t.n, Type::f32);
    t.grad = grads.back().floats();
    t.expAvg = a.f32(t.n);
    t.expAvgSq = a.f32(t.n);
    tensors.push_back(t);
  };
  inParts(a, read, [&] {
    adamW(c.stream, tensors.data(), static_cast<int>(tensors.size()), o);
    tensors.clear();
    grads.clear();
  });
}

// adamW8bit(the numbers as above, qmap1, qmap2, then per tensor n, param, copy, grad, state1, state2, absmax1, absmax2).
void optimize8bit(Args& a) {
  Context& c = context();
  const AdamWNumbers given(a);
  AdamW8bit o;
  o.qmap1 = a.f32(256);
  o.qmap2 = a.f32(256);
  o.eps = static_cast<float>(given.eps);
  o.gradScale = static_cast<float>(given.gradScale);
  o.rate = static_cast<float>(-given.lr / (1 - std::pow(given.beta1, given.step)));
  o.root = static_cast<float>(std::sqrt(1 - std::pow(given.beta2, given.step)));
  o.shrink = static_cast<float>(1 - given.lr * given.weightDecay);
  o.beta1 = static_cast<float>(given.beta1);
  o.rest1 = static_cast<float>(1 - given.beta1);
  o.beta2 = static_cast<float>(given.beta2);
  o.rest2 = static_cast<float>(1 - given.beta2);
  std::vector<AdamW8bitTensor> tensors;
  std::vector<Operand> grads;
  const auto read = [&] {
    AdamW8bitTensor t;
    t.n = a.integer();
    const int64_t words = (t.n + 3) / 4, blocks = (t.n + 255) / 256;
    t.param = a.f32(t.n);
    t.copy = copyOf(a, t.n);
    grads.emplace_back(c, a.floats(t.n), t.n, Type::f32);
    t.grad = grads.back().floats();
    t.codes1 = reinterpret_cast<uint8_t*>(a.ints(words));
    t.codes2 = reinterpret_cast<uint8_t*>(a.ints(words));
    t.absmax1 = a.f32(blocks);
    t.absmax2 = a.f32(blocks);
    tensors.push_back(t);
  };
  inParts(a, read, [&] {
    adamW8bit(c.stream, tensors.data(), static_cast<int>(tensors.size()), o);
    tensors.clear();
    grads.clear();
  });
}

// gradNorm(norm, then per tensor n, x).
void norms(Args& a) {
  float* y = a.f32(1);
  std::vector<std::pair<Array, int64_t>> grads;
  while (!a.atEnd()) {
    const int64_t n = a.integer();
    grads.emplace_back(a.floats(n), n);
  }
  gradNorm(context(), grads, y);
}

void copyRows(Args& a) {
  Context& c = context();
  const int64_t n = a.integer(), width = a.integer(), capacity = a.integer();
  const Array x = a.floats(a.product(n, width));
  const int32_t* rows = a.ints(n);
  const int32_t* host = a.hostInts(n);
  const Array cache = a.floats(a.product(capacity, width));
  checkRows(a, "rows inside the cache", rows, host, n, capacity);
  scatterRows(c.stream, x, rows, cache, n, width);
}

}  // namespace

void addKernels(Napi::Env env, Napi::Object exports) {
  add(env, exports, "frozenLinear", frozen);
  add(env, exports, "frozenLinearGrad", frozenGrad);
  add(env, exports, "linearWeightGrad", weightGrad);
  add(env, exports, "loraLinear", lora);
  add(env, exports, "loraLinearGrad", loraGrad);
  add(env, exports, "dequantize", dequantizeRows);
  add(env, exports, "embeddingLookup", embedding);
  add(env, exports, "embeddingGrad", embeddingBack);
  add(env, exports, "rmsNorm", norm);
  add(env, exports, "rmsNormGrad", normGrad);
  add(env, exports, "rmsNormWeightGrad", normWeightGrad);
  add(env, exports, "rope", rope);
  add(env, exports, "dropout", drop);
  add(env, exports, "swiglu", gated);
  add(env, exports, "swigluGrad", gatedGrad);
  add(env, exports, "attention", attend);
  add(env, exports, "attentionGrad", attendGrad);
  add(env, exports, "crossEntropy", loss);
  add(env, exports, "adamW", optimize);
  add(env, exports, "adamW8bit", optimize8bit);
  add(env, exports, "gradNorm", norms);
  add(env, exports, "copyRows", copyRows);
}

}  // namespace cuda
}  // namespace tunesmith
