// Gradients of attention. Probabilities are recomputed from the saved log-sum-exp, once per block of keys (for dk, dv)
// and once per block of queries (for dq): 7 small products instead of 5, but no two work items write the same memory,
// so that the result never depends on the threads.
#pragma once

namespace tunesmith {
namespace {

// p and ds = dloss/dscore of some queries and keys; both [rows, KB], columns up to the padded key count, 0 where
// masked.
static void scoreGrads(const Attention& g, const Block& b, int64_t q0, int64_t rows, int64_t k0, int64_t keys,
    const float* lse, const float* delta, int64_t head, float* s, float* dp) {
  const int64_t keysPad = padded(keys);
  for (int64_t r = 0; r < rows; r++) {
    float *row = s + r * KB, *drow = dp + r * KB;
    const int64_t position = q0 + r + b.shift, at = (b.queryBase + q0 + r) * g.heads + head;
    const int64_t lo = most(0, least(keysPad, firstKey(g, position) - k0)),
                  hi = most(0, least(keys, position + 1 - k0));
    const float l = lse[at], dl = delta[at];
    for (int64_t i = 0; i < keysPad; i += VL) {
      vf z = load(row + i);
      vf slope = splat(g.scale);
      if (g.softcap > 0) {
        const vf t = vtanh(z / g.softcap);
        z = t * g.softcap;
        slope = slope * (1.f - t * t);
      }
      const vf e = vexp(z - l);
      store(row + i, e);
      store(drow + i, e * (load(drow + i) - dl) * slope);
    }
    for (int64_t i = 0; i < lo; i++) row[i] = drow[i] = 0;
    for (int64_t i = hi; i < keysPad; i++) row[i] = drow[i] = 0;
  }
}

template <class Products>
static void gradsOfKeys(
    const Attention& p, const AttentionGrad& g, const float* delta, const Block& b, int64_t kvHead, float* memory) {
  constexpr int64_t QB = Products::kQueries;
  const int64_t d = p.headDim, dPad = padded(d), steps = Products::steps(d), group = p.heads / p.kvHeads;
  Carver carve{memory};
  float *bk = carve.take(KB * steps), *bv = carve.take(KB * steps);
  float *aq = carve.take(QB * steps), *ao = carve.take(QB * steps), *work = carve.take(QB * KB);
  float *bq = carve.take(QB * dPad), *bo = carve.take(QB * dPad), *s = carve.take(QB * KB), *dp = carve.take(QB * KB);
  float *dk = carve.take(KB * dPad), *dv = carve.take(KB * dPad);
  const int64_t keys = b.last - b.first;
  const int64_t kvAt = (b.keyBase + b.first) * p.kvStride + kvHead * d;
  Products::asTransposedB(p.k + kvAt, p.kvStride, keys, d, bk);
  Products::asTransposedB(p.v + kvAt, p.kvStride, keys, d, bv);
  memset(dk, 0, static_cast<size_t>(KB * dPad) * 4);
  memset(dv, 0, static_cast<size_t>(KB * dPad) * 4);
  const int64_t firstQuery = most(0, b.first - b.shift);
  const int64_t endQuery = p.window > 0 ? least(b.queries, b.last - 1 + p.window - b.shift) : b.queries;
  for (int64_t head = kvHead * group; head < (kvHead + 1) * group; head++)
    for (int64_t q0 = firstQuery; q0 < endQuery; q0 += QB) {
      const int64_t rows = least(QB, endQuery - q0), qAt = (b.queryBase + q0) * p.qStride + head * d;
      Products::asA(p.q + qAt, p.qStride, rows, d, p.scale, aq);
      Products::asA(g.dout + qAt, p.qStride, rows, d, 1.f, ao);
      Products::multiply(aq, bk, rows, d, keys, s, KB, false);
      Products::multiply(ao, bv, rows, d, keys, dp, KB, false);
      scoreGrads(p, b, q0, rows, b.first, keys, g.lse, delta, head, s, dp);
      Products::asB(p.q + qAt, p.qStride, rows, d, bq);
      Products::asB(g.dout + qAt, p.qStride, rows, d, bo);
      Products::multiplyTransposed(s, KB, bo, keys, rows, d, dv, dPad, work);
      Products::multiplyTransposed(dp, KB, bq, keys, rows, d, dk, dPad, work);
    }
  for (int64_t r = 0; r < keys; r++) {
    memcpy(g.dk + kvAt + r * p.kvStride, dk + r * dPad, static_cast<size_t>(d) * 4);
    memcpy(g.dv + kvAt + r * p.kvStride, dv + r * dPad, static_cast<size_t>(d) * 4);
  }
}

// Of `heads` heads from `head` on, which share keys and values.
template <class Products>
static void gradsOfQueries(const Attention& p, const AttentionGrad& g, const float* delta, const Block& b, int64_t head,
    int64_t heads, float* memory) {
  constexpr int64_t QB = Products::kQueries;
  struct Queries {
    float *q, *dout, *dq;
  };
  const int64_t d = p.headDim, dPad = padded(d), steps = Products::steps(d), kvHead = head * p.kvHeads / p.heads;
  Carver carve{memory};
  float *bk = carve.take(KB * steps), *bv = carve.take(KB * steps), *kb = carve.take(KB * dPad);
  float *s = carve.take(QB * KB), *dp = carve.take(QB * KB), *ds = carve.take(QB * KB);
  Queries* all = reinterpret_cast<Queries*>(carve.take(heads * static_cast<int64_t>(sizeof(Queries) / 4)));
  const int64_t rows = b.last - b.first, qAt = (b.queryBase + b.first) * p.qStride + head * d;
  for (int64_t h = 0; h < heads; h++) {
    all[h] = {carve.take(QB * steps), carve.take(QB * steps), carve.take(QB * dPad)};
    Products::asA(p.q + qAt + h * d, p.qStride, rows, d, p.scale, all[h].q);
    Products::asA(g.dout + qAt + h * d, p.qStride, rows, d, 1.f, all[h].dout);
    memset(all[h].dq, 0, static_cast<size_t>(rows * dPad) * 4);
  }
  const int64_t lastPosition = b.last - 1 + b.shift;
  for (int64_t k0 = firstKey(p, b.first + b.shift) / KB * KB; k0 <= lastPosition; k0 += KB) {
    const int64_t keys = least(KB, lastPosition + 1 - k0), kvAt = (b.keyBase + k0) * p.kvStride + kvHead * d;
    Products::asTransposedB(p.k + kvAt, p.kvStride, keys, d, bk);
    Products::asTransposedB(p.v + kvAt, p.kvStride, keys, d, bv);
    Products::asB(p.k + kvAt, p.kvStride, keys, d, kb);
    for (int64_t h = 0; h < heads; h++) {
      Products::multiply(all[h].q, bk, rows, d, keys, s, KB, false);
      Products::multiply(all[h].dout, bv, rows, d, keys, dp, KB, false);
      scoreGrads(p, b, b.first, rows, k0, keys, g.lse, delta, head + h, s, dp);
      Products::asA(dp, KB, rows, keys, 1.f, ds);
      Products::multiply(ds, kb, rows, keys, d, all[h].dq, dPad, true);
    }
  }
  for (int64_t h = 0; h < heads; h++)
    for (int64_t r = 0; r < rows; r++)
      memcpy(g.dq + qAt + h * d + r * p.qStride, all[h].dq + r * dPad, static_cast<size_t>(d) * 4);
}

template <class Products> static bool attentionGradBy(const Attention& p, const AttentionGrad& g) {
  constexpr int64_t QB = Products::kQueries;
  const int64_t d = p.headDim, dPad = padded(d), steps = Products::steps(d);
  const int64_t tokens = p.sequences ? p.cuSeqlens[p.sequences] : 0;
  float* delta = scratch(kScratchLora, static_cast<size_t>(tokens * p.heads));
  if (!delta) return false;
  parallelRange(tokens * p.heads, most(1, 16384 / most(1, d)), [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
      const float *a = g.dout + i * d, *b = g.out + i * d;
      delta[i] = static_cast<float>(rowSum(d, [&](int64_t j, int n) { return loadN(a + j, n) * loadN(b + j, n); }));
    }
  });
  const size_t need =
      static_cast<size_t>(2 * (KB + QB) * steps + 2 * (KB + QB) * dPad + 3 * QB * KB + 11 * Carver::kMore);
  bool ok = true;
  int64_t count = 0;
  const Block* blocks = blocksOf(p, KB, true, false, count);
  if (!blocks) return false;
  parallel(count * p.kvHeads, [&](int64_t item) {
    float* memory = scratch(kScratchAttention, need);
    if (!memory) return __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    Products::begin();
    gradsOfKeys<Products>(p, g, delta, blocks[item / p.kvHeads], item % p.kvHeads, memory);
    Products::end();
  });
  blocks = blocksOf(p, QB, false, false, count);
  if (!blocks) return false;
  const int64_t heads = headsTogether(p, count), parts = p.heads / heads;
  const size_t needOfQueries = static_cast<size_t>(
      KB * (2 * steps + dPad) + 3 * QB * KB + heads * (QB * (2 * steps + dPad) + 8) + (7 + 3 * heads) * Carver::kMore);
  parallel(count * parts, [&](int64_t item) {
    float* memory = scratch(kScratchAttention, needOfQueries);
    if (!memory) return __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    Products::begin();
    gradsOfQueries<Products>(p, g, delta, blocks[item / parts], item % parts * heads, heads, memory);
    Products::end();
  });
  return ok;
}

static bool attentionGrad(const Attention& p, const AttentionGrad& g) {
  return inTiles(p) ? attentionGradBy<TiledProducts>(p, g) : attentionGradBy<FloatProducts>(p, g);
}

}  // namespace
}  // namespace tunesmith
