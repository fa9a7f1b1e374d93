// The head's softmax: a row of logits becomes its loss, statistics and gradient while it is still in the cache.
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

// Most likely entry so far; of equal ones the first.
struct Best {
  float value;
  int index;
};
__device__ __forceinline__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a;
}

__device__ __forceinline__ Best blockBest(Best x, float* values, int* indices) {
  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int warps = static_cast<int>(blockDim.x) >> 5;
  for (int m = 16; m > 0; m >>= 1) {
    Best other = {__shfl_xor_sync(kAllLanes, x.value, m), __shfl_xor_sync(kAllLanes, x.index, m)};
    x = better(x, other);
  }
  if (lane == 0) {
    values[warp] = x.value;
    indices[warp] = x.index;
  }
  __syncthreads();
  x = {values[0], indices[0]};
  for (int i = 1; i < warps; i++) x = better(x, {values[i], indices[i]});
  __syncthreads();
  return x;
}

// What a thread knows of its part of a row: the largest entry, and sums relative to it that move along when it grows.
struct Tally {
  Best best = {-INFINITY, 0};
  float total = 0, weighted = 0;  // of e, of e (z - best); e = exp(z - best)

  __device__ __forceinline__ void moveTo(float top) {
    // Nothing was added up yet, or nothing changes: the factor would be NaN, or 1.
    if (total == 0 || top == best.value) return;
    const float by = best.value - top, factor = expf(by);
    weighted = factor * (weighted + by * total);
    total *= factor;
  }
  template <int V> __device__ __forceinline__ void add(const float* z, int first) {
    Best top = best;
    for (int i = 0; i < V; i++) top = better(top, {z[i], first + i});
    moveTo(top.value);
    best = top;
    for (int i = 0; i < V; i++) {
      const float d = z[i] - best.value, e = expf(d);
      total += e;
      weighted += e * d;
    }
  }
};

template <int V> __device__ __forceinline__ void loadLogits(const float* p, float* z) {
  if constexpr (V == 4)
    unpackFour(*reinterpret_cast<const uint4*>(p), z);
  else
    z[0] = *p;
}
template <int V> __device__ __forceinline__ void storeGradient(float* p, const float* d) {
  if constexpr (V == 4)
    *reinterpret_cast<uint4*>(p) = packFour(d);
  else
    *p = d[0];
}
template <int V> __device__ __forceinline__ void storeGradient(bf16* p, const float* d) {
  if constexpr (V == 4)
    *reinterpret_cast<uint2*>(p) = {packBf16(d[0], d[1]), packBf16(d[2], d[3])};
  else
    *p = fromFloat<bf16>(d[0]);
}

// A block per row, which is read twice: once for all sums, once for the gradient. That goes where the row began, in T.
template <class T, int V> __global__ void softmaxLossKernel(float* logits, LossRows p, bool gradient) {
  __shared__ float scratch[32];
  __shared__ int indices[32];
  const int64_t vocab = p.vocab;
  float* z = logits + blockIdx.x * vocab;
  const int32_t row = p.rows[blockIdx.x], label = p.labels[row];
  Tally tally;
  for (int64_t j = threadIdx.x * V; j < vocab; j += blockDim.x * V) {
    float v[V];
    loadLogits<V>(z + j, v);
    if (p.softcap > 0) {
      for (int i = 0; i < V; i++) v[i] = p.softcap * tanhf(v[i] / p.softcap);
      storeGradient<V>(z + j, v);
    }
    tally.add<V>(v, static_cast<int>(j));
  }
  const Best best = blockBest(tally.best, scratch, indices);
  tally.moveTo(best.value);
  const float total = blockSum(tally.total, scratch), weighted = blockSum(tally.weighted, scratch);
  const float logTotal = logf(total);
  const float nll = logTotal - (z[label] - best.value);
  if (threadIdx.x == 0) {
    p.nll[row] = nll;
    p.entropy[row] = logTotal - weighted / total;
    p.correct[row] = best.index == label ? 1.0f : 0.0f;
  }
  if (!gradient) return;
  T* to = reinterpret_cast<T*>(z);
  for (int64_t first = 0; first < vocab; first += blockDim.x * V) {
    const int64_t j = first + threadIdx.x * V;
    float v[V];
    if (j < vocab) {
      loadLogits<V>(z + j, v);
      for (int i = 0; i < V; i++) {
        const float value = v[i];
        v[i] = expf(value - best.value) / total - (j + i == label ? 1.0f : 0.0f);
        if (p.softcap > 0) v[i] *= 1.0f - (value / p.softcap) * (value / p.softcap);
      }
    }
    // What is written lies before what is still to be read, once all have read theirs (and z[label], above).
    __syncthreads();
    if (j < vocab) storeGradient<V>(to + j, v);
  }
}

template <bool scatter, class X, class T>
__global__ void moveRowsKernel(const X* x, const int32_t* rows, T* y, int64_t width) {
  const int64_t there = static_cast<int64_t>(rows[blockIdx.x]) * width, here = static_cast<int64_t>(blockIdx.x) * width;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x)
    y[(scatter ? there : here) + i] = fromFloat<T>(toFloat(x[(scatter ? here : there) + i]));
}

}  // namespace

void softmaxLoss(Stream s, float* logits, const LossRows& p, bool gradient, Type type) {
  if (p.count == 0) return;
  dispatch(type, p.vocab % 4 == 0, [&](auto kind, auto width) {
    launch("softmaxLoss", softmaxLossKernel < decltype(kind), width.value == 8 ? 4 : 1 >,
        overRows(p.count, p.vocab, 512), s, logits, p, gradient);
  });
}

void gatherRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width) {
  if (count == 0) return;
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("gatherRows", moveRowsKernel<false, T, T>, overRows(count, width), s, as<T>(x), rows, as<T>(y), width);
  });
}

void scatterRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width) {
  if (count == 0) return;
  dispatch(x.type, false, [&](auto from, auto) {
    dispatch(y.type, false, [&](auto to, auto) {
      using X = decltype(from);
      using Y = decltype(to);
      launch("scatterRows", moveRowsKernel<true, X, Y>, overRows(count, width), s, as<X>(x), rows, as<Y>(y), width);
    });
  });
}

}  // namespace tunesmith::cuda
