// The transformer block's kernels: norm, rotary embedding, attention, activation; loss, optimizer, cache.
#include <cmath>
#include <cstring>

#include "args.h"

namespace tunesmith {
namespace {

Napi::Value rmsNorm(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), h = a.integer();
  const float* x = a.floats(a.product(tokens, h));
  const float* w = a.floats(h);
  const double eps = a.number(), offset = a.number();
  float* y = a.floats(a.product(tokens, h));
  if (!a.ok()) return info.Env().Undefined();
  kernels().rmsNorm(x, w, y, tokens, h, static_cast<float>(eps), static_cast<float>(offset));
  return result(info, true);
}

Napi::Value rmsNormGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), h = a.integer();
  const float* dy = a.floats(a.product(tokens, h));
  const float* x = a.floats(a.product(tokens, h));
  const float* w = a.floats(h);
  const double eps = a.number(), offset = a.number();
  float* dx = a.floats(a.product(tokens, h));
  if (!a.ok()) return info.Env().Undefined();
  kernels().rmsNormGrad(dy, x, w, dx, tokens, h, static_cast<float>(eps), static_cast<float>(offset));
  return result(info, true);
}

Napi::Value rmsNormWeightGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), h = a.integer();
  const float* dy = a.floats(a.product(tokens, h));
  const float* x = a.floats(a.product(tokens, h));
  const double eps = a.number();
  float* dw = a.floats(h);
  if (!a.ok()) return info.Env().Undefined();
  return result(info, kernels().rmsNormWeightGrad(dy, x, dw, tokens, h, static_cast<float>(eps)));
}

Napi::Value rope(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), heads = a.integer(), headDim = a.integer(), rotaryDim = a.integer();
  const bool inverse = a.boolean();
  if (a.ok() && (rotaryDim > headDim || rotaryDim % 2)) a.fail("an even rotaryDim up to headDim");
  const int64_t n = a.product(tokens, a.product(heads, headDim));
  const float* x = a.floats(n);
  const float* cos = a.floats(a.product(tokens, rotaryDim / 2));
  const float* sin = a.floats(a.product(tokens, rotaryDim / 2));
  float* y = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  kernels().rope(x, cos, sin, y, tokens, heads, headDim, rotaryDim, inverse);
  return result(info, true);
}

// Reads the arguments attention and its gradient share, and checks that every sequence lies inside q, k and v.
Attention attentionArgs(Args& a, int64_t& tokens) {
  Attention p = {};
  tokens = a.integer();
  const int64_t keys = a.integer();
  p.sequences = a.integer();
  p.heads = a.integer();
  p.kvHeads = a.integer();
  p.headDim = a.integer();
  p.scale = static_cast<float>(a.number());
  p.window = a.integer();
  p.softcap = static_cast<float>(a.number());
  if (a.ok() && (p.kvHeads < 1 || p.heads < 1 || p.headDim < 1 || p.heads % p.kvHeads)) a.fail("heads that share kv heads evenly");
  p.qStride = a.product(p.heads, p.headDim);
  p.kvStride = a.product(p.kvHeads, p.headDim);
  p.q = a.floats(a.product(tokens, p.qStride));
  p.k = a.floats(a.product(keys, p.kvStride));
  p.v = a.floats(a.product(keys, p.kvStride));
  p.cuSeqlens = a.ints(p.sequences + 1);
  p.kvStart = a.optionalInts(p.sequences);
  p.kvLength = a.optionalInts(p.sequences);
  if (!a.ok()) return p;
  bool good = p.cuSeqlens[0] == 0 && p.cuSeqlens[p.sequences] == tokens && (p.kvStart == nullptr) == (p.kvLength == nullptr);
  for (int64_t s = 0; good && s < p.sequences; s++) {
    const int64_t queries = int64_t{p.cuSeqlens[s + 1]} - p.cuSeqlens[s];
    good = queries >= 0;
    if (p.kvStart) good = good && p.kvStart[s] >= 0 && p.kvLength[s] >= queries && int64_t{p.kvStart[s]} + p.kvLength[s] <= keys;
  }
  if (!good || (!p.kvStart && keys != tokens)) a.fail("sequences inside q and k");
  return p;
}

Napi::Value attention(const Napi::CallbackInfo& info) {
  Args a(info);
  int64_t tokens;
  const Attention p = attentionArgs(a, tokens);
  float* out = a.floats(a.product(tokens, p.qStride));
  float* lse = a.floats(a.product(tokens, p.heads));
  if (!a.ok()) return info.Env().Undefined();
  return result(info, kernels().attention(p, out, lse));
}

Napi::Value attentionGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  int64_t tokens;
  const Attention p = attentionArgs(a, tokens);
  if (a.ok() && p.kvStart) a.fail("no cache in a gradient");
  AttentionGrad g;
  g.dout = a.floats(a.product(tokens, p.qStride));
  g.out = a.floats(a.product(tokens, p.qStride));
  g.lse = a.floats(a.product(tokens, p.heads));
  g.dq = a.floats(a.product(tokens, p.qStride));
  g.dk = a.floats(a.product(tokens, p.kvStride));
  g.dv = a.floats(a.product(tokens, p.kvStride));
  if (!a.ok()) return info.Env().Undefined();
  return result(info, kernels().attentionGrad(p, g));
}

Activation activationArg(Args& a) { return a.boolean() ? kGeluTanh : kSilu; }

Napi::Value swiglu(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer();
  const Activation activation = activationArg(a);
  const float* gate = a.floats(n);
  const float* up = a.floats(n);
  float* y = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  kernels().swiglu(gate, up, y, n, activation);
  return result(info, true);
}

Napi::Value swigluGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer();
  const Activation activation = activationArg(a);
  const float* dy = a.floats(n);
  const float* gate = a.floats(n);
  const float* up = a.floats(n);
  float* dgate = a.floats(n);
  float* dup = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  kernels().swigluGrad(dy, gate, up, dgate, dup, n, activation);
  return result(info, true);
}

Napi::Value crossEntropy(const Napi::CallbackInfo& info) {
  Args a(info);
  CrossEntropy p = {};
  p.tokens = a.integer();
  p.weight = a.matrix();
  p.hidden = a.floats(a.product(p.tokens, p.weight.cols));
  p.bias = a.optionalFloats(p.weight.rows);
  p.labels = a.ints(p.tokens);
  p.labelSmoothing = static_cast<float>(a.number());
  p.softcap = static_cast<float>(a.number());
  p.dft = a.boolean();
  float* lossSum = a.floats(1);
  p.nll = a.floats(p.tokens);
  p.entropy = a.floats(p.tokens);
  p.correct = a.floats(p.tokens);
  p.dHidden = a.optionalFloats(a.product(p.tokens, p.weight.cols));
  p.dWeight = a.optionalFloats(a.product(p.weight.rows, p.weight.cols));
  if (a.ok())
    for (int64_t t = 0; t < p.tokens; t++)
      if (p.labels[t] >= p.weight.rows) {
        a.fail("labels inside the vocabulary");
        break;
      }
  if (!a.ok()) return info.Env().Undefined();
  const bool ok = kernels().crossEntropy(p);
  *lossSum = static_cast<float>(p.lossSum);
  return result(info, ok);
}

AdamW adamWArgs(Args& a) {
  AdamW o;
  o.lr = a.number();
  o.beta1 = a.number();
  o.beta2 = a.number();
  o.eps = a.number();
  o.weightDecay = a.number();
  o.step = a.integer();
  o.gradScale = a.number();
  return o;
}

Napi::Value adamW(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer();
  float* p = a.floats(n);
  const float* g = a.floats(n);
  float* m = a.floats(n);
  float* v = a.floats(n);
  const AdamW o = adamWArgs(a);
  if (!a.ok()) return info.Env().Undefined();
  kernels().adamW(p, g, m, v, n, o);
  return result(info, true);
}

Napi::Value adamW8bit(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer(), words = (n + 3) / 4, blocks = (n + 255) / 256;
  float* p = a.floats(n);
  const float* g = a.floats(n);
  AdamW8bitState s;
  s.codes1 = reinterpret_cast<uint8_t*>(a.ints(words));
  s.codes2 = reinterpret_cast<uint8_t*>(a.ints(words));
  s.absmax1 = a.floats(blocks);
  s.absmax2 = a.floats(blocks);
  const float* map1 = a.floats(256);
  const float* map2 = a.floats(256);
  const AdamW o = adamWArgs(a);
  if (!a.ok()) return info.Env().Undefined();
  s.map1 = codeMap(map1);
  s.map2 = codeMap(map2);
  if (!s.map1 || !s.map2) return result(info, false);
  kernels().adamW8bit(p, g, s, n, o);
  return result(info, true);
}

// sumSquares(n, x): a number, so that the caller can add several in float64.
Napi::Value sumSquares(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer();
  const float* x = a.floats(n);
  if (!a.ok()) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), kernels().sumSquares(x, n));
}

Napi::Value copyRows(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t n = a.integer(), width = a.integer(), capacity = a.integer();
  const float* x = a.floats(a.product(n, width));
  const int32_t* rows = a.ints(n);
  float* cache = a.floats(a.product(capacity, width));
  if (a.ok())
    for (int64_t i = 0; i < n; i++)
      if (rows[i] < 0 || rows[i] >= capacity) {
        a.fail("rows inside the cache");
        break;
      }
  if (!a.ok()) return info.Env().Undefined();
  for (int64_t i = 0; i < n; i++) std::memcpy(cache + rows[i] * width, x + i * width, static_cast<size_t>(width) * 4);
  return result(info, true);
}

}  // namespace

void addBlocks(Napi::Env env, Napi::Object exports) {
  exports.Set("rmsNorm", Napi::Function::New(env, rmsNorm));
  exports.Set("rmsNormGrad", Napi::Function::New(env, rmsNormGrad));
  exports.Set("rmsNormWeightGrad", Napi::Function::New(env, rmsNormWeightGrad));
  exports.Set("rope", Napi::Function::New(env, rope));
  exports.Set("attention", Napi::Function::New(env, attention));
  exports.Set("attentionGrad", Napi::Function::New(env, attentionGrad));
  exports.Set("swiglu", Napi::Function::New(env, swiglu));
  exports.Set("swigluGrad", Napi::Function::New(env, swigluGrad));
  exports.Set("crossEntropy", Napi::Function::New(env, crossEntropy));
  exports.Set("adamW", Napi::Function::New(env, adamW));
  exports.Set("adamW8bit", Napi::Function::New(env, adamW8bit));
  exports.Set("sumSquares", Napi::Function::New(env, sumSquares));
  exports.Set("copyRows", Napi::Function::New(env, copyRows));
}

}  // namespace tunesmith
