// Linear layers: frozen, trainable and LoRA. Weights are expanded into reused working memory for cuBLASLt; one to four
// rows (decoding) read them in their stored form instead.
#include "operations.h"

namespace tunesmith::cuda {
namespace {

// The input of the low-rank branch: without what the mask hides.
class Dropped {
 public:
  Dropped(Context& c, Array x, int64_t elements, const Dropout& d) : array_(x) {
    if (!d.on) return;
    array_ = memory_.emplace_back(c, elements, c.type).array();
    dropout(c.stream, x, array_, elements, d);
  }
  operator Array() const { return array_; }

 private:
  std::vector<Temp> memory_;  // at most one; g++ 12 warns of memory that an optional has not initialized
  Array array_;
};

bool nothing(Context& c, int64_t m, int64_t n, int64_t k, Array y) {
  if (m * n == 0) return true;
  if (k > 0) return false;
  fill(c.stream, y, 0, m * n);
  return true;
}

// dx = addend + mask low A + dy W: what the mask touches goes first, and the large product on top of it.
void loraInputGrad(Context& c, int64_t tokens, const Weight& w, const Lora& lora, Array a, Array low, Array dy,
    Array addend, Array dx) {
  const int64_t n = tokens * w.cols;
  const Operand sum(c, addend, n, c.type);
  Result out(c, dx, n, c.type);
  std::optional<Temp> masked;
  Array branch = out;
  // dx may be the addend's memory, which the mask must not touch.
  if (addend && lora.dropout.on) branch = masked.emplace(c, n, c.type).array();
  GemmCall up = product(tokens, w.cols, lora.rank, low, false, a, false, branch);
  if (addend && !lora.dropout.on) {
    up.addend = sum;
    up.beta = 1;
  }
  c.multiply(up);
  if (lora.dropout.on) dropout(c.stream, branch, branch, n, lora.dropout);
  if (addend && lora.dropout.on) binary(c.stream, Binary::add, 0, sum, branch, branch, 1, n);
  const Expanded weight(c, w);
  GemmCall base = product(tokens, w.cols, w.rows, dy, false, weight, false, out);
  base.addend = branch;
  base.beta = 1;
  c.multiply(base);
  out.finish();
}

}  // namespace

void linear(Context& c, int64_t tokens, const Weight& w, Array x, Array bias, Array y) {
  if (!bias && nothing(c, tokens, w.rows, w.cols, y)) return;
  if (tokens == 0) return;
  const Operand in(c, x, tokens * w.cols, c.type);
  Result out(c, y, tokens * w.rows, c.type);
  const Operand b(c, bias, w.rows, c.type);
  if (tokens <= kDecodeRows) {
    decodeLinear(c.stream, w, in, b, {}, {}, 0, 0, out, tokens);
    return out.finish();
  }
  const Expanded weight(c, w);
  GemmCall g = product(tokens, w.rows, w.cols, in, false, weight, true, out);
  g.bias = Array(b).data;
  c.multiply(g);
  out.finish();
}

void linearGrad(Context& c, int64_t tokens, const Weight& w, Array dy, Array addend, Array dx) {
  if (!addend && nothing(c, tokens, w.cols, w.rows, dx)) return;
  const Operand in(c, dy, tokens * w.rows, c.type), sum(c, addend, tokens * w.cols, c.type);
  Result out(c, dx, tokens * w.cols, c.type);
  const Expanded weight(c, w);
  GemmCall g = product(tokens, w.cols, w.rows, in, false, weight, false, out);
  g.addend = sum;
  g.beta = addend ? 1.0f : 0.0f;
  c.multiply(g);
  out.finish();
}

void linearWeightGrad(Context& c, int64_t tokens, int64_t out, int64_t in, Array dy, Array x, Array dw) {
  if (nothing(c, out, in, tokens, dw)) return;
  const Operand left(c, dy, tokens * out, c.type), right(c, x, tokens * in, c.type);
  c.multiply(product(out, in, tokens, left, true, right, false, dw));
}

void matMul(Context& c, const MatMul& p, Array a, Array b, Array y) {
  const int64_t all = p.m * p.batch;
  if (nothing(c, all, p.n, p.k, y)) return;
  // Beside an activation in bf16, a parameter is rounded to bf16, as everything that meets activations is; two float32
  // operands are multiplied as such.
  const Type type = a.type == Type::bf16 || b.type == Type::bf16 ? Type::bf16 : Type::f32;
  const Operand left(c, a, p.m * p.k * (p.sharedA ? 1 : p.batch), type),
      right(c, b, p.k * p.n * (p.sharedB ? 1 : p.batch), type);
  Result out(c, y, all * p.n, y.type == Type::bf16 && type == Type::f32 ? Type::f32 : y.type);
  GemmCall g = product(p.m, p.n, p.k, left, p.transposeA, right, p.transposeB, out);
  g.batch = p.batch;
  g.strideA = p.sharedA ? 0 : p.m * p.k;
  g.strideB = p.sharedB ? 0 : p.k * p.n;
  g.strideC = p.m * p.n;
  c.multiply(g);
  out.finish();
}

// y = scaling xa B^T first, then the large product on top of it, with the bias in its epilogue.
void loraLinear(Context& c, int64_t tokens, const Weight& w, const Lora& lora, Array x, Array bias, Array y, Array xa) {
  if (tokens == 0) return;
  const Operand in(c, x, tokens * w.cols, c.type);
  Result out(c, y, tokens * w.rows, c.type);
  const Operand a(c, lora.a, lora.rank * w.cols, c.type), b(c, lora.b, w.rows * lora.rank, c.type),
      plain(c, bias, w.rows, c.type);
  Result low(c, xa, tokens * lora.rank, c.type);
  if (tokens <= kDecodeRows && !lora.dropout.on) {
    Weight down;
    down.format = c.type == Type::bf16 ? Format::bf16 : Format::f32;
    down.data = Array(a).data;
    down.rows = lora.rank;
    down.cols = w.cols;
    decodeLinear(c.stream, down, in, {}, {}, {}, 0, 0, low, tokens);
    decodeLinear(c.stream, w, in, plain, low, b, static_cast<int>(lora.rank), lora.scaling, out, tokens);
    low.finish();
    return out.finish();
  }
  c.multiply(product(tokens, lora.rank, w.cols, Dropped(c, in, tokens * w.cols, lora.dropout), false, a, true, low));
  GemmCall up = product(tokens, w.rows, lora.rank, low, false, b, true, out);
  up.alpha = lora.scaling;
  c.multiply(up);
  const Expanded weight(c, w);
  GemmCall base = product(tokens, w.rows, w.cols, in, false, weight, true, out);
  base.beta = 1;
  base.bias = Array(plain).data;
  c.multiply(base);
  out.finish();
  low.finish();
}

void loraLinearGrad(Context& c, int64_t tokens, const Weight& w, const Lora& lora, const LoraGrad& g) {
  if (tokens == 0) {
    if (g.dA) fill(c.stream, g.dA, 0, lora.rank * w.cols);
    if (g.dB) fill(c.stream, g.dB, 0, w.rows * lora.rank);
    return;
  }
  const Operand dy(c, g.dy, tokens * w.rows, c.type), b(c, lora.b, w.rows * lora.rank, c.type);
  const Temp low(c, tokens * lora.rank, c.type);
  GemmCall down = product(tokens, lora.rank, w.rows, dy, false, b, false, low.array());
  down.alpha = lora.scaling;
  c.multiply(down);
  if (g.dx) {
    const Operand a(c, lora.a, lora.rank * w.cols, c.type);
    loraInputGrad(c, tokens, w, lora, a, low.array(), dy, g.addend, g.dx);
  }
  if (!g.dA) return;
  const Operand x(c, g.x, tokens * w.cols, c.type), xa(c, g.xa, tokens * lora.rank, c.type);
  const Dropped source(c, x, tokens * w.cols, lora.dropout);
  c.multiply(product(lora.rank, w.cols, tokens, low.array(), true, source, false, g.dA));
  GemmCall forB = product(w.rows, lora.rank, tokens, dy, true, xa, false, g.dB);
  forB.alpha = lora.scaling;
  c.multiply(forB);
}

}  // namespace tunesmith::cuda
