// Attention of a few queries, as decoding has them: no block of scores to fill, so keys and values are read where they
// are, once for all heads that share them.
#pragma once
#include "elementwise.h"
#include "gemv.h"

namespace tunesmith {
namespace {

constexpr int64_t kFewRows = 16;  // queries times the heads of a group

// Rows of scores [m, ldc] times values [keys, stride], d columns from `from` on: to[m, d] = sum / divisor of the row.
template <int M>
static void sumValues(const float* scores, int64_t ldc, int64_t keys, const float* values, int64_t stride, int64_t d,
    const float* divisor, float* to, int64_t toRow) {
  constexpr int W = TS_VL == 16 ? 4 : 2;  // vectors of a row at a time
  for (int64_t from = 0; from < d; from += W * VL) {
    const int64_t left = d - from;
    vf s[M][W];
#pragma GCC unroll 4
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
      for (int j = 0; j < W; j++) s[m][j] = vf{};
    const auto run = [&](auto read) {
      for (int64_t key = 0; key < keys; key++) {
        vf v[W];
#pragma GCC unroll 4
        for (int j = 0; j < W; j++) v[j] = read(values + key * stride + from + j * VL, j);
#pragma GCC unroll 4
        for (int m = 0; m < M; m++) {
          const vf weight = splat(scores[m * ldc + key]);
#pragma GCC unroll 4
          for (int j = 0; j < W; j++) s[m][j] += weight * v[j];
        }
      }
    };
    const auto widthOf = [&](int j) { return static_cast<int>(most(0, least(VL, left - j * VL))); };
    if (left >= W * VL)
      run([](const float* p, int) { return load(p); });
    else
      run([&](const float* p, int j) { return loadN(p, widthOf(j)); });
#pragma GCC unroll 4
    for (int m = 0; m < M; m++)
#pragma GCC unroll 4
      for (int j = 0; j < W; j++)
        if (widthOf(j) > 0) storeN(to + m * toRow + from + j * VL, s[m][j] / divisor[m], widthOf(j));
  }
}

// The first key that the query at `position` sees.
TS_INLINE int64_t firstKey(const Attention& p, int64_t position) {
  return p.window > 0 ? most(0, position - p.window + 1) : 0;
}

// Scores of one row, capped, and hidden where they are not of the keys [lo, hi).
TS_INLINE void maskRow(float* row, int64_t padded, int64_t lo, int64_t hi, float softcap) {
  if (softcap > 0)
    for (int64_t i = 0; i < padded; i += VL) store(row + i, vtanh(load(row + i) / softcap) * softcap);
  for (int64_t i = 0; i < lo && i < padded; i++) row[i] = -INFINITY;
  for (int64_t i = most(0, hi); i < padded; i++) row[i] = -INFINITY;
}

// Scores of one row to weights, not yet divided by their sum; returns it, and the largest score.
static float weighRow(float* row, int64_t padded, float& top) {
  vf m = splat(-INFINITY);
  for (int64_t i = 0; i < padded; i += VL) m = vmax(load(row + i), m);
  top = maxOf(m);
  vf total = {};
  for (int64_t i = 0; i < padded; i += VL) {
    const vf e = vexp(load(row + i) - top);
    store(row + i, e);
    total += e;
  }
  return sumOf(total);
}

// All queries of sequence s by the heads that share the head kvHead of keys and values. False without memory.
static bool attendFew(const Attention& p, int64_t s, int64_t kvHead, float* out, float* lse) {
  const int64_t queryBase = p.cuSeqlens[s], queries = p.cuSeqlens[s + 1] - queryBase;
  const int64_t keyBase = p.kvStart ? p.kvStart[s] : queryBase, allKeys = p.kvLength ? p.kvLength[s] : queries;
  const int64_t d = p.headDim, group = p.heads / p.kvHeads, shift = allKeys - queries;
  const int64_t start = firstKey(p, shift), keys = allKeys - start, padded = ceilDiv(keys, VL) * VL;
  const int64_t rows = queries * group;
  if (rows == 0) return true;
  float* memory = scratch(kScratchAttention, static_cast<size_t>(rows * (padded + d) + 2 * kFewRows));
  if (!memory) return false;
  float *scores = memory, *q = scores + rows * padded, *sums = q + rows * d;
  for (int64_t r = 0; r < rows; r++) {
    const float* from = p.q + (queryBase + r / group) * p.qStride + (kvHead * group + r % group) * d;
    for (int64_t i = 0; i < d; i++) q[r * d + i] = from[i] * p.scale;
  }
  const int64_t first = (keyBase + start) * p.kvStride + kvHead * d;
  Term t;
  t.b = floatMatrix(p.k + first, keys, p.kvStride);
  t.k = d;
  static constexpr decltype(&gemvGroup<kF32, 1>) dots[kGroup] = {
      gemvGroup<kF32, 1>, gemvGroup<kF32, 2>, gemvGroup<kF32, 3>, gemvGroup<kF32, 4>};
  static constexpr decltype(&sumValues<1>) mixes[kGroup] = {sumValues<1>, sumValues<2>, sumValues<3>, sumValues<4>};
  for (int64_t r = 0; r < rows; r += kGroup)
    dots[least(kGroup, rows - r) - 1](0, keys, t, q + r * d, d, nullptr, scores + r * padded, padded, false, nullptr);
  for (int64_t r = 0; r < rows; r++) {
    const int64_t query = r / group, position = query + shift;
    float* row = scores + r * padded;
    maskRow(row, padded, firstKey(p, position) - start, position + 1 - start, p.softcap);
    float top;
    sums[r] = weighRow(row, padded, top);
    lse[(queryBase + query) * p.heads + kvHead * group + r % group] = top + logf(sums[r]);
  }
  for (int64_t query = 0; query < queries; query++)
    for (int64_t g = 0; g < group; g += kGroup) {
      const int64_t r = query * group + g;
      mixes[least(kGroup, group - g) - 1](scores + r * padded, padded, keys, p.v + first, p.kvStride, d, sums + r,
          out + (queryBase + query) * p.qStride + (kvHead * group + g) * d, d);
    }
  return true;
}

}  // namespace
}  // namespace tunesmith
