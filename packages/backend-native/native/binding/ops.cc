// Standard operations: elementwise, softmax, sum, transposition, products.
#include "fields.h"

namespace tunesmith {
namespace {

// Modes as in elementwise.h.
void binary(Fields& f) {
  const int64_t op = f.count("op"), mode = f.count("mode"), outer = f.count("outer"), inner = f.count("inner");
  if ((op > kMin || mode > 4)) f.fail("op", "an operation");
  const int64_t n = f.product(outer, inner);
  const float* a = f.floats("a", mode == 3 ? inner : mode == 4 ? outer : n);
  const float* b = f.floats("b", mode == 1 ? inner : mode == 2 ? outer : n);
  float* y = f.floats("y", n);
  kernels().binary(static_cast<Binary>(op), a, b, y, outer, inner, static_cast<int>(mode));
}

void unary(Fields& f) {
  const int64_t op = f.count("op"), n = f.count("size");
  if (op > kReciprocal) f.fail("op", "an operation");
  const float* x = f.floats("x", n);
  float* y = f.floats("y", n);
  kernels().unary(static_cast<Unary>(op), x, y, n);
}

void softmax(Fields& f) {
  const int64_t rows = f.count("rows"), cols = f.count("cols");
  const float* x = f.floats("x", f.product(rows, cols));
  float* y = f.floats("y", f.product(rows, cols));
  if (cols > 0) kernels().softmax(x, y, rows, cols);
}

void reduceSum(Fields& f) {
  const int64_t outer = f.count("outer"), axis = f.count("axis"), inner = f.count("inner");
  const float* x = f.floats("x", f.product(f.product(outer, axis), inner));
  float* y = f.floats("y", f.product(outer, inner));
  kernels().reduceSum(x, y, outer, axis, inner);
}

void transpose2d(Fields& f) {
  const int64_t rows = f.count("rows"), cols = f.count("cols");
  const float* x = f.floats("x", f.product(rows, cols));
  float* y = f.floats("y", f.product(rows, cols));
  kernels().transpose2d(x, y, rows, cols);
}

// c[i] = a[i] b[i], each [m, k] and [k, n] or transposed; a factor that is not batched is the same for all.
void matMul(Fields& f) {
  const int64_t batch = f.count("batch"), m = f.count("m"), n = f.count("n"), k = f.count("k");
  const bool transposeA = f.boolean("transposeA"), transposeB = f.boolean("transposeB");
  const bool aBatched = f.boolean("aBatched"), bBatched = f.boolean("bBatched");
  const int64_t mk = f.product(m, k), kn = f.product(k, n), mn = f.product(m, n);
  const float* a = f.floats("a", f.product(aBatched ? batch : 1, mk));
  const float* b = f.floats("b", f.product(bBatched ? batch : 1, kn));
  float* c = f.floats("c", f.product(batch, mn));
  for (int64_t i = 0; i < batch; i++) {
    const float* left = a + (aBatched ? i * mk : 0);
    const Matrix right = floatMatrix(b + (bBatched ? i * kn : 0), transposeB ? n : k, transposeB ? k : n);
    Term t = productTerm(left, right, transposeB);
    if (transposeA) {
      t.aRow = 1;
      t.aCol = m;
    }
    gemm(m, n, &t, 1, {c + i * mn, n});
  }
}

}  // namespace

const std::vector<NamedBody>& operations() {
  static const std::vector<NamedBody> all = {{"binary", binary}, {"unary", unary}, {"softmax", softmax},
      {"reduceSum", reduceSum}, {"transpose2d", transpose2d}, {"matMul", matMul}};
  return all;
}

}  // namespace tunesmith
