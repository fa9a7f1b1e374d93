// Linear layers: frozen, trainable and LoRA, forward and backward.
#include "args.h"

namespace tunesmith {
namespace {

Term forwardTerm(const float* x, const Matrix& w) {
  Term t;
  t.a = x;
  t.aRow = w.cols;
  t.b = w;
  t.bTransposed = true;
  t.k = w.cols;
  return t;
}

Term backwardTerm(const float* dy, const Matrix& w) {
  Term t;
  t.a = dy;
  t.aRow = w.rows;
  t.b = w;
  t.bTransposed = false;
  t.k = w.rows;
  return t;
}

Matrix floatMatrix(const float* data, int64_t rows, int64_t cols) {
  Matrix m;
  m.data = data;
  m.rows = rows;
  m.cols = cols;
  return m;
}

GemmOutput into(float* c, int64_t ldc) {
  GemmOutput out;
  out.c = c;
  out.ldc = ldc;
  return out;
}

// (x, weight..., bias | null, y, tokens)
Napi::Value frozenLinear(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer();
  const Matrix w = a.matrix();
  const float* x = a.floats(a.product(tokens, w.cols));
  const float* bias = a.optionalFloats(w.rows);
  float* y = a.floats(a.product(tokens, w.rows));
  if (!a.ok()) return info.Env().Undefined();
  const Term t = forwardTerm(x, w);
  GemmOutput out = into(y, w.rows);
  out.bias = bias;
  return result(info, kernels().gemm(tokens, w.rows, &t, 1, out));
}

Napi::Value frozenLinearGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer();
  const Matrix w = a.matrix();
  const float* dy = a.floats(a.product(tokens, w.rows));
  float* dx = a.floats(a.product(tokens, w.cols));
  if (!a.ok()) return info.Env().Undefined();
  const Term t = backwardTerm(dy, w);
  return result(info, kernels().gemm(tokens, w.cols, &t, 1, into(dx, w.cols)));
}

// dW[out, in] = dy^T x
Napi::Value linearWeightGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), outFeatures = a.integer(), inFeatures = a.integer();
  const float* dy = a.floats(a.product(tokens, outFeatures));
  const float* x = a.floats(a.product(tokens, inFeatures));
  float* dw = a.floats(a.product(outFeatures, inFeatures));
  if (!a.ok()) return info.Env().Undefined();
  Term t;
  t.a = dy;
  t.aRow = 1;
  t.aCol = outFeatures;
  t.b = floatMatrix(x, tokens, inFeatures);
  t.bTransposed = false;
  t.k = tokens;
  return result(info, kernels().gemm(outFeatures, inFeatures, &t, 1, into(dw, inFeatures)));
}

// y = x W^T + bias + scaling xa B^T in one pass over y, xa = drop(x) A^T.
Napi::Value loraLinear(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), rank = a.integer();
  const Matrix w = a.matrix();
  const float* x = a.floats(a.product(tokens, w.cols));
  const float* bias = a.optionalFloats(w.rows);
  const float* loraA = a.floats(a.product(rank, w.cols));
  const float* loraB = a.floats(a.product(w.rows, rank));
  const double scaling = a.number();
  const Dropout dropout = a.dropout();
  float* y = a.floats(a.product(tokens, w.rows));
  float* xa = a.floats(a.product(tokens, rank));
  if (!a.ok()) return info.Env().Undefined();
  Term down = forwardTerm(x, floatMatrix(loraA, rank, w.cols));
  down.aDropout = dropout;
  if (!kernels().gemm(tokens, rank, &down, 1, into(xa, rank))) return result(info, false);
  Term terms[2] = {forwardTerm(x, w), forwardTerm(xa, floatMatrix(loraB, w.rows, rank))};
  terms[1].alpha = static_cast<float>(scaling);
  GemmOutput out = into(y, w.rows);
  out.bias = bias;
  return result(info, kernels().gemm(tokens, w.rows, terms, 2, out));
}

// low = scaling dy B; dx = mask low A + dy W, its masked term first, so that the mask touches nothing else;
// dA = low^T drop(x), dB = scaling dy^T xa. dx, or dA and dB with x and xa, may be null.
Napi::Value loraLinearGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), rank = a.integer();
  const Matrix w = a.matrix();
  const float* dy = a.floats(a.product(tokens, w.rows));
  const float* loraA = a.floats(a.product(rank, w.cols));
  const float* loraB = a.floats(a.product(w.rows, rank));
  const double scaling = a.number();
  const Dropout dropout = a.dropout();
  float* dx = a.optionalFloats(a.product(tokens, w.cols));
  const float* x = a.optionalFloats(a.product(tokens, w.cols));
  const float* xa = a.optionalFloats(a.product(tokens, rank));
  float* dA = a.optionalFloats(a.product(rank, w.cols));
  float* dB = a.optionalFloats(a.product(w.rows, rank));
  if (a.ok() && tokens > 0 && dA && dB && !(x && xa)) a.fail("x and xa beside the gradients of A and B");
  if (!a.ok()) return info.Env().Undefined();
  float* low = scratch(kScratchLora, static_cast<size_t>(tokens * rank));
  if (!low) return result(info, false);
  Term down = backwardTerm(dy, floatMatrix(loraB, w.rows, rank));
  down.alpha = static_cast<float>(scaling);
  bool ok = kernels().gemm(tokens, rank, &down, 1, into(low, rank));
  if (dx) {
    Term terms[2] = {backwardTerm(low, floatMatrix(loraA, rank, w.cols)), backwardTerm(dy, w)};
    terms[0].outDropout = dropout;
    ok = ok && kernels().gemm(tokens, w.cols, terms, 2, into(dx, w.cols));
  }
  if (dA && dB) {
    Term forA;
    forA.a = low;
    forA.aRow = 1;
    forA.aCol = rank;
    forA.b = floatMatrix(x, tokens, w.cols);
    forA.bTransposed = false;
    forA.bDropout = dropout;
    forA.k = tokens;
    ok = ok && kernels().gemm(rank, w.cols, &forA, 1, into(dA, w.cols));
    Term forB;
    forB.a = dy;
    forB.aRow = 1;
    forB.aCol = w.rows;
    forB.b = floatMatrix(xa, tokens, rank);
    forB.bTransposed = false;
    forB.k = tokens;
    forB.alpha = static_cast<float>(scaling);
    ok = ok && kernels().gemm(w.rows, rank, &forB, 1, into(dB, rank));
  }
  return result(info, ok);
}

// (batch, m, n, k, transposeA, transposeB, aBatched, bBatched, a, b, c)
Napi::Value matMul(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t batch = a.integer(), m = a.integer(), n = a.integer(), k = a.integer();
  const bool transposeA = a.boolean(), transposeB = a.boolean(), aBatched = a.boolean(), bBatched = a.boolean();
  const int64_t mk = a.product(m, k), kn = a.product(k, n), mn = a.product(m, n);
  const float* x = a.floats(a.product(aBatched ? batch : 1, mk));
  const float* y = a.floats(a.product(bBatched ? batch : 1, kn));
  float* c = a.floats(a.product(batch, mn));
  if (!a.ok()) return info.Env().Undefined();
  for (int64_t i = 0; i < batch; i++) {
    Term t;
    t.a = x + (aBatched ? i * mk : 0);
    t.aRow = transposeA ? 1 : k;
    t.aCol = transposeA ? m : 1;
    const float* b = y + (bBatched ? i * kn : 0);
    t.b = transposeB ? floatMatrix(b, n, k) : floatMatrix(b, k, n);
    t.bTransposed = transposeB;
    t.k = k;
    if (!kernels().gemm(m, n, &t, 1, into(c + i * mn, n))) return result(info, false);
  }
  return result(info, true);
}

Napi::Value dequantize(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t rowStart = a.integer(), rowEnd = a.integer();
  const Matrix w = a.matrix();
  if (a.ok() && (rowStart > rowEnd || rowEnd > w.rows)) a.fail("rows inside the matrix");
  float* y = a.floats(a.ok() ? a.product(rowEnd - rowStart, w.cols) : 0);
  if (!a.ok()) return info.Env().Undefined();
  kernels().dequantize(w, rowStart, rowEnd, y);
  return result(info, true);
}

// Ids outside the table are refused: returns their first position, or -1.
int64_t firstBad(const int32_t* ids, int64_t count, int64_t rows) {
  for (int64_t i = 0; i < count; i++)
    if (ids[i] < 0 || ids[i] >= rows) return i;
  return -1;
}

Napi::Value embeddingLookup(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer();
  const Matrix w = a.matrix();
  const int32_t* ids = a.ints(tokens);
  float* y = a.floats(a.product(tokens, w.cols));
  if (a.ok() && firstBad(ids, tokens, w.rows) >= 0) a.fail("ids inside the table");
  if (!a.ok()) return info.Env().Undefined();
  kernels().gatherRows(w, ids, tokens, y);
  return result(info, true);
}

Napi::Value embeddingGrad(const Napi::CallbackInfo& info) {
  Args a(info);
  const int64_t tokens = a.integer(), vocab = a.integer(), h = a.integer();
  const float* dy = a.floats(a.product(tokens, h));
  const int32_t* ids = a.ints(tokens);
  float* dw = a.floats(a.product(vocab, h));
  if (a.ok() && firstBad(ids, tokens, vocab) >= 0) a.fail("ids inside the table");
  if (!a.ok()) return info.Env().Undefined();
  kernels().embeddingGrad(dy, ids, tokens, h, vocab, dw);
  return result(info, true);
}

}  // namespace

void addLinear(Napi::Env env, Napi::Object exports) {
  exports.Set("frozenLinear", Napi::Function::New(env, frozenLinear));
  exports.Set("frozenLinearGrad", Napi::Function::New(env, frozenLinearGrad));
  exports.Set("linearWeightGrad", Napi::Function::New(env, linearWeightGrad));
  exports.Set("loraLinear", Napi::Function::New(env, loraLinear));
  exports.Set("loraLinearGrad", Napi::Function::New(env, loraLinearGrad));
  exports.Set("matMul", Napi::Function::New(env, matMul));
  exports.Set("dequantize", Napi::Function::New(env, dequantize));
  exports.Set("embeddingLookup", Napi::Function::New(env, embeddingLookup));
  exports.Set("embeddingGrad", Napi::Function::New(env, embeddingGrad));
}

}  // namespace tunesmith
