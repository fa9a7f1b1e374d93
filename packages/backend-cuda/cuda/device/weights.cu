// Weights: expanding rows for the matrix product, products of a few rows that read a stored weight once (decoding),
// embedding rows and their gradient, dropout.
#include "kernels.h"
#include "vector.h"
#include "weight_access.h"

namespace tunesmith::cuda {
namespace {

template <Format F, class T> __global__ void dequantizeWideKernel(Weight w, int64_t first, int64_t n, T* y) {
  __shared__ float code[512];
  spreadCode(w, code);
  eachItem<8>(n, [&](int64_t i) {
    float v[8];
    eightWeights<F>(w, code, first + i, v);
    if constexpr (F == Format::int8) {
      // In units of eight, which 32 bits count: a division of 64 would take longer than all else.
      const float scale = w.scale[static_cast<uint32_t>((first + i) >> 3) / static_cast<uint32_t>(w.cols >> 3)];
      for (int j = 0; j < 8; j++) v[j] *= scale;
    }
    storeEight(y + i, v);
  });
}

template <class T> __global__ void dequantizeKernel(Weight w, int64_t first, int64_t n, T* y) {
  eachItem(n, [&](int64_t i) { y[i] = fromFloat<T>(weightAt(w, w.code, first + i)); });
}

template <class T> __global__ void embeddingKernel(Weight w, const int32_t* ids, T* y) {
  const int64_t token = blockIdx.x, row = ids[token];
  for (int64_t i = threadIdx.x; i < w.cols; i += blockDim.x)
    y[token * w.cols + i] = fromFloat<T>(weightAt(w, w.code, row * w.cols + i));
}

// A block adds up all gradients of one id, in the order of the tokens.
template <class T>
__global__ void embeddingGradKernel(
    const T* dy, const int32_t* ids, const int32_t* order, const int32_t* starts, float* dw, int64_t h) {
  const int32_t first = starts[blockIdx.x], end = starts[blockIdx.x + 1];
  const int64_t row = ids[order[first]];
  for (int64_t i = threadIdx.x; i < h; i += blockDim.x) {
    float sum = 0;
    for (int32_t t = first; t < end; t++) sum += toFloat(dy[order[t] * h + i]);
    dw[row * h + i] = sum;
  }
}

constexpr int kDecodeWarps = 8;

// What a product of few rows has beside the weight. B may be null, and the bias.
template <class T> struct Decode {
  const T *x, *bias, *xa, *loraB;
  int rank;
  float scaling;
  T* y;
  int m;

  // Every `step`-th part, from `first` on, of what LoRA adds to an output.
  __device__ __forceinline__ float branch(int64_t row, int64_t token, int first, int step) const {
    float sum = 0;
    if (loraB)
      for (int r = first; r < rank; r += step)
        sum += scaling * toFloat(xa[token * rank + r]) * toFloat(loraB[row * rank + r]);
    return sum;
  }
  __device__ __forceinline__ void put(int64_t rows, int64_t row, int64_t token, float sum) const {
    y[token * rows + row] = fromFloat<T>(sum + (bias ? toFloat(bias[row]) : 0.0f));
  }
};

// A warp owns an output feature: it reads that row of the weight once and multiplies it with up to M rows of x.
template <Format F, class T, int M> __global__ void decodeKernel(Weight w, Decode<T> d) {
  __shared__ float code[512];
  spreadCode(w, code);
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + (threadIdx.x >> 5);
  if (row >= w.rows) return;
  float sum[M];
  for (int k = 0; k < M; k++) sum[k] = 0;
#pragma unroll 4
  for (int64_t i = lane * 8; i < w.cols; i += 256) {
    float v[8];
    eightWeights<F>(w, code, row * w.cols + i, v);
#pragma unroll
    for (int k = 0; k < M; k++) {
      if (k >= d.m) break;
      float u[8];
      loadEight(d.x + k * w.cols + i, u);
      for (int j = 0; j < 8; j++) sum[k] += v[j] * u[j];
    }
  }
  const float scale = F == Format::int8 ? w.scale[row] : 1.0f;
#pragma unroll
  for (int k = 0; k < M; k++) {
    if (k >= d.m) break;
    const float total = warpSum(sum[k] * scale + d.branch(row, k, lane, 32));
    if (lane == 0) d.put(w.rows, row, k, total);
  }
}

// The same for widths and block sizes that do not come in eights.
template <class T> __global__ void decodeAnyKernel(Weight w, Decode<T> d) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + (threadIdx.x >> 5);
  if (row >= w.rows) return;
  for (int k = 0; k < d.m; k++) {
    float total = d.branch(row, k, lane, 32);
    for (int64_t i = lane; i < w.cols; i += 32)
      total += weightAt(w, w.code, row * w.cols + i) * toFloat(d.x[k * w.cols + i]);
    total = warpSum(total);
    if (lane == 0) d.put(w.rows, row, k, total);
  }
}

// NF4 and FP4 on tensor cores. A block has 16 rows; its warps share their columns, 64 at a time, which lie in one block
// of quantization, so that the scale multiplies a finished sum. Lane 4 g + t has 16 neighbouring weights of rows g and
// g + 8, and the same of x for token g: the product may take columns in any order as long as both sides do.
constexpr int kNf4Rows = 16, kNf4Columns = 64;

__global__ void decodeNf4Kernel(Weight w, Decode<bf16> d) {
  // Both values of a byte for each lane, so that no two lanes meet in a bank: byte b of lane l at [32 b + l].
  __shared__ uint4 table[256 * 8];
  __shared__ float sums[kDecodeWarps][kNf4Rows][kDecodeRows];
  const int id = static_cast<int>(threadIdx.x), lane = id & 31, warp = id >> 5, g = lane >> 2, t = lane & 3;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kNf4Rows, last = w.rows - 1;
  {
    const uint32_t both = packBf16(w.code[id >> 4], w.code[id & 15]);
    uint4 four;
    four.x = four.y = four.z = four.w = both;
    // Neighbouring threads begin in different banks.
    for (int k = 0; k < 8; k++) table[id * 8 + ((k + id) & 7)] = four;
  }
  __syncthreads();
  // A byte's pair for this lane: the byte at bit `from` of a word, shifted to where it counts lines of 128 bytes.
  const auto pair = [&](uint32_t word, int from) {
    const uint32_t line = (from < 7 ? word << (7 - from) : word >> (from - 7)) & 0x7f80u;
    return *reinterpret_cast<const uint32_t*>(
        reinterpret_cast<const char*>(table) + (line | static_cast<uint32_t>(lane) * 4));
  };
  const int64_t top = first + g < last ? first + g : last, bottom = first + g + 8 < last ? first + g + 8 : last;
  const int64_t parts = w.cols / kNf4Columns;
  const int shift = w.blockShift - 6;
  const uint2* upper = static_cast<const uint2*>(w.data) + top * parts * 4 + t;
  const uint2* lower = static_cast<const uint2*>(w.data) + bottom * parts * 4 + t;
  const uint4* given = reinterpret_cast<const uint4*>(d.x + g * w.cols) + t * 2;
  float total[4] = {};
#pragma unroll 4
  for (int64_t part = warp; part < parts; part += kDecodeWarps) {
    const uint2 up = upper[part * 4], low = lower[part * 4];
    const float upScale = w.scale[(top * parts + part) >> shift], lowScale = w.scale[(bottom * parts + part) >> shift];
    uint4 left = {0, 0, 0, 0}, right = {0, 0, 0, 0};
    if (g < d.m) {
      left = given[part * 8];
      right = given[part * 8 + 1];
    }
    const uint32_t b[8] = {left.x, left.y, left.z, left.w, right.x, right.y, right.z, right.w};
    float acc[4] = {};
#pragma unroll
    for (int j = 0; j < 4; j++) {
      const uint32_t u = j < 2 ? up.x : up.y, l = j < 2 ? low.x : low.y;
      const int from = j & 1 ? 16 : 0;
      const uint32_t a[4] = {pair(u, from), pair(l, from), pair(u, from + 8), pair(l, from + 8)};
      mma(acc, a, b + 2 * j);
    }
    total[0] += upScale * acc[0];
    total[1] += upScale * acc[1];
    total[2] += lowScale * acc[2];
    total[3] += lowScale * acc[3];
  }
  if (t < kDecodeRows / 2)
    for (int i = 0; i < 4; i++) sums[warp][g + (i < 2 ? 0 : 8)][2 * t + (i & 1)] = total[i];
  __syncthreads();
  // Four threads to a result: two warps' sums each, and every fourth of the ranks.
  const int row = id >> 4, token = id >> 2 & 3, quarter = id & 3;
  float result = sums[quarter][row][token] + sums[quarter + 4][row][token];
  const bool there = first + row < w.rows && token < d.m;
  if (there) result += d.branch(first + row, token, quarter, 4);
  for (int step = 1; step < 4; step *= 2) result += __shfl_xor_sync(kAllLanes, result, step);
  if (there && quarter == 0) d.put(w.rows, first + row, token, result);
}
static_assert(
    kDecodeWarps == 8 && kDecodeRows == 4, "256 threads: a table entry each, and four to each of 16 x 4 results");

// With x in bf16; the scale must be one for 64 columns.
bool onTensorCores(const Weight& w) {
  return w.format == Format::nf4 && w.cols % kNf4Columns == 0 && w.blockShift >= 6;
}

__device__ __forceinline__ bool kept(uint32_t i, const Dropout& d) {
  uint32_t h = i + d.seed * 0x9e3779b9u;
  h = (h ^ (h >> 16)) * 0x7feb352du;
  h = (h ^ (h >> 15)) * 0x846ca68bu;
  return (h ^ (h >> 16)) >= d.threshold;
}

template <class T, int V> __global__ void dropoutKernel(const T* x, T* y, int64_t n, Dropout d) {
  eachItem<V>(n, [&](int64_t i) {
    float v[V];
    load<V>(x + i, v);
    for (int j = 0; j < V; j++) v[j] = kept(static_cast<uint32_t>(i + j), d) ? v[j] * d.keepScale : 0.0f;
    store<V>(y + i, v);
  });
}

}  // namespace

void dequantize(Stream s, const Weight& given, int64_t rowStart, int64_t rowEnd, Array y) {
  Weight w = withBlockShift(given);
  // Storing as bf16 rounds as rounding to bf16 first would.
  if (w.rounding == Rounding::bf16 && y.type == Type::bf16) w.rounding = Rounding::none;
  const int64_t n = (rowEnd - rowStart) * w.cols;
  if (n == 0) return;
  const bool wide = readsInEights(w);
  const Geometry g = overItems(wide ? n / 8 : n, 256, wide ? 4096 : 1 << 20);
  dispatch(y.type, false, [&](auto type, auto) {
    using T = decltype(type);
    if (wide)
      dispatchFormat(w.format, [&](auto format) {
        launch("dequantize", dequantizeWideKernel<format.value, T>, g, s, w, rowStart * w.cols, n, as<T>(y));
      });
    else
      launch("dequantize", dequantizeKernel<T>, g, s, w, rowStart * w.cols, n, as<T>(y));
  });
}

void embeddingLookup(Stream s, const Weight& given, const int32_t* ids, Array y, int64_t tokens) {
  const Weight w = withBlockShift(given);
  if (tokens == 0) return;
  dispatch(y.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("embeddingLookup", embeddingKernel<T>, overRows(tokens, w.cols), s, w, ids, as<T>(y));
  });
}

void embeddingGrad(Stream s, Array dy, const int32_t* ids, const int32_t* order, const int32_t* starts,
    int64_t distinct, float* dw, int64_t h) {
  if (distinct == 0) return;
  dispatch(dy.type, false, [&](auto type, auto) {
    using T = decltype(type);
    launch("embeddingGrad", embeddingGradKernel<T>, overRows(distinct, h), s, as<T>(dy), ids, order, starts, dw, h);
  });
}

void decodeLinear(Stream s, const Weight& given, Array x, Array bias, Array xa, Array loraB, int rank, float scaling,
    Array y, int64_t m) {
  const Weight w = withBlockShift(given);
  if (m == 0 || w.rows == 0) return;
  dispatch(x.type, false, [&](auto type, auto) {
    using T = decltype(type);
    const Decode<T> d = {as<T>(x), as<T>(bias), as<T>(xa), as<T>(loraB), rank, scaling, as<T>(y), static_cast<int>(m)};
    const auto run = [&](auto kernel, int rows = kDecodeWarps) {
      launch("decodeLinear", kernel, {static_cast<uint32_t>(ceilDiv(w.rows, rows)), 32 * kDecodeWarps}, s, w, d);
    };
    if constexpr (sizeof(T) == 2)
      if (onTensorCores(w)) return run(decodeNf4Kernel, kNf4Rows);
    if (!readsInEights(w)) return run(decodeAnyKernel<T>);
    dispatchFormat(w.format, [&](auto format) {
      run(m == 1 ? decodeKernel<format.value, T, 1> : decodeKernel<format.value, T, static_cast<int>(kDecodeRows)>);
    });
  });
}

void dropout(Stream s, Array x, Array y, int64_t n, const Dropout& d) {
  if (n == 0) return;
  dispatch(x.type, n % 8 == 0, [&](auto type, auto width) {
    using T = decltype(type);
    launch("dropout", dropoutKernel<T, width.value>, overItems(ceilDiv(n, width.value)), s, as<T>(x), as<T>(y), n, d);
  });
}

}  // namespace tunesmith::cuda
