// C[M,N] = sum over terms of alpha A B: the register-blocked micro-kernel and the loops around it.
//
// A term runs in steps along K. A step is one value of float32, or, where products are taken in bf16, a pair of
// neighbouring values in the place of one: only packing and the multiplication itself know the difference. Where the
// processor has tiles (tiles.h), they take the place of the micro-kernel for such terms.
//
// A is packed once into panels of up to MR rows, all of K. Each work item owns a strip of columns: it unpacks K-blocks
// of B (in whatever format the weight has) into panels that stay in its caches and runs every panel of A against them.
// The order of additions depends on K alone: neither threads, nor M, nor the place in the batch change a bit of C.
#pragma once
#include "tiles.h"

namespace tunesmith {
namespace {

#ifndef TS_KC
#define TS_KC 256
#endif
#ifndef TS_STRIP
#define TS_STRIP 8
#endif
constexpr int64_t KC = TS_KC;            // steps of B unpacked at a time
constexpr int STRIP = TS_STRIP;          // panels of B in a strip
constexpr int64_t kMaxRows = MR * 292;   // rows of A packed at a time,
constexpr int64_t kMaxPacked = 1 << 23;  // and steps, unless that leaves too few rows to pay for unpacking B

// A tile of C, MR_ x (NV_ * VL).
template <int MR_, int NV_, bool Pairs>
static void micro(int64_t steps, const float* a, int64_t aStride, const float* b, int64_t bStride, float* c,
    int64_t ldc, Start start, const float* bias) {
  vf s[MR_][NV_];
#pragma GCC unroll 16
  for (int i = 0; i < MR_; i++)
#pragma GCC unroll 2
    for (int j = 0; j < NV_; j++) s[i][j] = vf{};
  for (int64_t p = 0; p < steps; p++) {
    vf bv[NV_];
#pragma GCC unroll 2
    for (int j = 0; j < NV_; j++) bv[j] = *reinterpret_cast<const vf*>(b + j * VL);
#pragma GCC unroll 16
    for (int i = 0; i < MR_; i++) {
#pragma GCC unroll 2
      for (int j = 0; j < NV_; j++) s[i][j] = Pairs ? addPairs(s[i][j], a + i, bv[j]) : s[i][j] + splat(a[i]) * bv[j];
    }
    __builtin_prefetch(a + 16 * MR_);  // panels of A stream from an outer cache
    a += aStride;
    b += bStride;
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR_; i++)
#pragma GCC unroll 2
    for (int j = 0; j < NV_; j++) {
      float* at = c + i * ldc + j * VL;
      if (start == kFromC) s[i][j] += load(at);
      if (start == kFromBias) s[i][j] += load(bias + j * VL);
      store(at, s[i][j]);
    }
}

using Micro = void (*)(int64_t, const float*, int64_t, const float*, int64_t, float*, int64_t, Start, const float*);

template <int NV_, bool Pairs = false> static Micro microOf(int rows) {
  static constexpr Micro all[] = {
      micro<1, NV_, Pairs>,
      micro<2, NV_, Pairs>,
      micro<3, NV_, Pairs>,
      micro<4, NV_, Pairs>,
      micro<5, NV_, Pairs>,
      micro<6, NV_, Pairs>,
#if TS_VL == 16
      micro<7, NV_, Pairs>,
      micro<8, NV_, Pairs>,
      micro<9, NV_, Pairs>,
      micro<10, NV_, Pairs>,
      micro<11, NV_, Pairs>,
      micro<12, NV_, Pairs>,
      micro<13, NV_, Pairs>,
      micro<14, NV_, Pairs>,
#endif
  };
  return all[rows - 1];
}

// One panel of A times one panel of B (`width` = VL or NR wide, `cols` of it real).
template <bool Pairs>
TS_INLINE void tile(int rows, int width, int cols, int64_t steps, const float* a, const float* b, float* c, int64_t ldc,
    Start start, const float* bias) {
  const Micro kernel = width == VL ? microOf<1, Pairs>(rows) : microOf<NV, Pairs>(rows);
  if (cols == width) return kernel(steps, a, rows, b, width, c, ldc, start, bias);
  alignas(64) float t[MR * NR];
  kernel(steps, a, rows, b, width, t, width, kFromZero, nullptr);
  writePart(t, width, rows, cols, c, ldc, start, bias);
}

// How the products of a term are taken: in bf16 where this is wanted, for weights that are no float32.
enum Path { kFloats, kPairs, kTiles };
TS_INLINE Path pathOf(const Term& t, bool bf16) {
  if (!kHasPairs || !bf16 || t.aCol != 1 || t.b.format == kF32) return kFloats;
  return productsInTiles() ? kTiles : kPairs;
}
TS_INLINE int64_t stepsOf(const Term& t, Path path) {
  const int64_t pairs = ceilDiv(t.k, 2);
  return path == kFloats ? t.k : path == kPairs ? pairs : ceilDiv(pairs, kTile) * kTile;
}

TS_INLINE int widthOf(int64_t cols) { return cols <= VL ? VL : NR; }

// A panel of A, `rows` <= MR high, all of K: [steps][rows].
static void packPanel(const Term& term, Path path, int64_t m0, int rows, float* panel, float* temp) {
  // The vector stores of the last rows of a panel spill into the next one: its pieces pass through a copy.
  alignas(64) float local[MR * 512 + VL];
  for (int64_t k0 = 0; k0 < term.k; k0 += 512) {
    const int64_t kn = least(512, term.k - k0);
    const bool pairs = path == kPairs;
    if (pairs)
      packPairsA(term, m0, rows, k0, kn, local, temp);
    else
      packA(term, m0, rows, k0, kn, local, temp);
    const int64_t first = pairs ? k0 / 2 : k0, count = pairs ? ceilDiv(kn, 2) : kn;
    memcpy(panel + first * rows, local, static_cast<size_t>(count * rows) * 4);
  }
}

// Panels of B: steps [k0, k0 + kn) of a term and `cols` columns from n0 on, `apart` floats from panel to panel.
static void packStrip(const Term& term, Path path, int64_t k0, int64_t kn, int64_t n0, int64_t cols, float* dst,
    int64_t apart, float* temp) {
  const int64_t values = least(2 * kn, term.k - 2 * k0), steps = path == kFloats ? kn : ceilDiv(values, 2);
  if (path != kFloats && !term.bTransposed)
    packPairsOfRows(term, 2 * k0, values, n0, cols, dst, apart, reinterpret_cast<uint16_t*>(temp));
  for (int64_t j = 0; j < cols; j += NR) {
    const int count = static_cast<int>(least(NR, cols - j)), width = widthOf(count);
    float* panel = dst + j / NR * apart;
    if (path == kFloats)
      packB(term, k0, kn, n0 + j, count, width, panel, temp);
    else if (term.bTransposed)
      for (int64_t k = 0; k < values; k += 2 * KC)  // as much as `temp` takes
        packPairsB(term, 2 * k0 + k, least(2 * KC, values - k), n0 + j, count, width, panel + k / 2 * width, temp);
    memset(panel + steps * width, 0, static_cast<size_t>((kn - steps) * width) * 4);
  }
}

static bool gemmBlock(int64_t m0, int64_t m, int64_t n, const Term* terms, int termCount, const GemmOutput& out) {
  // Read once: another thread may change the precision, from the next product on.
  const bool bf16 = bf16Products();
  int64_t totalSteps = 0;
  bool tiled = false;
  for (int t = 0; t < termCount; t++) {
    const Path path = pathOf(terms[t], bf16);
    totalSteps += stepsOf(terms[t], path);
    tiled = tiled || path == kTiles;
  }
  // Work items: strips of columns, and chunks of rows when there are too few strips for the threads. A chunk is whole
  // panels of tiles where there are some, else whole panels of equal height.
  const int64_t height = tiled ? MR : ceilDiv(m, ceilDiv(m, MR)), unit = tiled ? kTiledRows : height;
  const int64_t stripCols = (tiled ? kTiledStrip : STRIP) * NR, strips = ceilDiv(n, stripCols);
  int64_t chunks = 1;
  const int64_t wanted = 3 * threadCount();
  if (strips < wanted && threadCount() > 1) chunks = least(ceilDiv(wanted, strips), ceilDiv(m, 4 * unit));
  const int64_t chunkRows = ceilDiv(ceilDiv(m, chunks), unit) * unit;
  chunks = ceilDiv(m, chunkRows);

  // A, for each term, for each chunk: panels of [steps][height], or of tiles.
  float* packedA = scratch(kScratchA, static_cast<size_t>(ceilDiv(m, kTiledRows) * kTiledRows * totalSteps + VL));
  if (!packedA) return false;
  bool ok = true;
  float* packing = packedA;
  for (int t = 0; t < termCount; t++) {
    const Term& term = terms[t];
    const Path path = pathOf(term, bf16);
    const int64_t steps = stepsOf(term, path), high = path == kTiles ? kTile : height;
    const int64_t perChunk = ceilDiv(chunkRows, high);
    parallel(chunks * perChunk, [&, packing](int64_t item) {
      const int64_t first = item / perChunk * chunkRows + item % perChunk * high;
      const int64_t end = least(m, (item / perChunk + 1) * chunkRows);
      if (first >= end) return;
      const int rows = static_cast<int>(least(high, end - first));
      if (path == kTiles) return packTiles(term, m0 + first, rows, packing + first * steps);
      float* temp = scratch(kScratchRows, kRowsTemp);
      if (temp)
        packPanel(term, path, m0 + first, rows, packing + first * steps, temp);
      else
        __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    });
    packing += ceilDiv(m, kTiledRows) * kTiledRows * steps;
  }

  parallel(strips * chunks, [&](int64_t item) {
    const int64_t n0 = item % strips * stripCols, nn = least(stripCols, n - n0);
    const int64_t from = item / strips * chunkRows, to = least(m, from + chunkRows);
    float* bBuffer = scratch(kScratchB, static_cast<size_t>((tiled ? kTiledSteps : KC) * stripCols + VL));
    float* temp = scratch(kScratchRows, kRowsTemp);
    if (!bBuffer || !temp) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    if (tiled) useTiles();
    Start start = out.accumulate ? kFromC : out.bias ? kFromBias : kFromZero;
    const float* aTerm = packedA;
    for (int t = 0; t < termCount; t++) {
      const Term& term = terms[t];
      const Path path = pathOf(term, bf16);
      const int64_t steps = stepsOf(term, path), high = path == kTiles ? kTiledRows : height;
      const int64_t blocks = ceilDiv(steps, path == kTiles ? kTiledSteps : KC);
      const int64_t block = path == kTiles ? ceilDiv(ceilDiv(steps, blocks), kTile) * kTile : KC;
      const auto run = path == kPairs ? tile<kHasPairs> : tile<false>;
      for (int64_t k0 = 0; k0 < steps; k0 += block) {
        const int64_t kn = least(block, steps - k0);
        packStrip(term, path, k0, kn, n0, nn, bBuffer, block * NR, temp);
        for (int64_t r = from; r < to; r += high) {
          const int rows = static_cast<int>(least(high, to - r));
          for (int64_t j = 0; j < nn; j += NR) {
            const int cols = static_cast<int>(least(NR, nn - j));
            float* c = out.c + (m0 + r) * out.ldc + n0 + j;
            const float *b = bBuffer + j * block, *bias = out.bias ? out.bias + n0 + j : nullptr;
            if (path == kTiles)
              tiledTile(rows, widthOf(cols), cols, kn, aTerm + r * steps + k0 * kTile, kTile * steps, b, c, out.ldc,
                  start, bias, aTerm + least(to - 1, r + high) * steps + k0 * kTile + j / NR * kPrefetched * kn);
            else
              run(rows, widthOf(cols), cols, kn, aTerm + r * steps + k0 * rows, b, c, out.ldc, start, bias);
          }
        }
        start = kFromC;
      }
      if (term.outDropout.on)
        for (int64_t r = from; r < to; r++)
          dropRow(out.c + (m0 + r) * out.ldc + n0, (m0 + r) * n + n0, nn, term.outDropout);
      aTerm += ceilDiv(m, kTiledRows) * kTiledRows * steps;
    }
    if (tiled) leaveTiles();
  });
  return ok;
}

}  // namespace
}  // namespace tunesmith

#include "gemv.h"

namespace tunesmith {
namespace {

static bool gemm(int64_t m, int64_t n, const Term* terms, int termCount, const GemmOutput& out) {
  if (m == 0 || n == 0) return true;
  int64_t totalSteps = 0;
  bool fewRows = m <= kGemvRows;
  for (int t = 0; t < termCount; t++) {
    totalSteps += stepsOf(terms[t], pathOf(terms[t], bf16Products()));
    fewRows = fewRows && gemvFits(terms[t]);
  }
  if (totalSteps == 0) {
    for (int64_t i = 0; i < m && !out.accumulate; i++)
      for (int64_t j = 0; j < n; j++) out.c[i * out.ldc + j] = out.bias ? out.bias[j] : 0.f;
    return true;
  }
  if (fewRows) {
    GemmOutput next = out;
    for (int t = 0; t < termCount; t++) {
      if (!gemv(m, n, terms[t], next)) return false;
      next.accumulate = true;
    }
    return true;
  }
  const int64_t rows = most(8 * MR, least(kMaxRows, kMaxPacked / totalSteps / MR * MR));
  for (int64_t m0 = 0; m0 < m; m0 += rows)
    if (!gemmBlock(m0, least(rows, m - m0), n, terms, termCount, out)) return false;
  return true;
}

}  // namespace
}  // namespace tunesmith
