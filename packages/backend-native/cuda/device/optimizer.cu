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
