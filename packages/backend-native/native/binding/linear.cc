// Linear layers: frozen, trainable and LoRA, forward and backward.
#include "fields.h"

namespace tunesmith {
namespace {

// dx += addend, the gradient that came by other paths, where there is one.
void addTo(float* dx, const float* addend, int64_t n) {
  if (addend) kernels().binary(kAdd, addend, dx, dx, 1, n, 0);
}

void linear(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Matrix w = f.weight();
  const float* x = f.floats("x", f.product(tokens, w.cols));
  const float* bias = f.optionalFloats("bias", w.rows);
  float* y = f.floats("y", f.product(tokens, w.rows));
  const Term t = productTerm(x, w);
  gemm(tokens, w.rows, &t, 1, {y, w.rows, bias});
}

void linearGrad(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Matrix w = f.weight();
  const float* dy = f.floats("dy", f.product(tokens, w.rows));
  const float* addend = f.optionalFloats("addend", f.product(tokens, w.cols));
  float* dx = f.floats("dx", f.product(tokens, w.cols));
  const Term t = productTerm(dy, w, false);
  gemm(tokens, w.cols, &t, 1, {dx, w.cols});
  addTo(dx, addend, tokens * w.cols);
}

// dW[out, in] = scale dy^T x, x masked by dropout.
void weightGrad(const float* dy, int64_t out, const float* x, int64_t in, int64_t tokens, float* dw, float scale,
    const Dropout& dropout) {
  Term t = transposedTerm(dy, out, floatMatrix(x, tokens, in));
  t.bDropout = dropout;
  t.alpha = scale;
  gemm(out, in, &t, 1, {dw, in});
}

void linearWeightGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), out = f.count("out"), in = f.count("in");
  const float* dy = f.floats("dy", f.product(tokens, out));
  const float* x = f.floats("x", f.product(tokens, in));
  float* dw = f.floats("dWeight", f.product(out, in));
  weightGrad(dy, out, x, in, tokens, dw, 1, Dropout());
}

// y = x W^T + bias + scaling xa B^T in one pass over y, xa = drop(x) A^T.
void loraLinear(Fields& f) {
  const int64_t tokens = f.count("tokens"), rank = f.count("rank");
  const Matrix w = f.weight();
  const float scaling = f.real("scaling");
  const Dropout dropout = f.dropout("dropout");
  const float* x = f.floats("x", f.product(tokens, w.cols));
  const float* loraA = f.floats("loraA", f.product(rank, w.cols));
  const float* loraB = f.floats("loraB", f.product(w.rows, rank));
  const float* bias = f.optionalFloats("bias", w.rows);
  float* y = f.floats("y", f.product(tokens, w.rows));
  float* xa = f.floats("xa", f.product(tokens, rank));
  Term down = productTerm(x, floatMatrix(loraA, rank, w.cols));
  down.aDropout = dropout;
  gemm(tokens, rank, &down, 1, {xa, rank});
  Term terms[2] = {productTerm(x, w), productTerm(xa, floatMatrix(loraB, w.rows, rank))};
  terms[1].alpha = scaling;
  gemm(tokens, w.rows, terms, 2, {y, w.rows, bias});
}

// low = scaling dy B; dx = mask low A + dy W, its masked term first, so that the mask touches nothing else;
// dA = low^T drop(x), dB = scaling dy^T xa. dx, or dA and dB with x and xa, may be null.
void loraLinearGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), rank = f.count("rank");
  const Matrix w = f.weight();
  const float scaling = f.real("scaling");
  const Dropout dropout = f.dropout("dropout");
  const float* dy = f.floats("dy", f.product(tokens, w.rows));
  const float* loraA = f.floats("loraA", f.product(rank, w.cols));
  const float* loraB = f.floats("loraB", f.product(w.rows, rank));
  const float* x = f.optionalFloats("x", f.product(tokens, w.cols));
  const float* xa = f.optionalFloats("xa", f.product(tokens, rank));
  const float* addend = f.optionalFloats("addend", f.product(tokens, w.cols));
  float* dx = f.optionalFloats("dx", f.product(tokens, w.cols));
  float* dA = f.optionalFloats("dA", f.product(rank, w.cols));
  float* dB = f.optionalFloats("dB", f.product(w.rows, rank));
  if (tokens > 0 && dA && dB && !(x && xa)) f.fail("x", "x and xa beside the gradients of A and B");
  float* low = scratch(kScratchLora, static_cast<size_t>(tokens * rank));
  needMemory(low);
  Term down = productTerm(dy, floatMatrix(loraB, w.rows, rank), false);
  down.alpha = scaling;
  gemm(tokens, rank, &down, 1, {low, rank});
  if (dx) {
    Term terms[2] = {productTerm(low, floatMatrix(loraA, rank, w.cols), false), productTerm(dy, w, false)};
    terms[0].outDropout = dropout;
    gemm(tokens, w.cols, terms, 2, {dx, w.cols});
    addTo(dx, addend, tokens * w.cols);
  }
  if (dA && dB) {
    weightGrad(low, rank, x, w.cols, tokens, dA, 1, dropout);
    weightGrad(dy, w.rows, xa, rank, tokens, dB, scaling, Dropout());
  }
}

void dequantize(Fields& f) {
  const int64_t rowStart = f.count("rowStart"), rowEnd = f.count("rowEnd");
  const Matrix w = f.weight();
  if ((rowStart > rowEnd || rowEnd > w.rows)) f.fail("rowEnd", "rows inside the matrix");
  float* y = f.floats("y", f.product(rowEnd - rowStart, w.cols));
  kernels().dequantize(w, rowStart, rowEnd, y);
}

// Ids outside the table are refused.
const int32_t* idsInside(Fields& f, int64_t count, int64_t rows) {
  const int32_t* ids = f.ints("ids", count);
  for (int64_t i = 0; i < count; i++)
    if (ids[i] < 0 || ids[i] >= rows) f.fail("ids", "ids inside the table");
  return ids;
}

void embeddingLookup(Fields& f) {
  const int64_t tokens = f.count("tokens");
  const Matrix w = f.weight();
  const int32_t* ids = idsInside(f, tokens, w.rows);
  float* y = f.floats("y", f.product(tokens, w.cols));
  kernels().gatherRows(w, ids, tokens, y);
}

void embeddingGrad(Fields& f) {
  const int64_t tokens = f.count("tokens"), width = f.count("width"), vocab = f.count("outFeatures");
  const float* dy = f.floats("dy", f.product(tokens, width));
  const int32_t* ids = idsInside(f, tokens, vocab);
  float* dw = f.floats("dWeight", f.product(vocab, width));
  kernels().embeddingGrad(dy, ids, tokens, width, vocab, dw);
}

}  // namespace

const std::vector<NamedBody>& linearKernels() {
  static const std::vector<NamedBody> all = {{"Linear", linear}, {"LinearGrad", linearGrad},
      {"LinearWeightGrad", linearWeightGrad}, {"LoraLinear", loraLinear}, {"LoraLinearGrad", loraLinearGrad},
      {"Dequantize", dequantize}, {"EmbeddingLookup", embeddingLookup}, {"EmbeddingGrad", embeddingGrad}};
  return all;
}

}  // namespace tunesmith
