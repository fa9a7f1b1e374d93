// AdamW in place, with moments in float32 or in 8 bits.
#pragma once
#include "norm.h"

namespace tunesmith {
namespace {

// torch.optim.AdamW: decay first, eps outside the root of the corrected second moment.
static void adamW(float* p, const float* g, float* m, float* v, int64_t n, const AdamW& o) {
  const double c1 = 1 - pow(o.beta1, static_cast<double>(o.step));
  const double c2 = sqrt(1 - pow(o.beta2, static_cast<double>(o.step)));
  const float decay = static_cast<float>(1 - o.lr * o.weightDecay), stepSize = static_cast<float>(o.lr / c1);
  const float b1 = static_cast<float>(o.beta1), a1 = static_cast<float>(1 - o.beta1);
  const float b2 = static_cast<float>(o.beta2), a2 = static_cast<float>(1 - o.beta2);
  const float root = static_cast<float>(c2), eps = static_cast<float>(o.eps), scale = static_cast<float>(o.gradScale);
  parallelRange(n, 32768, [&](int64_t from, int64_t to) {
    eachVec(to - from, [&](int64_t j, int k) {
      const int64_t i = from + j;
      const vf grad = loadN(g + i, k) * scale;
      const vf first = loadN(m + i, k) * b1 + grad * a1;
      const vf second = loadN(v + i, k) * b2 + grad * grad * a2;
      storeN(m + i, first, k);
      storeN(v + i, second, k);
      storeN(p + i, loadN(p + i, k) * decay - stepSize * (first / (vsqrt(second) / root + eps)), k);
    });
  });
}

// a * b + c rounded once, whatever the instruction set: torch fuses these, and states in 8 bits must not differ.
TS_INLINE vf fused(vf a, vf b, vf c) {
#if TS_VL == 16
  return reinterpret_cast<vf>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif TS_VL == 8
  return reinterpret_cast<vf>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  vf r;
  for (int i = 0; i < VL; i++)
    r[i] = static_cast<float>(static_cast<double>(a[i]) * static_cast<double>(b[i]) + static_cast<double>(c[i]));
  return r;
#endif
}

// Keeps the compiler from fusing a product with the sum it goes into.
TS_INLINE vf rounded(vf x) {
#if defined(__x86_64__) && TS_VL > 4
  asm("" : "+v"(x));
#elif defined(__x86_64__)
  asm("" : "+x"(x));
#elif defined(__aarch64__)
  asm("" : "+w"(x));
#endif
  return x;
}

constexpr int64_t kStateBlock = 256;
constexpr float kSmallestAbsmax = 1e-38f;

// One block to the nearest codes; returns its scale. Full blocks are multiplied by the inverse, as bitsandbytes does.
static float quantizeState(float* x, int64_t n, const CodeMap& map, uint8_t* codes) {
  float largest = 0;
  for (int64_t i = 0; i < n; i++) {
    const float a = fabsf(x[i]);
    if (!(a <= largest) && largest == largest) largest = a;
  }
  const float clamped = largest < kSmallestAbsmax ? kSmallestAbsmax : largest;
  if (n == kStateBlock) {
    const float inverse = 1.f / clamped;
    for (int64_t i = 0; i < n; i += VL) store(x + i, load(x + i) * inverse);
  } else {
    for (int64_t i = 0; i < n; i++) x[i] /= clamped;
  }
  for (int64_t i = 0; i < n; i++) {
    uint32_t bits;
    memcpy(&bits, x + i, 4);
    int code = map.first[bits >> 16];
    for (int step = 0; step < map.steps; step++) code += x[i] > map.thresholds[code];
    codes[i] = static_cast<uint8_t>(code);
  }
  return n == kStateBlock ? largest : clamped;
}

static void adamW8bit(float* p, const float* g, const AdamW8bitState& state, int64_t n, const AdamW& o) {
  const float rate = static_cast<float>(-o.lr / (1 - pow(o.beta1, static_cast<double>(o.step))));
  const float root = static_cast<float>(sqrt(1 - pow(o.beta2, static_cast<double>(o.step))));
  const float shrink = static_cast<float>(1 - o.lr * o.weightDecay), eps = static_cast<float>(o.eps),
              scale = static_cast<float>(o.gradScale);
  const vf b1 = splat(static_cast<float>(o.beta1)), a1 = splat(static_cast<float>(1 - o.beta1));
  const vf b2 = splat(static_cast<float>(o.beta2)), a2 = splat(static_cast<float>(1 - o.beta2));
  const CodeMap &map1 = *state.map1, &map2 = *state.map2;
  parallelRange(ceilDiv(n, kStateBlock), 64, [&](int64_t from, int64_t to) {
    alignas(64) float m[kStateBlock], v[kStateBlock];
    for (int64_t block = from; block < to; block++) {
      const int64_t begin = block * kStateBlock, count = least(kStateBlock, n - begin);
      uint8_t *codes1 = state.codes1 + begin, *codes2 = state.codes2 + begin;
      for (int64_t i = 0; i < count; i++) {
        m[i] = map1.values[codes1[i]];
        v[i] = map2.values[codes2[i]];
      }
      for (int64_t i = count; i < kStateBlock; i++) m[i] = v[i] = 0;
      const vf scale1 = splat(state.absmax1[block]), scale2 = splat(state.absmax2[block]);
      eachVec(count, [&](int64_t i, int k) {
        const vf grad = rounded(loadN(g + begin + i, k) * scale);
        const vf first = fused(a1, grad, rounded(rounded(load(m + i) * scale1) * b1));
        const vf second = fused(rounded(a2 * grad), grad, rounded(rounded(load(v + i) * scale2) * b2));
        store(m + i, first);
        store(v + i, second);
        const vf denominator = rounded(vsqrt(second) / root) + eps;
        storeN(
            p + begin + i, rounded(loadN(p + begin + i, k) * shrink) + rounded(rounded(rate * first) / denominator), k);
      });
      state.absmax1[block] = quantizeState(m, count, map1, codes1);
      state.absmax2[block] = quantizeState(v, count, map2, codes2);
    }
  });
}

}  // namespace
}  // namespace tunesmith
