// AdamW over many tensors in one launch, the norm of all gradients and other sums in float64.
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

// Tensors of one launch, handed over with its arguments. Blocks are counted over all of them, so that small tensors
// beside large ones leave no block without work.
template <class Tensor, int capacity> struct Table {
  Tensor tensors[capacity];
  int32_t firstBlock[capacity];
  int32_t count;

  // The tensor a block works on; `block` becomes the block's number in it.
  __device__ __forceinline__ const Tensor& find(int64_t& block) const {
    int at = 0;
    for (int high = count - 1; at < high;) {
      const int middle = (at + high + 1) >> 1;
      if (firstBlock[middle] <= block)
        at = middle;
      else
        high = middle - 1;
    }
    block -= firstBlock[at];
    return tensors[at];
  }
};

// Calls submit(table, blocks) for as many tensors at a time as one launch takes; one needs blocksOf blocks.
template <class Tensor, int capacity, class BlocksOf, class Submit>
void inTables(const Tensor* tensors, int count, BlocksOf blocksOf, Submit submit) {
  Table<Tensor, capacity> table = {};
  int64_t blocks = 0;
  const auto flush = [&] {
    if (table.count > 0) submit(table, static_cast<unsigned>(blocks));
    table.count = 0;
    blocks = 0;
  };
  for (int i = 0; i < count; i++) {
    const int64_t more = blocksOf(tensors[i]);
    if (more == 0) continue;
    if (table.count == capacity || blocks + more > kMaxBlocksX) flush();
    table.tensors[table.count] = tensors[i];
    table.firstBlock[table.count++] = static_cast<int32_t>(blocks);
    blocks += more;
  }
  flush();
}

// Arguments of a launch may have 4 KB.
constexpr int kAdamWTensors = 72, kAdamW8bitTensors = 52, kNormTensors = 160;
static_assert(sizeof(Table<AdamWTensor, kAdamWTensors>) + sizeof(AdamW) <= 4096, "arguments of a launch");

// torch.optim.AdamW: decay first, eps outside the root of the corrected second moment.
__device__ __forceinline__ void adamWElement(
    float& p, float gradient, float& m, float& v, float keep, float rate, const AdamW& o) {
  const float g = gradient * o.gradScale;
  m = o.beta1 * m + (1.0f - o.beta1) * g;
  v = o.beta2 * v + (1.0f - o.beta2) * g * g;
  p = p * keep - rate * m / (sqrtf(v) / o.correction2 + o.eps);
}

constexpr int kAdamWThreads = 256, kAdamWChunk = 8 * kAdamWThreads;

__global__ void adamWKernel(Table<AdamWTensor, kAdamWTensors> table, AdamW o) {
  int64_t block = blockIdx.x;
  const AdamWTensor& t = table.find(block);
  const float keep = 1.0f - o.lr * o.weightDecay, rate = o.lr / o.correction1;
  bf16* copy = static_cast<bf16*>(t.copy);
  const int64_t first = block * kAdamWChunk + threadIdx.x * 8;
  if (first + 8 <= t.n) {
    float p[8], g[8], m[8], v[8];
    loadEight(t.param + first, p);
    loadEight(t.grad + first, g);
    loadEight(t.expAvg + first, m);
    loadEight(t.expAvgSq + first, v);
    for (int j = 0; j < 8; j++) adamWElement(p[j], g[j], m[j], v[j], keep, rate, o);
    storeEight(t.param + first, p);
    storeEight(t.expAvg + first, m);
    storeEight(t.expAvgSq + first, v);
    if (copy) storeEight(copy + first, p);
    return;
  }
  for (int64_t i = first; i < t.n; i++) {
    adamWElement(t.param[i], t.grad[i], t.expAvg[i], t.expAvgSq[i], keep, rate, o);
    if (copy) copy[i] = fromFloat<bf16>(t.param[i]);
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

// So many blocks of the state one after another per block of threads, for which the maps are loaded once.
constexpr int kCodeBlocks = 4;

// A block of the state: 256 elements, one a thread. The roundings are those of bitsandbytes, written out.
__device__ __forceinline__ void adamW8bitBlock(
    const AdamW8bitTensor& t, const AdamW8bit& o, int64_t block, const float* map1, const float* map2, float* scratch) {
  const int64_t i = block * kCodeBlock + threadIdx.x;
  const bool there = i < t.n, full = (block + 1) * kCodeBlock <= t.n;
  float m = 0, v = 0;
  if (there) {
    const float g = t.grad[i] * o.gradScale;
    m = fmaf(o.rest1, g, roundedProduct(roundedProduct(map1[t.codes1[i]], t.absmax1[block]), o.beta1));
    v = fmaf(
        roundedProduct(o.rest2, g), g, roundedProduct(roundedProduct(map2[t.codes2[i]], t.absmax2[block]), o.beta2));
    const float denominator = sqrtf(v) / o.root + o.eps;
    const float p = roundedProduct(t.param[i], o.shrink) + roundedProduct(o.rate, m) / denominator;
    t.param[i] = p;
    if (t.copy) static_cast<bf16*>(t.copy)[i] = fromFloat<bf16>(p);
  }
  const float largest1 = blockLargest(m, scratch), largest2 = blockLargest(v, scratch);
  // NaN stays NaN: fmaxf would drop it.
  const float clamped1 = largest1 < 1e-38f ? 1e-38f : largest1, clamped2 = largest2 < 1e-38f ? 1e-38f : largest2;
  if (there) {
    t.codes1[i] = nearestCode(full ? roundedProduct(m, 1.0f / clamped1) : m / clamped1, map1);
    t.codes2[i] = nearestCode(full ? roundedProduct(v, 1.0f / clamped2) : v / clamped2, map2);
  }
  // The old scales were read before the barriers above.
  if (threadIdx.x == 0) {
    t.absmax1[block] = full ? largest1 : clamped1;
    t.absmax2[block] = full ? largest2 : clamped2;
  }
}

__global__ void adamW8bitKernel(Table<AdamW8bitTensor, kAdamW8bitTensors> table, AdamW8bit o) {
  __shared__ float map1[256], map2[256], scratch[32];
  map1[threadIdx.x] = o.qmap1[threadIdx.x];
  map2[threadIdx.x] = o.qmap2[threadIdx.x];
  int64_t block = blockIdx.x;
  const AdamW8bitTensor& t = table.find(block);
  __syncthreads();
  for (int64_t k = block * kCodeBlocks; k < (block + 1) * kCodeBlocks && k * kCodeBlock < t.n; k++)
    adamW8bitBlock(t, o, k, map1, map2, scratch);
}
static_assert(sizeof(Table<AdamW8bitTensor, kAdamW8bitTensors>) + sizeof(AdamW8bit) <= 4096, "arguments of a launch");

constexpr int kNormThreads = 256, kNormChunk = 64 * kNormThreads;

struct NormTable {
  Table<NormTensor, kNormTensors> table;
  double* partial;
};
static_assert(sizeof(NormTable) <= 4096, "arguments of a launch");

template <class T> __global__ void sumSquaresKernel(NormTable n) {
  __shared__ double scratch[32];
  int64_t block = blockIdx.x;
  const NormTensor& t = n.table.find(block);
  const T* x = static_cast<const T*>(t.x);
  const int64_t first = block * kNormChunk, end = first + kNormChunk < t.n ? first + kNormChunk : t.n;
  double sum = 0;
  for (int64_t i = first + threadIdx.x * 8; i < end; i += kNormThreads * 8) {
    if (i + 8 <= end) {
      float v[8];
      loadEight(x + i, v);
      for (int j = 0; j < 8; j++) sum += static_cast<double>(v[j]) * static_cast<double>(v[j]);
    } else {
      for (int64_t j = i; j < end; j++) sum += static_cast<double>(toFloat(x[j])) * static_cast<double>(toFloat(x[j]));
    }
  }
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) n.partial[blockIdx.x] = sum;
}

// One block.
template <class T, bool root> __global__ void sumKernel(const T* x, int64_t n, float* y) {
  __shared__ double scratch[32];
  double sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += static_cast<double>(x[i]);
  sum = blockSum(sum, scratch);
  if (threadIdx.x == 0) *y = static_cast<float>(root ? sqrt(sum) : sum);
}

}  // namespace

void adamW(Stream s, const AdamWTensor* tensors, int count, const AdamW& o) {
  const auto blocksOf = [](const AdamWTensor& t) { return ceilDiv(t.n, kAdamWChunk); };
  inTables<AdamWTensor, kAdamWTensors>(tensors, count, blocksOf, [&](const auto& table, unsigned blocks) {
    launch("adamW", adamWKernel, dim3(blocks), dim3(kAdamWThreads), 0, s, table, o);
  });
}

void adamW8bit(Stream s, const AdamW8bitTensor* tensors, int count, const AdamW8bit& o) {
  const auto blocksOf = [](const AdamW8bitTensor& t) { return ceilDiv(t.n, kCodeBlocks * kCodeBlock); };
  inTables<AdamW8bitTensor, kAdamW8bitTensors>(tensors, count, blocksOf, [&](const auto& table, unsigned blocks) {
    launch("adamW8bit", adamW8bitKernel, dim3(blocks), dim3(kCodeBlock), 0, s, table, o);
  });
}

int64_t normParts(const NormTensor& t) { return ceilDiv(t.n, kNormChunk); }

void sumSquares(Stream s, Type type, const NormTensor* tensors, int count, double* partial) {
  NormTable n;
  n.partial = partial;
  inTables<NormTensor, kNormTensors>(tensors, count, normParts, [&](const auto& table, unsigned blocks) {
    n.table = table;
    dispatch(type, false, [&](auto kind, auto) {
      launch("sumSquares", sumSquaresKernel<decltype(kind)>, dim3(blocks), dim3(kNormThreads), 0, s, n);
    });
    n.partial += blocks;
  });
}

void finishNorm(Stream s, const double* partial, int64_t n, float* y) {
  launch("finishNorm", sumKernel<double, true>, {1, 1024}, s, partial, n, y);
}

void sumInDouble(Stream s, const float* x, int64_t n, float* y) {
  launch("sumInDouble", sumKernel<float, false>, {1, overRows(1, n, 512).threads}, s, x, n, y);
}

}  // namespace tunesmith::cuda
