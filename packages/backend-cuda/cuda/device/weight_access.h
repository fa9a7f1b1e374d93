// Reading the elements of a weight in whatever format it is stored.
#pragma once
#include "vector.h"

namespace tunesmith::cuda {

__device__ __forceinline__ float halfToFloat(uint32_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 1023u;
  if (exponent == 0) {
    const float tiny = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
    return sign ? -tiny : tiny;
  }
  if (exponent == 31) return bitsToFloat(sign | 0x7f800000u | mantissa << 13);
  return bitsToFloat(sign | (exponent + 112u) << 23 | mantissa << 13);
}

// To the nearest float16, ties to even, and back.
__device__ __forceinline__ float throughHalf(float x) {
#ifdef __CUDA_ARCH__
  uint16_t h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
  return halfToFloat(h);
#else
  const float size = fabsf(x);
  if (!(size < 65520.0f)) return size == size ? copysignf(INFINITY, x) : x;
  // Adding and taking away a number whose last bit is the half's last bit leaves the rounding to the float unit.
  int exponent;
  frexpf(size, &exponent);
  const float step = ldexpf(1.0f, (exponent < -13 ? -13 : exponent) - 11);
  return copysignf(nearbyintf(size / step) * step, x);
#endif
}
__device__ __forceinline__ float rounded(float x, Rounding rounding) {
  if (rounding == Rounding::bf16) return toFloat(fromFloat<bf16>(x));
  if (rounding == Rounding::f16) return throughHalf(x);
  return x;
}

// The block of quantization element i is in.
__device__ __forceinline__ int64_t blockOf(const Weight& w, int64_t i) {
  return w.blockShift >= 0 ? i >> w.blockShift : i / w.blockSize;
}

// One element, any format; INT8 with its row's scale. `code` may be a faster copy of the table.
__device__ __forceinline__ float weightAt(const Weight& w, const float* code, int64_t i) {
  switch (w.format) {
    case Format::f32: return static_cast<const float*>(w.data)[i];
    case Format::bf16: return toFloat(static_cast<const bf16*>(w.data)[i]);
    case Format::f16: return halfToFloat(static_cast<const uint16_t*>(w.data)[i]);
    case Format::nf4: {
      const uint32_t byte = static_cast<const uint8_t*>(w.data)[i >> 1];
      return rounded(code[i & 1 ? byte & 15u : byte >> 4] * w.scale[blockOf(w, i)], w.rounding);
    }
    default: return static_cast<float>(static_cast<const int8_t*>(w.data)[i]) * w.scale[i / w.cols];
  }
}

// Elements i .. i + 7 of the flattened matrix, i a multiple of 8. INT8 without its scale, which is the row's; NF4 needs
// a blockSize that is a multiple of 8. `code` is the table in shared memory, each value kept once per lane so that no
// two lanes meet in a bank: value c of lane l at [32 c + l].
template <Format F>
__device__ __forceinline__ void eightWeights(const Weight& w, const float* code, int64_t i, float* v) {
  if constexpr (F == Format::f32) {
    loadEight(static_cast<const float*>(w.data) + i, v);
  } else if constexpr (F == Format::bf16) {
    loadEight(static_cast<const bf16*>(w.data) + i, v);
  } else if constexpr (F == Format::f16) {
    const uint4 u = *reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(w.data) + i);
    const uint32_t words[4] = {u.x, u.y, u.z, u.w};
    for (int j = 0; j < 8; j++) v[j] = halfToFloat(words[j >> 1] >> (16 * (j & 1)) & 0xffffu);
  } else if constexpr (F == Format::nf4) {
    const uint32_t word = static_cast<const uint32_t*>(w.data)[i >> 3];
    const float scale = w.scale[blockOf(w, i)];
    const uint32_t lane = (threadIdx.x & 31u) * 4;
    const char* table = reinterpret_cast<const char*>(code);
#pragma unroll
    for (int j = 0; j < 8; j++) {
      // Byte j / 2 of the word; the even element is its high nibble. Shifted to where it counts lines of 128 bytes.
      const int at = 8 * (j >> 1) + (j & 1 ? 0 : 4);
      const uint32_t line = (at < 7 ? word << (7 - at) : word >> (at - 7)) & 0x780u;
      v[j] = *reinterpret_cast<const float*>(table + (line | lane)) * scale;
    }
    if (w.rounding != Rounding::none)
      for (int j = 0; j < 8; j++) v[j] = rounded(v[j], w.rounding);
  } else {
    const uint2 u = *reinterpret_cast<const uint2*>(static_cast<const int8_t*>(w.data) + i);
    const uint32_t words[2] = {u.x, u.y};
    for (int j = 0; j < 8; j++) v[j] = static_cast<float>(static_cast<int8_t>(words[j >> 2] >> (8 * (j & 3)) & 255u));
  }
}

// Fills the table eightWeights reads; all threads of the block must call it.
__device__ __forceinline__ void spreadCode(const Weight& w, float* code) {
  if (w.format == Format::nf4)
    for (int i = static_cast<int>(threadIdx.x); i < 512; i += static_cast<int>(blockDim.x)) code[i] = w.code[i >> 5];
  __syncthreads();
}

inline Weight withBlockShift(Weight w) {
  w.blockShift = -1;
  for (int shift = 0; shift < 40; shift++)
    if (w.blockSize == int64_t{1} << shift) w.blockShift = shift;
  return w;
}

// True when eightWeights may be used from the start of every row.
inline bool readsInEights(const Weight& w) {
  return w.cols % 8 == 0 && (w.format != Format::nf4 || w.blockSize % 8 == 0);
}

template <class F> void dispatchFormat(Format format, F f) {
  withConstant<Format::f32, Format::bf16, Format::f16, Format::nf4, Format::int8>(format, f);
}

}  // namespace tunesmith::cuda
