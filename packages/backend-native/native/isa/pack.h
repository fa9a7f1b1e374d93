// Panels for the micro-kernel: [k][height] slices, transposed on the way in when the source lies the other way.
#pragma once
#include "decode.h"

namespace tunesmith {
namespace {

// The micro-kernel's tile of C: MR rows, NV vectors wide.
constexpr int MR = TS_VL == 16 ? 14 : 6, NV = 2;
constexpr int NR = NV * VL;

// dst[k * dstStride + r] = src[r * srcStride + k] for r < rows <= VL, k < n. Whole vectors are stored: dst must have VL
// floats of room past its last row, and rows are written in rising k, so that the overlap is overwritten.
#if TS_VL == 16
TS_INLINE void transposeTile(const float* src, int64_t stride, int rows, float* dst, int64_t dstStride) {
  __m512 r[16], t[16];
  for (int i = 0; i < 16; i++) r[i] = i < rows ? _mm512_loadu_ps(src + i * stride) : _mm512_setzero_ps();
  for (int i = 0; i < 8; i++) {
    t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 4; i++) {
    const __m512d a = _mm512_castps_pd(t[4 * i]), b = _mm512_castps_pd(t[4 * i + 1]);
    const __m512d c = _mm512_castps_pd(t[4 * i + 2]), d = _mm512_castps_pd(t[4 * i + 3]);
    r[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 8; i++) {
    r[i] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_f32x4(t[i], t[i + 8], 0xdd);
  }
  for (int i = 0; i < 16; i++) _mm512_storeu_ps(dst + i * dstStride, r[i]);
}
#elif TS_VL == 8
TS_INLINE void transposeTile(const float* src, int64_t stride, int rows, float* dst, int64_t dstStride) {
  __m256 r[8], t[8];
  for (int i = 0; i < 8; i++) r[i] = i < rows ? _mm256_loadu_ps(src + i * stride) : _mm256_setzero_ps();
  for (int i = 0; i < 4; i++) {
    t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
    t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
  }
  for (int i = 0; i < 2; i++) {
    r[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
    r[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xee);
    r[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
    r[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(dst + i * dstStride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
  }
  for (int i = 0; i < 4; i++) {
    _mm256_storeu_ps(dst + (i + 4) * dstStride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
#else
TS_INLINE void transposeTile(const float* src, int64_t stride, int rows, float* dst, int64_t dstStride) {
  for (int k = 0; k < VL; k++)
    for (int i = 0; i < rows; i++) dst[k * dstStride + i] = src[i * stride + k];
}
#endif

// Rows beyond `rows` up to VL may be written as zero or left alone.
static void transposeInto(const float* src, int64_t stride, int rows, int64_t n, float* dst, int64_t dstStride) {
  int64_t k = 0;
  for (; k + VL <= n; k += VL) transposeTile(src + k, stride, rows, dst + k * dstStride, dstStride);
  for (; k < n; k++)
    for (int i = 0; i < rows; i++) dst[k * dstStride + i] = src[i * stride + k];
}

constexpr int64_t kRowsTemp = 16 * 512;  // floats of scratch that packing may need

// Panel of A: dst[k * height + r] = alpha * a[m0 + r, k0 + k], k < n <= 512.
static void packA(const Term& t, int64_t m0, int height, int64_t k0, int64_t n, float* dst, float* temp) {
  const float* src = t.a + m0 * t.aRow + k0 * t.aCol;
  if (t.aCol == 1) {
    for (int r = 0; r < height; r += VL) {
      const int rows = static_cast<int>(least(VL, height - r));
      const float* from = src + r * t.aRow;
      int64_t stride = t.aRow;
      if (t.aDropout.on) {
        for (int i = 0; i < rows; i++) {
          memcpy(temp + i * n, from + i * stride, static_cast<size_t>(n) * 4);
          dropRow(temp + i * n, (m0 + r + i) * t.aRow + k0, n, t.aDropout);
        }
        from = temp;
        stride = n;
      }
      if (r == 0 && rows == height) {
        transposeInto(from, stride, rows, n, dst, height);
      } else {
        for (int64_t k = 0; k < n; k++)
          for (int i = 0; i < rows; i++) dst[k * height + r + i] = from[i * stride + k];
      }
    }
  } else {
    for (int64_t k = 0; k < n; k++)
      for (int r = 0; r < height; r++) dst[k * height + r] = src[k * t.aCol + r * t.aRow];
  }
  if (t.alpha != 1.f)
    for (int64_t i = 0; i < n * height; i++) dst[i] *= t.alpha;
}

// Panel of B: dst[k * width + j] = b[k0 + k, n0 + j], columns from `cols` to `width` zero. width is a multiple of VL.
static void packB(const Term& t, int64_t k0, int64_t n, int64_t n0, int cols, int width, float* dst, float* temp) {
  const Matrix& w = t.b;
  if (t.bTransposed) {
    for (int j = 0; j < width; j += VL) {
      const int rows = static_cast<int>(most(0, least(VL, cols - j)));
      if (rows < VL)
        for (int64_t k = 0; k < n; k++) store(dst + k * width + j, vf{});
      if (rows == 0) continue;
      if (w.format == kF32) {
        transposeInto(static_cast<const float*>(w.data) + (n0 + j) * w.cols + k0, w.cols, rows, n, dst + j, width);
      } else {
        const int64_t stride = n + VL;  // not a power of two: rows of a tile fall into different cache sets
        for (int i = 0; i < rows; i++) decodeRow(w, n0 + j + i, k0, n, temp + i * stride);
        transposeInto(temp, stride, rows, n, dst + j, width);
      }
    }
    return;
  }
  for (int64_t k = 0; k < n; k++) {
    float* row = dst + k * width;
    decodeRow(w, k0 + k, n0, cols, row);
    if (t.bDropout.on) dropRow(row, (k0 + k) * w.cols + n0, cols, t.bDropout);
    for (int j = cols; j < width; j++) row[j] = 0;
  }
}

}  // namespace
}  // namespace tunesmith
