// Rows of a matrix in any storage format to float32.
#pragma once
#include "vec.h"

namespace tunesmith {
namespace {

TS_INLINE float halfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  uint32_t exponent = (h >> 10) & 31, mantissa = h & 1023;
  uint32_t bits;
  if (exponent == 31) {
    bits = sign | 0x7f800000 | (mantissa << 13);
  } else if (exponent) {
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  } else {
    float f = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
    memcpy(&bits, &f, 4);
    bits |= sign;
  }
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

TS_INLINE vf fromBF16(const uint16_t* p) {
  const vh h = *reinterpret_cast<const vhu*>(p);
  return reinterpret_cast<vf>(__builtin_convertvector(h, vu) << 16);
}
TS_INLINE vf fromF16(const uint16_t* p) {
#if TS_VL == 16
  return reinterpret_cast<vf>(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
#elif TS_VL == 8
  return reinterpret_cast<vf>(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
#else
  vf v;
  for (int i = 0; i < VL; i++) v[i] = halfToFloat(p[i]);
  return v;
#endif
}
TS_INLINE vf fromINT8(const int8_t* p) {
#if TS_VL == 16
  return reinterpret_cast<vf>(
      _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))));
#elif TS_VL == 8
  return reinterpret_cast<vf>(
      _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)))));
#else
  vf v;
  for (int i = 0; i < VL; i++) v[i] = static_cast<float>(p[i]);
  return v;
#endif
}

// To the nearest value of a 16-bit format, ties to even; NaN stays NaN.
TS_INLINE vf toNearestBF16(vf x) {
  const vu bits = reinterpret_cast<vu>(x);
  const vu r = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return x == x ? reinterpret_cast<vf>(r) : x;
}
TS_INLINE vf toNearestF16(vf x) {
#if TS_VL == 16
  const __m512 v = reinterpret_cast<__m512>(x);
  return reinterpret_cast<vf>(_mm512_cvtph_ps(_mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)));
#elif TS_VL == 8
  const __m256 v = reinterpret_cast<__m256>(x);
  return reinterpret_cast<vf>(_mm256_cvtph_ps(_mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)));
#else
  const vu sign = reinterpret_cast<vu>(x) & 0x80000000u, bits = reinterpret_cast<vu>(x) & 0x7fffffffu;
  const vf a = reinterpret_cast<vf>(bits);
  const vf normal = reinterpret_cast<vf>((bits + 0xfffu + ((bits >> 13) & 1u)) & 0xffffe000u);
  const vf small = (a + 0.75f) - 0.75f;  // between a half and one floats lie 2^-24 apart, as subnormal halves do
  vf r = a < splat(6.103515625e-5f) ? small : normal;
  r = a >= splat(65520.f) ? splat(INFINITY) : r;
  return x == x ? reinterpret_cast<vf>(reinterpret_cast<vu>(r) | sign) : x;
#endif
}
TS_INLINE vf roundTo(vf x, Rounding rounding) {
  return rounding == kToBF16 ? toNearestBF16(x) : rounding == kToF16 ? toNearestF16(x) : x;
}

// The sixteen values of a block, scaled and rounded; get() turns VL/2 bytes into VL of them, the high nibble first;
// split() turns VL bytes into the values of their high nibbles and those of their low ones.
struct NibbleTable {
#if TS_VL == 16
  __m512 table;
  NibbleTable() = default;
  NibbleTable(const float* code, float scale, Rounding r)
      : table(reinterpret_cast<__m512>(roundTo(load(code) * scale, r))) {}
  vf get(const uint8_t* p) const {
    const __m512i bytes = _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    // even lanes: byte >> 4, odd lanes: byte & 15; the permute looks at the low four bits only
    const __m512i index = _mm512_or_si512(_mm512_srli_epi64(bytes, 4), _mm512_slli_epi64(bytes, 32));
    return reinterpret_cast<vf>(_mm512_permutexvar_ps(index, table));
  }
  void split(const uint8_t* p, vf& high, vf& low) const {
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    high = reinterpret_cast<vf>(_mm512_permutexvar_ps(_mm512_srli_epi32(bytes, 4), table));
    low = reinterpret_cast<vf>(_mm512_permutexvar_ps(bytes, table));
  }
#elif TS_VL == 8
  __m256 low, high;
  NibbleTable() = default;
  NibbleTable(const float* code, float scale, Rounding r)
      : low(reinterpret_cast<__m256>(roundTo(load(code) * scale, r))),
        high(reinterpret_cast<__m256>(roundTo(load(code + 8) * scale, r))) {}
  vf get(const uint8_t* p) const {
    int32_t four;
    memcpy(&four, p, 4);
    const __m256i bytes = _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(four));
    return at(_mm256_or_si256(_mm256_srli_epi64(bytes, 4), _mm256_slli_epi64(bytes, 32)));
  }
  void split(const uint8_t* p, vf& even, vf& odd) const {
    const __m256i bytes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    even = at(_mm256_srli_epi32(bytes, 4));
    odd = at(bytes);
  }
  // The values at the low four bits of each index.
  vf at(__m256i index) const {
    const __m256 a = _mm256_permutevar8x32_ps(low, index), b = _mm256_permutevar8x32_ps(high, index);
    return reinterpret_cast<vf>(_mm256_blendv_ps(a, b, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28))));
  }
#else
  float table[16];
  NibbleTable() = default;
  NibbleTable(const float* code, float scale, Rounding r) {
    for (int i = 0; i < 16; i += VL) store(table + i, roundTo(load(code + i) * scale, r));
  }
  vf get(const uint8_t* p) const {
    vf v;
    for (int i = 0; i < VL; i += 2) {
      v[i] = table[p[i / 2] >> 4];
      v[i + 1] = table[p[i / 2] & 15];
    }
    return v;
  }
  void split(const uint8_t* p, vf& high, vf& low) const {
    for (int i = 0; i < VL; i++) {
      high[i] = table[p[i] >> 4];
      low[i] = table[p[i] & 15];
    }
  }
#endif
};

TS_INLINE float nibbleAt(const Matrix& w, int64_t i) {
  const uint8_t byte = static_cast<const uint8_t*>(w.data)[i >> 1];
  return roundTo(splat(w.code[i & 1 ? byte & 15 : byte >> 4] * w.scale[i / w.blockSize]), w.rounding)[0];
}

// A store that does not read the line into the caches first: for results larger than they are. Aligned.
TS_INLINE void stream(float* p, vf v) {
#if TS_VL == 16
  _mm512_stream_ps(p, reinterpret_cast<__m512>(v));
#elif TS_VL == 8
  _mm256_stream_ps(p, reinterpret_cast<__m256>(v));
#else
  store(p, v);
#endif
}

template <bool Stream> static void decodeNibblesAs(const Matrix& w, int64_t first, int64_t n, float* out) {
  const uint8_t* bytes = static_cast<const uint8_t*>(w.data);
  int64_t i = first;
  const int64_t end = first + n;
  if (i < end && (i & 1)) *out++ = nibbleAt(w, i++);
  while (i < end) {
    const int64_t block = i / w.blockSize;
    const int64_t stop = least(end, (block + 1) * w.blockSize);
    const NibbleTable table(w.code, w.scale[block], w.rounding);
    for (; i + VL <= stop; i += VL, out += VL) {
      const vf v = table.get(bytes + (i >> 1));
      Stream ? stream(out, v) : store(out, v);
    }
    for (; i < stop; i++) *out++ = nibbleAt(w, i);
    if (i & 1 && i < end) *out++ = nibbleAt(w, i++);
  }
}

// Elements [column, column + n) of one row.
static void decodeRow(const Matrix& w, int64_t row, int64_t column, int64_t n, float* out) {
  const int64_t first = row * w.cols + column;
  int64_t i = 0;
  switch (w.format) {
    case kF32: memcpy(out, static_cast<const float*>(w.data) + first, static_cast<size_t>(n) * 4); return;
    case kBF16: {
      const uint16_t* p = static_cast<const uint16_t*>(w.data) + first;
      for (; i + VL <= n; i += VL) store(out + i, fromBF16(p + i));
      for (; i < n; i++) {
        const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
        memcpy(out + i, &bits, 4);
      }
      return;
    }
    case kF16: {
      const uint16_t* p = static_cast<const uint16_t*>(w.data) + first;
      for (; i + VL <= n; i += VL) store(out + i, fromF16(p + i));
      for (; i < n; i++) out[i] = halfToFloat(p[i]);
      return;
    }
    case kINT8: {
      const int8_t* p = static_cast<const int8_t*>(w.data) + first;
      const float scale = w.scale[row];
      for (; i + VL <= n; i += VL) store(out + i, fromINT8(p + i) * scale);
      for (; i < n; i++) out[i] = static_cast<float>(p[i]) * scale;
      return;
    }
    case kNF4: decodeNibblesAs<false>(w, first, n, out); return;
  }
}

static void dropRow(float* x, int64_t first, int64_t n, const Dropout& d) {
  int64_t i = 0;
  for (; i + VL <= n; i += VL) store(x + i, dropped(load(x + i), first + i, d));
  if (i < n) storePart(x + i, dropped(loadPart(x + i, n - i), first + i, d), n - i);
}

static void dropout(const float* x, float* y, int64_t n, const Dropout& d) {
  parallelRange(n, 65536, [&](int64_t from, int64_t to) {
    memcpy(y + from, x + from, static_cast<size_t>(to - from) * 4);
    if (d.on) dropRow(y + from, from, to - from, d);
  });
}

constexpr int64_t kStreamed = int64_t{1} << 22;  // floats: beyond what caches hold

static void dequantize(const Matrix& w, int64_t rowStart, int64_t rowEnd, float* out) {
  const int64_t first = rowStart * w.cols, n = (rowEnd - rowStart) * w.cols;
  if (w.format == kNF4 && n >= kStreamed && w.blockSize % VL == 0 && first % w.blockSize == 0 &&
      reinterpret_cast<uintptr_t>(out) % (4 * VL) == 0) {
    // Bound by the memory: streaming stores write each line without reading it before. Whole blocks keep them aligned.
    parallelRange(ceilDiv(n, w.blockSize), most(1, 262144 / w.blockSize), [&](int64_t from, int64_t to) {
      const int64_t begin = from * w.blockSize;
      decodeNibblesAs<true>(w, first + begin, least(n, to * w.blockSize) - begin, out + begin);
#if TS_VL > 4
      _mm_sfence();
#endif
    });
    return;
  }
  parallelRange(rowEnd - rowStart, most(1, 65536 / most(1, w.cols)), [&](int64_t from, int64_t to) {
    for (int64_t r = from; r < to; r++) decodeRow(w, rowStart + r, 0, w.cols, out + r * w.cols);
  });
}

static void gatherRows(const Matrix& w, const int32_t* ids, int64_t count, float* out) {
  parallelRange(count, most(1, 65536 / most(1, w.cols)), [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) decodeRow(w, ids[i], 0, w.cols, out + i * w.cols);
  });
}

}  // namespace
}  // namespace tunesmith
