// C[M,N] = sum over terms of alpha A B: the register-blocked micro-kernel and the loops around it.
//
// A term runs in steps along K. A step is one value of float32, or, where products are taken in bf16, a pair of
// neighbouring values in the place of one: only packing and the multiplication itself know the difference.
//
// A is packed once into panels of up to MR rows, all of K. Each work item owns a strip of columns: it unpacks K-blocks
// of B (in whatever format the weight has) into panels that stay in its caches and runs every panel of A against them.
// The order of additions depends on K alone: neither threads, nor M, nor the place in the batch change a bit of C.
#pragma once
#include "pack_pairs.h"

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
constexpr int64_t kMaxRows = MR * 73;    // rows of A packed at a time,
constexpr int64_t kMaxPacked = 1 << 24;  // and floats, unless that leaves too few rows to pay for unpacking B

// A tile of C, MR_ x (NV_ * VL): starts from C, from the bias or from zero.
enum Start { kFromZero, kFromC, kFromBias };

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
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) {
      float* at = c + i * ldc + j;
      const float from = start == kFromC ? *at : start == kFromBias ? bias[j] : 0.f;
      *at = t[i * width + j] + from;
    }
}

// Whether the products of a term are taken in bf16: where this is wanted, for weights that are no float32.
TS_INLINE bool inPairs(const Term& t, bool bf16) { return kHasPairs && bf16 && t.aCol == 1 && t.b.format != kF32; }
TS_INLINE int64_t stepsOf(const Term& t, bool bf16) { return inPairs(t, bf16) ? ceilDiv(t.k, 2) : t.k; }

TS_INLINE int widthOf(int64_t cols) { return cols <= VL ? VL : NR; }

static bool gemmBlock(int64_t m0, int64_t m, int64_t n, const Term* terms, int termCount, const GemmOutput& out) {
  const int64_t panels = ceilDiv(m, MR);
  const int height = static_cast<int>(ceilDiv(m, panels));
  const int64_t lastHeight = m - (panels - 1) * height;
  const int64_t usedPanels = lastHeight > 0 ? panels : ceilDiv(m, height);
  // Read once: another thread may change the precision, from the next product on.
  const bool bf16 = bf16Products();
  int64_t totalSteps = 0;
  for (int t = 0; t < termCount; t++) totalSteps += stepsOf(terms[t], bf16);
  float* packedA = scratch(kScratchA, static_cast<size_t>(usedPanels * height * totalSteps + VL));
  if (!packedA) return false;
  bool ok = true;

  // Panels of A: for each term, for each panel, [steps][height].
  int64_t base = 0;
  for (int t = 0; t < termCount; t++) {
    const Term& term = terms[t];
    const bool pairs = inPairs(term, bf16);
    const int64_t steps = stepsOf(term, bf16);
    float* to = packedA + base;
    const int64_t pieces = ceilDiv(term.k, 512);
    parallel(usedPanels, [&, to](int64_t p) {
      float* temp = scratch(kScratchRows, kRowsTemp);
      const int rows = static_cast<int>(least(height, m - p * height));
      // The vector stores of the last rows of a panel spill into the next one: pack its tail through a copy.
      float* panel = to + p * height * steps;
      if (!temp) return;
      for (int64_t piece = 0; piece < pieces; piece++) {
        const int64_t k0 = piece * 512, kn = least(512, term.k - k0);
        alignas(64) float local[MR * 512 + VL];
        if (pairs)
          packPairsA(term, m0 + p * height, rows, k0, kn, local, temp);
        else
          packA(term, m0 + p * height, rows, k0, kn, local, temp);
        const int64_t first = pairs ? k0 / 2 : k0, count = pairs ? ceilDiv(kn, 2) : kn;
        memcpy(panel + first * rows, local, static_cast<size_t>(count * rows) * 4);
      }
    });
    base += usedPanels * height * steps;
  }

  // Work items: strips of columns, and chunks of rows when there are too few strips for the threads.
  const int64_t strips = ceilDiv(n, int64_t{STRIP} * NR);
  int64_t chunks = 1;
  const int64_t wanted = 3 * threadCount();
  if (strips < wanted && threadCount() > 1) chunks = least(ceilDiv(wanted, strips), ceilDiv(usedPanels, 4));
  const int64_t perChunk = ceilDiv(usedPanels, chunks);
  parallel(strips * chunks, [&](int64_t item) {
    const int64_t strip = item % strips, chunk = item / strips;
    const int64_t n0 = strip * STRIP * NR, nn = least(STRIP * NR, n - n0);
    const int64_t firstPanel = chunk * perChunk, endPanel = least(usedPanels, firstPanel + perChunk);
    float* bBuffer = scratch(kScratchB, static_cast<size_t>(KC * STRIP * NR + VL));
    float* temp = scratch(kScratchRows, kRowsTemp);
    if (!bBuffer || !temp) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    Start start = out.accumulate ? kFromC : out.bias ? kFromBias : kFromZero;
    const float* aTerm = packedA;
    for (int t = 0; t < termCount; t++) {
      const Term& term = terms[t];
      const bool pairs = inPairs(term, bf16);
      const int64_t steps = stepsOf(term, bf16);
      for (int64_t k0 = 0; k0 < steps; k0 += KC) {
        const int64_t kn = least(KC, steps - k0);
        for (int64_t j = 0; j < nn; j += NR) {
          const int cols = static_cast<int>(least(NR, nn - j));
          if (pairs)
            packPairsB(
                term, 2 * k0, least(2 * kn, term.k - 2 * k0), n0 + j, cols, widthOf(cols), bBuffer + j * KC, temp);
          else
            packB(term, k0, kn, n0 + j, cols, widthOf(cols), bBuffer + j * KC, temp);
        }
        for (int64_t p = firstPanel; p < endPanel; p++) {
          const int rows = static_cast<int>(least(height, m - p * height));
          const float* a = aTerm + p * height * steps + k0 * rows;
          for (int64_t j = 0; j < nn; j += NR) {
            const int cols = static_cast<int>(least(NR, nn - j));
            const auto run = pairs ? tile<kHasPairs> : tile<false>;
            run(rows, widthOf(cols), cols, kn, a, bBuffer + j * KC, out.c + (m0 + p * height) * out.ldc + n0 + j,
                out.ldc, start, out.bias ? out.bias + n0 + j : nullptr);
          }
        }
        start = kFromC;
      }
      if (term.outDropout.on) {
        for (int64_t p = firstPanel; p < endPanel; p++)
          for (int64_t r = p * height; r < least(m, (p + 1) * height); r++)
            dropRow(out.c + (m0 + r) * out.ldc + n0, (m0 + r) * n + n0, nn, term.outDropout);
      }
      aTerm += usedPanels * height * steps;
    }
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
  int64_t totalK = 0;
  bool fewRows = m <= kGemvRows;
  for (int t = 0; t < termCount; t++) {
    totalK += terms[t].k;
    fewRows = fewRows && gemvFits(terms[t]);
  }
  if (totalK == 0) {
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
  const int64_t rows = most(8 * MR, least(kMaxRows, kMaxPacked / totalK / MR * MR));
  for (int64_t m0 = 0; m0 < m; m0 += rows)
    if (!gemmBlock(m0, least(rows, m - m0), n, terms, termCount, out)) return false;
  return true;
}

}  // namespace
}  // namespace tunesmith
