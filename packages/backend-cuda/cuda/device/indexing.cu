// Largest and smallest values and where they are, rows by number, and numbers as rows.
#include "any.h"

namespace tunesmith::cuda {
namespace {

constexpr unsigned kReduceThreads = 256;

// What is known of some elements of a row. In double, which holds float32 and int32 exactly.
struct Partial {
  double value;
  int64_t at;
};

__device__ __forceinline__ Partial join(Reduction op, Partial a, Partial b) {
  switch (op) {
    case Reduction::sum: return {a.value + b.value, 0};
    case Reduction::prod: return {a.value * b.value, 0};
    case Reduction::all: return {a.value != 0 && b.value != 0 ? 1.0 : 0.0, 0};
    case Reduction::any: return {a.value != 0 || b.value != 0 ? 1.0 : 0.0, 0};
    // NaN is the largest and the smallest of all.
    case Reduction::max: return a.value != a.value || a.value > b.value ? a : b;
    case Reduction::min: return a.value != a.value || a.value < b.value ? a : b;
    // The first of equal ones; NaN is passed over.
    case Reduction::argMax:
      if (b.value != b.value) return a;
      return a.value != a.value || b.value > a.value || (b.value == a.value && b.at < a.at) ? b : a;
    default:
      if (b.value != b.value) return a;
      return a.value != a.value || b.value < a.value || (b.value == a.value && b.at < a.at) ? b : a;
  }
}

__global__ void reduceRowsKernel(Reduction op, Any x, Any y, int64_t cols) {
  __shared__ Partial parts[kReduceThreads];
  const int64_t base = static_cast<int64_t>(blockIdx.x) * cols;
  const unsigned t = threadIdx.x, width = cols < blockDim.x ? static_cast<unsigned>(cols) : blockDim.x;
  if (t < width) {
    Partial mine;
    x.read(base + t, mine.value);
    mine.at = t;
    for (int64_t i = static_cast<int64_t>(t) + blockDim.x; i < cols; i += blockDim.x) {
      Partial other;
      x.read(base + i, other.value);
      other.at = i;
      mine = join(op, mine, other);
    }
    parts[t] = mine;
  }
  // Neighbours first, so that it does not matter when the width is no power of two.
  for (unsigned step = 1; step < width; step *= 2) {
    __syncthreads();
    if (t % (2 * step) == 0 && t + step < width) parts[t] = join(op, parts[t], parts[t + step]);
  }
  if (t != 0) return;
  const Partial all = parts[0];
  if (op == Reduction::argMax || op == Reduction::argMin)
    y.write(blockIdx.x, static_cast<int32_t>(all.at));
  else if (op == Reduction::all || op == Reduction::any)
    y.write(blockIdx.x, static_cast<int32_t>(all.value != 0));
  else if (y.type == Type::i32)
    // Sums wrap around as they do in an array of integers.
    y.write(
        blockIdx.x, static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(fmod(all.value, 4294967296.0)))));
  else
    y.write(blockIdx.x, static_cast<float>(all.value));
}

template <class Word>
__global__ void gatherKernel(Gather g, const Word* x, const int32_t* ids, Word* y, int64_t n, Word outside) {
  eachItem(n, [&](int64_t i) {
    const int64_t column = i % g.inner, row = i / g.inner % g.count, block = i / (g.inner * g.count);
    const int64_t id = ids[block / g.outer * g.count + row];
    y[i] = id >= 0 && id < g.rows ? x[(block * g.rows + id) * g.inner + column] : outside;
  });
}

}  // namespace

void reduceRows(Stream s, Reduction op, Array x, Array y, int64_t rows, int64_t cols) {
  if (rows == 0) return;
  launch("reduceRows", reduceRowsKernel, overRows(rows, cols, kReduceThreads), s, op, any(x), any(y), cols);
}

void gather(Stream s, const Gather& g, Array x, const int32_t* ids, Array y) {
  const int64_t n = g.batch * g.outer * g.count * g.inner;
  if (n == 0) return;
  if (bytesOf(x.type) == 2)
    launch("gather", gatherKernel<uint16_t>, overItems(n), s, g, as<uint16_t>(x), ids, as<uint16_t>(y), n,
        uint16_t{0x7fc0});
  else
    launch("gather", gatherKernel<uint32_t>, overItems(n), s, g, as<uint32_t>(x), ids, as<uint32_t>(y), n,
        x.type == Type::i32 ? 0u : 0x7fc00000u);
}

void oneHot(Stream s, const int32_t* ids, Array y, int64_t count, int64_t depth, float on, float off) {
  launchEach("oneHot", s, count * depth,
      [=, y = any(y)] __device__(int64_t i) { y.set(i, ids[i / depth] == i % depth ? on : off); });
}

}  // namespace tunesmith::cuda
