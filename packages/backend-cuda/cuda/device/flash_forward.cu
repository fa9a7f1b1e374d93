// Attention on tensor cores without a score matrix (Dao 2023): bf16 in and out, float32 softmax and accumulators.
//
// A block owns 128 queries of one head, four warps of 32, and walks over the keys they see in tiles of 64. Values
// arrive while the scores are computed, the next keys while the values are used: one buffer for each, so that two
// blocks fit a multiprocessor, and each covers what the other waits for.
#include "kernels.h"
#include "tiles.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

constexpr int kQueries = kAttentionThreads / 32 * kWarpRows;
static_assert(kQueries == kForwardTile, "the list of tiles is made for this size");
static_assert(tileBytes<128>(kQueries + 2 * kTile) <= kSmallestShared, "fits every device");

// The exponents' reference follows the maximum only when it is left behind by this much: powers up to 2^8 lose nothing
// in float32, and the accumulators are seldom rescaled.
constexpr float kSlack = 8;

struct Softmax {
  float top[2][2] = {{-INFINITY, -INFINITY}, {-INFINITY, -INFINITY}};  // the reference, an exponent of 2
  float sum[2][2] = {{0, 0}, {0, 0}};                                  // of this lane's columns
};

// Products z become probabilities (up to the sum) as the left operand of the next product; o is rescaled when needed.
template <int D>
__device__ __forceinline__ void softmaxStep(
    Softmax& s, float factor, float (*z)[kTile / 8][4], float (*o)[D / 8][4], uint32_t (*left)[2][4]) {
  float highest[2][2];
  bool behind = false;
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float x = -INFINITY;
#pragma unroll
      for (int n = 0; n < kTile / 8; n++) x = fmaxf(x, fmaxf(z[m][n][2 * h], z[m][n][2 * h + 1]));
      x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
      x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
      highest[m][h] = x * factor;
      behind = behind || highest[m][h] > s.top[m][h] + kSlack;
    }
  if (__any_sync(kAllLanes, behind)) {
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const float top = fmaxf(s.top[m][h], highest[m][h]);
        const float shrink = top == -INFINITY ? 1.0f : fastExp2(s.top[m][h] - top);
        s.top[m][h] = top;
        s.sum[m][h] *= shrink;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
          o[m][n][2 * h] *= shrink;
          o[m][n][2 * h + 1] *= shrink;
        }
      }
  }
// A row that has seen no key yet has no reference; 0 keeps its powers at 0 instead of NaN.
#pragma unroll
  for (int m = 0; m < 2; m++) {
    const float top[2] = {s.top[m][0] == -INFINITY ? 0.0f : s.top[m][0], s.top[m][1] == -INFINITY ? 0.0f : s.top[m][1]};
#pragma unroll
    for (int n = 0; n < kTile / 8; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        z[m][n][i] = fastExp2(z[m][n][i] * factor - top[i >> 1]);
        s.sum[m][i >> 1] += z[m][n][i];
      }
      if (n % 2) asLeftOperand(left[n / 2][m], z[m], n / 2);
    }
  }
}

template <int D>
__global__ void __launch_bounds__(kAttentionThreads, 2) forwardKernel(Attention p, Exponents exponents,
    const AttentionTile* tiles, const bf16* q, const bf16* k, const bf16* v, bf16* out, float* lse) {
  // 128 wide heads leave no registers to keep the queries in.
  constexpr bool kKeepQueries = D < 96;
  const AttentionTile tile = tiles[blockIdx.y];
  const int head = static_cast<int>(blockIdx.x), kvHead = head / (p.heads / p.kvHeads), q0 = tile.first;
  const Span s = spanOf(p, tile.sequence);
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const int64_t qBase = s.queryStart * qStride + head * D, kvBase = s.keyStart * kvStride + kvHead * D;
  // No query of the block sees a key from keyEnd on.
  const int keyEnd = (q0 + kQueries < s.queries ? q0 + kQueries : s.queries) + s.shift;
  int keyFirst = p.window > 0 ? q0 + s.shift - p.window + 1 : 0;
  keyFirst = keyFirst > 0 ? keyFirst / kTile * kTile : 0;

  bf16* qTile = dynamicShared<bf16>();
  bf16* kTiles = qTile + kQueries * kRow<D>;
  bf16* vTiles = kTiles + kTile * kRow<D>;
  loadTile<D, kQueries, 1>(qTile, q + qBase, qStride, q0, s.queries);
  loadTile<D, kTile, 1>(kTiles, k + kvBase, kvStride, keyFirst, keyEnd);
  commitCopies();

  const int lane = laneOf(), row = static_cast<int>(threadIdx.x) / 32 * kWarpRows, first = q0 + row;  // the warp's rows
  Softmax softmax;
  float o[2][D / 8][4], z[2][kTile / 8][4];
  clear<D>(o);
  uint32_t kept[kKeepQueries ? D / 16 : 1][2][4];
  for (int k0 = keyFirst; k0 < keyEnd; k0 += kTile) {
    // Rows of this warp may see nothing of a tile that others of the block need.
    const auto busy = [&] { return first < s.queries && someSee(p, s.shift, first, kWarpRows, k0, kTile); };
    waitCopies();
    __syncthreads();
    loadTile<D, kTile, 1>(vTiles, v + kvBase, kvStride, k0, keyEnd);
    commitCopies();
    clear<kTile>(z);
    if constexpr (kKeepQueries) {
      if (k0 == keyFirst) leftOperands<D>(kept, qTile + row * kRow<D>);
      if (busy()) timesTransposed<D>(z, kept, kTiles);
    } else {
      if (busy()) timesTransposed<D>(z, qTile + row * kRow<D>, kTiles);
    }
    waitCopies();
    __syncthreads();
    if (k0 + kTile < keyEnd) loadTile<D, kTile, 1>(kTiles, k + kvBase, kvStride, k0 + kTile, keyEnd);
    commitCopies();
    if (busy()) {
      if (p.softcap > 0) capProducts(exponents, z);
      if (!allSee(p, s.shift, first, kWarpRows, k0, kTile)) hide<false>(p, s.shift, z, first, k0);
      uint32_t probabilities[kTile / 16][2][4];
      softmaxStep<D>(softmax, exponents.factor, z, o, probabilities);
      timesTile<D, D>(o, probabilities, vTiles);
    }
  }
  float inverse[2][2];
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      float sum = softmax.sum[m][h];
      sum += __shfl_xor_sync(kAllLanes, sum, 1);
      sum += __shfl_xor_sync(kAllLanes, sum, 2);
      inverse[m][h] = sum > 0 ? 1.0f / sum : 0.0f;
      const int query = first + 16 * m + 8 * h + (lane >> 2);
      if ((lane & 3) == 0 && query < s.queries)
        lse[(s.queryStart + query) * static_cast<int64_t>(p.heads) + head] = (softmax.top[m][h] + log2f(sum)) * kLn2;
    }
  storeRows<D, D>(qTile + row * kRow<D>, out + qBase, qStride, first, s.queries, o, inverse);
}

}  // namespace

bool hasFlashAttention(Type type, const Attention& p) {
  // The maximum of products is that of scores only when the scale is positive.
  return type == Type::bf16 && p.scale > 0 && (p.headDim == 64 || p.headDim == 96 || p.headDim == 128);
}

void flashAttention(
    Stream s, const Attention& p, const AttentionTensors& t, const AttentionTile* tiles, int64_t count) {
  if (count == 0) return;
  // Heads first: the longest tiles of all heads start before shorter ones, and heads that share keys run together.
  const dim3 grid(static_cast<unsigned>(p.heads), static_cast<unsigned>(count));
  withConstant<64, 96, 128>(p.headDim, [&](auto d) {
    launch("flashAttention", forwardKernel<d.value>, grid, dim3(kAttentionThreads),
        tileBytes<d.value>(kQueries + 2 * kTile), s, p, exponentsOf(p), tiles, as<bf16>(t.q), as<bf16>(t.k),
        as<bf16>(t.v), as<bf16>(t.out), t.lse);
  });
}

}  // namespace tunesmith::cuda
