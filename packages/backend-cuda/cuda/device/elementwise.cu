// The plain operations of TensorFlow.js that a training step uses between our kernels.
#include "arithmetic.h"

namespace tunesmith::cuda {
namespace {

// The residual addition: same type, same shape, eight at a time. y may be a or b.
template <class T> __global__ void addKernel(const T* a, const T* b, T* y, int64_t n) {
  eachItem<8>(n, [&](int64_t i) {
    float u[8], v[8];
    loadEight(a + i, u);
    loadEight(b + i, v);
    for (int j = 0; j < 8; j++) u[j] += v[j];
    storeEight(y + i, u);
  });
}

template <class Number> __global__ void unaryKernel(Unary op, Any x, Any y, int64_t n, Number p, Number q) {
  eachItem(n, [&](int64_t i) {
    Number v;
    x.read(i, v);
    y.write(i, apply(op, v, p, q));
  });
}

__global__ void softmaxKernel(Any x, Any y, int64_t cols) {
  __shared__ float scratch[32];
  const int64_t base = blockIdx.x * cols;
  float top = -INFINITY;
  for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) top = fmaxf(top, x.get(base + i));
  top = warpMax(top);
  if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = top;
  __syncthreads();
  for (unsigned i = 0; i < blockDim.x / 32; i++) top = fmaxf(top, scratch[i]);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) sum += expf(x.get(base + i) - top);
  sum = blockSum(sum, scratch);
  for (int64_t i = threadIdx.x; i < cols; i += blockDim.x) y.set(base + i, expf(x.get(base + i) - top) / sum);
}

// Sums along a row: a block per row.
__global__ void sumRowsKernel(Any x, float* y, int64_t axis, float scale) {
  __shared__ float scratch[32];
  float sum = 0;
  for (int64_t i = threadIdx.x; i < axis; i += blockDim.x) sum += x.get(blockIdx.x * axis + i);
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) y[blockIdx.x] = sum * scale;
}

// Sums down columns in parts: thread per column, block.y per part, block.z per outer index.
__global__ void sumColumnsKernel(Any x, float* partial, int64_t axis, int64_t inner, int64_t perSplit) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= inner) return;
  const int64_t first = blockIdx.y * perSplit, end = first + perSplit < axis ? first + perSplit : axis;
  float sum = 0;
  for (int64_t i = first; i < end; i++) sum += x.get((blockIdx.z * axis + i) * inner + column);
  partial[(static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * inner + column] = sum;
}
__global__ void addColumnPartsKernel(const float* partial, float* y, int64_t splits, int64_t inner, float scale) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (column >= inner) return;
  float sum = 0;
  for (int64_t i = 0; i < splits; i++) sum += partial[(blockIdx.y * splits + i) * inner + column];
  y[blockIdx.y * inner + column] = sum * scale;
}

// Through a 32 x 33 tile, so that reads and writes both run along rows; the odd width keeps columns in different banks.
__global__ void transposeKernel(Any x, Any y, int64_t rows, int64_t cols) {
  __shared__ float tile[32][33];
  const int64_t r0 = static_cast<int64_t>(blockIdx.y) * 32, c0 = static_cast<int64_t>(blockIdx.x) * 32;
  const int tx = static_cast<int>(threadIdx.x) & 31, ty = static_cast<int>(threadIdx.x) >> 5;
  for (int i = ty; i < 32; i += 8)
    if (r0 + i < rows && c0 + tx < cols) tile[i][tx] = x.get((r0 + i) * cols + c0 + tx);
  __syncthreads();
  for (int i = ty; i < 32; i += 8)
    if (c0 + i < cols && r0 + tx < rows) y.set((c0 + i) * rows + r0 + tx, tile[tx][i]);
}

}  // namespace

void binary(Stream s, Binary op, int mode, Array a, Array b, Array y, int64_t outer, int64_t inner) {
  const int64_t n = outer * inner;
  if (n == 0) return;
  if (op == Binary::add && mode == 0 && a.type == b.type && a.type == y.type && a.type != Type::i32 && n % 8 == 0)
    return dispatch(a.type, true, [&](auto type, auto) {
      using T = decltype(type);
      launch("add", addKernel<T>, overItems(n / 8), s, as<T>(a), as<T>(b), as<T>(y), n);
    });
  launchEach("binary", s, n, [op, mode, a = any(a), b = any(b), y = any(y), inner] __device__(int64_t i) {
    const int64_t ai = mode == 3 ? i % inner : mode == 4 ? i / inner : i;
    const int64_t bi = mode == 1 ? i % inner : mode == 2 ? i / inner : i;
    y.set(i, apply(op, a.get(ai), b.get(bi)));
  });
}

void binaryNumber(Stream s, Binary op, Array a, float b, bool reversed, Array y, int64_t n) {
  launchEach("binary", s, n, [op, a = any(a), b, reversed, y = any(y)] __device__(int64_t i) {
    const float x = a.get(i);
    y.set(i, reversed ? apply(op, b, x) : apply(op, x, b));
  });
}

void unary(Stream s, Unary op, Array x, Array y, int64_t n, float p, float q) {
  if (n == 0) return;
  if (x.type == Type::i32 && y.type == Type::i32)
    launch("unary", unaryKernel<int32_t>, overItems(n), s, op, any(x), any(y), n, toInt(p), toInt(q));
  else
    launch("unary", unaryKernel<float>, overItems(n), s, op, any(x), any(y), n, p, q);
}

void convert(Stream s, Array x, Array y, int64_t n) {
  launchEach("convert", s, n, [x = any(x), y = any(y)] __device__(int64_t i) { y.set(i, x.get(i)); });
}

void fill(Stream s, Array y, float value, int64_t n) {
  launchEach("fill", s, n, [y = any(y), value] __device__(int64_t i) { y.set(i, value); });
}

void softmax(Stream s, Array x, Array y, int64_t rows, int64_t cols) {
  if (rows * cols == 0) return;
  launch("softmax", softmaxKernel, overRows(rows, cols), s, any(x), any(y), cols);
}

void reduceSum(Stream s, Array x, float* y, float* partial, int64_t outer, int64_t axis, int64_t inner, float scale) {
  if (outer * inner == 0) return;
  if (inner == 1) return launch("sumRows", sumRowsKernel, overRows(outer, axis), s, any(x), y, axis, scale);
  const int64_t splits = columnSplits(axis, inner);
  const unsigned across = static_cast<unsigned>(ceilDiv(inner, 128));
  for (int64_t first = 0; first < outer; first += kMaxBlocksYZ) {
    const unsigned some = static_cast<unsigned>(outer - first < kMaxBlocksYZ ? outer - first : kMaxBlocksYZ);
    Any part = any(x);
    part.data = static_cast<char*>(x.data) + first * axis * inner * static_cast<int64_t>(bytesOf(x.type));
    launch("sumColumns", sumColumnsKernel, dim3(across, static_cast<unsigned>(splits), some), dim3(128), 0, s, part,
        partial, axis, inner, ceilDiv(axis, splits));
    launch("addColumnParts", addColumnPartsKernel, dim3(across, some), dim3(128), 0, s, partial, y + first * inner,
        splits, inner, scale);
  }
}

void transpose2d(Stream s, Array x, Array y, int64_t rows, int64_t cols) {
  if (rows * cols == 0) return;
  launch("transpose", transposeKernel,
      dim3(static_cast<unsigned>(ceilDiv(cols, 32)), static_cast<unsigned>(ceilDiv(rows, 32))), dim3(256), 0, s, any(x),
      any(y), rows, cols);
}

}  // namespace tunesmith::cuda
