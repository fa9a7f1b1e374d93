// From hidden states to the summed loss, its gradients and statistics, in chunks of labelled rows.
#pragma once
#include "elementwise.h"
#include "gemm.h"

namespace tunesmith {
namespace {

constexpr int64_t kLogitsBytes = int64_t{64} << 20;  // logits held at a time

// One row of logits: statistics out, and the logits replaced by the loss' gradient. Returns the row's loss.
static double lossOfRow(float* z, int64_t n, int64_t label, const CrossEntropy& p, float* nll, float* entropy,
    float* correct, bool wantsGrad) {
  if (p.softcap > 0)
    eachVec(n, [&](int64_t i, int k) { storeN(z + i, vtanh(loadN(z + i, k) / p.softcap) * p.softcap, k); });
  const float top = rowMax(z, n);
  double sum = 0, weighted = 0;
  for (int64_t from = 0; from < n; from += 1024) {
    const int64_t count = least(1024, n - from);
    vf s = {}, w = {};
    for (int64_t j = 0; j < count; j += VL) {
      const int k = static_cast<int>(least(VL, count - j));
      vf d = loadN(z + from + j, k) - top;
      vf e = vexp(d);
      if (k < VL)
        for (int l = k; l < VL; l++) d[l] = e[l] = 0;
      // exp(-inf) * -inf would be NaN in the entropy: such a token adds nothing.
      s += e;
      w += e > vf{} ? e * d : vf{};
    }
    sum += static_cast<double>(sumOf(s));
    weighted += static_cast<double>(sumOf(w));
  }
  const double logSum = log(sum);
  const double loss = logSum - static_cast<double>(z[label] - top);
  *nll = static_cast<float>(loss);
  *entropy = static_cast<float>(logSum - weighted / sum);
  // argmax takes the first of equals
  int64_t best = 0;
  while (best < n - 1 && z[best] != top) best++;
  *correct = best == label ? 1.f : 0.f;
  if (wantsGrad) {
    const float shift = static_cast<float>(static_cast<double>(top) + logSum);
    const float cap = p.softcap > 0 ? 1.f / p.softcap : 0.f;
    const float atLabel = z[label];
    eachVec(n, [&](int64_t j, int k) {
      const vf v = loadN(z + j, k);
      vf g = vexp(v - shift);
      if (cap > 0) g *= 1.f - (v * cap) * (v * cap);
      storeN(z + j, g, k);
    });
    z[label] -= cap > 0 ? 1.f - atLabel * cap * atLabel * cap : 1.f;
  }
  return loss;
}

static bool crossEntropy(CrossEntropy& p) {
  const int64_t h = p.weight.cols, vocab = p.weight.rows;
  const bool wantsGrad = p.dHidden || p.dWeight;
  memset(p.nll, 0, static_cast<size_t>(p.tokens) * 4);
  memset(p.entropy, 0, static_cast<size_t>(p.tokens) * 4);
  memset(p.correct, 0, static_cast<size_t>(p.tokens) * 4);
  int64_t labelled = 0;
  for (int64_t t = 0; t < p.tokens; t++) labelled += p.labels[t] >= 0;
  p.lossSum = 0;
  if (p.dHidden) memset(p.dHidden, 0, static_cast<size_t>(p.tokens * h) * 4);
  if (labelled == 0) {
    if (p.dWeight) memset(p.dWeight, 0, static_cast<size_t>(vocab * h) * 4);
    return true;
  }
  // Whole panels of the micro-kernel, and chunks of equal size.
  const int64_t limit = most(MR, least(kMaxRows, kLogitsBytes / 4 / vocab / MR * MR));
  const int64_t chunk = least(limit, ceilDiv(ceilDiv(labelled, ceilDiv(labelled, limit)), MR) * MR);
  float* logits = scratch(kScratchLogits, static_cast<size_t>(least(chunk, labelled) * vocab));
  // rows of hidden, their gradients, then row numbers and losses
  float* x = scratch(kScratchAttention, static_cast<size_t>(2 * chunk * h + 4 * chunk));
  if (!logits || !x) return false;
  float* dx = x + chunk * h;
  double* losses = reinterpret_cast<double*>(dx + chunk * h);
  int32_t* rows = reinterpret_cast<int32_t*>(losses + chunk);
  int64_t t = 0;
  for (bool first = true; t < p.tokens; first = false) {
    int64_t n = 0;
    for (; t < p.tokens && n < chunk; t++)
      if (p.labels[t] >= 0) {
        memcpy(x + n * h, p.hidden + t * h, static_cast<size_t>(h) * 4);
        rows[n++] = static_cast<int32_t>(t);
      }
    if (n == 0) break;
    const Term forward = productTerm(x, p.weight);
    if (!gemm(n, vocab, &forward, 1, {logits, vocab, p.bias})) return false;
    parallel(n, [&](int64_t r) {
      const int64_t row = rows[r];
      losses[r] = lossOfRow(
          logits + r * vocab, vocab, p.labels[row], p, p.nll + row, p.entropy + row, p.correct + row, wantsGrad);
    });
    for (int64_t r = 0; r < n; r++) p.lossSum += losses[r];
    if (p.dHidden) {
      const Term back = productTerm(logits, p.weight, false);
      if (!gemm(n, h, &back, 1, {dx, h})) return false;
      for (int64_t r = 0; r < n; r++) memcpy(p.dHidden + rows[r] * h, dx + r * h, static_cast<size_t>(h) * 4);
    }
    if (p.dWeight) {
      const Term weight = transposedTerm(logits, vocab, floatMatrix(x, n, h));
      if (!gemm(vocab, h, &weight, 1, {p.dWeight, h, nullptr, !first})) return false;
    }
  }
  return true;
}

}  // namespace
}  // namespace tunesmith
