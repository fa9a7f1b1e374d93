// The standard operations worth having in C++: elementwise, softmax, sums, transposition.
#pragma once
#include "norm.h"
#include "pack.h"

namespace tunesmith {
namespace {

template <Binary Op> TS_INLINE vf apply(vf a, vf b) {
  if (Op == kAdd) return a + b;
  if (Op == kSub) return a - b;
  if (Op == kMul) return a * b;
  if (Op == kDiv) return a / b;
  // NaN in either operand stays NaN, as in JavaScript.
  if (Op == kMax) return a != a ? a : (a > b ? a : b);
  return a != a ? a : (a < b ? a : b);
}

// mode 0: a and b alike; 1: b is one row of `inner`; 2: b is one value per row; 3: a is one row; 4: a is one per row.
template <Binary Op>
static void binaryAs(const float* a, const float* b, float* y, int64_t outer, int64_t inner, int mode) {
  if (mode == 0) {
    parallelRange(outer * inner, 65536, [&](int64_t from, int64_t to) {
      eachVec(to - from, [&](int64_t i, int n) {
        storeN(y + from + i, apply<Op>(loadN(a + from + i, n), loadN(b + from + i, n)), n);
      });
    });
    return;
  }
  parallelRange(outer, most(1, 65536 / most(1, inner)), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* pa = mode == 3 ? a : mode == 4 ? a + r : a + r * inner;
      const float* pb = mode == 1 ? b : mode == 2 ? b + r : b + r * inner;
      float* out = y + r * inner;
      if (mode == 2) {
        const vf one = splat(*pb);
        eachVec(inner, [&](int64_t i, int n) { storeN(out + i, apply<Op>(loadN(pa + i, n), one), n); });
      } else if (mode == 4) {
        const vf one = splat(*pa);
        eachVec(inner, [&](int64_t i, int n) { storeN(out + i, apply<Op>(one, loadN(pb + i, n)), n); });
      } else {
        eachVec(inner, [&](int64_t i, int n) { storeN(out + i, apply<Op>(loadN(pa + i, n), loadN(pb + i, n)), n); });
      }
    }
  });
}

static void binary(Binary op, const float* a, const float* b, float* y, int64_t outer, int64_t inner, int mode) {
  // in the order of Binary
  static constexpr decltype(&binaryAs<kAdd>) all[] = {
      binaryAs<kAdd>, binaryAs<kSub>, binaryAs<kMul>, binaryAs<kDiv>, binaryAs<kMax>, binaryAs<kMin>};
  all[op](a, b, y, outer, inner, mode);
}

template <class Function> TS_INLINE void mapAll(const float* x, float* y, int64_t n, const Function& f) {
  parallelRange(n, 65536, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t i, int k) { storeN(y + from + i, f(loadN(x + from + i, k)), k); });
  });
}

static void unary(Unary op, const float* x, float* y, int64_t n) {
  switch (op) {
    case kNeg: return mapAll(x, y, n, [](vf v) { return -v; });
    case kSquare: return mapAll(x, y, n, [](vf v) { return v * v; });
    case kSqrt: return mapAll(x, y, n, [](vf v) { return vsqrt(v); });
    case kRsqrt: return mapAll(x, y, n, [](vf v) { return 1.f / vsqrt(v); });
    case kExp: return mapAll(x, y, n, [](vf v) { return vexp(v); });
    case kTanh: return mapAll(x, y, n, [](vf v) { return vtanh(v); });
    case kSigmoid: return mapAll(x, y, n, [](vf v) { return vsigmoid(v); });
    case kRelu: return mapAll(x, y, n, [](vf v) { return v != v ? v : vmax(v, vf{}); });
    case kAbs: return mapAll(x, y, n, [](vf v) { return reinterpret_cast<vf>(reinterpret_cast<vi>(v) & 0x7fffffff); });
    case kReciprocal: return mapAll(x, y, n, [](vf v) { return 1.f / v; });
    case kLog:
      parallelRange(n, 16384, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) y[i] = logf(x[i]);
      });
      return;
  }
}

TS_INLINE float rowMax(const float* x, int64_t n) {
  vf m = splat(-INFINITY);
  int64_t i = 0;
  for (; i + VL <= n; i += VL) m = vmax(load(x + i), m);
  float top = maxOf(m);
  for (; i < n; i++) top = x[i] > top ? x[i] : top;
  return top;
}

static void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  parallelRange(rows, rowGrain(cols), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* in = x + r * cols;
      float* out = y + r * cols;
      const float top = rowMax(in, cols);
      eachVec(cols, [&](int64_t j, int n) { storeN(out + j, vexp(loadN(in + j, n) - top), n); });
      const double sum = rowSum(cols, [&](int64_t j, int n) { return loadN(out + j, n); });
      const float inverse = static_cast<float>(1.0 / sum);
      eachVec(cols, [&](int64_t j, int n) { storeN(out + j, loadN(out + j, n) * inverse, n); });
    }
  });
}

// The sum of fixed pieces of n elements, which are worked on in parallel and added in order; false without memory.
template <class Sum, class Piece> static bool sumOfPieces(int64_t n, Sum& sum, const Piece& piece) {
  constexpr int64_t size = 65536;
  const int64_t pieces = ceilDiv(n, size);
  double* parts = reinterpret_cast<double*>(scratch(kScratchHidden, static_cast<size_t>(2 * pieces)));
  if (!parts) return false;
  parallel(pieces, [&](int64_t p) { parts[p] = piece(p * size, least(size, n - p * size)); });
  double total = 0;
  for (int64_t p = 0; p < pieces; p++) total += parts[p];
  sum = static_cast<Sum>(total);
  return true;
}

// y[o, i] = sum over a of x[o, a, i].
static void reduceSum(const float* x, float* y, int64_t outer, int64_t axis, int64_t inner) {
  if (inner == 1) {
    if (outer == 1 && axis > 65536) {
      const bool done = sumOfPieces(axis, y[0],
          [&](int64_t from, int64_t n) { return rowSum(n, [&](int64_t i, int k) { return loadN(x + from + i, k); }); });
      if (done) return;
    }
    parallelRange(outer, rowGrain(axis), [&](int64_t from, int64_t to) {
      for (int64_t o = from; o < to; o++)
        y[o] = static_cast<float>(rowSum(axis, [&](int64_t i, int n) { return loadN(x + o * axis + i, n); }));
    });
    return;
  }
  const int64_t pieces = ceilDiv(inner, 8 * VL);
  parallelRange(outer * pieces, most(1, 65536 / most(1, axis * 8 * VL)), [&](int64_t from, int64_t to) {
    for (int64_t piece = from; piece < to; piece++) {
      const int64_t o = piece / pieces, start = piece % pieces * 8 * VL;
      eachVec(least(8 * VL, inner - start), [&](int64_t i, int n) {
        vf total = {};
        for (int64_t a0 = 0; a0 < axis; a0 += 64) {
          vf part = {};
          for (int64_t a = a0; a < least(axis, a0 + 64); a++) part += loadN(x + (o * axis + a) * inner + start + i, n);
          total += part;
        }
        storeN(y + o * inner + start + i, total, n);
      });
    }
  });
}

static void transpose2d(const float* x, float* y, int64_t rows, int64_t cols) {
  parallelRange(ceilDiv(rows, VL), most(1, 4096 / most(1, cols)), [&](int64_t from, int64_t to) {
    for (int64_t r = from * VL; r < least(rows, to * VL); r += VL) {
      const int height = static_cast<int>(least(VL, rows - r));
      if (height == VL) {
        transposeInto(x + r * cols, cols, VL, cols, y + r, rows);
      } else {
        for (int64_t c = 0; c < cols; c++)
          for (int i = 0; i < height; i++) y[c * rows + r + i] = x[(r + i) * cols + c];
      }
    }
  });
}

static double sumSquares(const float* x, int64_t n) {
  double sum = NAN;
  sumOfPieces(n, sum, [&](int64_t from, int64_t count) {
    double s = 0;
    for (int64_t i = from; i < from + count; i++) s += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    return s;
  });
  return sum;
}

// Columns in parallel, tokens in order: repeated ids add up the same way every time.
static void embeddingGrad(const float* dy, const int32_t* ids, int64_t tokens, int64_t h, int64_t vocab, float* dw) {
  parallelRange(vocab, most(1, 65536 / most(1, h)),
      [&](int64_t from, int64_t to) { memset(dw + from * h, 0, static_cast<size_t>((to - from) * h) * 4); });
  parallelRange(h, 8 * VL, [&](int64_t from, int64_t to) {
    for (int64_t t = 0; t < tokens; t++) {
      float* out = dw + ids[t] * h + from;
      const float* in = dy + t * h + from;
      eachVec(to - from, [&](int64_t i, int n) { storeN(out + i, loadN(out + i, n) + loadN(in + i, n), n); });
    }
  });
}

}  // namespace
}  // namespace tunesmith
