// Weights: expanding rows for the matrix product, products of a few rows that read a weight once as it lies (decoding),
// embedding rows and their gradient, dropout.
#include "../host/launch_geometry.h"
#include "kernels.h"
#include "vector.h"
#include "weight_access.h"

namespace tunesmith {
namespace cuda {
namespace {

template <Format F, class T>
__global__ void dequantizeWideKernel(Weight w, int64_t first, int64_t n, T* y) {
  __shared__ float code[512];
  spreadCode(w, code);
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x * 8) {
    float v[8];
    eightWeights<F>(w, code, first + i, v);
    if constexpr (F == Format::int8) {
      const float scale = w.scale[(first + i) / w.cols];
      for (int j = 0; j < 8; j++) v[j] *= scale;
    }
    storeEight(y + i, v);
  }
}

template <class T>
__global__ void dequantizeKernel(Weight w, int64_t first, int64_t n, T* y) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    y[i] = fromFloat<T>(weightAt(w, w.code, first + i));
}

template <class T>
__global__ void embeddingKernel(Weight w, const int32_t* ids, T* y) {
  const int64_t token = blockIdx.x, row = ids[token];
  for (int64_t i = threadIdx.x; i < w.cols; i += blockDim.x) y[token * w.cols + i] = fromFloat<T>(weightAt(w, w.code, row * w.cols + i));
}

// A block adds up all gradients of one id, in the order of the tokens.
template <class T>
__global__ void embeddingGradKernel(const T* dy, const int32_t* ids, const int32_t* order, const int32_t* starts, float* dw, int64_t h) {
  const int32_t first = starts[blockIdx.x], end = starts[blockIdx.x + 1];
  const int64_t row = ids[order[first]];
  for (int64_t i = threadIdx.x; i < h; i += blockDim.x) {
    float sum = 0;
    for (int32_t t = first; t < end; t++) sum += toFloat(dy[order[t] * h + i]);
    dw[row * h + i] = sum;
  }
}

constexpr int kDecodeWarps = 8;

// A warp owns an output feature: it reads that row of the weight once and multiplies it with up to M rows of x.
template <Format F, class T, int M>
__global__ void decodeKernel(Weight w, const T* x, const T* bias, const T* xa, const T* loraB, int rank, float scaling, T* y, int m) {
  __shared__ float code[512];
  spreadCode(w, code);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + (threadIdx.x >> 5);
  if (row >= w.rows) return;
  float sum[M];
  for (int k = 0; k < M; k++) sum[k] = 0;
TUNESMITH_UNROLL(4)
  for (int64_t i = lane * 8; i < w.cols; i += 256) {
    float v[8];
    eightWeights<F>(w, code, row * w.cols + i, v);
TUNESMITH_UNROLL_ALL
    for (int k = 0; k < M; k++) {
      if (k >= m) break;
      float u[8];
      loadEight(x + k * w.cols + i, u);
      for (int j = 0; j < 8; j++) sum[k] += v[j] * u[j];
    }
  }
  const float scale = F == Format::int8 ? w.scale[row] : 1.0f;
TUNESMITH_UNROLL_ALL
  for (int k = 0; k < M; k++) {
    if (k >= m) break;
    float total = sum[k] * scale;
    if (loraB)
      for (int r = lane; r < rank; r += 32) total += scaling * toFloat(xa[k * rank + r]) * toFloat(loraB[row * rank + r]);
    total = warpSum(total);
    if (lane == 0) y[k * w.rows + row] = fromFloat<T>(total + (bias ? toFloat(bias[row]) : 0.0f));
  }
}

// The same for widths and block sizes that do not come in eights.
template <class T>
__global__ void decodeAnyKernel(Weight w, const T* x, const T* bias, const T* xa, const T* loraB, int rank, float scaling, T* y, int m) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + (threadIdx.x >> 5);
  if (row >= w.rows) return;
  for (int k = 0; k < m; k++) {
    float total = 0;
    for (int64_t i = lane; i < w.cols; i += 32) total += weightAt(w, w.code, row * w.cols + i) * toFloat(x[k * w.cols + i]);
    if (loraB)
      for (int r = lane; r < rank; r += 32) total += scaling * toFloat(xa[k * rank + r]) * toFloat(loraB[row * rank + r]);
    total = warpSum(total);
    if (lane == 0) y[k * w.rows + row] = fromFloat<T>(total + (bias ? toFloat(bias[row]) : 0.0f));
  }
}

__device__ __forceinline__ bool kept(uint32_t i, const Dropout& d) {
  uint32_t h = i + d.seed * 0x9e3779b9u;
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return (h ^ (h >> 16)) >= d.threshold;
}

template <class T, int V>
__global__ void dropoutKernel(const T* x, T* y, int64_t n, Dropout d) {
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * V; i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x * V) {
    float v[V];
    load<V>(x + i, v);
    for (int j = 0; j < V; j++) v[j] = kept(static_cast<uint32_t>(i + j), d) ? v[j] * d.keepScale : 0.0f;
    store<V>(y + i, v);
  }
}

}  // namespace

void dequantize(Stream s, const Weight& w, int64_t rowStart, int64_t rowEnd, Array y) {
  const int64_t n = (rowEnd - rowStart) * w.cols;
  if (n == 0) return;
  const bool wide = readsInEights(w);
  const Geometry g = overItems(wide ? n / 8 : n, 256, wide ? 4096 : 1 << 20);
  dispatch(y.type, false, [&](auto type, auto) {
    using T = decltype(type);
    if (wide)
      dispatchFormat(w.format, [&](auto format) {
        launch("dequantize", dequantizeWideKernel<format.value, T>, dim3(g.blocks), dim3(g.threads), 0, s, w, rowStart * w.cols, n, as<T>(y));
      });
    else
      launch("dequantize", dequantizeKernel<T>, dim3(g.blocks), dim3(g.threads), 0, s, w, rowStart * w.cols, n, as<T>(y));
  });
}

void embeddingLookup(Stream s, const Weight& w, const int32_t* ids, Array y, int64_t tokens) {
  if (tokens == 0) return;
  const Geometry g = overRows(tokens, w.cols);
  dispatch(y.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("embeddingLookup", embeddingKernel<T>, dim3(g.blocks), dim3(g.threads), 0, s, w, ids, as<T>(y));
  });
}

void embeddingGrad(Stream s, Array dy, const int32_t* ids, const int32_t* order, const int32_t* starts, int64_t distinct, float* dw, int64_t h) {
  if (distinct == 0) return;
  const Geometry g = overRows(distinct, h);
  dispatch(dy.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("embeddingGrad", embeddingGradKernel<T>, dim3(g.blocks), dim3(g.threads), 0, s, as<T>(dy), ids, order, starts, dw, h);
  });
}

void decodeLinear(Stream s, const Weight& w, Array x, Array bias, Array xa, Array loraB, int rank, float scaling, Array y, int64_t m) {
  if (m == 0 || w.rows == 0) return;
  const dim3 grid(static_cast<unsigned>(ceilDiv(w.rows, kDecodeWarps)));
  const dim3 block(32 * kDecodeWarps);
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    const auto run = [&](auto kernel) {
      launch("decodeLinear", kernel, grid, block, 0, s, w, as<T>(x), as<T>(bias), as<T>(xa), as<T>(loraB), rank, scaling, as<T>(y), static_cast<int>(m));
    };
    if (!readsInEights(w)) return run(decodeAnyKernel<T>);
    dispatchFormat(w.format, [&](auto format) {
      if (m == 1)
        run(decodeKernel<format.value, T, 1>);
      else
        run(decodeKernel<format.value, T, static_cast<int>(kDecodeRows)>);
    });
  });
}

void dropout(Stream s, Array x, Array y, int64_t n, const Dropout& d) {
  if (n == 0) return;
  dispatch(x.type, n % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    const Geometry g = overItems(ceilDiv(n, width.value));
    launch("dropout", dropoutKernel<T, width.value>, dim3(g.blocks), dim3(g.threads), 0, s, as<T>(x), as<T>(y), n, d);
  });
}

}  // namespace cuda
}  // namespace tunesmith
