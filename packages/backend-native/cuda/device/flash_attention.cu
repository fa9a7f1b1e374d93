// Attention on tensor cores without a score matrix (Dao 2023): bf16 in and out, float32 softmax and accumulators.
//
// Forward: a block owns 64 queries of one head, four warps of 16, and walks over the keys they see in tiles of 64 that
// arrive behind the computation. The gradient of q walks the same way; the gradients of k and v walk over the queries.
// Scores are computed twice in the backward pass instead of adding up dq with atomics, so that results repeat to the bit.
#include "../host/launch_geometry.h"
#include "kernels.h"
#include "tiles.h"
#include "vector.h"

namespace tunesmith {
namespace cuda {
namespace {

constexpr int kQueries = 64;  // a block's queries, and the keys of a block of the key gradient
constexpr int kKeys = 64;     // a tile of keys in the forward pass
constexpr int kSmall = 32;    // a tile in the backward passes, where more accumulators compete for registers

template <int D>
__global__ void __launch_bounds__(kAttentionThreads) forwardKernel(Attention p, const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse) {
  const int head = static_cast<int>(blockIdx.y), kvHead = head / (p.heads / p.kvHeads);
  const Span s = spanOf(p, static_cast<int>(blockIdx.z));
  // The last tiles see the most keys and start first.
  const int q0 = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;
  if (q0 >= s.queries) return;
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const bf16* qs = q + s.queryStart * qStride + head * D;
  const bf16* ks = k + s.keyStart * kvStride + kvHead * D;
  const bf16* vs = v + s.keyStart * kvStride + kvHead * D;
  const int lastKey = q0 + kQueries + s.shift, keyEnd = lastKey < s.keys ? lastKey : s.keys;
  int keyFirst = p.window > 0 ? q0 + s.shift - p.window + 1 : 0;
  keyFirst = keyFirst > 0 ? keyFirst / kKeys * kKeys : 0;

  bf16* qTile = dynamicShared<bf16>();
  bf16* kTile = qTile + kQueries * kRow<D>;
  bf16* vTile = kTile + 2 * kKeys * kRow<D>;
  loadTile<D, kQueries>(qTile, qs, qStride, q0, s.queries);
  loadTile<D, kKeys>(kTile, ks, kvStride, keyFirst, s.keys);
  loadTile<D, kKeys>(vTile, vs, kvStride, keyFirst, s.keys);
  commitCopies();

  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int row0 = q0 + warp * 16 + (lane >> 2);  // this lane's queries: row0 and row0 + 8
  float o[D / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
  clear<D>(o);
  uint32_t qOperand[D / 16][4];
  int buffer = 0;
  for (int k0 = keyFirst; k0 < keyEnd; k0 += kKeys, buffer ^= 1) {
    if (k0 + kKeys < keyEnd) {
      loadTile<D, kKeys>(kTile + (buffer ^ 1) * kKeys * kRow<D>, ks, kvStride, k0 + kKeys, s.keys);
      loadTile<D, kKeys>(vTile + (buffer ^ 1) * kKeys * kRow<D>, vs, kvStride, k0 + kKeys, s.keys);
    }
    commitCopies();
    waitCopies<1>();
    __syncthreads();
    if (k0 == keyFirst) {
      TUNESMITH_UNROLL_ALL
      for (int c = 0; c < D; c += 16) leftOperand<D>(qOperand[c / 16], qTile + warp * 16 * kRow<D>, c);
    }
    float z[kKeys / 8][4];
    clear<kKeys>(z);
    const bf16* keys = kTile + buffer * kKeys * kRow<D>;
    TUNESMITH_UNROLL_ALL
    for (int c = 0; c < D; c += 16) {
      TUNESMITH_UNROLL_ALL
      for (int n = 0; n < kKeys; n += 16) {
        uint32_t b[4];
        loadMatrices<false>(b, keys + (n + (lane & 7) + (lane >> 4) * 8) * kRow<D> + c + (lane & 8));
        mma(z[n / 8], qOperand[c / 16], b);
        mma(z[n / 8 + 1], qOperand[c / 16], b + 2);
      }
    }
    // Whether any pair of this warp's queries and this tile's keys is hidden.
    const int firstRow = q0 + warp * 16;
    const bool masked = k0 + kKeys - 1 > firstRow + s.shift || (p.window > 0 && k0 <= firstRow + 15 + s.shift - p.window);
    float highest[2] = {top[0], top[1]};
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < kKeys / 8; n++)
      for (int i = 0; i < 4; i++) {
        float x = scoreOf(p, z[n][i]) * kLog2e;
        if (masked && !sees(p, s.shift, row0 + 8 * (i >> 1), k0 + 8 * n + 2 * (lane & 3) + (i & 1))) x = -INFINITY;
        z[n][i] = x;
        highest[i >> 1] = fmaxf(highest[i >> 1], x);
      }
    TUNESMITH_UNROLL_ALL
    for (int h = 0; h < 2; h++) {
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(kAllLanes, highest[h], 1));
      highest[h] = fmaxf(highest[h], __shfl_xor_sync(kAllLanes, highest[h], 2));
      // A row that has seen no key yet has no maximum; 0 keeps its powers at 0 instead of NaN.
      const float safe = highest[h] == -INFINITY ? 0.0f : highest[h];
      const float shrink = exp2f(top[h] - safe);
      top[h] = highest[h];
      highest[h] = safe;
      sum[h] *= shrink;
      TUNESMITH_UNROLL_ALL
      for (int n = 0; n < D / 8; n++) {
        o[n][2 * h] *= shrink;
        o[n][2 * h + 1] *= shrink;
      }
    }
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < kKeys / 8; n++)
      for (int i = 0; i < 4; i++) {
        z[n][i] = exp2f(z[n][i] - highest[i >> 1]);
        sum[i >> 1] += z[n][i];
      }
    uint32_t probabilities[kKeys / 16][4];
    asLeftOperand<kKeys>(probabilities, z);
    timesTile<D, kKeys>(o, probabilities, vTile + buffer * kKeys * kRow<D>);
    __syncthreads();
  }
  float inverse[2];
  TUNESMITH_UNROLL_ALL
  for (int h = 0; h < 2; h++) {
    sum[h] += __shfl_xor_sync(kAllLanes, sum[h], 1);
    sum[h] += __shfl_xor_sync(kAllLanes, sum[h], 2);
    inverse[h] = sum[h] > 0 ? 1.0f / sum[h] : 0.0f;
    if ((lane & 3) == 0 && row0 + 8 * h < s.queries)
      lse[(s.queryStart + row0 + 8 * h) * static_cast<int64_t>(p.heads) + head] = (top[h] + log2f(sum[h])) * kLn2;
  }
  storeRows<D>(out + s.queryStart * qStride + head * D, qStride, q0 + warp * 16, s.queries, o, inverse[0], inverse[1]);
}

// delta[token, head] = dout . out: a warp each.
__global__ void deltaKernel(const bf16* dout, const bf16* out, float* delta, int64_t rows, int headDim) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * 4 + (threadIdx.x >> 5);
  if (row >= rows) return;
  float sum = 0;
  for (int d = lane; d < headDim; d += 32) sum += toFloat(dout[row * headDim + d]) * toFloat(out[row * headDim + d]);
  sum = warpSum(sum);
  if (lane == 0) delta[row] = sum;
}

// From z = q k^T and dp = dout v^T to the gradient of the scaled product, in dp; z becomes the probabilities. `lse` in base 2.
__device__ __forceinline__ void gradientOfScore(const Attention& p, bool visible, float lse, float delta, float& z, float& dp) {
  const float score = scoreOf(p, z);
  z = visible ? exp2f(score * kLog2e - lse) : 0.0f;
  dp = z * (dp - delta) * slopeOf(p, score) * p.scale;
}

template <int D>
__global__ void __launch_bounds__(kAttentionThreads) queryGradKernel(Attention p, const bf16* q, const bf16* k, const bf16* v, const bf16* dout, const float* lse, const float* delta, bf16* dq) {
  const int head = static_cast<int>(blockIdx.y), kvHead = head / (p.heads / p.kvHeads);
  const Span s = spanOf(p, static_cast<int>(blockIdx.z));
  const int q0 = static_cast<int>(gridDim.x - 1 - blockIdx.x) * kQueries;
  if (q0 >= s.queries) return;
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const bf16* ks = k + s.keyStart * kvStride + kvHead * D;
  const bf16* vs = v + s.keyStart * kvStride + kvHead * D;
  const int keyEnd = q0 + kQueries < s.keys ? q0 + kQueries : s.keys;
  int keyFirst = p.window > 0 ? q0 - p.window + 1 : 0;
  keyFirst = keyFirst > 0 ? keyFirst / kSmall * kSmall : 0;

  bf16* qTile = dynamicShared<bf16>();
  bf16* dTile = qTile + kQueries * kRow<D>;
  bf16* kTile = dTile + kQueries * kRow<D>;
  bf16* vTile = kTile + 2 * kSmall * kRow<D>;
  loadTile<D, kQueries>(qTile, q + s.queryStart * qStride + head * D, qStride, q0, s.queries);
  loadTile<D, kQueries>(dTile, dout + s.queryStart * qStride + head * D, qStride, q0, s.queries);
  loadTile<D, kSmall>(kTile, ks, kvStride, keyFirst, s.keys);
  loadTile<D, kSmall>(vTile, vs, kvStride, keyFirst, s.keys);
  commitCopies();

  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int row0 = q0 + warp * 16 + (lane >> 2);
  float rowLse[2], rowDelta[2];
  for (int h = 0; h < 2; h++) {
    const bool there = row0 + 8 * h < s.queries;
    const int64_t at = (s.queryStart + row0 + 8 * h) * static_cast<int64_t>(p.heads) + head;
    rowLse[h] = there ? lse[at] * kLog2e : 0.0f;
    rowDelta[h] = there ? delta[at] : 0.0f;
  }
  float sum[D / 8][4];
  clear<D>(sum);
  int buffer = 0;
  for (int k0 = keyFirst; k0 < keyEnd; k0 += kSmall, buffer ^= 1) {
    if (k0 + kSmall < keyEnd) {
      loadTile<D, kSmall>(kTile + (buffer ^ 1) * kSmall * kRow<D>, ks, kvStride, k0 + kSmall, s.keys);
      loadTile<D, kSmall>(vTile + (buffer ^ 1) * kSmall * kRow<D>, vs, kvStride, k0 + kSmall, s.keys);
    }
    commitCopies();
    waitCopies<1>();
    __syncthreads();
    float z[kSmall / 8][4], dp[kSmall / 8][4];
    clear<kSmall>(z);
    clear<kSmall>(dp);
    timesTransposedTile<D, kSmall>(z, qTile + warp * 16 * kRow<D>, kTile + buffer * kSmall * kRow<D>);
    timesTransposedTile<D, kSmall>(dp, dTile + warp * 16 * kRow<D>, vTile + buffer * kSmall * kRow<D>);
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < kSmall / 8; n++)
      for (int i = 0; i < 4; i++) {
        const int query = row0 + 8 * (i >> 1), key = k0 + 8 * n + 2 * (lane & 3) + (i & 1);
        gradientOfScore(p, query < s.queries && sees(p, 0, query, key), rowLse[i >> 1], rowDelta[i >> 1], z[n][i], dp[n][i]);
      }
    uint32_t left[kSmall / 16][4];
    asLeftOperand<kSmall>(left, dp);
    timesTile<D, kSmall>(sum, left, kTile + buffer * kSmall * kRow<D>);
    __syncthreads();
  }
  storeRows<D>(dq + s.queryStart * qStride + head * D, qStride, q0 + warp * 16, s.queries, sum, 1.0f, 1.0f);
}

// A block owns 64 keys of one key/value head and walks over the queries of all heads that share it.
template <int D>
__global__ void __launch_bounds__(kAttentionThreads) keyGradKernel(Attention p, const bf16* q, const bf16* k, const bf16* v, const bf16* dout, const float* lse, const float* delta, bf16* dk, bf16* dv) {
  __shared__ float columns[2][2][kSmall];  // lse in base 2 and delta of the queries of a tile
  const int kvHead = static_cast<int>(blockIdx.y), group = p.heads / p.kvHeads;
  const Span s = spanOf(p, static_cast<int>(blockIdx.z));
  const int k0 = static_cast<int>(blockIdx.x) * kQueries;
  if (k0 >= s.keys) return;
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  // The queries that see any of these keys.
  const int64_t reach = p.window > 0 ? static_cast<int64_t>(k0) + kQueries - 1 + p.window : s.queries;
  const int queryEnd = reach < s.queries ? static_cast<int>(reach) : s.queries;
  const int tilesPerHead = (queryEnd - k0 + kSmall - 1) / kSmall, tiles = tilesPerHead * group;

  bf16* kTile = dynamicShared<bf16>();
  bf16* vTile = kTile + kQueries * kRow<D>;
  bf16* qTile = vTile + kQueries * kRow<D>;
  bf16* dTile = qTile + 2 * kSmall * kRow<D>;
  const auto start = [&](int tile, int buffer) {
    const int head = kvHead * group + tile / tilesPerHead, q0 = k0 + tile % tilesPerHead * kSmall;
    loadTile<D, kSmall>(qTile + buffer * kSmall * kRow<D>, q + s.queryStart * qStride + head * D, qStride, q0, s.queries);
    loadTile<D, kSmall>(dTile + buffer * kSmall * kRow<D>, dout + s.queryStart * qStride + head * D, qStride, q0, s.queries);
    const int i = static_cast<int>(threadIdx.x);
    if (i < kSmall) {
      const bool there = q0 + i < s.queries;
      const int64_t at = (s.queryStart + q0 + i) * static_cast<int64_t>(p.heads) + head;
      columns[buffer][0][i] = there ? lse[at] * kLog2e : 0.0f;
      columns[buffer][1][i] = there ? delta[at] : 0.0f;
    }
  };
  loadTile<D, kQueries>(kTile, k + s.keyStart * kvStride + kvHead * D, kvStride, k0, s.keys);
  loadTile<D, kQueries>(vTile, v + s.keyStart * kvStride + kvHead * D, kvStride, k0, s.keys);
  start(0, 0);
  commitCopies();

  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int row0 = k0 + warp * 16 + (lane >> 2);  // this lane's keys: row0 and row0 + 8
  float sumK[D / 8][4], sumV[D / 8][4];
  clear<D>(sumK);
  clear<D>(sumV);
  for (int tile = 0; tile < tiles; tile++) {
    const int buffer = tile & 1;
    if (tile + 1 < tiles) start(tile + 1, buffer ^ 1);
    commitCopies();
    waitCopies<1>();
    __syncthreads();
    const bf16 *queries = qTile + buffer * kSmall * kRow<D>, *douts = dTile + buffer * kSmall * kRow<D>;
    const int q0 = k0 + tile % tilesPerHead * kSmall;
    float z[kSmall / 8][4], dp[kSmall / 8][4];
    clear<kSmall>(z);
    clear<kSmall>(dp);
    timesTransposedTile<D, kSmall>(z, kTile + warp * 16 * kRow<D>, queries);
    timesTransposedTile<D, kSmall>(dp, vTile + warp * 16 * kRow<D>, douts);
    TUNESMITH_UNROLL_ALL
    for (int n = 0; n < kSmall / 8; n++)
      for (int i = 0; i < 4; i++) {
        const int column = 8 * n + 2 * (lane & 3) + (i & 1), query = q0 + column, key = row0 + 8 * (i >> 1);
        gradientOfScore(p, query < s.queries && sees(p, 0, query, key), columns[buffer][0][column], columns[buffer][1][column], z[n][i], dp[n][i]);
      }
    uint32_t left[kSmall / 16][4];
    asLeftOperand<kSmall>(left, z);
    timesTile<D, kSmall>(sumV, left, douts);
    asLeftOperand<kSmall>(left, dp);
    timesTile<D, kSmall>(sumK, left, queries);
    __syncthreads();
  }
  storeRows<D>(dk + s.keyStart * kvStride + kvHead * D, kvStride, k0 + warp * 16, s.keys, sumK, 1.0f, 1.0f);
  storeRows<D>(dv + s.keyStart * kvStride + kvHead * D, kvStride, k0 + warp * 16, s.keys, sumV, 1.0f, 1.0f);
}

template <class F>
void withHeadDim(int headDim, F f) {
  if (headDim == 64) f(std::integral_constant<int, 64>());
  if (headDim == 96) f(std::integral_constant<int, 96>());
  if (headDim == 128) f(std::integral_constant<int, 128>());
}

template <int D>
constexpr size_t tileBytes(int rows) {
  return static_cast<size_t>(rows) * kRow<D> * sizeof(bf16);
}

}  // namespace

bool hasFlashAttention(Type type, int headDim) { return type == Type::bf16 && (headDim == 64 || headDim == 96 || headDim == 128); }

void flashAttention(Stream s, const Attention& p, const AttentionTensors& t) {
  if (p.tokens == 0 || p.sequences == 0) return;
  const dim3 grid(static_cast<unsigned>(ceilDiv(p.maxQueries, kQueries)), static_cast<unsigned>(p.heads), static_cast<unsigned>(p.sequences));
  withHeadDim(p.headDim, [&](auto d) {
    launch("flashAttention", forwardKernel<d.value>, grid, dim3(kAttentionThreads), tileBytes<d.value>(kQueries + 4 * kKeys), s, p, as<bf16>(t.q), as<bf16>(t.k), as<bf16>(t.v), as<bf16>(t.out), t.lse);
  });
}

void flashAttentionGrad(Stream s, const Attention& p, const AttentionTensors& t) {
  if (p.tokens == 0 || p.sequences == 0) return;
  const int64_t rows = p.tokens * p.heads;
  launch("attentionDelta", deltaKernel, dim3(static_cast<unsigned>(ceilDiv(rows, 4))), dim3(128), 0, s, as<bf16>(t.dout), as<bf16>(t.out), t.delta, rows, p.headDim);
  const unsigned tiles = static_cast<unsigned>(ceilDiv(p.maxQueries, kQueries)), sequences = static_cast<unsigned>(p.sequences);
  withHeadDim(p.headDim, [&](auto d) {
    constexpr size_t shared = tileBytes<d.value>(2 * kQueries + 4 * kSmall);
    launch("flashAttentionKeyGrad", keyGradKernel<d.value>, dim3(tiles, static_cast<unsigned>(p.kvHeads), sequences), dim3(kAttentionThreads), shared, s, p, as<bf16>(t.q), as<bf16>(t.k), as<bf16>(t.v), as<bf16>(t.dout), t.lse, t.delta, as<bf16>(t.dk), as<bf16>(t.dv));
    launch("flashAttentionQueryGrad", queryGradKernel<d.value>, dim3(tiles, static_cast<unsigned>(p.heads), sequences), dim3(kAttentionThreads), shared, s, p, as<bf16>(t.q), as<bf16>(t.k), as<bf16>(t.v), as<bf16>(t.dout), t.lse, t.delta, as<bf16>(t.dq));
  });
}

}  // namespace cuda
}  // namespace tunesmith
