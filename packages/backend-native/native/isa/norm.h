// RMSNorm, rotary embedding and the gated activation, with their gradients: one pass over memory each.
#pragma once
#include "vec.h"

namespace tunesmith {
namespace {

TS_INLINE int64_t rowGrain(int64_t width) { return most(1, 32768 / most(1, width)); }

// Sums of products in float32 lanes over pieces of 1024, pieces in double: long rows keep their precision.
template <class Product> TS_INLINE double rowSum(int64_t n, const Product& product) {
  double total = 0;
  for (int64_t from = 0; from < n; from += 1024) {
    const int64_t to = least(n, from + 1024);
    vf s0 = {}, s1 = {};
    int64_t i = from;
    for (; i + 2 * VL <= to; i += 2 * VL) {
      s0 += product(i, VL);
      s1 += product(i + VL, VL);
    }
    for (; i + VL <= to; i += VL) s0 += product(i, VL);
    if (i < to) s1 += product(i, static_cast<int>(to - i));
    total += static_cast<double>(sumOf(s0 + s1));
  }
  return total;
}

TS_INLINE vf loadN(const float* p, int n) { return n == VL ? load(p) : loadPart(p, n); }
TS_INLINE void storeN(float* p, vf v, int n) { n == VL ? store(p, v) : storePart(p, v, n); }

template <class Function> TS_INLINE void eachVec(int64_t n, const Function& f) {
  int64_t i = 0;
  for (; i + VL <= n; i += VL) f(i, VL);
  if (i < n) f(i, static_cast<int>(n - i));
}

TS_INLINE float inverseRms(const float* x, int64_t h, float eps) {
  const double sum = rowSum(h, [&](int64_t i, int n) {
    const vf v = loadN(x + i, n);
    return v * v;
  });
  return static_cast<float>(1.0 / sqrt(sum / static_cast<double>(h) + static_cast<double>(eps)));
}

static void rmsNorm(const float* x, const float* w, float* y, int64_t tokens, int64_t h, float eps, float offset) {
  parallelRange(tokens, rowGrain(h), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
      const float* row = x + t * h;
      float* out = y + t * h;
      const float r = inverseRms(row, h, eps);
      eachVec(h, [&](int64_t i, int n) { storeN(out + i, loadN(row + i, n) * r * (loadN(w + i, n) + offset), n); });
    }
  });
}

static void rmsNormGrad(
    const float* dy, const float* x, const float* w, float* dx, int64_t tokens, int64_t h, float eps, float offset) {
  parallelRange(tokens, rowGrain(h), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) {
      const float *row = x + t * h, *grad = dy + t * h;
      float* out = dx + t * h;
      const float r = inverseRms(row, h, eps);
      const double along = rowSum(
          h, [&](int64_t i, int n) { return loadN(grad + i, n) * (loadN(w + i, n) + offset) * loadN(row + i, n); });
      const float c = static_cast<float>(along / static_cast<double>(h) * r * r);
      eachVec(h, [&](int64_t i, int n) {
        storeN(out + i, r * (loadN(grad + i, n) * (loadN(w + i, n) + offset) - loadN(row + i, n) * c), n);
      });
    }
  });
}

// Columns in parallel, tokens in order: the sum does not depend on the threads.
static bool rmsNormWeightGrad(const float* dy, const float* x, float* dw, int64_t tokens, int64_t h, float eps) {
  float* r = scratch(kScratchHidden, static_cast<size_t>(tokens));
  if (!r) return false;
  parallelRange(tokens, rowGrain(h), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++) r[t] = inverseRms(x + t * h, h, eps);
  });
  parallelRange(h, 8 * VL, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t i, int n) {
      vf total = {};
      for (int64_t t0 = 0; t0 < tokens; t0 += 64) {
        vf part = {};
        for (int64_t t = t0; t < least(tokens, t0 + 64); t++)
          part += loadN(dy + t * h + from + i, n) * loadN(x + t * h + from + i, n) * r[t];
        total += part;
      }
      storeN(dw + from + i, total, n);
    });
  });
  return true;
}

static void rope(const float* x, const float* cos, const float* sin, float* y, int64_t tokens, int64_t heads,
    int64_t headDim, int64_t rotaryDim, bool inverse) {
  const int64_t half = rotaryDim / 2, width = heads * headDim;
  const float sign = inverse ? -1.f : 1.f;
  parallelRange(tokens, rowGrain(width), [&](int64_t from, int64_t to) {
    for (int64_t t = from; t < to; t++)
      for (int64_t head = 0; head < heads; head++) {
        const float* in = x + t * width + head * headDim;
        float* out = y + t * width + head * headDim;
        eachVec(half, [&](int64_t i, int n) {
          const vf a = loadN(in + i, n), b = loadN(in + half + i, n);
          const vf c = loadN(cos + t * half + i, n), s = loadN(sin + t * half + i, n) * sign;
          storeN(out + i, a * c - b * s, n);
          storeN(out + half + i, b * c + a * s, n);
        });
        for (int64_t i = rotaryDim; i < headDim; i++) out[i] = in[i];
      }
  });
}

// act(g) and act'(g).
template <Activation A> TS_INLINE void activate(vf g, vf& value, vf& slope) {
  if (A == kSilu) {
    const vf s = vsigmoid(g);
    value = g * s;
    slope = s * (1.f + g * (1.f - s));
  } else {
    const float c = 0.7978845608028654f;
    const vf square = g * g;
    const vf t = vtanh(c * g * (1.f + 0.044715f * square));
    const vf left = 0.5f * (1.f + t);
    value = g * left;
    slope = left + 0.5f * g * (1.f - t * t) * (c * (1.f + 3.f * 0.044715f * square));
  }
}

template <Activation A> static void swigluAs(const float* gate, const float* up, float* y, int64_t n) {
  parallelRange(n, 32768, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t i, int k) {
      vf value, slope;
      activate<A>(loadN(gate + from + i, k), value, slope);
      storeN(y + from + i, value * loadN(up + from + i, k), k);
    });
  });
}
static void swiglu(const float* gate, const float* up, float* y, int64_t n, Activation a) {
  a == kSilu ? swigluAs<kSilu>(gate, up, y, n) : swigluAs<kGeluTanh>(gate, up, y, n);
}

template <Activation A>
static void swigluGradAs(const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n) {
  parallelRange(n, 32768, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t j, int k) {
      const int64_t i = from + j;
      vf value, slope;
      activate<A>(loadN(gate + i, k), value, slope);
      const vf d = loadN(dy + i, k);
      storeN(dgate + i, d * loadN(up + i, k) * slope, k);
      storeN(dup + i, d * value, k);
    });
  });
}
static void swigluGrad(
    const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n, Activation a) {
  a == kSilu ? swigluGradAs<kSilu>(dy, gate, up, dgate, dup, n) : swigluGradAs<kGeluTanh>(dy, gate, up, dgate, dup, n);
}

}  // namespace
}  // namespace tunesmith
