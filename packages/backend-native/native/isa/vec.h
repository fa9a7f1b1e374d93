// Vectors of TS_VL floats through the compiler's vector extensions: one source for AVX-512, AVX2, SSE2 and NEON.
// Only C headers and internal linkage here: an inline function of the standard library compiled with AVX-512 could be
// the copy the linker keeps for everybody.
#pragma once
#include <math.h>
#include <string.h>

#if TS_VL > 4
#include <immintrin.h>
#endif

#include "../common.h"

namespace tunesmith {
namespace {

constexpr int VL = TS_VL;
typedef float vf __attribute__((vector_size(TS_VL * 4)));
typedef int32_t vi __attribute__((vector_size(TS_VL * 4)));
typedef uint32_t vu __attribute__((vector_size(TS_VL * 4)));
typedef uint16_t vh __attribute__((vector_size(TS_VL * 2)));
typedef float vfu __attribute__((vector_size(TS_VL * 4), aligned(4), may_alias));
typedef uint16_t vhu __attribute__((vector_size(TS_VL * 2), aligned(2), may_alias));

#define TS_INLINE static inline __attribute__((always_inline))

TS_INLINE vf load(const float* p) { return *reinterpret_cast<const vfu*>(p); }
TS_INLINE void store(float* p, vf v) { *reinterpret_cast<vfu*>(p) = v; }
TS_INLINE vf splat(float x) { return x - vf{}; }
TS_INLINE vf vmax(vf a, vf b) { return a > b ? a : b; }
TS_INLINE vf vmin(vf a, vf b) { return a < b ? a : b; }

TS_INLINE vf lanes() {
  vf v;
  for (int i = 0; i < VL; i++) v[i] = static_cast<float>(i);
  return v;
}

TS_INLINE float sumOf(vf v) {
#if TS_VL == 16
  return _mm512_reduce_add_ps(reinterpret_cast<__m512>(v));
#else
  float s = 0;
  for (int i = 0; i < VL; i++) s += v[i];
  return s;
#endif
}

TS_INLINE float maxOf(vf v) {
  float s = v[0];
  for (int i = 1; i < VL; i++) s = v[i] > s ? v[i] : s;
  return s;
}

// The first n lanes of memory, the rest zero.
TS_INLINE vf loadPart(const float* p, int64_t n) {
  float t[VL] = {};
  for (int64_t i = 0; i < n; i++) t[i] = p[i];
  return load(t);
}
TS_INLINE void storePart(float* p, vf v, int64_t n) {
  float t[VL];
  store(t, v);
  for (int64_t i = 0; i < n; i++) p[i] = t[i];
}

// e^x within 2 ulp (Cephes' polynomial on [-ln 2 / 2, ln 2 / 2]); 0 below -87.3, infinity above 88.7, NaN kept.
TS_INLINE vf vexp(vf x) {
  const vf magic = splat(12582912.f);
  vf y = vmax(vmin(x, splat(88.72f)), splat(-87.33f));
  const vf t = y * 1.44269504088896341f + magic;
  const vf n = t - magic;
  vf r = y - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  vf p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.f;
  // 2^n in two halves, so that n = 128 does not overflow before the product does.
  const vi e = reinterpret_cast<vi>(t) - reinterpret_cast<vi>(magic);
  const vi half = e >> 1;
  p = p * reinterpret_cast<vf>((half + 127) << 23) * reinterpret_cast<vf>((e - half + 127) << 23);
  p = x > splat(88.72f) ? splat(INFINITY) : p;
  p = x < splat(-87.33f) ? vf{} : p;
  return x == x ? p : x;
}

// tanh through e^-2|x|; x - x^3/3 + ... near zero, where the quotient would cancel.
TS_INLINE vf vtanh(vf x) {
  const vf a = x < vf{} ? -x : x;
  const vf e = vexp(a * -2.f);
  const vf big = (1.f - e) / (1.f + e);
  const vf z = x * x;
  vf p = splat(-5.70498872745e-3f);
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const vf small = p * z * a + a;
  const vf r = a < splat(0.625f) ? small : big;
  const vf s = x < vf{} ? -r : r;
  return x == x ? s : x;
}

TS_INLINE vf vsigmoid(vf x) { return 1.f / (1.f + vexp(-x)); }

TS_INLINE vf vsqrt(vf x) {
#if TS_VL == 16
  return reinterpret_cast<vf>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#elif TS_VL == 8
  return reinterpret_cast<vf>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#else
  vf y;
  for (int i = 0; i < VL; i++) y[i] = sqrtf(x[i]);
  return y;
#endif
}

TS_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
TS_INLINE int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
TS_INLINE int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The dropout hash of the kernel contract, on VL consecutive counters.
TS_INLINE vu hashOf(vu i, uint32_t seed) {
  vu h = i + seed * 0x9E3779B9u;
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h *= 0x846ca68bu;
  h ^= h >> 16;
  return h;
}
TS_INLINE vu counters(int64_t first) {
  vu v;
  for (int i = 0; i < VL; i++) v[i] = static_cast<uint32_t>(first) + static_cast<uint32_t>(i);
  return v;
}
TS_INLINE vf dropped(vf x, int64_t first, const Dropout& d) {
  return hashOf(counters(first), d.seed) >= (d.threshold - vu{}) ? x * d.keepScale : vf{};
}

// Work in pieces big enough to be worth a thread's attention.
template <class Function> static void parallelRange(int64_t n, int64_t grain, const Function& f) {
  const int64_t pieces = ceilDiv(n, grain);
  parallel(pieces, [&](int64_t i) { f(i * grain, least(n, (i + 1) * grain)); });
}

}  // namespace
}  // namespace tunesmith
