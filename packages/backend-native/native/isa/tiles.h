// Products in AMX tiles: 16 x 16 sums in float32 of 16 rows of A and 16 columns of B, over 16 pairs of bf16 in a step.
//
// A tile of A is 16 rows of 16 pairs, a tile of B 16 pairs down and 16 columns across. Panels of B are those of
// pack_pairs.h; A is packed as tiles, one after the other along K, in groups of 16 rows. Both end in zeros along K.
#pragma once
#include "pack_pairs.h"

#if TS_BF16 && defined(__linux__) && (defined(__clang__) ? __clang_major__ >= 12 : __GNUC__ >= 11)
#define TS_TILES 1
// Only these functions: the others must run on processors without tiles.
#define TS_IN_TILES __attribute__((target("amx-tile,amx-bf16")))
#endif

namespace tunesmith {
namespace {

// What sums start from: zero, C or the bias.
enum Start { kFromZero, kFromC, kFromBias };

// The `rows` x `cols` that are real of sums t, `width` wide, which started from zero.
static inline void writePart(
    const float* t, int width, int rows, int cols, float* c, int64_t ldc, Start start, const float* bias) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      float* at = c + i * ldc + j;
      const float from = start == kFromC ? *at : start == kFromBias ? bias[j] : 0.f;
      *at = t[i * width + j] + from;
    }
}

constexpr int64_t kTile = 16;              // rows, columns and pairs of a tile
constexpr int64_t kTiledRows = 2 * kTile;  // rows of A in a panel
constexpr int64_t kTiledSteps = 1024;      // pairs of B packed at a time: half of an outer cache with the
constexpr int kTiledStrip = 8;             // panels of a strip
constexpr int kPrefetched = 4;             // cache lines asked for in a step

#if TS_TILES
// A thread's tiles hold 16 rows of 64 bytes from here to `leaveTiles`; another kernel may use others in between.
alignas(64) static const struct {
  uint8_t palette, startRow, unused[14];
  uint16_t bytesOfRow[16];
  uint8_t rows[16];
} kTiles16 = {1, 0, {}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};
TS_IN_TILES static void useTiles() { _tile_loadconfig(&kTiles16); }
TS_IN_TILES static void leaveTiles() { _tile_release(); }

// C[R tiles, Q tiles] from `a` (tiles; the second group `group` floats further) and `b` (rows of `bBytes`); `next` is
// needed soon.
template <int R, int Q>
TS_IN_TILES static void tiles(int64_t steps, const float* a, int64_t group, const float* b, int64_t bBytes, float* c,
    int64_t ldc, Start start, const float* bias, const float* next) {
  const int64_t cBytes = ldc * 4;
  float* below = c + kTile * ldc;
  if (start == kFromZero) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    // A stride of zero repeats the bias in every row.
    const float *top = start == kFromC ? c : bias, *bottom = start == kFromC ? below : bias;
    const int64_t stride = start == kFromC ? cBytes : 0;
    _tile_loadd(0, top, stride);
    if (Q == 2) _tile_loadd(1, top + kTile, stride);
    if (R == 2) _tile_loadd(2, bottom, stride);
    if (R == 2 && Q == 2) _tile_loadd(3, bottom + kTile, stride);
  }
  for (int64_t p = 0; p < steps; p += kTile) {
    // The outer caches are far from these rates: rows of the next panel of A come while this one is at work.
#pragma GCC unroll 4
    for (int i = 0; i < kPrefetched; i++) __builtin_prefetch(next + i * kTile, 0, 2);
    next += kPrefetched * kTile;
    _tile_loadd(6, b, bBytes);
    _tile_loadd(4, a, 64);
    _tile_dpbf16ps(0, 4, 6);
    if (Q == 2) {
      _tile_loadd(7, b + kTile, bBytes);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (R == 2) {
      _tile_loadd(5, a + group, 64);
      _tile_dpbf16ps(2, 5, 6);
      if (Q == 2) _tile_dpbf16ps(3, 5, 7);
    }
    a += kTile * kTile;
    b += kTile * bBytes / 4;
  }
  _tile_stored(0, c, cBytes);
  if (Q == 2) _tile_stored(1, c + kTile, cBytes);
  if (R == 2) _tile_stored(2, below, cBytes);
  if (R == 2 && Q == 2) _tile_stored(3, below + kTile, cBytes);
}

// As `tile` of gemm.h, for up to 32 rows; `group` is the length of a group of 16 rows of A.
static void tiledTile(int rows, int width, int cols, int64_t steps, const float* a, int64_t group, const float* b,
    float* c, int64_t ldc, Start start, const float* bias, const float* next) {
  const auto run = rows > kTile ? width > kTile ? tiles<2, 2> : tiles<2, 1> : width > kTile ? tiles<1, 2> : tiles<1, 1>;
  if (rows % kTile == 0 && cols == width) return run(steps, a, group, b, width * 4, c, ldc, start, bias, next);
  alignas(64) float t[kTiledRows * NR];
  run(steps, a, group, b, width * 4, t, width, kFromZero, nullptr, next);
  writePart(t, width, rows, cols, c, ldc, start, bias);
}

// Rows [m0, m0 + rows) of A, rows <= 16, as a group of tiles: all of K.
static void packTiles(const Term& t, int64_t m0, int rows, float* dst) {
  const int64_t groups = ceilDiv(t.k, 2 * kTile);
  for (int r = 0; r < rows; r++) {
    const float* row = t.a + (m0 + r) * t.aRow;
    uint16_t* to = reinterpret_cast<uint16_t*>(dst + r * kTile);
    for (int64_t g = 0; g < groups; g++, to += 2 * kTile * kTile) {
      const int64_t k = g * 2 * kTile, n = least(2 * kTile, t.k - k), more = most(0, n - VL);
      vf low, high;
      if (t.aDropout.on || n < 2 * kTile) {
        low = loadPart(row + k, least(VL, n));
        high = loadPart(row + k + VL, more);
        if (t.aDropout.on) {
          low = dropped(low, (m0 + r) * t.aRow + k, t.aDropout);
          high = dropped(high, (m0 + r) * t.aRow + k + VL, t.aDropout);
        }
      } else {
        low = load(row + k);
        high = load(row + k + VL);
      }
      _mm512_storeu_si512(to, bf16Of(low * t.alpha, high * t.alpha));
    }
  }
}
#else
static inline void useTiles() {}
static inline void leaveTiles() {}
static inline void tiledTile(
    int, int, int, int64_t, const float*, int64_t, const float*, float*, int64_t, Start, const float*, const float*) {}
static inline void packTiles(const Term&, int64_t, int, float*) {}
#endif

}  // namespace
}  // namespace tunesmith
