// The kernels of @tunesmith/backend, out of the fields its table of kernels names.
#include <cmath>

#include "args.h"

namespace tunesmith::cuda {
namespace {

Activation activation(Fields& f) { return f.count("activation") ? Activation::geluTanh : Activation::silu; }

// Each of `count` integers names one of `rows` rows.
void checkRows(
    const char* name, const char* expected, const int32_t* device, const int32_t* host, int64_t count, int64_t rows) {
  checked((expected + std::to_string(rows)).c_str(), {{device, host, count}},
      [=](const std::vector<const int32_t*>& values) {
        for (int64_t i = 0; i < count; i++)
          if (values[0][i] < 0 || values[0][i] >= rows) Fields::fail(name, expected);
      });
}

void linearForward(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Weight w = f.weight();
  const Array x = f.floats("x", product(tokens, w.cols)), bias = f.optionalFloats("bias", w.rows),
              y = f.floats("y", product(tokens, w.rows));
  linear(context(), tokens, w, x, bias, y);
}
void linearBackward(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Weight w = f.weight();
  const Array dy = f.floats("dy", product(tokens, w.rows)),
              addend = f.optionalFloats("addend", product(tokens, w.cols)),
              dx = f.floats("dx", product(tokens, w.cols));
  linearGrad(context(), tokens, w, dy, addend, dx);
}
void weightGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), out = f.count("out"), in = f.count("in");
  const Array dy = f.floats("dy", product(tokens, out)), x = f.floats("x", product(tokens, in));
  linearWeightGrad(context(), tokens, out, in, dy, x, f.f32Array("dWeight", product(out, in)));
}

Lora loraOf(Fields& f, const Weight& w) {
  Lora l;
  l.rank = f.count("rank");
  l.scaling = f.real("scaling");
  l.dropout = f.dropout("dropout");
  l.a = f.floats("loraA", product(l.rank, w.cols));
  l.b = f.floats("loraB", product(w.rows, l.rank));
  return l;
}
void lora(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Weight w = f.weight();
  const Lora l = loraOf(f, w);
  const Array x = f.floats("x", product(tokens, w.cols)), bias = f.optionalFloats("bias", w.rows);
  const Array y = f.floats("y", product(tokens, w.rows)), xa = f.floats("xa", product(tokens, l.rank));
  loraLinear(context(), tokens, w, l, x, bias, y, xa);
}
void loraGrad(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Weight w = f.weight();
  const Lora l = loraOf(f, w);
  LoraGrad g;
  g.dy = f.floats("dy", product(tokens, w.rows));
  g.x = f.optionalFloats("x", product(tokens, w.cols));
  g.xa = f.optionalFloats("xa", product(tokens, l.rank));
  g.addend = f.optionalFloats("addend", product(tokens, w.cols));
  g.dx = f.optionalFloats("dx", product(tokens, w.cols));
  if (f.has("dA")) g.dA = f.f32Array("dA", product(l.rank, w.cols));
  if (f.has("dB")) g.dB = f.f32Array("dB", product(w.rows, l.rank));
  if (!g.dA != !g.dB || (g.dA && (!g.x || !g.xa))) f.fail("dA", "both gradients of A and B with x and xa, or neither");
  loraLinearGrad(context(), tokens, w, l, g);
}

void dequantizeRows(Fields& f) {
  const int64_t first = f.count("rowStart"), end = f.count("rowEnd");
  const Weight w = f.weight();
  if (first > end || end > w.rows) f.fail("rowEnd", "rows inside the weight");
  dequantize(context().stream, w, first, end, f.floats("y", product(end - first, w.cols)));
}
void embedding(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Weight w = f.weight();
  const int32_t* ids = f.ints("ids", tokens);
  checkRows("ids", "ids inside the table", ids, f.hostInts("idsHost", tokens), tokens, w.rows);
  embeddingLookup(context().stream, w, ids, f.floats("y", product(tokens, w.cols)), tokens);
}
void embeddingBack(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width"), vocab = f.count("outFeatures");
  const Array dy = f.floats("dy", product(tokens, width));
  const int32_t* ids = f.ints("ids", tokens);
  const int32_t* host = f.hostInts("idsHost", tokens);
  embeddingGradient(context(), dy, ids, host, tokens, vocab, width, f.f32Array("dWeight", product(vocab, width)));
}

void norm(Fields& f) {
  Context& c = context();
  const int64_t tokens = f.count("tokens"), h = f.count("width"), n = product(tokens, h);
  const float eps = f.real("eps"), offset = f.real("offset");
  const Array x = f.floats("x", n);
  const Operand w(c, f.floats("weight", h), h, Type::f32);
  const Array y = f.floats("y", n);
  const Operand in(c, x, n, y.type);
  rmsNorm(c.stream, in, w.floats(), y, tokens, h, eps, offset);
}
void normGrad(Fields& f) {
  Context& c = context();
  const int64_t tokens = f.count("tokens"), h = f.count("width"), n = product(tokens, h);
  const float eps = f.real("eps"), offset = f.real("offset");
  const Array dy = f.floats("dy", n), x = f.floats("x", n);
  const Operand w(c, f.floats("weight", h), h, Type::f32);
  const Array addend = f.optionalFloats("addend", n), dx = f.floats("dx", n);
  const Operand grad(c, dy, n, dx.type), in(c, x, n, dx.type), sum(c, addend, n, dx.type);
  rmsNormGrad(c.stream, grad, in, w.floats(), sum, dx, tokens, h, eps, offset);
}
void normWeightGrad(Fields& f) {
  Context& c = context();
  const int64_t tokens = f.count("tokens"), h = f.count("width"), n = product(tokens, h);
  const float eps = f.real("eps");
  const Array dy = f.floats("dy", n), x = f.floats("x", n);
  float* dw = f.f32("dWeight", h);
  const Operand grad(c, dy, n, c.type), in(c, x, n, c.type);
  // Never more than 256 parts of the columns, and one number per token.
  const Temp partial(c, 256 * h + tokens, Type::f32);
  rmsNormWeightGrad(c.stream, grad, in, dw, partial.floats(), tokens, h, eps);
}
void rope(Fields& f) {
  Context& c = context();
  const int64_t tokens = f.count("tokens"), width = f.count("width"), headDim = f.count("headDim"),
                rotaryDim = f.count("rotaryDim");
  const bool inverse = f.boolean("inverse");
  if (rotaryDim > headDim || rotaryDim % 2 || rotaryDim == 0) f.fail("rotaryDim", "an even rotaryDim up to headDim");
  if (width % headDim) f.fail("headDim", "whole heads");
  const int64_t n = product(tokens, width), half = product(tokens, rotaryDim / 2);
  const Array x = f.floats("x", n);
  const Operand cos(c, f.floats("cos", half), half, Type::f32), sin(c, f.floats("sin", half), half, Type::f32);
  const Array y = f.floats("y", n);
  const Operand in(c, x, n, y.type);
  rotaryEmbedding(c.stream, in, cos.floats(), sin.floats(), y, tokens, width / headDim, headDim, rotaryDim, inverse);
}
void drop(Fields& f) {
  Context& c = context();
  const int64_t n = product(f.count("tokens"), f.count("width"));
  const Dropout d = f.dropout("rate");
  const Array x = f.floats("x", n), y = f.floats("y", n);
  const Operand in(c, x, n, y.type);
  dropout(c.stream, in, y, n, d);
}
void gated(Fields& f) {
  Context& c = context();
  const int64_t n = product(f.count("tokens"), f.count("width"));
  const Activation a = activation(f);
  const Array gate = f.floats("gate", n), up = f.floats("up", n), y = f.floats("y", n);
  const Operand g(c, gate, n, y.type), u(c, up, n, y.type);
  swiglu(c.stream, g, u, y, n, a);
}
void gatedGrad(Fields& f) {
  Context& c = context();
  const int64_t n = product(f.count("tokens"), f.count("width"));
  const Activation a = activation(f);
  const Array dy = f.floats("dy", n), gate = f.floats("gate", n), up = f.floats("up", n), dGate = f.floats("dGate", n),
              dUp = f.floats("dUp", n);
  if (dGate.type != dUp.type) f.fail("dUp", "gradients of one type");
  const Operand d(c, dy, n, dUp.type), g(c, gate, n, dUp.type), u(c, up, n, dUp.type);
  swigluGrad(c.stream, d, g, u, dGate, dUp, n, a);
}

Attention attentionShape(Fields& f) {
  Attention p;
  p.tokens = f.count("tokens");
  p.keys = f.count("keys");
  const int bounds = f.small("bounds");
  if (bounds < 1) f.fail("cuSeqlens", "at least one element");
  p.sequences = bounds - 1;
  p.heads = f.small("numHeads");
  p.kvHeads = f.small("numKvHeads");
  p.headDim = f.small("headDim");
  p.scale = f.real("scale");
  p.window = f.small("slidingWindow");
  p.softcap = f.real("softcap");
  if (p.tokens > 2147483647 || p.keys > 2147483647) f.fail("tokens", "fewer tokens");
  return p;
}
// q, k, v, then boundaries and ranges on the device and on the host.
AttentionBounds attentionInputs(Fields& f, Attention& p, AttentionTensors& t) {
  const int64_t width = product(p.heads, p.headDim), kvWidth = product(p.kvHeads, p.headDim);
  t.q = f.floats("q", product(p.tokens, width));
  t.k = f.floats("k", product(p.keys, kvWidth));
  t.v = f.floats("v", product(p.keys, kvWidth));
  p.cuSeqlens = f.ints("cuSeqlens", p.sequences + 1);
  p.kvStart = f.optionalInts("kvStart", p.sequences);
  p.kvLength = f.optionalInts("kvLength", p.sequences);
  AttentionBounds host;
  host.cuSeqlens = f.hostInts("cuSeqlensHost", p.sequences + 1);
  host.kvStart = f.optionalHostInts("kvStartHost", p.sequences);
  host.kvLength = f.optionalHostInts("kvLengthHost", p.sequences);
  if (!p.kvStart != !p.kvLength || !p.kvStart != !host.kvStart || !p.kvStart != !host.kvLength)
    f.fail("kvStart", "both kvStart and kvLength, or none");
  return host;
}
// A captured step has as many queries of a sequence at most as it had then: its launches depend on that.
void repeatCheck(const Attention& p, const AttentionBounds& host) {
  if (!context().capture) return;
  Attention now = p;
  checkAttention(now, host);
  const int queries = now.maxQueries;
  const std::vector<CheckedInts> ints = {{p.cuSeqlens, host.cuSeqlens, p.sequences + 1},
      {p.kvStart, host.kvStart, p.sequences}, {p.kvLength, host.kvLength, p.sequences}};
  context().capture->require("attention " + std::to_string(p.keys) + " " + std::to_string(queries), ints,
      [=](const std::vector<const int32_t*>& values) {
        Attention then = p;
        AttentionBounds bounds;
        bounds.cuSeqlens = values[0];
        bounds.kvStart = values[1];
        bounds.kvLength = values[2];
        checkAttention(then, bounds);
        if (then.maxQueries != queries)
          throw Failure("invalid_data", "CausalAttention: expected as many new tokens of a sequence as were captured");
      });
}
void attend(Fields& f) {
  Attention p = attentionShape(f);
  AttentionTensors t;
  const AttentionBounds host = attentionInputs(f, p, t);
  t.out = f.floats("out", product(p.tokens, int64_t{p.heads} * p.headDim));
  t.lse = f.f32("lse", product(p.tokens, p.heads));
  attention(context(), p, host, t);
  repeatCheck(p, host);
}
void attendGrad(Fields& f) {
  Attention p = attentionShape(f);
  AttentionTensors t;
  const AttentionBounds host = attentionInputs(f, p, t);
  const int64_t size = product(p.tokens, int64_t{p.heads} * p.headDim),
                kvSize = product(p.keys, int64_t{p.kvHeads} * p.headDim);
  t.dout = f.floats("dout", size);
  t.out = f.floats("out", size);
  t.lse = f.f32("lse", product(p.tokens, p.heads));
  t.dq = f.floats("dq", size);
  t.dk = f.floats("dk", kvSize);
  t.dv = f.floats("dv", kvSize);
  for (const Array& x : {t.dq, t.dk, t.dv})
    if (x.type != context().type) f.fail("dq", "gradients of the activations' type");
  attentionGrad(context(), p, host, t);
}

void loss(Fields& f) {
  CrossEntropy p;
  p.tokens = f.count("tokens");
  p.weight = f.weight();
  p.rows.softcap = f.real("softcap");
  p.hidden = f.floats("hidden", product(p.tokens, p.weight.cols));
  p.rows.labels = f.ints("labels", p.tokens);
  p.hostLabels = f.hostInts("labelsHost", p.tokens);
  p.bias = f.optionalFloats("bias", p.weight.rows);
  p.lossSum = f.f32("loss", 1);
  p.rows.nll = f.f32("nll", p.tokens);
  p.rows.entropy = f.f32("entropy", p.tokens);
  p.rows.correct = f.f32("correct", p.tokens);
  p.dHidden = f.optionalFloats("dHidden", product(p.tokens, p.weight.cols));
  if (f.has("dWeight")) p.dWeight = f.f32Array("dWeight", product(p.weight.rows, p.weight.cols));
  crossEntropy(context(), p);
}

// The steps of all entries of the list: `state` reads what the optimizer keeps of one beside the parameter.
template <class Tensor, class Options>
void step(Fields& f, const Options& o, void (*state)(Entry&, Tensor&),
    void (*submit)(Stream, const Tensor*, int, const Options&)) {
  Context& c = context();
  std::vector<Tensor> tensors;
  std::vector<Operand> grads;
  const auto read = [&](Entry& e) {
    Tensor t;
    t.n = e.count("size");
    t.param = e.f32("param", t.n);
    const Array copy = e.optionalFloats("copy", t.n), grad = e.floats("grad", t.n);
    if (copy && copy.type != Type::bf16) e.fail("copy", "a bf16 copy of the parameter");
    t.copy = copy.data;
    state(e, t);
    grads.emplace_back(c, grad, t.n, Type::f32);
    t.grad = grads.back().floats();
    tensors.push_back(t);
  };
  f.eachEntry(read, [&] {
    submit(c.stream, tensors.data(), static_cast<int>(tensors.size()), o);
    tensors.clear();
    grads.clear();
  });
}

void optimize(Fields& f) {
  AdamW o;
  o.lr = f.real("lr");
  o.beta1 = f.real("beta1");
  o.beta2 = f.real("beta2");
  o.eps = f.real("eps");
  o.weightDecay = f.real("weightDecay");
  o.gradScale = f.real("gradScale");
  const double steps = static_cast<double>(f.count("step"));
  o.correction1 = static_cast<float>(1 - std::pow(f.number("beta1"), steps));
  o.correction2 = static_cast<float>(std::sqrt(1 - std::pow(f.number("beta2"), steps)));
  step<AdamWTensor, AdamW>(
      f, o,
      [](Entry& e, AdamWTensor& t) {
        t.expAvg = e.f32("expAvg", t.n);
        t.expAvgSq = e.f32("expAvgSq", t.n);
      },
      adamW);
}

void optimize8bit(Fields& f) {
  const double lr = f.number("lr"), beta1 = f.number("beta1"), beta2 = f.number("beta2"),
               steps = static_cast<double>(f.count("step"));
  AdamW8bit o;
  o.qmap1 = f.f32("qmap1", 256);
  o.qmap2 = f.f32("qmap2", 256);
  o.eps = f.real("eps");
  o.gradScale = f.real("gradScale");
  o.rate = static_cast<float>(-lr / (1 - std::pow(beta1, steps)));
  o.root = static_cast<float>(std::sqrt(1 - std::pow(beta2, steps)));
  o.shrink = static_cast<float>(1 - lr * f.number("weightDecay"));
  o.beta1 = static_cast<float>(beta1);
  o.rest1 = static_cast<float>(1 - beta1);
  o.beta2 = static_cast<float>(beta2);
  o.rest2 = static_cast<float>(1 - beta2);
  step<AdamW8bitTensor, AdamW8bit>(
      f, o,
      [](Entry& e, AdamW8bitTensor& t) {
        const int64_t words = (t.n + 3) / 4, blocks = (t.n + 255) / 256;
        t.codes1 = reinterpret_cast<uint8_t*>(e.ints("state1", words));
        t.codes2 = reinterpret_cast<uint8_t*>(e.ints("state2", words));
        t.absmax1 = e.f32("absmax1", blocks);
        t.absmax2 = e.f32("absmax2", blocks);
      },
      adamW8bit);
}

void norms(Fields& f) {
  float* y = f.f32("norm", 1);
  std::vector<std::pair<Array, int64_t>> grads;
  size_t length = 0;
  const double* list = f.doubles("list", length);
  for (size_t i = 0; i + 1 < length; i += 2) {
    const int64_t n = static_cast<int64_t>(list[i]);
    grads.emplace_back(tensorOf(static_cast<int64_t>(list[i + 1]), n, Stored::floats, "x"), n);
  }
  gradNorm(context(), grads, y);
}

void copyRows(Fields& f) {
  Context& c = context();
  const int64_t capacity = f.count("capacity"), width = f.count("width"), n = f.count("tokens");
  const Array cache = f.floats("cache", product(capacity, width)), x = f.floats("x", product(n, width));
  const int32_t* rows = f.ints("rows", n);
  checkRows("rows", "rows inside the cache", rows, f.hostInts("rowsHost", n), n, capacity);
  scatterRows(c.stream, x, rows, cache, n, width);
}

}  // namespace

const std::vector<NamedBody>& kernels() {
  static const std::vector<NamedBody> all = {
      {"Linear", linearForward},
      {"LinearGrad", linearBackward},
      {"LinearWeightGrad", weightGrad},
      {"LoraLinear", lora},
      {"LoraLinearGrad", loraGrad},
      {"Dequantize", dequantizeRows},
      {"EmbeddingLookup", embedding},
      {"EmbeddingGrad", embeddingBack},
      {"RMSNorm", norm},
      {"RMSNormGrad", normGrad},
      {"RMSNormWeightGrad", normWeightGrad},
      {"RotaryEmbedding", rope},
      {"Dropout", drop},
      {"SwiGLU", gated},
      {"SwiGLUGrad", gatedGrad},
      {"CausalAttention", attend},
      {"CausalAttentionGrad", attendGrad},
      {"LinearCrossEntropy", loss},
      {"AdamWSteps", optimize},
      {"AdamW8bitSteps", optimize8bit},
      {"GradNorm", norms},
      {"KvCacheUpdate", copyRows},
  };
  return all;
}

}  // namespace tunesmith::cuda
