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

static void gradsOfKeys(
    const Attention& p, const AttentionGrad& g, const float* delta, const Block& b, int64_t kvHead, float* memory) {
  const int64_t d = p.headDim, dPad = padded(d), group = p.heads / p.kvHeads;
  Carver carve{memory};
  float *bk = carve.take(KB * d), *bv = carve.take(KB * d), *aq = carve.take(QB * d), *ao = carve.take(QB * d);
  float *bq = carve.take(QB * dPad), *bo = carve.take(QB * dPad), *s = carve.take(QB * KB), *dp = carve.take(QB * KB);
  float *dk = carve.take(KB * dPad), *dv = carve.take(KB * dPad);
  const int64_t keys = b.last - b.first;
  const int64_t kvAt = (b.keyBase + b.first) * p.kvStride + kvHead * d;
  panelsOfBTransposed(p.k + kvAt, p.kvStride, keys, d, bk);
  panelsOfBTransposed(p.v + kvAt, p.kvStride, keys, d, bv);
  memset(dk, 0, static_cast<size_t>(KB * dPad) * 4);
  memset(dv, 0, static_cast<size_t>(KB * dPad) * 4);
  const int64_t firstQuery = most(0, b.first - b.shift);
  const int64_t endQuery = p.window > 0 ? least(b.queries, b.last - 1 + p.window - b.shift) : b.queries;
  for (int64_t head = kvHead * group; head < (kvHead + 1) * group; head++)
    for (int64_t q0 = firstQuery; q0 < endQuery; q0 += QB) {
      const int64_t rows = least(QB, endQuery - q0), qAt = (b.queryBase + q0) * p.qStride + head * d;
      panelsOfA(p.q + qAt, p.qStride, rows, d, p.scale, aq);
      panelsOfA(g.dout + qAt, p.qStride, rows, d, 1.f, ao);
      multiply(aq, bk, rows, d, keys, s, KB, false);
      multiply(ao, bv, rows, d, keys, dp, KB, false);
      scoreGrads(p, b, q0, rows, b.first, keys, g.lse, delta, head, s, dp);
      panelsOfB(p.q + qAt, p.qStride, rows, d, bq);
      panelsOfB(g.dout + qAt, p.qStride, rows, d, bo);
      multiplyTransposed(s, KB, bo, keys, rows, d, dv, dPad);
      multiplyTransposed(dp, KB, bq, keys, rows, d, dk, dPad);
    }
  for (int64_t r = 0; r < keys; r++) {
    memcpy(g.dk + kvAt + r * p.kvStride, dk + r * dPad, static_cast<size_t>(d) * 4);
    memcpy(g.dv + kvAt + r * p.kvStride, dv + r * dPad, static_cast<size_t>(d) * 4);
  }
}

static void gradsOfQueries(
    const Attention& p, const AttentionGrad& g, const float* delta, const Block& b, int64_t head, float* memory) {
  const int64_t d = p.headDim, dPad = padded(d), kvHead = head * p.kvHeads / p.heads;
  Carver carve{memory};
  float *bk = carve.take(KB * d), *bv = carve.take(KB * d), *aq = carve.take(QB * d), *ao = carve.take(QB * d);
  float *kb = carve.take(KB * dPad), *s = carve.take(QB * KB), *dp = carve.take(QB * KB), *dq = carve.take(QB * dPad);
  const int64_t rows = b.last - b.first, qAt = (b.queryBase + b.first) * p.qStride + head * d;
  panelsOfA(p.q + qAt, p.qStride, rows, d, p.scale, aq);
  panelsOfA(g.dout + qAt, p.qStride, rows, d, 1.f, ao);
  memset(dq, 0, static_cast<size_t>(rows * dPad) * 4);
  const int64_t lastPosition = b.last - 1 + b.shift;
  for (int64_t k0 = firstKey(p, b.first + b.shift) / KB * KB; k0 <= lastPosition; k0 += KB) {
    const int64_t keys = least(KB, lastPosition + 1 - k0), kvAt = (b.keyBase + k0) * p.kvStride + kvHead * d;
    panelsOfBTransposed(p.k + kvAt, p.kvStride, keys, d, bk);
    panelsOfBTransposed(p.v + kvAt, p.kvStride, keys, d, bv);
    multiply(aq, bk, rows, d, keys, s, KB, false);
    multiply(ao, bv, rows, d, keys, dp, KB, false);
    scoreGrads(p, b, b.first, rows, k0, keys, g.lse, delta, head, s, dp);
    for (int64_t r = 0; r < rows; r += MR) {
      const int n = static_cast<int>(least(MR, rows - r));
      transposeInto(dp + r * KB, KB, n, keys, s + r * keys, n);
    }
    panelsOfB(p.k + kvAt, p.kvStride, keys, d, kb);
    multiply(s, kb, rows, keys, d, dq, dPad, true);
  }
  for (int64_t r = 0; r < rows; r++) memcpy(g.dq + qAt + r * p.qStride, dq + r * dPad, static_cast<size_t>(d) * 4);
}

static bool attentionGrad(const Attention& p, const AttentionGrad& g) {
  const int64_t d = p.headDim, dPad = padded(d);
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
      static_cast<size_t>(2 * KB * d + 2 * QB * d + 2 * QB * dPad + 2 * QB * KB + 3 * KB * dPad + 32 * VL);
  bool ok = true;
  int64_t count = 0;
  const Block* blocks = blocksOf(p, KB, true, false, count);
  if (!blocks) return false;
  parallel(count * p.kvHeads, [&](int64_t item) {
    float* memory = scratch(kScratchAttention, need);
    if (!memory) return __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    gradsOfKeys(p, g, delta, blocks[item / p.kvHeads], item % p.kvHeads, memory);
  });
  blocks = blocksOf(p, QB, false, false, count);
  if (!blocks) return false;
  parallel(count * p.heads, [&](int64_t item) {
    float* memory = scratch(kScratchAttention, need);
    if (!memory) return __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
    gradsOfQueries(p, g, delta, blocks[item / p.heads], item % p.heads, memory);
  });
  return ok;
}

}  // namespace
}  // namespace tunesmith
