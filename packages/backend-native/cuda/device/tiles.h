// The pieces of attention on tensor cores: tiles of rows in shared memory, and products of 16 rows a warp with them.
//
// A warp's accumulators acc[n][4] hold, for lane 4 g + t, rows g (0, 1) and g + 8 (2, 3), columns 8 n + 2 t and the next.
#pragma once
#include "portable.h"

namespace tunesmith {
namespace cuda {

constexpr int kAttentionThreads = 128;

// Elements from one row of a tile to the next: 16 bytes more than the row, so that eight rows lie in different banks.
template <int D>
constexpr int kRow = D + 8;

// Starts copying rows first .. first + N - 1 of a sequence of `rows` rows; rows behind its end become zeros.
template <int D, int N>
__device__ __forceinline__ void loadTile(bf16* tile, const bf16* base, int64_t stride, int first, int rows) {
  constexpr int pieces = D / 8;
  for (int i = static_cast<int>(threadIdx.x); i < N * pieces; i += kAttentionThreads) {
    const int r = i / pieces, c = i % pieces * 8;
    const bool valid = first + r < rows;
    copyAsync16(tile + r * kRow<D> + c, base + (valid ? (first + r) * stride + c : 0), valid);
  }
}

// The 16 x 16 left operand at (row 0, column c) of `rows`.
template <int D>
__device__ __forceinline__ void leftOperand(uint32_t* a, const bf16* rows, int c) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  loadMatrices<false>(a, rows + ((lane & 7) + (lane & 8)) * kRow<D> + c + (lane >> 4) * 8);
}

// acc[16, N] += left[16, D] tile[N, D]^T, the left operand taken from shared memory step by step.
template <int D, int N>
__device__ __forceinline__ void timesTransposedTile(float (*acc)[4], const bf16* left, const bf16* tile) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  TUNESMITH_UNROLL_ALL
  for (int c = 0; c < D; c += 16) {
    uint32_t a[4];
    leftOperand<D>(a, left, c);
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < N; n += 16) {
      uint32_t b[4];
      loadMatrices<false>(b, tile + (n + (lane & 7) + (lane >> 4) * 8) * kRow<D> + c + (lane & 8));
      mma(acc[n / 8], a, b);
      mma(acc[n / 8 + 1], a, b + 2);
    }
  }
}

// acc[16, D] += left[16, K] tile[K, D], the left operand in registers.
template <int D, int K>
__device__ __forceinline__ void timesTile(float (*acc)[4], const uint32_t (*left)[4], const bf16* tile) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  TUNESMITH_UNROLL_ALL
  for (int k = 0; k < K; k += 16) {
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < D; n += 16) {
      uint32_t b[4];
      loadMatrices<true>(b, tile + (k + (lane & 7) + (lane & 8)) * kRow<D> + n + (lane >> 4) * 8);
      mma(acc[n / 8], left[k / 16], b);
      mma(acc[n / 8 + 1], left[k / 16], b + 2);
    }
  }
}

// Accumulators [16, N] as the left operand of the next product, rounded to bf16.
template <int N>
__device__ __forceinline__ void asLeftOperand(uint32_t (*a)[4], const float (*acc)[4]) {
  TUNESMITH_UNROLL_ALL
  for (int k = 0; k < N / 16; k++) {
    a[k][0] = packBf16(acc[2 * k][0], acc[2 * k][1]);
    a[k][1] = packBf16(acc[2 * k][2], acc[2 * k][3]);
    a[k][2] = packBf16(acc[2 * k + 1][0], acc[2 * k + 1][1]);
    a[k][3] = packBf16(acc[2 * k + 1][2], acc[2 * k + 1][3]);
  }
}

template <int N>
__device__ __forceinline__ void clear(float (*acc)[4]) {
  TUNESMITH_UNROLL_ALL
  for (int n = 0; n < N / 8; n++)
    for (int i = 0; i < 4; i++) acc[n][i] = 0;
}

// Accumulators [16, D] times a factor per row into global rows; rows from `rows` on are left alone.
template <int D>
__device__ __forceinline__ void storeRows(bf16* base, int64_t stride, int first, int rows, const float (*acc)[4], float factor0, float factor1) {
  const int lane = static_cast<int>(threadIdx.x) & 31, g = lane >> 2, t = lane & 3;
  TUNESMITH_UNROLL_ALL
  for (int h = 0; h < 2; h++) {
    const int row = first + g + 8 * h;
    if (row >= rows) continue;
    const float f = h ? factor1 : factor0;
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < D / 8; n++)
      *reinterpret_cast<uint32_t*>(base + row * stride + 8 * n + 2 * t) = packBf16(acc[n][2 * h] * f, acc[n][2 * h + 1] * f);
  }
}

// Where a sequence's queries and keys lie; query j sees key i iff first(j) <= i <= j + shift.
struct Span {
  int queryStart, queries, keyStart, keys, shift;
};
__device__ __forceinline__ Span spanOf(const Attention& p, int sequence) {
  Span s;
  s.queryStart = p.cuSeqlens[sequence];
  s.queries = p.cuSeqlens[sequence + 1] - s.queryStart;
  s.keyStart = p.kvStart ? p.kvStart[sequence] : s.queryStart;
  s.keys = p.kvLength ? p.kvLength[sequence] : s.queries;
  s.shift = s.keys - s.queries;
  return s;
}

constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// The score of a product of q and k, after scale and softcap.
__device__ __forceinline__ float scoreOf(const Attention& p, float product) {
  const float x = product * p.scale;
  return p.softcap > 0 ? p.softcap * tanhf(x / p.softcap) : x;
}
// d score / d (scaled product), from the score.
__device__ __forceinline__ float slopeOf(const Attention& p, float score) {
  return p.softcap > 0 ? 1.0f - (score / p.softcap) * (score / p.softcap) : 1.0f;
}
__device__ __forceinline__ bool sees(const Attention& p, int shift, int query, int key) {
  return key <= query + shift && (p.window == 0 || key > query + shift - p.window);
}

}  // namespace cuda
}  // namespace tunesmith
