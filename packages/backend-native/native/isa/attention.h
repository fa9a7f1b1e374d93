// Causal attention over sequences that lie end to end, without a score matrix (Dao et al. 2022): blocks of queries
// against blocks of keys through the GEMM micro-kernel, with a running maximum and sum.
#pragma once
#include "attention_few.h"
#include "gemm.h"

namespace tunesmith {
namespace {

constexpr int64_t KB = NR * (NR > 16 ? 4 : NR > 8 ? 4 : 8);  // keys in a block

// A block of rows of one sequence, seen from one head.
struct Block {
  int64_t sequence, first, last;      // rows inside the sequence
  int64_t queryBase, keyBase, shift;  // first row of the sequence in q and in k; query j stands at position j + shift
  int64_t queries, keys;
};

// Whether the queries of a sequence, and the heads that share keys, are so few that they need no blocks.
TS_INLINE bool hasFewQueries(const Attention& p, int64_t s) {
  return p.heads % p.kvHeads == 0 && (p.cuSeqlens[s + 1] - p.cuSeqlens[s]) * (p.heads / p.kvHeads) <= kFewRows;
}

// The blocks of `step` rows of all sequences (of queries, or of keys), as a table in working memory. Blocks of queries
// are of sequences with many.
static int64_t listBlocks(const Attention& p, int64_t step, bool ofKeys, bool forward, Block* out) {
  int64_t count = 0;
  for (int64_t s = 0; s < p.sequences; s++) {
    if (forward && hasFewQueries(p, s)) continue;
    Block b;
    b.sequence = s;
    b.queryBase = p.cuSeqlens[s];
    b.queries = p.cuSeqlens[s + 1] - b.queryBase;
    b.keyBase = p.kvStart ? p.kvStart[s] : b.queryBase;
    b.keys = p.kvLength ? p.kvLength[s] : b.queries;
    b.shift = b.keys - b.queries;
    const int64_t n = ofKeys ? b.keys : b.queries;
    for (int64_t first = 0; first < n; first += step) {
      b.first = first;
      b.last = least(n, first + step);
      if (out) out[count] = b;
      count++;
    }
  }
  return count;
}

TS_INLINE int64_t padded(int64_t n) { return ceilDiv(n, NR) * NR; }

// How attention multiplies: in float32 through the micro-kernel, or in tiles. A matrix of `rows` is packed as A (into
// rows * steps(depth) floats), as B with its depth along a row (padded(rows) * steps(depth)) or along the rows
// (steps(rows) * padded(cols)); products write whole rows up to the padded columns.
struct FloatProducts {
  static constexpr int64_t kQueries = 4 * MR;  // queries in a block
  static int64_t steps(int64_t depth) { return depth; }
  static void begin() {}
  static void end() {}

  static void asA(const float* src, int64_t stride, int64_t rows, int64_t depth, float scale, float* dst) {
    for (int64_t r = 0; r < rows; r += MR) {
      const int n = static_cast<int>(least(MR, rows - r));
      transposeInto(src + r * stride, stride, n, depth, dst + r * depth, n);
    }
    if (scale != 1.f)
      for (int64_t i = 0; i < rows * depth; i++) dst[i] *= scale;
  }

  static void asTransposedB(const float* src, int64_t stride, int64_t rows, int64_t depth, float* dst) {
    Term t;
    t.b.data = src;
    t.b.cols = stride;
    for (int64_t j = 0; j < rows; j += NR)
      packB(t, 0, depth, j, static_cast<int>(least(NR, rows - j)), NR, dst + j * depth, nullptr);
  }

  static void asB(const float* src, int64_t stride, int64_t rows, int64_t cols, float* dst) {
    for (int64_t j = 0; j < cols; j += NR) {
      float* panel = dst + j * rows;
      const int64_t n = least(NR, cols - j);
      for (int64_t r = 0; r < rows; r++) {
        memcpy(panel + r * NR, src + r * stride + j, static_cast<size_t>(n) * 4);
        for (int64_t i = n; i < NR; i++) panel[r * NR + i] = 0;
      }
    }
  }

  // C[rows, cols] (+)= A B
  static void multiply(
      const float* a, const float* b, int64_t rows, int64_t depth, int64_t cols, float* c, int64_t ldc, bool add) {
    for (int64_t j = 0; j < cols; j += NR)
      for (int64_t r = 0; r < rows; r += MR) {
        const int n = static_cast<int>(least(MR, rows - r));
        microOf<NV>(n)(
            depth, a + r * depth, n, b + j * depth, NR, c + r * ldc + j, ldc, add ? kFromC : kFromZero, nullptr);
      }
  }

  // C[rows, cols] += A^T B, A row-major [depth, lda]: its rows are the micro-kernel's panels already.
  static void multiplyTransposed(const float* a, int64_t lda, const float* b, int64_t rows, int64_t depth, int64_t cols,
      float* c, int64_t ldc, float*) {
    for (int64_t j = 0; j < cols; j += NR)
      for (int64_t r = 0; r < rows; r += MR) {
        const int n = static_cast<int>(least(MR, rows - r));
        microOf<NV>(n)(depth, a + r, lda, b + j * depth, NR, c + r * ldc + j, ldc, kFromC, nullptr);
      }
  }
};

}  // namespace
}  // namespace tunesmith

#include "attention_tiles.h"

namespace tunesmith {
namespace {

struct Carver {
  static constexpr int64_t kMore = 32;  // floats that a piece may take beyond its own
  float* at;
  float* take(int64_t floats) {
    float* p = at;
    at += ceilDiv(floats + VL, 16) * 16;
    return p;
  }
};

// Number of blocks and the table itself; null without memory.
static Block* blocksOf(const Attention& p, int64_t step, bool ofKeys, bool forward, int64_t& count) {
  count = listBlocks(p, step, ofKeys, forward, nullptr);
  float* memory = scratch(kScratchHidden, static_cast<size_t>(count * static_cast<int64_t>(sizeof(Block)) / 4));
  if (memory) listBlocks(p, step, ofKeys, forward, reinterpret_cast<Block*>(memory));
  return reinterpret_cast<Block*>(memory);
}

// The heads of an item of work: all that share keys and values, so that these are packed once for them, or fewer where
// every thread would not have several items.
static int64_t headsTogether(const Attention& p, int64_t blocks) {
  if (p.heads % p.kvHeads) return 1;
  int64_t heads = p.heads / p.kvHeads;
  while (heads % 2 == 0 && blocks * p.heads / heads < 4 * threadCount()) heads /= 2;
  return heads;
}

// A block of queries of one head as A, and what it has gathered so far: weighted values, largest scores, sums of
// weights.
struct Queries {
  float *a, *o, *top, *sum;
};

// Scores s of the block's rows and the keys [k0, k0 + keys) to weights; what was gathered before shrinks where a larger
// score came.
static void weighScores(
    const Attention& p, const Block& b, int64_t k0, int64_t keys, int64_t dPad, float* s, const Queries& q) {
  const int64_t keysPad = padded(keys);
  for (int64_t r = 0; r < b.last - b.first; r++) {
    float* row = s + r * KB;
    const int64_t position = b.first + r + b.shift;
    maskRow(row, keysPad, firstKey(p, position) - k0, least(keys, position + 1 - k0), p.softcap);
    vf m = splat(q.top[r]);
    for (int64_t i = 0; i < keysPad; i += VL) m = vmax(load(row + i), m);
    const float high = maxOf(m);
    if (high == -INFINITY) {
      memset(row, 0, static_cast<size_t>(keysPad) * 4);
      continue;
    }
    vf total = {};
    for (int64_t i = 0; i < keysPad; i += VL) {
      const vf e = vexp(load(row + i) - high);
      store(row + i, e);
      total += e;
    }
    if (high != q.top[r]) {
      const vf shrink = vexp(splat(q.top[r] - high));
      q.sum[r] *= shrink[0];
      for (int64_t i = 0; i < dPad; i += VL) store(q.o + r * dPad + i, load(q.o + r * dPad + i) * shrink);
      q.top[r] = high;
    }
    q.sum[r] += sumOf(total);
  }
}

template <class Products> static bool attentionBy(const Attention& p, float* out, float* lse) {
  constexpr int64_t QB = Products::kQueries;
  int64_t count = 0;
  const Block* blocks = blocksOf(p, QB, false, true, count);
  if (!blocks) return false;
  const int64_t d = p.headDim, dPad = padded(d), steps = Products::steps(d);
  const int64_t heads = headsTogether(p, count), parts = p.heads / heads;
  bool ok = true;
  parallel(p.sequences * p.kvHeads, [&](int64_t item) {
    const int64_t s = item / p.kvHeads;
    if (hasFewQueries(p, s) && !attendFew(p, s, item % p.kvHeads, out, lse))
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
  });
  parallel(count * parts, [&](int64_t item) {
    const Block& b = blocks[item / parts];
    const int64_t head = item % parts * heads, kvHead = head * p.kvHeads / p.heads;
    float* memory = scratch(kScratchAttention,
        static_cast<size_t>(KB * (steps + dPad) + 2 * QB * KB + heads * (QB * (steps + dPad + 2) + 8) +
            (5 + 4 * heads) * Carver::kMore));
    if (!memory) {
      __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
      return;
    }
    Products::begin();
    Carver carve{memory};
    float *bk = carve.take(KB * steps), *bv = carve.take(KB * dPad), *s = carve.take(QB * KB),
          *ap = carve.take(QB * KB);
    const int64_t rows = b.last - b.first;
    Queries* seen = reinterpret_cast<Queries*>(carve.take(heads * static_cast<int64_t>(sizeof(Queries) / 4)));
    for (int64_t h = 0; h < heads; h++) {
      Queries& q = seen[h] = {carve.take(QB * steps), carve.take(QB * dPad), carve.take(QB), carve.take(QB)};
      Products::asA(p.q + (b.queryBase + b.first) * p.qStride + (head + h) * d, p.qStride, rows, d, p.scale, q.a);
      memset(q.o, 0, static_cast<size_t>(rows * dPad) * 4);
      for (int64_t r = 0; r < rows; r++) {
        q.top[r] = -INFINITY;
        q.sum[r] = 0;
      }
    }
    const int64_t lastPosition = b.last - 1 + b.shift;
    const int64_t start = firstKey(p, b.first + b.shift) / KB * KB;
    for (int64_t k0 = start; k0 <= lastPosition && k0 < b.keys; k0 += KB) {
      const int64_t keys = least(least(KB, b.keys - k0), lastPosition + 1 - k0);
      const int64_t from = (b.keyBase + k0) * p.kvStride + kvHead * d;
      Products::asTransposedB(p.k + from, p.kvStride, keys, d, bk);
      Products::asB(p.v + from, p.kvStride, keys, d, bv);
      for (int64_t h = 0; h < heads; h++) {
        Queries& q = seen[h];
        Products::multiply(q.a, bk, rows, d, keys, s, KB, false);
        weighScores(p, b, k0, keys, dPad, s, q);
        Products::asA(s, KB, rows, keys, 1.f, ap);
        Products::multiply(ap, bv, rows, keys, d, q.o, dPad, true);
      }
    }
    for (int64_t h = 0; h < heads; h++)
      for (int64_t r = 0; r < rows; r++) {
        const int64_t token = b.queryBase + b.first + r;
        const float inverse = 1.f / seen[h].sum[r];
        float* to = out + token * p.qStride + (head + h) * d;
        eachVec(d, [&](int64_t i, int n) { storeN(to + i, load(seen[h].o + r * dPad + i) * inverse, n); });
        lse[token * p.heads + head + h] = seen[h].top[r] + logf(seen[h].sum[r]);
      }
    Products::end();
  });
  return ok;
}

// Whether the attention's own products are taken in bf16.
TS_INLINE bool inTiles(const Attention& p) { return kHasTiles && p.rounded && bf16Products() && productsInTiles(); }

static bool attention(const Attention& p, float* out, float* lse) {
  return inTiles(p) ? attentionBy<TiledProducts>(p, out, lse) : attentionBy<FloatProducts>(p, out, lse);
}

}  // namespace
}  // namespace tunesmith

#include "attention_grad.h"
