// The transformer block's kernels: norm, rotary embedding, attention, activation; loss, optimizer, cache.
#include <cmath>
#include <cstring>

#include "fields.h"

namespace tunesmith {
namespace {

void rmsNorm(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width");
  const float eps = f.real("eps"), offset = f.real("offset");
  const float* x = f.floats("x", f.product(tokens, width));
  const float* w = f.floats("weight", width);
  float* y = f.floats("y", f.product(tokens, width));
  kernels().rmsNorm(x, w, y, tokens, width, eps, offset);
}

void rmsNormGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width"), n = f.product(tokens, width);
  const float eps = f.real("eps"), offset = f.real("offset");
  const float* dy = f.floats("dy", n);
  const float* x = f.floats("x", n);
  const float* w = f.floats("weight", width);
  const float* addend = f.optionalFloats("addend", n);
  float* dx = f.floats("dx", n);
  kernels().rmsNormGrad(dy, x, w, dx, tokens, width, eps, offset);
  if (addend) kernels().binary(kAdd, addend, dx, dx, 1, n, 0);
}

void rmsNormWeightGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width");
  const float eps = f.real("eps");
  const float* dy = f.floats("dy", f.product(tokens, width));
  const float* x = f.floats("x", f.product(tokens, width));
  float* dw = f.floats("dWeight", width);
  needMemory(kernels().rmsNormWeightGrad(dy, x, dw, tokens, width, eps));
}

void rotaryEmbedding(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width"), headDim = f.count("headDim"),
                rotaryDim = f.count("rotaryDim");
  const bool inverse = f.boolean("inverse");
  if ((rotaryDim > headDim || rotaryDim % 2)) f.fail("rotaryDim", "an even rotaryDim up to headDim");
  if ((headDim < 1 || width % headDim)) f.fail("headDim", "whole heads");
  const int64_t n = f.product(tokens, width);
  const float* x = f.floats("x", n);
  const float* cos = f.floats("cos", f.product(tokens, rotaryDim / 2));
  const float* sin = f.floats("sin", f.product(tokens, rotaryDim / 2));
  float* y = f.floats("y", n);
  kernels().rope(x, cos, sin, y, tokens, width / headDim, headDim, rotaryDim, inverse);
}

void dropout(Fields& f) {
  const int64_t n = f.product(f.count("tokens"), f.count("width"));
  const Dropout d = f.dropout("rate");
  const float* x = f.floats("x", n);
  float* y = f.floats("y", n);
  kernels().dropout(x, y, n, d);
}

// Reads the fields attention and its gradient share, and checks that every sequence lies inside q, k and v.
Attention attentionFields(Fields& f, int64_t& tokens) {
  Attention p = {};
  tokens = f.count("tokens");
  const int64_t keys = f.count("keys"), bounds = f.count("bounds");
  if (bounds < 1) f.fail("cuSeqlens", "at least one element");
  p.sequences = bounds - 1;
  p.heads = f.count("numHeads");
  p.kvHeads = f.count("numKvHeads");
  p.headDim = f.count("headDim");
  p.scale = f.real("scale");
  p.window = f.count("slidingWindow");
  p.softcap = f.real("softcap");
  p.rounded = f.boolean("rounded");
  if ((p.kvHeads < 1 || p.heads < 1 || p.headDim < 1 || p.heads % p.kvHeads))
    f.fail("numKvHeads", "heads that share kv heads evenly");
  p.qStride = f.product(p.heads, p.headDim);
  p.kvStride = f.product(p.kvHeads, p.headDim);
  p.q = f.floats("q", f.product(tokens, p.qStride));
  p.k = f.floats("k", f.product(keys, p.kvStride));
  p.v = f.floats("v", f.product(keys, p.kvStride));
  p.cuSeqlens = f.ints("cuSeqlens", bounds);
  p.kvStart = f.optionalInts("kvStart", p.sequences);
  p.kvLength = f.optionalInts("kvLength", p.sequences);
  bool good =
      p.cuSeqlens[0] == 0 && p.cuSeqlens[p.sequences] == tokens && (p.kvStart == nullptr) == (p.kvLength == nullptr);
  for (int64_t s = 0; good && s < p.sequences; s++) {
    const int64_t queries = int64_t{p.cuSeqlens[s + 1]} - p.cuSeqlens[s];
    good = queries >= 0;
    if (p.kvStart)
      good = good && p.kvStart[s] >= 0 && p.kvLength[s] >= queries && int64_t{p.kvStart[s]} + p.kvLength[s] <= keys;
  }
  if (!good || (!p.kvStart && keys != tokens)) f.fail("cuSeqlens", "sequences inside q and k");
  return p;
}

void attention(Fields& f) {
  int64_t tokens;
  const Attention p = attentionFields(f, tokens);
  float* out = f.floats("out", f.product(tokens, p.qStride));
  float* lse = f.floats("lse", f.product(tokens, p.heads));
  needMemory(kernels().attention(p, out, lse));
}

void attentionGrad(Fields& f) {
  int64_t tokens;
  const Attention p = attentionFields(f, tokens);
  AttentionGrad g;
  g.dout = f.floats("dout", f.product(tokens, p.qStride));
  g.out = f.floats("out", f.product(tokens, p.qStride));
  g.lse = f.floats("lse", f.product(tokens, p.heads));
  g.dq = f.floats("dq", f.product(tokens, p.qStride));
  g.dk = f.floats("dk", f.product(tokens, p.kvStride));
  g.dv = f.floats("dv", f.product(tokens, p.kvStride));
  needMemory(kernels().attentionGrad(p, g));
}

Activation activation(Fields& f) { return f.count("activation") ? kGeluTanh : kSilu; }

void swiglu(Fields& f) {
  const int64_t n = f.product(f.count("tokens"), f.count("width"));
  const Activation a = activation(f);
  const float* gate = f.floats("gate", n);
  const float* up = f.floats("up", n);
  float* y = f.floats("y", n);
  kernels().swiglu(gate, up, y, n, a);
}

void swigluGrad(Fields& f) {
  const int64_t n = f.product(f.count("tokens"), f.count("width"));
  const Activation a = activation(f);
  const float* dy = f.floats("dy", n);
  const float* gate = f.floats("gate", n);
  const float* up = f.floats("up", n);
  float* dGate = f.floats("dGate", n);
  float* dUp = f.floats("dUp", n);
  kernels().swigluGrad(dy, gate, up, dGate, dUp, n, a);
}

void crossEntropy(Fields& f) {
  CrossEntropy p = {};
  p.tokens = f.count("tokens");
  p.weight = f.weight();
  p.softcap = f.real("softcap");
  p.hidden = f.floats("hidden", f.product(p.tokens, p.weight.cols));
  p.labels = f.ints("labels", p.tokens);
  p.bias = f.optionalFloats("bias", p.weight.rows);
  float* loss = f.floats("loss", 1);
  p.nll = f.floats("nll", p.tokens);
  p.entropy = f.floats("entropy", p.tokens);
  p.correct = f.floats("correct", p.tokens);
  p.dHidden = f.optionalFloats("dHidden", f.product(p.tokens, p.weight.cols));
  p.dWeight = f.optionalFloats("dWeight", f.product(p.weight.rows, p.weight.cols));
  for (int64_t t = 0; t < p.tokens; t++)
    if (p.labels[t] >= p.weight.rows) f.fail("labels", "labels inside the vocabulary");
  needMemory(kernels().crossEntropy(p));
  *loss = static_cast<float>(p.lossSum);
}

AdamW adamWFields(Fields& f) {
  AdamW o;
  o.lr = f.number("lr");
  o.beta1 = f.number("beta1");
  o.beta2 = f.number("beta2");
  o.eps = f.number("eps");
  o.weightDecay = f.number("weightDecay");
  o.step = f.count("step");
  o.gradScale = f.number("gradScale");
  return o;
}

// One entry of the list.
void adamW(Fields& f) {
  const AdamW o = adamWFields(f);
  const int64_t n = f.count("size");
  float* p = f.floats("param", n);
  const float* g = f.floats("grad", n);
  float* m = f.floats("expAvg", n);
  float* v = f.floats("expAvgSq", n);
  kernels().adamW(p, g, m, v, n, o);
}

void adamW8bit(Fields& f) {
  const AdamW o = adamWFields(f);
  const float* map1 = f.floats("qmap1", 256);
  const float* map2 = f.floats("qmap2", 256);
  const int64_t n = f.count("size"), words = (n + 3) / 4, blocks = (n + 255) / 256;
  float* p = f.floats("param", n);
  const float* g = f.floats("grad", n);
  AdamW8bitState s;
  s.codes1 = reinterpret_cast<uint8_t*>(f.ints("state1", words));
  s.codes2 = reinterpret_cast<uint8_t*>(f.ints("state2", words));
  s.absmax1 = f.floats("absmax1", blocks);
  s.absmax2 = f.floats("absmax2", blocks);
  s.map1 = codeMap(map1);
  s.map2 = codeMap(map2);
  needMemory(s.map1 && s.map2);
  kernels().adamW8bit(p, g, s, n, o);
}

// One entry of the list: adds its squares in float64.
void gradNorm(Fields& f) {
  const int64_t n = f.count("size");
  const float* x = f.floats("x", n);
  double* sum = f.doubles("sum", 1);
  *sum += kernels().sumSquares(x, n);
}

void kvCacheUpdate(Fields& f) {
  const int64_t capacity = f.count("capacity"), width = f.count("width"), n = f.count("tokens");
  float* cache = f.floats("cache", f.product(capacity, width));
  const float* x = f.floats("x", f.product(n, width));
  const int32_t* rows = f.ints("rows", n);
  for (int64_t i = 0; i < n; i++)
    if (rows[i] < 0 || rows[i] >= capacity) f.fail("rows", "rows inside the cache");
  for (int64_t i = 0; i < n; i++) std::memcpy(cache + rows[i] * width, x + i * width, static_cast<size_t>(width) * 4);
}

}  // namespace

const std::vector<NamedBody>& blockKernels() {
  static const std::vector<NamedBody> all = {{"RMSNorm", rmsNorm}, {"RMSNormGrad", rmsNormGrad},
      {"RMSNormWeightGrad", rmsNormWeightGrad}, {"RotaryEmbedding", rotaryEmbedding}, {"Dropout", dropout},
      {"CausalAttention", attention}, {"CausalAttentionGrad", attentionGrad}, {"SwiGLU", swiglu},
      {"SwiGLUGrad", swigluGrad}, {"LinearCrossEntropy", crossEntropy}, {"AdamWSteps", adamW},
      {"AdamW8bitSteps", adamW8bit}, {"GradNorm", gradNorm}, {"KvCacheUpdate", kvCacheUpdate}};
  return all;
}

}  // namespace tunesmith
