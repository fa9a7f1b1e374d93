// The standard operations worth having in C++: elementwise, softmax, sums, transposition.
#pragma once
#include "norm.h"
#include "pack.h"

namespace tunesmith {
namespace {

template <Binary Op>
TS_INLINE vf apply(vf a, vf b) {
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
  switch (op) {
    case kAdd:
      return binaryAs<kAdd>(a, b, y, outer, inner, mode);
    case kSub:
      return binaryAs<kSub>(a, b, y, outer, inner, mode);
    case kMul:
      return binaryAs<kMul>(a, b, y, outer, inner, mode);
    case kDiv:
      return binaryAs<kDiv>(a, b, y, outer, inner, mode);
    case kMax:
      return binaryAs<kMax>(a, b, y, outer, inner, mode);
    case kMin:
      return binaryAs<kMin>(a, b, y, outer, inner, mode);
  }
}

template <class Function>
TS_INLINE void mapAll(const float* x, float* y, int64_t n, const Function& f) {
  parallelRange(n, 65536, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t i, int k) { storeN(y + from + i, f(loadN(x + from + i, k)), k); });
  });
}

static void unary(Unary op, const float* x, float* y, int64_t n) {
  switch (op) {
    case kNeg:
      return mapAll(x, y, n, [](vf v) { return -v; });
    case kSquare:
      return mapAll(x, y, n, [](vf v) { return v * v; });
    case kSqrt:
      return mapAll(x, y, n, [](vf v) { return vsqrt(v); });
    case kRsqrt:
      return mapAll(x, y, n, [](vf v) { return 1.f / vsqrt(v); });
    case kExp:
      return mapAll(x, y, n, [](vf v) { return vexp(v); });
    case kTanh:
      return mapAll(x, y, n, [](vf v) { return vtanh(v); });
    case kSigmoid:
      return mapAll(x, y, n, [](vf v) { return vsigmoid(v); });
    case kRelu:
      return mapAll(x, y, n, [](vf v) { return v != v ? v : vmax(v, vf{}); });
    case kAbs:
      return mapAll(x, y, n, [](vf v) { return reinterpret_cast<vf>(reinterpret_cast<vi>(v) & 0x7fffffff); });
    case kReciprocal:
      return mapAll(x, y, n, [](vf v) { return 1.f / v; });
    case kLog:
      parallelRange(n, 16384, [&](int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) y[i] = logf(x[i]);
      });
      return;
  }
}

static void softmax(const float* x, float* y, int64_t rows, int64_t cols) {
  parallelRange(rows, rowGrain(cols), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) {
      const float* in = x + r * cols;
      float* out = y + r * cols;
      vf m = splat(-INFINITY);
      int64_t i = 0;
      for (; i + VL <= cols; i += VL) m = vmax(load(in + i), m);
      float top = maxOf(m);
      for (; i < cols; i++) top = in[i] > top ? in[i] : top;
      eachVec(cols, [&](int64_t j, int n) { storeN(out + j, vexp(loadN(in + j, n) - top), n); });
      const double sum = rowSum(cols, [&](int64_t j, int n) { return loadN(out + j, n); });
      const float inverse = static_cast<float>(1.0 / sum);
      eachVec(cols, [&](int64_t j, int n) { storeN(out + j, loadN(out + j, n) * inverse, n); });
    }
  });
}

// y[o, i] = sum over a of x[o, a, i].
static void reduceSum(const float* x, float* y, int64_t outer, int64_t axis, int64_t inner) {
  if (inner == 1) {
    if (outer == 1 && axis > 65536) {
      // One long sum: fixed pieces, added in order.
      const int64_t pieces = ceilDiv(axis, 65536);
      double* parts = reinterpret_cast<double*>(scratch(kScratchHidden, static_cast<size_t>(2 * pieces)));
      if (parts) {
        parallel(pieces, [&](int64_t p) {
          const float* in = x + p * 65536;
          parts[p] = rowSum(least(65536, axis - p * 65536), [&](int64_t i, int n) { return loadN(in + i, n); });
        });
        double total = 0;
        for (int64_t p = 0; p < pieces; p++) total += parts[p];
        y[0] = static_cast<float>(total);
        return;
      }
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
  const int64_t pieces = ceilDiv(n, 65536);
  if (pieces == 0) return 0;
  double* parts = reinterpret_cast<double*>(scratch(kScratchHidden, static_cast<size_t>(2 * pieces)));
  if (!parts) return NAN;
  parallel(pieces, [&](int64_t p) {
    const float* in = x + p * 65536;
    double s = 0;
    const int64_t count = least(65536, n - p * 65536);
    for (int64_t i = 0; i < count; i++) s += static_cast<double>(in[i]) * static_cast<double>(in[i]);
    parts[p] = s;
  });
  double total = 0;
  for (int64_t p = 0; p < pieces; p++) total += parts[p];
  return total;
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
