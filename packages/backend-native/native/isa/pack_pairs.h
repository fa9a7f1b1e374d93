// Panels in bf16: where a panel of float32 has one value, a panel of pairs has two neighbours along K, the first in the
// low half. Factors are rounded to nearest even (a processor may take subnormal ones for zero); an odd K ends in a
// zero.
#pragma once
#include "pack.h"

namespace tunesmith {
namespace {

#if TS_BF16
constexpr bool kHasPairs = true;

// s + the products of the pair at `a` with the pairs of b, in float32.
TS_INLINE vf addPairs(vf s, const float* a, vf b) {
  int32_t pair;
  memcpy(&pair, a, 4);
  return reinterpret_cast<vf>(_mm512_dpbf16_ps(
      reinterpret_cast<__m512>(s), reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)), reinterpret_cast<__m512bh>(b)));
}

TS_INLINE __m512i bf16Of(vf low, vf high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high), reinterpret_cast<__m512>(low)));
}
TS_INLINE void storeBF16(uint16_t* p, vf x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_castsi512_si256(bf16Of(x, vf{})));
}

// n values times alpha, and a zero behind an odd number of them.
TS_INLINE void roundRow(const float* x, int64_t n, float alpha, uint16_t* out) {
  int64_t i = 0;
  for (; i + 2 * VL <= n; i += 2 * VL)
    _mm512_storeu_si512(out + i, bf16Of(load(x + i) * alpha, load(x + i + VL) * alpha));
  if (i == n) return;
  alignas(64) uint16_t last[2 * VL];
  const int64_t rest = n - i, more = most(0, rest - VL);
  _mm512_store_si512(last, bf16Of(loadPart(x + i, least(VL, rest)) * alpha, loadPart(x + i + VL, more) * alpha));
  memcpy(out + i, last, static_cast<size_t>(rest + (rest & 1)) * 2);
}

// Elements [column, column + n) of one row of a weight, and a zero behind an odd number of them.
static void decodeRowBF16(const Matrix& w, int64_t row, int64_t column, int64_t n, uint16_t* out) {
  const int64_t first = row * w.cols + column, end = first + n;
  int64_t i = first;
  if (n & 1) out[n] = 0;
  if (w.format == kBF16) {
    memcpy(out, static_cast<const uint16_t*>(w.data) + first, static_cast<size_t>(n) * 2);
    return;
  }
  if (w.format == kNF4 && w.blockSize % 32 == 0 && !(first & 1)) {
    // The sixteen values twice over, so that the permute may leave the fifth bit of an index as it is.
    const uint8_t* bytes = static_cast<const uint8_t*>(w.data);
    while (i + 32 <= end) {
      const int64_t block = i / w.blockSize, stop = least(end, (block + 1) * w.blockSize);
      const vf values = roundTo(load(w.code) * w.scale[block], w.rounding);
      const __m512i table = bf16Of(values, values);
      for (; i + 32 <= stop; i += 32, out += 32) {
        const __m512i byte = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + (i >> 1))));
        const __m512i index = _mm512_or_si512(_mm512_srli_epi32(byte, 4), _mm512_slli_epi32(byte, 16));
        _mm512_storeu_si512(out, _mm512_permutexvar_epi16(index, table));
      }
      if (i < stop) break;
    }
  } else if (w.format == kF16) {
    const uint16_t* p = static_cast<const uint16_t*>(w.data);
    for (; i + VL <= end; i += VL, out += VL) storeBF16(out, fromF16(p + i));
  } else if (w.format == kINT8) {
    const int8_t* p = static_cast<const int8_t*>(w.data);
    for (; i + VL <= end; i += VL, out += VL) storeBF16(out, fromINT8(p + i) * w.scale[row]);
  }
  alignas(64) float rest[2 * VL];
  while (i < end) {
    const int64_t count = least(2 * VL, end - i);
    decodeRow(w, row, i - row * w.cols, count, rest);
    roundRow(rest, count, 1.f, out);
    i += count;
    out += count;
  }
}

// Panel of A: dst[step * height + r] = the pair of alpha * a[m0 + r, k0 + 2 step], k < n <= 512; k0 is even.
static void packPairsA(const Term& t, int64_t m0, int height, int64_t k0, int64_t n, float* dst, float* temp) {
  const int64_t steps = ceilDiv(n, 2), stride = steps + VL;
  for (int r = 0; r < height; r++) {
    const float* row = t.a + (m0 + r) * t.aRow + k0;
    alignas(64) float kept[512];
    if (t.aDropout.on) {
      memcpy(kept, row, static_cast<size_t>(n) * 4);
      dropRow(kept, (m0 + r) * t.aRow + k0, n, t.aDropout);
      row = kept;
    }
    roundRow(row, n, t.alpha, reinterpret_cast<uint16_t*>(temp + r * stride));
  }
  transposeInto(temp, stride, height, steps, dst, height);
}

// Panel of B, transposed: dst[step * width + j] = the pair of b[k0 + 2 step, n0 + j], n <= 2 KC, columns from `cols` to
// `width` zero.
static void packPairsB(const Term& t, int64_t k0, int64_t n, int64_t n0, int cols, int width, float* dst, float* temp) {
  const Matrix& w = t.b;
  const int64_t steps = ceilDiv(n, 2);
  for (int j = 0; j < width; j += VL) {
    const int rows = static_cast<int>(most(0, least(VL, cols - j)));
    if (rows < VL)
      for (int64_t k = 0; k < steps; k++) store(dst + k * width + j, vf{});
    if (rows == 0) continue;
    if (w.format == kBF16 && !((n | w.cols) & 1)) {
      const char* from = static_cast<const char*>(w.data) + ((n0 + j) * w.cols + k0) * 2;
      transposeInto(reinterpret_cast<const float*>(from), w.cols / 2, rows, steps, dst + j, width);
    } else {
      const int64_t stride = steps + VL;  // not a power of two: rows of a tile fall into different cache sets
      for (int i = 0; i < rows; i++)
        decodeRowBF16(w, n0 + j + i, k0, n, reinterpret_cast<uint16_t*>(temp + i * stride));
      transposeInto(temp, stride, rows, steps, dst + j, width);
    }
  }
}

// The order of 32 values that puts one of the first 16 before each of the last 16; of two vectors of 32,
// one of the first before each of the second needs 16 more in every other place.
alignas(64) static const uint16_t kOneOfEach[32] = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9,
    25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};

// Up to 32 values of a row, the rest zero.
TS_INLINE __m512i someOf(const uint16_t* p, int64_t n) {
  return _mm512_maskz_loadu_epi16(n < 2 * VL ? (1u << n) - 1 : 0xffffffffu, p);
}

// Panels of B, not transposed, of a whole strip: a row is read once for all of them. Panels are `apart` floats from
// each other; the last one is VL or NR wide.
static void packPairsOfRows(
    const Term& t, int64_t k0, int64_t n, int64_t n0, int64_t cols, float* dst, int64_t apart, uint16_t* temp) {
  const Matrix& w = t.b;
  const __m512i first = _mm512_add_epi16(_mm512_load_si512(kOneOfEach), _mm512_set1_epi32(16 << 16)),
                second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  const auto rowOf = [&](int64_t k, uint16_t* room) -> const uint16_t* {
    if (w.format == kBF16) return static_cast<const uint16_t*>(w.data) + (k0 + k) * w.cols + n0;
    decodeRowBF16(w, k0 + k, n0, cols, room);
    return room;
  };
  for (int64_t k = 0; k < n; k += 2) {
    const bool both = k + 1 < n;
    const uint16_t *low = rowOf(k, temp), *high = both ? rowOf(k + 1, temp + cols + 1) : low;
    for (int64_t j = 0; j < cols; j += NR) {
      const int64_t count = least(NR, cols - j);
      const int width = count <= VL ? VL : NR;
      const __m512i a = someOf(low + j, count), b = someOf(high + j, both ? count : 0);
      float* to = dst + j / NR * apart + k / 2 * width;
      _mm512_storeu_si512(to, _mm512_permutex2var_epi16(a, first, b));
      if (width > VL) _mm512_storeu_si512(to + VL, _mm512_permutex2var_epi16(a, second, b));
    }
  }
}
#else
constexpr bool kHasPairs = false;
TS_INLINE vf addPairs(vf s, const float*, vf) { return s; }
static inline void packPairsA(const Term&, int64_t, int, int64_t, int64_t, float*, float*) {}
static inline void packPairsB(const Term&, int64_t, int64_t, int64_t, int, int, float*, float*) {}
static inline void packPairsOfRows(const Term&, int64_t, int64_t, int64_t, int64_t, float*, int64_t, uint16_t*) {}
#endif

}  // namespace
}  // namespace tunesmith
