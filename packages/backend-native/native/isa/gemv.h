// A few rows of x against W^T, reading each weight once as it lies: decoding is bound by memory, not arithmetic.
#pragma once
#include "decode.h"

namespace tunesmith {
namespace {

constexpr int64_t kGemvRows = 4;

// Rows of x must lie contiguously, and a 4-bit row must start at a byte and at a block.
TS_INLINE bool gemvFits(const Term& t) {
  if (!t.bTransposed || t.aCol != 1 || t.aDropout.on || t.outDropout.on) return false;
  return t.b.format != kNF4 || (t.b.cols % t.b.blockSize == 0 && t.b.blockSize % VL == 0);
}

template <Format F> struct RowReader {
  const Matrix& w;
  const char* at;
  const float* absmax = nullptr;
  RowReader(const Matrix& matrix, int64_t row) : w(matrix), at(nullptr) {
    const char* data = static_cast<const char*>(matrix.data);
    const int64_t first = row * matrix.cols;
    if (F == kF32) at = data + first * 4;
    if (F == kBF16 || F == kF16) at = data + first * 2;
    if (F == kINT8) at = data + first;
    if (F == kNF4) {
      at = data + first / 2;
      absmax = matrix.scale + first / matrix.blockSize;
    }
  }
  vf get(int64_t k) const {
    if (F == kF32) return load(reinterpret_cast<const float*>(at) + k);
    if (F == kBF16) return fromBF16(reinterpret_cast<const uint16_t*>(at) + k);
    if (F == kF16) return fromF16(reinterpret_cast<const uint16_t*>(at) + k);
    if (F == kINT8) return fromINT8(reinterpret_cast<const int8_t*>(at) + k);
    return vf{};
  }
};

template <Format F, int M> static void gemvRows(int64_t from, int64_t to, const Term& t, const GemmOutput& out) {
  const int64_t k = t.k, whole = k / VL * VL;
  for (int64_t n = from; n < to; n++) {
    const RowReader<F> row(t.b, n);
    vf s[M][2] = {};
    int64_t i = 0;
    if (F == kNF4) {
      // The scale goes into the sixteen values of a block.
      for (int64_t block = 0; i < whole; block++) {
        const NibbleTable table(t.b.code, row.absmax[block], t.b.rounding);
        vf part[M] = {};
        for (const int64_t stop = i + t.b.blockSize; i < stop; i += VL) {
          const vf w = table.get(reinterpret_cast<const uint8_t*>(row.at) + i / 2);
          for (int m = 0; m < M; m++) part[m] += w * load(t.a + m * t.aRow + i);
        }
        for (int m = 0; m < M; m++) s[m][block & 1] += part[m];
      }
    } else {
      for (; i + 2 * VL <= whole; i += 2 * VL) {
        const vf w0 = row.get(i), w1 = row.get(i + VL);
        for (int m = 0; m < M; m++) {
          s[m][0] += w0 * load(t.a + m * t.aRow + i);
          s[m][1] += w1 * load(t.a + m * t.aRow + i + VL);
        }
      }
      for (; i < whole; i += VL)
        for (int m = 0; m < M; m++) s[m][0] += row.get(i) * load(t.a + m * t.aRow + i);
    }
    float tail[VL];
    if (whole < k) decodeRow(t.b, n, whole, k - whole, tail);
    for (int m = 0; m < M; m++) {
      float sum = sumOf(s[m][0] + s[m][1]);
      if (F == kINT8) sum *= t.b.scale[n];
      for (int64_t j = whole; j < k; j++) sum += tail[j - whole] * t.a[m * t.aRow + j];
      sum *= t.alpha;
      float* at = out.c + m * out.ldc + n;
      *at = sum + (out.accumulate ? *at : 0.f) + (out.bias && !out.accumulate ? out.bias[n] : 0.f);
    }
  }
}

template <Format F> static void gemvFormat(int64_t m, int64_t n, const Term& t, const GemmOutput& out) {
  parallelRange(n, most(16, 262144 / most(1, t.k)), [&](int64_t from, int64_t to) {
    static constexpr decltype(&gemvRows<F, 1>) all[] = {gemvRows<F, 1>, gemvRows<F, 2>, gemvRows<F, 3>, gemvRows<F, 4>};
    all[m - 1](from, to, t, out);
  });
}

static void gemv(int64_t m, int64_t n, const Term& t, const GemmOutput& out) {
  // in the order of Format
  static constexpr decltype(&gemvFormat<kF32>) all[] = {
      gemvFormat<kF32>, gemvFormat<kBF16>, gemvFormat<kF16>, gemvFormat<kNF4>, gemvFormat<kINT8>};
  all[t.b.format](m, n, t, out);
}

}  // namespace
}  // namespace tunesmith
