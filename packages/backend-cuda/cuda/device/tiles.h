// The pieces of attention on tensor cores: tiles of rows in shared memory, and products of 32 rows a warp with them.
//
// A warp owns 32 rows, so that each fragment it loads from shared memory serves two products: with 16 rows, mma.sync
// asks for 128 bytes a clock at its full rate, which is all that shared memory has. Accumulators acc[m][n][4] hold, for
// lane 4 g + t, rows 16 m + g (0, 1) and 16 m + g + 8 (2, 3), columns 8 n + 2 t and the next.
#pragma once
#include "attention.h"

namespace tunesmith::cuda {

constexpr int kTile = 64;      // rows of a tile that a block walks over
constexpr int kWarpRows = 32;  // rows a warp owns

// Elements from one row of a tile to the next: 16 bytes more than the row, so that eight rows lie in different banks.
template <int D> constexpr int kRow = D + 8;

template <int D> constexpr size_t tileBytes(int rows) { return static_cast<size_t>(rows) * kRow<D> * sizeof(bf16); }

constexpr size_t kSmallestShared = 99 * 1024;  // what a block may have on the smallest devices, sm_86 and sm_89

__device__ __forceinline__ int laneOf() { return static_cast<int>(threadIdx.x) & 31; }
// Through a shuffle, which tells the compiler that all lanes have the same.
__device__ __forceinline__ int warpOf() { return __shfl_sync(kAllLanes, static_cast<int>(threadIdx.x) >> 5, 0); }

// Starts copying rows first .. first + N - 1 of a sequence of `rows` rows; rows behind its end become zeros. `together`
// copies have their addresses in registers at once, of which the loops around have few to spare.
template <int D, int N, int together = 2>
__device__ __forceinline__ void loadTile(bf16* tile, const bf16* base, int64_t stride, int first, int rows) {
  constexpr int pieces = D / 8, atOnce = kAttentionThreads / pieces / 8 * 8;
  const int r = static_cast<int>(threadIdx.x) / pieces, c = static_cast<int>(threadIdx.x) % pieces * 8;
  if (r >= atOnce) return;
  const bf16* from = base + (first + r) * stride + c;
#pragma unroll together
  for (int i = 0; i < N; i += atOnce) {
    const bool valid = first + r + i < rows;
    copyAsync16(tile + (r + i) * kRow<D> + c, from, valid);
    from += atOnce * stride;
  }
}

// The warp's left operand [32, 16] at column c of its 32 rows.
template <int D> __device__ __forceinline__ void leftOperand(uint32_t (*a)[4], const bf16* rows, int c) {
  const int lane = laneOf();
#pragma unroll
  for (int m = 0; m < 2; m++) loadMatrices<false>(a[m], rows + (16 * m + (lane & 15)) * kRow<D> + c + (lane >> 4) * 8);
}
template <int D> __device__ __forceinline__ void leftOperands(uint32_t (*a)[2][4], const bf16* rows) {
#pragma unroll
  for (int c = 0; c < D; c += 16) leftOperand<D>(a[c / 16], rows, c);
}

// acc[32, 64] += a[32, 16] (columns c .. c + 15 of a tile of 64 rows)^T.
template <int D>
__device__ __forceinline__ void timesColumns(
    float (*acc)[kTile / 8][4], const uint32_t (*a)[4], const bf16* tile, int c) {
  const int lane = laneOf();
#pragma unroll
  for (int n = 0; n < kTile; n += 16) {
    uint32_t b[4];
    loadMatrices<false>(b, tile + (n + (lane & 7) + (lane >> 4) * 8) * kRow<D> + c + (lane & 8));
#pragma unroll
    for (int m = 0; m < 2; m++) {
      mma(acc[m][n / 8], a[m], b);
      mma(acc[m][n / 8 + 1], a[m], b + 2);
    }
  }
}
// acc[32, 64] += left[32, D] tile[64, D]^T, the left operand in registers.
template <int D>
__device__ __forceinline__ void timesTransposed(
    float (*acc)[kTile / 8][4], const uint32_t (*left)[2][4], const bf16* tile) {
#pragma unroll
  for (int c = 0; c < D; c += 16) timesColumns<D>(acc, left[c / 16], tile, c);
}
// The same with the left operand from shared memory, where accumulators leave no registers for it.
template <int D>
__device__ __forceinline__ void timesTransposed(float (*acc)[kTile / 8][4], const bf16* left, const bf16* tile) {
#pragma unroll
  for (int c = 0; c < D; c += 16) {
    uint32_t a[2][4];
    leftOperand<D>(a, left, c);
    timesColumns<D>(acc, a, tile, c);
  }
}

// acc[32, N] += left[32, 64] (N columns, from `tile` on, of a tile of 64 rows), the left operand in registers.
template <int D, int N>
__device__ __forceinline__ void timesTile(float (*acc)[N / 8][4], const uint32_t (*left)[2][4], const bf16* tile) {
  const int lane = laneOf();
#pragma unroll
  for (int k = 0; k < kTile; k += 16) {
#pragma unroll
    for (int n = 0; n < N; n += 16) {
      uint32_t b[4];
      loadMatrices<true>(b, tile + (k + (lane & 15)) * kRow<D> + n + (lane >> 4) * 8);
#pragma unroll
      for (int m = 0; m < 2; m++) {
        mma(acc[m][n / 8], left[k / 16][m], b);
        mma(acc[m][n / 8 + 1], left[k / 16][m], b + 2);
      }
    }
  }
}

// Columns 16 k .. 16 k + 15 of 16 rows of accumulators as the left operand of the next product, rounded to bf16.
__device__ __forceinline__ void asLeftOperand(uint32_t* a, const float (*acc)[4], int k) {
#pragma unroll
  for (int r = 0; r < 4; r++)
    a[r] = packBf16(acc[2 * k + (r >> 1)][2 * (r & 1)], acc[2 * k + (r >> 1)][2 * (r & 1) + 1]);
}

template <int N> __device__ __forceinline__ void clear(float (*acc)[N / 8][4]) {
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) acc[m][n][i] = 0;
}

// Accumulators [32, N] times a factor per row into N columns of global rows first .. first + 31; rows from `rows` on
// are left alone. `staging` is shared memory of 32 rows that no other warp uses: from there, each lane stores 16 bytes.
template <int D, int N>
__device__ __forceinline__ void storeRows(bf16* staging, bf16* base, int64_t stride, int first, int rows,
    const float (*acc)[N / 8][4], const float (*factor)[2]) {
  const int lane = laneOf(), g = lane >> 2, t = lane & 3;
  __syncwarp();
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int n = 0; n < N / 8; n++)
#pragma unroll
      for (int h = 0; h < 2; h++)
        *reinterpret_cast<uint32_t*>(staging + (16 * m + 8 * h + g) * kRow<D> + 8 * n + 2 * t) =
            packBf16(acc[m][n][2 * h] * factor[m][h], acc[m][n][2 * h + 1] * factor[m][h]);
  __syncwarp();
  for (int i = lane; i < kWarpRows * (N / 8); i += 32) {
    const int r = i / (N / 8), c = i % (N / 8) * 8;
    if (first + r < rows)
      *reinterpret_cast<uint4*>(base + (first + r) * stride + c) =
          *reinterpret_cast<const uint4*>(staging + r * kRow<D> + c);
  }
}

// From products to exponents of 2: exponent = factor x, after capProducts. One multiplication and addition a score.
// Made on the host: parameters of a kernel take no registers.
struct Exponents {
  float factor, inner, cap, inverseCap;
};
inline Exponents exponentsOf(const Attention& p) {
  Exponents e;
  e.cap = p.softcap * kLog2e;
  e.inverseCap = p.softcap > 0 ? 1 / e.cap : 0.0f;
  e.inner = p.softcap > 0 ? 2 * kLog2e * p.scale / p.softcap : 0.0f;
  e.factor = p.softcap > 0 ? 1.0f : p.scale * kLog2e;
  return e;
}
// cap tanh(scale x / softcap), as 1 - 2 / (e^(2 y) + 1), which is exact to 1e-7 of the cap.
__device__ __forceinline__ float capped(const Exponents& e, float x) {
  return e.cap - 2 * e.cap * fastReciprocal(fastExp2(x * e.inner) + 1);
}
__device__ __forceinline__ void capProducts(const Exponents& e, float (*z)[kTile / 8][4]) {
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int n = 0; n < kTile / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) z[m][n][i] = capped(e, z[m][n][i]);
}
// d score / d (scaled product) of a capped product; a hidden one has no probability to multiply with it.
__device__ __forceinline__ float slopeOfCapped(const Exponents& e, float z) {
  const float tanh = fmaxf(z * e.inverseCap, -1.0f);
  return 1.0f - tanh * tanh;
}

// Products of pairs that do not see each other become -infinity. Rows are 32 queries, columns 64 keys, or reversed.
template <bool rowsAreKeys>
__device__ __forceinline__ void hide(
    const Attention& p, int shift, float (*z)[kTile / 8][4], int firstRow, int firstColumn) {
  const int lane = laneOf(), row0 = firstRow + (lane >> 2), column0 = firstColumn + 2 * (lane & 3);
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int n = 0; n < kTile / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = row0 + 16 * m + 8 * (i >> 1), column = column0 + 8 * n + (i & 1);
        if (!sees(p, shift, rowsAreKeys ? column : row, rowsAreKeys ? row : column)) z[m][n][i] = -INFINITY;
      }
}
// Whether some of these queries and keys see each other, and whether all of them do.
__device__ __forceinline__ bool someSee(const Attention& p, int shift, int query, int queries, int key, int keys) {
  return key <= query + queries - 1 + shift && (p.window == 0 || key + keys - 1 > query + shift - p.window);
}
__device__ __forceinline__ bool allSee(const Attention& p, int shift, int query, int queries, int key, int keys) {
  return key + keys - 1 <= query + shift && (p.window == 0 || key > query + queries - 1 + shift - p.window);
}

}  // namespace tunesmith::cuda
