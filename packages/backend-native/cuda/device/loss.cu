// The head's softmax: a row of logits becomes its loss, statistics and gradient while it is still in the cache.
#include "../host/launch_geometry.h"
#include "kernels.h"
#include "vector.h"

namespace tunesmith {
namespace cuda {
namespace {

// Most likely entry so far; of equal ones the first.
struct Best {
  float value;
  int index;
};
__device__ __forceinline__ Best better(Best a, Best b) { return b.value > a.value || (b.value == a.value && b.index < a.index) ? b : a; }

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

template <class T>
__global__ void softmaxLossKernel(float* logits, LossRows p, T* gradient) {
  __shared__ float scratch[32];
  __shared__ int indices[32];
  const int64_t vocab = p.vocab;
  float* z = logits + blockIdx.x * vocab;
  const int32_t row = p.rows[blockIdx.x], label = p.labels[row];
  Best best = {-INFINITY, 0};
  for (int64_t j = threadIdx.x; j < vocab; j += blockDim.x) {
    float value = z[j];
    if (p.softcap > 0) z[j] = value = p.softcap * tanhf(value / p.softcap);
    best = better(best, {value, static_cast<int>(j)});
  }
  best = blockBest(best, scratch, indices);
  float total = 0, weighted = 0, plain = 0;
  for (int64_t j = threadIdx.x; j < vocab; j += blockDim.x) {
    const float d = z[j] - best.value, e = expf(d);
    total += e;
    weighted += e * d;
    plain += d;
  }
  total = blockSum(total, scratch);
  weighted = blockSum(weighted, scratch);
  plain = blockSum(plain, scratch);
  const float logTotal = logf(total);
  const float nll = logTotal - (z[label] - best.value);
  const float weight = p.dft ? expf(-nll) : 1.0f;
  const float smooth = p.labelSmoothing;
  // z[label] is read by every thread above and written below.
  __syncthreads();
  if (threadIdx.x == 0) {
    const float mean = logTotal - plain / static_cast<float>(vocab);
    p.nll[row] = nll;
    p.entropy[row] = logTotal - weighted / total;
    p.correct[row] = best.index == label ? 1.0f : 0.0f;
    p.loss[row] = ((1.0f - smooth) * nll + smooth * mean) * weight;
  }
  if (!gradient) return;
  const float uniform = smooth / static_cast<float>(vocab);
  for (int64_t j = threadIdx.x; j < vocab; j += blockDim.x) {
    const float value = z[j];
    float d = expf(value - best.value) / total - uniform - (j == label ? 1.0f - smooth : 0.0f);
    if (p.softcap > 0) d *= 1.0f - (value / p.softcap) * (value / p.softcap);
    gradient[blockIdx.x * vocab + j] = fromFloat<T>(d * weight);
  }
}

template <class T>
__global__ void gatherKernel(const T* x, const int32_t* rows, T* y, int64_t width) {
  const int64_t from = static_cast<int64_t>(rows[blockIdx.x]) * width, to = static_cast<int64_t>(blockIdx.x) * width;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) y[to + i] = x[from + i];
}
template <class X, class T>
__global__ void scatterKernel(const X* x, const int32_t* rows, T* y, int64_t width) {
  const int64_t to = static_cast<int64_t>(rows[blockIdx.x]) * width, from = static_cast<int64_t>(blockIdx.x) * width;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) y[to + i] = fromFloat<T>(toFloat(x[from + i]));
}

__global__ void sumKernel(const float* x, int64_t n, float* y) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += static_cast<double>(x[i]);
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) *y = static_cast<float>(sum);
}

}  // namespace

void softmaxLoss(Stream s, float* logits, const LossRows& p, Array gradient) {
  if (p.count == 0) return;
  const Geometry g = overRows(p.count, p.vocab, 512);
  dispatch(gradient ? gradient.type : Type::f32, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("softmaxLoss", softmaxLossKernel<T>, dim3(g.blocks), dim3(g.threads), 0, s, logits, p, as<T>(gradient));
  });
}

void gatherRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width) {
  if (count == 0) return;
  const Geometry g = overRows(count, width);
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("gatherRows", gatherKernel<T>, dim3(g.blocks), dim3(g.threads), 0, s, as<T>(x), rows, as<T>(y), width);
  });
}

void scatterRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width) {
  if (count == 0) return;
  const Geometry g = overRows(count, width);
  dispatch(x.type, false, [&](auto from, auto) {
    using X = decltype(from);
    dispatch(y.type, false, [&](auto type, auto) {
      using T = decltype(type);
      launch("scatterRows", scatterKernel<X, T>, dim3(g.blocks), dim3(g.threads), 0, s, as<X>(x), rows, as<T>(y), width);
    });
  });
}

void sumInDouble(Stream s, const float* x, int64_t n, float* y) {
  const Geometry g = overRows(1, n, 512);
  launch("sumInDouble", sumKernel, dim3(1), dim3(g.threads), 0, s, x, n, y);
}

}  // namespace cuda
}  // namespace tunesmith
