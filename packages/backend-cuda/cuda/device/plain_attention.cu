// Attention without tensor cores: float32 mode, other head sizes, and decoding, where one query reads many keys.
//
// A block owns a query of a head (or a key, for the gradients of k and v). Its 16 groups of 8 lanes take every 16th key
// each; a lane holds every 8th element of the head. The groups' softmaxes are merged at the end.
#include "attention.h"
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

constexpr int kThreads = 128, kGroups = kThreads / 8, kMaxHeadDim = 256, kSlots = kMaxHeadDim / 8;

__device__ __forceinline__ float groupSum(float x) {
  for (int m = 4; m > 0; m >>= 1) x += __shfl_xor_sync(kAllLanes, x, m);
  return x;
}

// Calls f(j, d) for the elements d of a head that are this lane's; d is the j-th of them.
template <class F> __device__ __forceinline__ void eachOfLane(int headDim, F f) {
  const int lane = static_cast<int>(threadIdx.x) & 7;
#pragma unroll
  for (int j = 0; j < kSlots; j++) {
    if (8 * j >= headDim) break;
    if (8 * j + lane < headDim) f(j, 8 * j + lane);
  }
}
// Into zeros.
template <class T> __device__ __forceinline__ void loadHead(const T* p, int headDim, float* v) {
  eachOfLane(headDim, [&](int j, int d) { v[j] = toFloat(p[d]); });
}
template <class T> __device__ __forceinline__ float dotHead(const float* v, const T* p, int headDim) {
  float sum = 0;
  eachOfLane(headDim, [&](int j, int d) { sum += v[j] * toFloat(p[d]); });
  return groupSum(sum);
}
template <class T> __device__ __forceinline__ void addHead(float* v, float factor, const T* p, int headDim) {
  eachOfLane(headDim, [&](int j, int d) { v[j] += factor * toFloat(p[d]); });
}
// Sum over the groups of factors[group] * v, as one row of T.
template <class T>
__device__ __forceinline__ void mergeHeads(const float* v, float factor, float* parts, T* out, int headDim) {
  const int group = static_cast<int>(threadIdx.x) >> 3;
  __syncthreads();
  eachOfLane(headDim, [&](int j, int d) { parts[group * headDim + d] = v[j] * factor; });
  __syncthreads();
  for (int d = static_cast<int>(threadIdx.x); d < headDim; d += kThreads) {
    float sum = 0;
    for (int g = 0; g < kGroups; g++) sum += parts[g * headDim + d];
    out[d] = fromFloat<T>(sum);
  }
}

template <class T> __global__ void forwardKernel(Attention p, const T* q, const T* k, const T* v, T* out, float* lse) {
  __shared__ float tops[kGroups], sums[kGroups];
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y), kvHead = head / (p.heads / p.kvHeads), D = p.headDim;
  const int group = static_cast<int>(threadIdx.x) >> 3;
  const Place at = placeOf(p, token);
  const int64_t kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const T* ks = k + at.span.keyStart * kvStride + kvHead * D;
  const T* vs = v + at.span.keyStart * kvStride + kvHead * D;
  float query[kSlots], o[kSlots], top = -INFINITY, sum = 0;
  for (int j = 0; j < kSlots; j++) query[j] = o[j] = 0;
  loadHead(q + (token * p.heads + head) * D, D, query);
  const int end = at.index + at.span.shift + 1;
  // All groups run the same number of rounds, because the shuffles inside need whole warps.
  for (int base = firstKey(p, at); base < end; base += kGroups) {
    const int key = base + group, inside = key < end ? key : end - 1;
    const float score = scoreOf(p, dotHead(query, ks + inside * kvStride, D));
    if (key >= end) continue;
    if (score > top) {
      const float shrink = expf(top - score);
      sum *= shrink;
      for (int j = 0; j < kSlots; j++) o[j] *= shrink;
      top = score;
    }
    const float weight = expf(score - top);
    sum += weight;
    addHead(o, weight, vs + inside * kvStride, D);
  }
  if ((threadIdx.x & 7) == 0) {
    tops[group] = top;
    sums[group] = sum;
  }
  __syncthreads();
  float highest = -INFINITY, total = 0;
  for (int g = 0; g < kGroups; g++) highest = fmaxf(highest, tops[g]);
  for (int g = 0; g < kGroups; g++) total += sums[g] > 0 ? sums[g] * expf(tops[g] - highest) : 0.0f;
  const float factor = sum > 0 ? expf(top - highest) / total : 0.0f;
  mergeHeads(o, factor, dynamicShared<float>(), out + (token * p.heads + head) * D, D);
  if (threadIdx.x == 0) lse[token * p.heads + head] = highest + logf(total);
}

template <class T> __global__ void deltaKernel(const T* dout, const T* out, float* delta, int64_t rows, int headDim) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * 4 + (threadIdx.x >> 5);
  if (row >= rows) return;
  float sum = 0;
  for (int d = lane; d < headDim; d += 32) sum += toFloat(dout[row * headDim + d]) * toFloat(out[row * headDim + d]);
  sum = warpSum(sum);
  if (lane == 0) delta[row] = sum;
}

template <class T>
__global__ void queryGradKernel(
    Attention p, const T* q, const T* k, const T* v, const T* dout, const float* lse, const float* delta, T* dq) {
  const int64_t token = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y), kvHead = head / (p.heads / p.kvHeads), D = p.headDim;
  const int group = static_cast<int>(threadIdx.x) >> 3;
  const Place at = placeOf(p, token);
  const int64_t kvStride = static_cast<int64_t>(p.kvHeads) * D, row = (token * p.heads + head) * D;
  const T* ks = k + at.span.keyStart * kvStride + kvHead * D;
  const T* vs = v + at.span.keyStart * kvStride + kvHead * D;
  float query[kSlots], grad[kSlots], sum[kSlots];
  for (int j = 0; j < kSlots; j++) query[j] = grad[j] = sum[j] = 0;
  loadHead(q + row, D, query);
  loadHead(dout + row, D, grad);
  const float rowLse = lse[token * p.heads + head], rowDelta = delta[token * p.heads + head];
  const int end = at.index + 1;
  for (int base = firstKey(p, at); base < end; base += kGroups) {
    const int key = base + group, inside = key < end ? key : end - 1;
    const float score = scoreOf(p, dotHead(query, ks + inside * kvStride, D));
    const float dp = dotHead(grad, vs + inside * kvStride, D);
    if (key >= end) continue;
    const float ds = expf(score - rowLse) * (dp - rowDelta) * slopeOf(p, score) * p.scale;
    addHead(sum, ds, ks + inside * kvStride, D);
  }
  mergeHeads(sum, 1.0f, dynamicShared<float>(), dq + row, D);
}

template <class T>
__global__ void keyGradKernel(Attention p, const T* q, const T* k, const T* v, const T* dout, const float* lse,
    const float* delta, T* dk, T* dv) {
  const int64_t row = blockIdx.x;
  const int kvHead = static_cast<int>(blockIdx.y), shared = p.heads / p.kvHeads, D = p.headDim;
  const int group = static_cast<int>(threadIdx.x) >> 3;
  const Place at = placeOf(p, row);
  const int64_t own = (row * p.kvHeads + kvHead) * D;
  float key[kSlots], value[kSlots], sumK[kSlots], sumV[kSlots];
  for (int j = 0; j < kSlots; j++) key[j] = value[j] = sumK[j] = sumV[j] = 0;
  loadHead(k + own, D, key);
  loadHead(v + own, D, value);
  const int64_t reach = p.window > 0 ? static_cast<int64_t>(at.index) + p.window : at.span.queries;
  const int end = reach < at.span.queries ? static_cast<int>(reach) : at.span.queries;
  const int perHead = end - at.index, items = perHead * shared;
  for (int base = 0; base < items; base += kGroups) {
    const int item = base + group < items ? base + group : items - 1;
    const int64_t token = at.span.queryStart + at.index + item % perHead,
                  place = token * p.heads + kvHead * shared + item / perHead;
    const float score = scoreOf(p, dotHead(key, q + place * D, D));
    const float dp = dotHead(value, dout + place * D, D);
    if (base + group >= items) continue;
    const float weight = expf(score - lse[place]);
    addHead(sumV, weight, dout + place * D, D);
    addHead(sumK, weight * (dp - delta[place]) * slopeOf(p, score) * p.scale, q + place * D, D);
  }
  mergeHeads(sumK, 1.0f, dynamicShared<float>(), dk + own, D);
  mergeHeads(sumV, 1.0f, dynamicShared<float>(), dv + own, D);
}

}  // namespace

void plainAttention(Stream s, const Attention& p, const AttentionTensors& t) {
  if (p.tokens == 0) return;
  const dim3 grid(static_cast<unsigned>(p.tokens), static_cast<unsigned>(p.heads));
  const size_t shared = sizeof(float) * kGroups * static_cast<size_t>(p.headDim);
  dispatch(t.q.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("plainAttention", forwardKernel<T>, grid, dim3(kThreads), shared, s, p, as<T>(t.q), as<T>(t.k), as<T>(t.v),
        as<T>(t.out), t.lse);
  });
}

void plainAttentionGrad(Stream s, const Attention& p, const AttentionTensors& t) {
  if (p.tokens == 0) return;
  const int64_t rows = p.tokens * p.heads;
  const unsigned tokens = static_cast<unsigned>(p.tokens);
  const size_t shared = sizeof(float) * kGroups * static_cast<size_t>(p.headDim);
  dispatch(t.q.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("attentionDelta", deltaKernel<T>, dim3(static_cast<unsigned>(ceilDiv(rows, 4))), dim3(128), 0, s,
        as<T>(t.dout), as<T>(t.out), t.delta, rows, p.headDim);
    launch("plainAttentionQueryGrad", queryGradKernel<T>, dim3(tokens, static_cast<unsigned>(p.heads)), dim3(kThreads),
        shared, s, p, as<T>(t.q), as<T>(t.k), as<T>(t.v), as<T>(t.dout), t.lse, t.delta, as<T>(t.dq));
    launch("plainAttentionKeyGrad", keyGradKernel<T>, dim3(tokens, static_cast<unsigned>(p.kvHeads)), dim3(kThreads),
        shared, s, p, as<T>(t.q), as<T>(t.k), as<T>(t.v), as<T>(t.dout), t.lse, t.delta, as<T>(t.dk), as<T>(t.dv));
  });
}

}  // namespace tunesmith::cuda
