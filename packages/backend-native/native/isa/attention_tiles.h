// Attention's products in tiles (tiles.h): queries, keys, values, probabilities and their gradients are rounded to
// bfloat16; scores, the softmax and all sums stay in float32.
#pragma once

namespace tunesmith {
namespace {

#if TS_TILES
constexpr bool kHasTiles = true;

struct TiledProducts {
  static constexpr int64_t kQueries = 4 * kTile;
  static int64_t steps(int64_t depth) { return ceilDiv(depth, 2 * kTile) * kTile; }
  static void begin() { useTiles(); }
  static void end() { leaveTiles(); }

  static void asA(const float* src, int64_t stride, int64_t rows, int64_t depth, float scale, float* dst) {
    Term t;
    t.a = src;
    t.aRow = stride;
    t.k = depth;
    t.alpha = scale;
    for (int64_t r = 0; r < rows; r += kTile)
      packTiles(t, r, static_cast<int>(least(kTile, rows - r)), dst + r * steps(depth));
  }

  static void asTransposedB(const float* src, int64_t stride, int64_t rows, int64_t depth, float* dst) {
    constexpr int64_t kPairs = 64, kApart = kPairs + VL;  // 128 values of 16 rows, not a power of two apart
    alignas(64) float temp[VL * kApart];
    for (int64_t r = 0; r < padded(rows); r += VL)
      for (int64_t k0 = 0; k0 < steps(depth); k0 += kPairs) {
        const int64_t pairs = least(kPairs, steps(depth) - k0), values = least(2 * pairs, depth - 2 * k0);
        memset(temp, 0, sizeof temp);
        for (int64_t i = 0; i < VL && r + i < rows; i++)
          roundRow(src + (r + i) * stride + 2 * k0, values, 1.f, reinterpret_cast<uint16_t*>(temp + i * kApart));
        transposeInto(temp, kApart, VL, pairs, dst + r / NR * NR * steps(depth) + k0 * NR + r % NR, NR);
      }
  }

  static void asB(const float* src, int64_t stride, int64_t rows, int64_t cols, float* dst) {
    const auto part = [&](int64_t r, int64_t j) {
      if (r >= rows || j >= cols) return vf{};
      const float* from = src + r * stride + j;
      return cols - j >= VL ? load(from) : loadPart(from, cols - j);
    };
    for (int64_t j = 0; j < padded(cols); j += VL)
      for (int64_t p = 0; p < steps(rows); p++) {
        const __m512i both = bf16Of(part(2 * p, j), part(2 * p + 1, j));
        float* to = dst + j / NR * NR * steps(rows) + p * NR + j % NR;
        _mm512_storeu_si512(to, _mm512_permutexvar_epi16(_mm512_load_si512(kOneOfEach), both));
      }
  }

  // Rows of C up to the next 32 are written too.
  static void multiply(
      const float* a, const float* b, int64_t rows, int64_t depth, int64_t cols, float* c, int64_t ldc, bool add) {
    const int64_t n = steps(depth);
    for (int64_t j = 0; j < cols; j += NR)
      for (int64_t r = 0; r < rows; r += kTiledRows)
        tiles<2, 2>(n, a + r * n, kTile * n, b + j * n, NR * 4, c + r * ldc + j, ldc, add ? kFromC : kFromZero, nullptr,
            a + r * n);
  }

  // A as B, whose tiles transposed are those of A^T.
  static void multiplyTransposed(const float* a, int64_t lda, const float* b, int64_t rows, int64_t depth, int64_t cols,
      float* c, int64_t ldc, float* work) {
    const int64_t n = steps(depth);
    alignas(64) float panels[kQueries / 2 * KB];
    asB(a, lda, depth, rows, panels);
    for (int64_t j = 0; j < padded(rows); j += kTile)
      for (int64_t p = 0; p < n; p += kTile)
        transposeTile(panels + j / NR * NR * n + p * NR + j % NR, NR, VL, work + j * n + p * kTile, kTile);
    multiply(work, b, rows, depth, cols, c, ldc, true);
  }
};
#else
constexpr bool kHasTiles = false;
using TiledProducts = FloatProducts;
#endif

}  // namespace
}  // namespace tunesmith
