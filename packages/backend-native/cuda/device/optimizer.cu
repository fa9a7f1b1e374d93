// AdamW over many tensors in one launch, and the norm of all gradients in float64.
#include "../host/launch_geometry.h"
#include "kernels.h"
#include "vector.h"

namespace tunesmith {
namespace cuda {
namespace {

struct Table {
  AdamWTensor tensors[kTensorsPerLaunch];
};

// torch.optim.AdamW: decay first, eps outside the root of the corrected second moment.
__global__ void adamWKernel(Table table, AdamW o) {
  const AdamWTensor t = table.tensors[blockIdx.y];
  const float keep = 1.0f - o.lr * o.weightDecay, rate = o.lr / o.correction1;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < t.n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const float g = t.grad[i] * o.gradScale;
    const float m = o.beta1 * t.expAvg[i] + (1.0f - o.beta1) * g;
    const float v = o.beta2 * t.expAvgSq[i] + (1.0f - o.beta2) * g * g;
    t.expAvg[i] = m;
    t.expAvgSq[i] = v;
    t.param[i] = t.param[i] * keep - rate * m / (sqrtf(v) / o.correction2 + o.eps);
  }
}

constexpr int kCodeBlock = 256;

// The largest magnitude of the block's 256 threads; NaN when any value is.
__device__ __forceinline__ float blockLargest(float x, float* scratch) {
  x = fabsf(x);
  for (int m = 16; m > 0; m >>= 1) {
    const float other = __shfl_xor_sync(kAllLanes, x, m);
    x = x != x || x > other ? x : other;
  }
  __syncthreads();
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = x;
  __syncthreads();
  x = scratch[0];
  for (int i = 1; i < kCodeBlock / 32; i++) x = x != x || x > scratch[i] ? x : scratch[i];
  return x;
}

// The nearest entry of an ascending table; a tie goes down, NaN to the last.
__device__ __forceinline__ uint8_t nearestCode(float x, const float* map) {
  int code = 0;
  for (int high = 255; code < high;) {
    const int middle = (code + high) >> 1;
    if (x > (map[middle] + map[middle + 1]) * 0.5f || x != x)
      code = middle + 1;
    else
      high = middle;
  }
  return static_cast<uint8_t>(code);
}

// A block of the state per block of threads. The roundings are those of bitsandbytes, written out.
__global__ void adamW8bitKernel(AdamW8bit o) {
  __shared__ float map1[256], map2[256], scratch[32];
  map1[threadIdx.x] = o.qmap1[threadIdx.x];
  map2[threadIdx.x] = o.qmap2[threadIdx.x];
  const int64_t block = blockIdx.x, i = block * kCodeBlock + threadIdx.x;
  const bool there = i < o.n, full = (block + 1) * kCodeBlock <= o.n;
  __syncthreads();
  float m = 0, v = 0;
  if (there) {
    const float g = o.grad[i] * o.gradScale;
    m = fmaf(o.rest1, g, roundedProduct(roundedProduct(map1[o.codes1[i]], o.absmax1[block]), o.beta1));
    v = fmaf(roundedProduct(o.rest2, g), g, roundedProduct(roundedProduct(map2[o.codes2[i]], o.absmax2[block]), o.beta2));
    const float denominator = sqrtf(v) / o.root + o.eps;
    o.param[i] = roundedProduct(o.param[i], o.shrink) + roundedProduct(o.rate, m) / denominator;
  }
  const float largest1 = blockLargest(m, scratch), largest2 = blockLargest(v, scratch);
  // NaN stays NaN: fmaxf would drop it.
  const float clamped1 = largest1 < 1e-38f ? 1e-38f : largest1, clamped2 = largest2 < 1e-38f ? 1e-38f : largest2;
  if (there) {
    o.codes1[i] = nearestCode(full ? roundedProduct(m, 1.0f / clamped1) : m / clamped1, map1);
    o.codes2[i] = nearestCode(full ? roundedProduct(v, 1.0f / clamped2) : v / clamped2, map2);
  }
  // The old scales were read before the barriers above.
  if (threadIdx.x == 0) {
    o.absmax1[block] = full ? largest1 : clamped1;
    o.absmax2[block] = full ? largest2 : clamped2;
  }
}

template <class T>
__global__ void sumSquaresKernel(const T* x, int64_t n, double* partial) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    const double v = static_cast<double>(toFloat(x[i]));
    sum += v * v;
  }
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void finishNormKernel(const double* partial, int64_t n, float* y) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += partial[i];
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) *y = static_cast<float>(sqrt(sum));
}

}  // namespace

void adamW(Stream s, const AdamWTensor* tensors, int count, const AdamW& o) {
  for (int first = 0; first < count; first += kTensorsPerLaunch) {
    const int some = count - first < kTensorsPerLaunch ? count - first : kTensorsPerLaunch;
    Table table = {};
    int64_t largest = 0;
    for (int i = 0; i < some; i++) {
      table.tensors[i] = tensors[first + i];
      if (tensors[first + i].n > largest) largest = tensors[first + i].n;
    }
    if (largest == 0) continue;
    const Geometry g = overItems(largest, 256, 1024);
    launch("adamW", adamWKernel, dim3(g.blocks, static_cast<unsigned>(some)), dim3(g.threads), 0, s, table, o);
  }
}

void adamW8bit(Stream s, const AdamW8bit& o) {
  if (o.n == 0) return;
  launch("adamW8bit", adamW8bitKernel, dim3(static_cast<unsigned>(ceilDiv(o.n, kCodeBlock))), dim3(kCodeBlock), 0, s, o);
}

void sumSquares(Stream s, Array x, int64_t n, double* partial) {
  // Always all blocks, so that every part is written.
  const Geometry g = overItems(n, 256, kNormBlocks);
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("sumSquares", sumSquaresKernel<T>, dim3(static_cast<unsigned>(kNormBlocks)), dim3(g.threads), 0, s, as<T>(x), n, partial);
  });
}

void finishNorm(Stream s, const double* partial, int64_t n, float* y) { launch("finishNorm", finishNormKernel, dim3(1), dim3(256), 0, s, partial, n, y); }

}  // namespace cuda
}  // namespace tunesmith
