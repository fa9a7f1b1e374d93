// A few rows of x against W^T, reading each weight once: decoding is bound by memory, not arithmetic.
//
// A step takes 2 VL weights of a row into two vectors. Two neighbours share a word in bfloat16 and a byte in 4 bits:
// there the vectors are the even and the odd ones, and x is sorted likewise beforehand. A tile is a few rows of W by a
// few of x, with one accumulator each: the order of additions depends on K alone, not on how many rows there are.
#pragma once
#include "decode.h"

namespace tunesmith {
namespace {

constexpr int64_t kGemvRows = 16;
constexpr int kGroup = 4;                       // rows of x in a tile
constexpr int kTileRows = TS_VL == 16 ? 4 : 2;  // rows of W in a tile

// Rows of x must be contiguous, and a 4-bit row must start at a byte and at a block.
TS_INLINE bool gemvFits(const Term& t) {
  if (!t.bTransposed || t.aCol != 1 || t.aDropout.on || t.outDropout.on) return false;
  return t.b.format != kNF4 || (t.b.cols % t.b.blockSize == 0 && t.b.blockSize % (2 * VL) == 0);
}

constexpr bool isSorted(Format format) { return format == kBF16 || format == kNF4; }

// Each 2 VL values of a row as the even ones, then the odd ones.
static void sortRow(const float* x, int64_t n, float* out) {
  for (int64_t i = 0; i + 2 * VL <= n; i += 2 * VL)
    for (int j = 0; j < VL; j++) {
      out[i + j] = x[i + 2 * j];
      out[i + VL + j] = x[i + 2 * j + 1];
    }
}

template <Format F> struct RowReader {
  const char* at = nullptr;
  const float* absmax = nullptr;
  RowReader() = default;
  RowReader(const Matrix& w, int64_t row) {
    const int64_t first = row * w.cols;
    const int64_t bits = F == kF32 ? 32 : F == kINT8 ? 8 : F == kNF4 ? 4 : 16;
    at = static_cast<const char*>(w.data) + first * bits / 8;
    if (F == kNF4) absmax = w.scale + first / w.blockSize;
  }
  // VL weights from the k-th on, of the formats that are not sorted
  vf get(int64_t k) const {
    if (F == kF32) return load(reinterpret_cast<const float*>(at) + k);
    if (F == kF16) return fromF16(reinterpret_cast<const uint16_t*>(at) + k);
    return fromINT8(reinterpret_cast<const int8_t*>(at) + k);
  }
  // 2 VL weights from the k-th on
  void step(int64_t k, vf& a, vf& b) const {
    if (F == kBF16) {
      vu words;
      memcpy(&words, at + 2 * k, sizeof words);
      a = reinterpret_cast<vf>(words << 16);
      b = reinterpret_cast<vf>(words & 0xffff0000u);
    } else {
      a = get(k);
      b = get(k + VL);
    }
  }
};

// N rows of W from `row` on times M rows of x, given sorted as well.
template <Format F, int M, int N>
static void gemvTile(int64_t row, const Term& t, const float* x, int64_t xRow, const float* sorted, float* c,
    int64_t ldc, bool accumulate, const float* bias) {
  const int64_t k = t.k;
  RowReader<F> rows[N];
#pragma GCC unroll 4
  for (int n = 0; n < N; n++) rows[n] = RowReader<F>(t.b, row + n);
  vf s[N][M], a[N], b[N];
#pragma GCC unroll 4
  for (int n = 0; n < N; n++)
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) s[n][m] = vf{};
  const float* from = isSorted(F) ? sorted : x;
  const int64_t stride = isSorted(F) ? k : xRow;
  const auto add = [&](int64_t i) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) {
      const vf first = load(from + m * stride + i), second = load(from + m * stride + i + VL);
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) s[n][m] += a[n] * first;
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) s[n][m] += b[n] * second;
    }
  };
  int64_t i = 0;
  if constexpr (F == kNF4) {
    for (int64_t block = 0; i < k; block++) {
      NibbleTable tables[N];
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) tables[n] = NibbleTable(t.b.code, rows[n].absmax[block], t.b.rounding);
      for (const int64_t stop = i + t.b.blockSize; i < stop; i += 2 * VL) {
#pragma GCC unroll 4
        for (int n = 0; n < N; n++) tables[n].split(reinterpret_cast<const uint8_t*>(rows[n].at) + i / 2, a[n], b[n]);
        add(i);
      }
    }
  } else {
    for (; i + 2 * VL <= k; i += 2 * VL) {
#pragma GCC unroll 4
      for (int n = 0; n < N; n++) rows[n].step(i, a[n], b[n]);
      add(i);
    }
    if (!isSorted(F) && i + VL <= k) {
#pragma GCC unroll 4
      for (int n = 0; n < N; n++)
#pragma GCC unroll 4
        for (int m = 0; m < M; m++) s[n][m] += rows[n].get(i) * load(x + m * xRow + i);
      i += VL;
    }
  }
  float tail[2 * VL];
  for (int n = 0; n < N; n++) {
    if (i < k) decodeRow(t.b, row + n, i, k - i, tail);
#pragma GCC unroll 4
    for (int m = 0; m < M; m++) {
      float sum = sumOf(s[n][m]);
      if (F == kINT8) sum *= t.b.scale[row + n];
      for (int64_t j = i; j < k; j++) sum += tail[j - i] * x[m * xRow + j];
      float* to = c + m * ldc + row + n;
      *to = sum * t.alpha + (accumulate ? *to : bias ? bias[row + n] : 0.f);
    }
  }
}

// The rows [from, to) of W times M of x.
template <Format F, int M>
static void gemvGroup(int64_t from, int64_t to, const Term& t, const float* x, int64_t xRow, const float* sorted,
    float* c, int64_t ldc, bool accumulate, const float* bias) {
  int64_t row = from;
  for (; row + kTileRows <= to; row += kTileRows)
    gemvTile<F, M, kTileRows>(row, t, x, xRow, sorted, c, ldc, accumulate, bias);
  for (; row < to; row++) gemvTile<F, M, 1>(row, t, x, xRow, sorted, c, ldc, accumulate, bias);
}

template <Format F> static bool gemvFormat(int64_t m, int64_t n, const Term& t, const GemmOutput& out) {
  static constexpr decltype(&gemvGroup<F, 1>) all[kGroup] = {
      gemvGroup<F, 1>, gemvGroup<F, 2>, gemvGroup<F, 3>, gemvGroup<F, 4>};
  float* sorted = nullptr;
  if (isSorted(F)) {
    sorted = scratch(kScratchA, static_cast<size_t>(m * t.k));
    if (!sorted) return false;
    for (int64_t r = 0; r < m; r++) sortRow(t.a + r * t.aRow, t.k, sorted + r * t.k);
  }
  // More groups than one run over the same rows of W while these are in the nearest cache.
  parallelRange(n, most(16, 262144 / most(1, t.k) / 4 * 4), [&](int64_t from, int64_t to) {
    const int64_t rows = m > kGroup ? kTileRows : to - from;
    for (int64_t row = from; row < to; row += rows)
      for (int64_t first = 0; first < m; first += kGroup)
        all[least(kGroup, m - first) - 1](row, least(to, row + rows), t, t.a + first * t.aRow, t.aRow,
            sorted + first * t.k, out.c + first * out.ldc, out.ldc, out.accumulate, out.bias);
  });
  return true;
}

static bool gemv(int64_t m, int64_t n, const Term& t, const GemmOutput& out) {
  // in the order of Format
  static constexpr decltype(&gemvFormat<kF32>) all[] = {
      gemvFormat<kF32>, gemvFormat<kBF16>, gemvFormat<kF16>, gemvFormat<kNF4>, gemvFormat<kINT8>};
  return all[t.b.format](m, n, t, out);
}

}  // namespace
}  // namespace tunesmith
