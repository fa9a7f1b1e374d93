// Attention of decoding: one query a sequence against its cached keys, where reading the cache takes all the time.
//
// A lane owns 16 bytes of a row of keys and values (32 in float32), as many lanes as a row needs read it together, and
// the query heads that share a key head are computed together, so that each row is read once. The keys are split over
// blocks (Flash-Decoding, Dao et al. 2023), whose softmaxes a second kernel merges. No launch depends on a length:
// blocks find their keys from the lengths in device memory, and a block without any returns at once.
#include "attention.h"
#include "kernels.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

constexpr int kDeep = 4;       // rows a lane has on their way at once
constexpr int kMinShare = 64;  // keys of a split, at least
constexpr int kMaxHeads = 8;

// The keys a query sees, and how they are split.
struct Shares {
  int first, end, share;
};
__device__ __forceinline__ Shares sharesOf(const Attention& p, const Place& at, int splits) {
  Shares s;
  s.first = firstKey(p, at);
  s.end = at.index + at.span.shift + 1;
  s.share = (s.end - s.first + splits - 1) / splits;
  s.share = s.share > kMinShare ? s.share : kMinShare;
  return s;
}

// Eight elements in their stored type.
template <class T> struct Raw {
  uint4 words[sizeof(T) / 2];
};
template <class T> __device__ __forceinline__ Raw<T> loadRaw(const T* from) {
  Raw<T> r;
#pragma unroll
  for (int i = 0; i < static_cast<int>(sizeof(T) / 2); i++) r.words[i] = reinterpret_cast<const uint4*>(from)[i];
  return r;
}
__device__ __forceinline__ void unpack(const Raw<bf16>& r, float* v) { unpackEight(r.words[0], v); }
__device__ __forceinline__ void unpack(const Raw<float>& r, float* v) {
#pragma unroll
  for (int i = 0; i < 2; i++) unpackFour(r.words[i], v + 4 * i);
}

// LANES lanes to a row, HEADS query heads (of one key head) to a block. `partial` holds for each token, head and split
// the sum of values weighted by powers of 2 [headDim], then for each the reference of these powers and their sum.
template <class T, int LANES, int HEADS>
__global__ void __launch_bounds__(kAttentionThreads)
    decodeKernel(Attention p, int splits, const T* q, const T* k, const T* v, T* out, float* lse, float* partial) {
  constexpr int kWays = kAttentionThreads / LANES;  // rows read at once
  const int split = static_cast<int>(blockIdx.x), kvHead = static_cast<int>(blockIdx.y) % p.kvHeads, D = p.headDim;
  const int group = p.heads / p.kvHeads, firstOfGroup = static_cast<int>(blockIdx.y) / p.kvHeads * HEADS;
  const int heads = group - firstOfGroup < HEADS ? group - firstOfGroup : HEADS;
  const int64_t token = blockIdx.z, row = token * p.heads + kvHead * group + firstOfGroup;
  const Place at = placeOf(p, token);
  const Shares shares = sharesOf(p, at, splits);
  const int from = shares.first + split * shares.share,
            to = from + shares.share < shares.end ? from + shares.share : shares.end;
  if (split > 0 && from >= to) return;

  const int way = static_cast<int>(threadIdx.x) / LANES, column = static_cast<int>(threadIdx.x) % LANES * 8;
  const bool active = column < D;  // a head size need not fill its lanes
  const int64_t stride = static_cast<int64_t>(p.kvHeads) * D;
  const int64_t base = at.span.keyStart * stride + kvHead * D + (active ? column : 0);
  float query[HEADS][8], o[HEADS][8], top[HEADS], sum[HEADS];
#pragma unroll
  for (int h = 0; h < HEADS; h++) {
#pragma unroll
    for (int i = 0; i < 8; i++) query[h][i] = o[h][i] = 0;
    if (active && h < heads) loadEight(q + (row + h) * D + column, query[h]);
    top[h] = -INFINITY;
    sum[h] = 0;
  }
  for (int key0 = from; key0 < to; key0 += kWays * kDeep) {
    Raw<T> keys[kDeep], values[kDeep];
#pragma unroll
    for (int d = 0; d < kDeep; d++) {
      const int key = key0 + d * kWays + way;
      const int64_t place = base + (key < to ? key : to - 1) * stride;
      keys[d] = loadRaw(k + place);
      values[d] = loadRaw(v + place);
    }
    float scores[HEADS][kDeep];
#pragma unroll
    for (int d = 0; d < kDeep; d++) {
      float x[8];
      unpack(keys[d], x);
#pragma unroll
      for (int h = 0; h < HEADS; h++) {
        float dot = 0;
#pragma unroll
        for (int i = 0; i < 8; i++) dot += query[h][i] * x[i];
#pragma unroll
        for (int m = LANES / 2; m > 0; m >>= 1) dot += __shfl_xor_sync(kAllLanes, dot, m);
        scores[h][d] = key0 + d * kWays + way < to ? scoreOf(p, dot) * kLog2e : -INFINITY;
      }
    }
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      float highest = top[h];
#pragma unroll
      for (int d = 0; d < kDeep; d++) highest = fmaxf(highest, scores[h][d]);
      // No key yet: 0 keeps the powers at 0 instead of NaN.
      const float safe = highest == -INFINITY ? 0.0f : highest, shrink = fastExp2(top[h] - safe);
      top[h] = highest;
      sum[h] *= shrink;
#pragma unroll
      for (int i = 0; i < 8; i++) o[h][i] *= shrink;
#pragma unroll
      for (int d = 0; d < kDeep; d++) {
        scores[h][d] = fastExp2(scores[h][d] - safe);
        sum[h] += scores[h][d];
      }
    }
#pragma unroll
    for (int d = 0; d < kDeep; d++) {
      float x[8];
      unpack(values[d], x);
#pragma unroll
      for (int h = 0; h < HEADS; h++)
#pragma unroll
        for (int i = 0; i < 8; i++) o[h][i] += scores[h][d] * x[i];
    }
  }

  // The ways' softmaxes become one.
  __shared__ float tops[HEADS][kWays], sums[HEADS][kWays];
  float* parts = dynamicShared<float>();  // [heads, ways, headDim]
  if (column == 0) {
#pragma unroll
    for (int h = 0; h < HEADS; h++) {
      tops[h][way] = top[h];
      sums[h][way] = sum[h];
    }
  }
  __syncthreads();
#pragma unroll
  for (int h = 0; h < HEADS; h++) {
    float highest = -INFINITY;
    for (int w = 0; w < kWays; w++) highest = fmaxf(highest, tops[h][w]);
    const float factor = top[h] == -INFINITY ? 0.0f : fastExp2(top[h] - highest);
    if (active && h < heads)
      for (int i = 0; i < 8; i++) parts[(h * kWays + way) * D + column + i] = o[h][i] * factor;
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < heads * D; i += kAttentionThreads) {
    const int h = i / D, d = i % D;
    float highest = -INFINITY, total = 0, x = 0;
    for (int w = 0; w < kWays; w++) highest = fmaxf(highest, tops[h][w]);
    for (int w = 0; w < kWays; w++) {
      total += sums[h][w] > 0 ? sums[h][w] * fastExp2(tops[h][w] - highest) : 0.0f;
      x += parts[(h * kWays + w) * D + d];
    }
    if (splits == 1) {
      out[(row + h) * D + d] = fromFloat<T>(total > 0 ? x / total : 0.0f);
      if (d == 0) lse[row + h] = (highest + log2f(total)) * kLn2;
    } else {
      const int64_t piece = (row + h) * splits + split;
      partial[piece * D + d] = x;
      if (d == 0) {
        float* statistics = partial + p.tokens * p.heads * splits * D + 2 * piece;
        statistics[0] = highest;
        statistics[1] = total;
      }
    }
  }
}

// The splits of a token and head become its output.
template <class T> __global__ void combineKernel(Attention p, int splits, const float* partial, T* out, float* lse) {
  const int64_t token = blockIdx.y, row = token * p.heads + blockIdx.x;
  const int D = p.headDim;
  const Shares shares = sharesOf(p, placeOf(p, token), splits);
  const int used = (shares.end - shares.first + shares.share - 1) / shares.share;
  const float* statistics = partial + p.tokens * p.heads * splits * D + 2 * row * splits;
  float highest = -INFINITY, total = 0;
  for (int i = 0; i < used; i++) highest = fmaxf(highest, statistics[2 * i]);
  for (int i = 0; i < used; i++) total += statistics[2 * i + 1] * fastExp2(statistics[2 * i] - highest);
  for (int d = static_cast<int>(threadIdx.x); d < D; d += static_cast<int>(blockDim.x)) {
    float x = 0;
    for (int i = 0; i < used; i++) x += partial[(row * splits + i) * D + d] * fastExp2(statistics[2 * i] - highest);
    out[row * D + d] = fromFloat<T>(total > 0 ? x / total : 0.0f);
  }
  if (threadIdx.x == 0) lse[row] = (highest + log2f(total)) * kLn2;
}

}  // namespace

bool hasDecodeAttention(int headDim) { return headDim % 8 == 0 && headDim <= 256; }

int decodeHeads(const Attention& p) {
  int heads = 1;
  while (heads < kMaxHeads && heads < p.heads / p.kvHeads) heads *= 2;
  return heads;
}

int64_t decodePartials(const Attention& p, int splits) {
  return splits > 1 ? p.tokens * p.heads * splits * (p.headDim + 2) : 0;
}

void decodeAttention(Stream s, const Attention& p, const AttentionTensors& t, int splits, float* partial) {
  if (p.tokens == 0) return;
  const int heads = decodeHeads(p), rounds = static_cast<int>(ceilDiv(p.heads / p.kvHeads, heads));
  const dim3 grid(
      static_cast<unsigned>(splits), static_cast<unsigned>(p.kvHeads * rounds), static_cast<unsigned>(p.tokens));
  dispatch(t.q.type, false, [&](auto type, auto) {
    using T = decltype(type);
    withConstant<8, 16, 32>(p.headDim <= 64 ? 8
            : p.headDim <= 128              ? 16
                                            : 32,
        [&](auto lanes) {
          withConstant<1, 2, 4, 8>(heads, [&](auto h) {
            const size_t shared =
                sizeof(float) * h.value * (kAttentionThreads / lanes.value) * static_cast<size_t>(p.headDim);
            launch("decodeAttention", decodeKernel<T, lanes.value, h.value>, grid, dim3(kAttentionThreads), shared, s,
                p, splits, as<T>(t.q), as<T>(t.k), as<T>(t.v), as<T>(t.out), t.lse, partial);
          });
        });
    if (splits > 1)
      launch("combineSplits", combineKernel<T>, dim3(static_cast<unsigned>(p.heads), static_cast<unsigned>(p.tokens)),
          dim3(kAttentionThreads), 0, s, p, splits, partial, as<T>(t.out), t.lse);
  });
}

}  // namespace tunesmith::cuda
