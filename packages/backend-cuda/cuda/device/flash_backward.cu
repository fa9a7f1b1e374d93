// Gradients of attention on tensor cores: bf16 in and out, float32 accumulators, no atomics, the same bits every time.
//
// One kernel owns queries and walks over keys, another owns keys and walks over queries; both compute the scores again.
// With scores, their gradients and accumulators of 32 rows, a warp's registers would not do, so two warps share 32
// rows: the first computes products of q and k and from them probabilities, the second products of dout and v and from
// them the scores' gradient. Lanes of the two hold the same elements and hand them over in shared memory by 16 bytes.
#include "kernels.h"
#include "tiles.h"
#include "vector.h"

namespace tunesmith::cuda {
namespace {

constexpr int kPairs = kAttentionThreads / 64;
static_assert(kPairs * kWarpRows == kBackwardTile && kTile == kBackwardTile, "the list of tiles is made for this size");

// Where lane `lane` of a pair hands over [32, 64] bf16: its piece for columns 16 k and rows 16 m is at [2 k + m][lane].
constexpr int kPieces = kTile / 16 * 2;
using Exchange = uint4 (*)[32];
constexpr size_t kExchangeBytes = kPairs * kPieces * 32 * sizeof(uint4);
static_assert(tileBytes<128>(4 * kTile) + kExchangeBytes + 1024 <= kSmallestShared, "fits every device");

__device__ __forceinline__ void handOver(Exchange exchange, int k, int m, const uint32_t* a) {
  exchange[2 * k + m][laneOf()] = {a[0], a[1], a[2], a[3]};
}
__device__ __forceinline__ void takeOver(Exchange exchange, int k, int m, uint32_t* a) {
  const uint4 u = exchange[2 * k + m][laneOf()];
  a[0] = u.x;
  a[1] = u.y;
  a[2] = u.z;
  a[3] = u.w;
}
// Barriers of a pair: probabilities are there, gradients of scores are there.
__device__ __forceinline__ int barrierOf(int pair, int which) { return 1 + 2 * pair + which; }

// Calls f(k, m, n, i, j) for the eight accumulators acc[m][n][i] that make up piece (k, m), j-th of the piece.
template <class F> __device__ __forceinline__ void eachOfPiece(int k, F f) {
#pragma unroll
  for (int j = 0; j < 8; j++) f(2 * k + (j >> 2), j & 3, j);
}

// Exponents of 2 become probabilities, as the left operand of dv's product, and go to the other warp, there times the
// slope of the softcap. lse(m, n, i) is that of an element's query, in base 2.
template <class Lse>
__device__ __forceinline__ void probabilities(const Attention& p, const Exponents& e, float (*z)[kTile / 8][4],
    uint32_t (*left)[2][4], Exchange exchange, Lse lse) {
#pragma unroll
  for (int k = 0; k < kTile / 16; k++)
#pragma unroll
    for (int m = 0; m < 2; m++) {
      float slope[8];
      if (p.softcap > 0) eachOfPiece(k, [&](int n, int i, int j) { slope[j] = slopeOfCapped(e, z[m][n][i]); });
      eachOfPiece(k, [&](int n, int i, int) { z[m][n][i] = fastExp2(z[m][n][i] * e.factor - lse(m, n, i)); });
      asLeftOperand(left[k][m], z[m], k);
      if (p.softcap > 0) {
        uint32_t sloped[4];
        eachOfPiece(k, [&](int n, int i, int j) { z[m][n][i] *= slope[j]; });
        asLeftOperand(sloped, z[m], k);
        handOver(exchange, k, m, sloped);
      } else {
        handOver(exchange, k, m, left[k][m]);
      }
    }
}
// Products of dout and v become the gradient of the scores, without the factor `scale`, as the left operand of the next
// product. delta(m, n, i) is that of an element's query; `answer` hands the result back.
template <class Delta>
__device__ __forceinline__ void scoreGradients(
    float (*dp)[kTile / 8][4], uint32_t (*left)[2][4], Exchange exchange, bool answer, Delta delta) {
#pragma unroll
  for (int k = 0; k < kTile / 16; k++)
#pragma unroll
    for (int m = 0; m < 2; m++) {
      uint32_t weights[4];
      takeOver(exchange, k, m, weights);
      eachOfPiece(k, [&](int n, int i, int j) {
        const uint32_t word = weights[j >> 1];
        const float weight = bitsToFloat(j & 1 ? word & 0xffff0000u : word << 16);
        dp[m][n][i] = weight * (dp[m][n][i] - delta(m, n, i));
      });
      asLeftOperand(left[k][m], dp[m], k);
      if (answer) handOver(exchange, k, m, left[k][m]);
    }
}

// dout . out of a warp's 32 rows, each lane keeping what it needs: delta[m][h] of row 16 m + 8 h + lane / 4. dout lies
// in shared memory, out does not.
template <int D>
__device__ __forceinline__ void deltaOfRows(
    const bf16* dout, const bf16* out, int64_t stride, int rows, float (*delta)[2]) {
  constexpr int kLanes = D == 64 ? 8 : 16, kAtOnce = 32 / kLanes;
  const int lane = laneOf(), piece = lane % kLanes * 8;
#pragma unroll
  for (int r = 0; r < kWarpRows; r += kAtOnce) {
    const int row = r + lane / kLanes;
    float sum = 0;
    if (piece < D && row < rows) {
      float a[8], b[8];
      loadEight(dout + row * kRow<D> + piece, a);
      loadEight(out + row * stride + piece, b);
      for (int i = 0; i < 8; i++) sum += a[i] * b[i];
    }
    for (int x = kLanes / 2; x > 0; x >>= 1) sum += __shfl_xor_sync(kAllLanes, sum, x);
// Rows r .. r + kAtOnce - 1 are done; lanes whose rows are among them take theirs.
#pragma unroll
    for (int m = 0; m < 2; m++)
#pragma unroll
      for (int h = 0; h < 2; h++) {
        const int mine = 16 * m + 8 * h + (lane >> 2) - r;
        const float x = __shfl_sync(kAllLanes, sum, (mine & (kAtOnce - 1)) * kLanes);
        if (mine >= 0 && mine < kAtOnce) delta[m][h] = x;
      }
  }
}

// dq of 64 queries, half of its columns by each warp of a pair. Also delta = dout . out of these queries.
template <int D>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    queryGradKernel(Attention p, Exponents exponents, const AttentionTile* tiles, const bf16* q, const bf16* k,
        const bf16* v, const bf16* dout, const bf16* out, const float* lse, float* delta, bf16* dq) {
  const AttentionTile tile = tiles[blockIdx.y];
  const int head = static_cast<int>(blockIdx.x), kvHead = head / (p.heads / p.kvHeads), q0 = tile.first;
  const Span s = spanOf(p, tile.sequence);
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const int64_t qBase = s.queryStart * qStride + head * D, kvBase = s.keyStart * kvStride + kvHead * D;
  const int keyEnd = q0 + kTile < s.keys ? q0 + kTile : s.keys;
  int keyFirst = p.window > 0 ? q0 - p.window + 1 : 0;
  keyFirst = keyFirst > 0 ? keyFirst / kTile * kTile : 0;

  // Two buffers of keys and values; before the second is used, q and dout pass through it into registers.
  constexpr int kSize = kTile * kRow<D>;
  bf16* shared = dynamicShared<bf16>();
  const int lane = laneOf(), warp = warpOf(), pair = warp % kPairs, role = warp / kPairs;
  const Exchange exchange = reinterpret_cast<Exchange>(shared + 4 * kSize) + pair * kPieces;
  loadTile<D, kTile>(shared + 2 * kSize, q + qBase, qStride, q0, s.queries);
  loadTile<D, kTile>(shared + 3 * kSize, dout + qBase, qStride, q0, s.queries);
  loadTile<D, kTile>(shared, k + kvBase, kvStride, keyFirst, s.keys);
  loadTile<D, kTile>(shared + kSize, v + kvBase, kvStride, keyFirst, s.keys);
  commitCopies();
  waitCopies();
  __syncthreads();
  const int first = q0 + pair * kWarpRows, rows = s.queries - first;  // the pair's queries
  const bf16* own = shared + (2 + role) * kSize + pair * kWarpRows * kRow<D>;
  uint32_t left[D / 16][2][4];
  leftOperands<D>(left, own);
  // Of this lane's rows: the sum of powers for the first warp, delta for the second.
  float rowValue[2][2] = {{0, 0}, {0, 0}};
  if (role == 1) deltaOfRows<D>(own, out + qBase + first * qStride, qStride, rows, rowValue);
#pragma unroll
  for (int m = 0; m < 2; m++)
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = 16 * m + 8 * h + (lane >> 2);
      const int64_t at = (s.queryStart + first + row) * static_cast<int64_t>(p.heads) + head;
      // Infinity makes the probabilities of queries behind the end 0.
      if (role == 0) rowValue[m][h] = row < rows ? lse[at] * kLog2e : INFINITY;
      if (role == 1 && row < rows && (lane & 3) == 0) delta[at] = rowValue[m][h];
    }

  float sum[2][D / 16][4];
  clear<D / 2>(sum);
  int buffer = 0;
  for (int k0 = keyFirst; k0 < keyEnd; k0 += kTile, buffer ^= 1) {
    const bf16* keys = shared + buffer * 2 * kSize;
    bf16* next = shared + (buffer ^ 1) * 2 * kSize;
    waitCopies();
    __syncthreads();
    if (k0 + kTile < keyEnd) {
      loadTile<D, kTile>(next, k + kvBase, kvStride, k0 + kTile, s.keys);
      loadTile<D, kTile>(next + kSize, v + kvBase, kvStride, k0 + kTile, s.keys);
    }
    commitCopies();
    float z[2][kTile / 8][4];
    uint32_t gradients[kTile / 16][2][4];
    clear<kTile>(z);
    timesTransposed<D>(z, left, keys + role * kSize);
    if (role == 0) {
      if (p.softcap > 0) capProducts(exponents, z);
      if (!allSee(p, 0, first, kWarpRows, k0, kTile)) hide<false>(p, 0, z, first, k0);
      probabilities(p, exponents, z, gradients, exchange, [&](int m, int, int i) { return rowValue[m][i >> 1]; });
      arriveAt(barrierOf(pair, 0), 64);
      waitAt(barrierOf(pair, 1), 64);
#pragma unroll
      for (int i = 0; i < kPieces; i++) takeOver(exchange, i >> 1, i & 1, gradients[i >> 1][i & 1]);
    } else {
      waitAt(barrierOf(pair, 0), 64);
      scoreGradients(z, gradients, exchange, true, [&](int m, int, int i) { return rowValue[m][i >> 1]; });
      arriveAt(barrierOf(pair, 1), 64);
    }
    timesTile<D, D / 2>(sum, gradients, keys + role * (D / 2));
  }
  __syncthreads();
  const float scale[2][2] = {{p.scale, p.scale}, {p.scale, p.scale}};
  storeRows<D, D / 2>(
      shared + warp * kWarpRows * kRow<D>, dq + qBase + role * (D / 2), qStride, first, s.queries, sum, scale);
}

// dv (by the first warps of the pairs) and dk (by the second) of 64 keys, from the queries of all heads that share
// them, or of one part of these heads. Keys and values stay in shared memory, queries and their dout come in tiles.
template <int D>
__global__ void __launch_bounds__(kAttentionThreads, 2)
    keyGradKernel(Attention p, Exponents exponents, const AttentionTile* tiles, int parts, int buffers, const bf16* q,
        const bf16* k, const bf16* v, const bf16* dout, const float* lse, const float* delta, bf16* dk, bf16* dv) {
  __shared__ float columns[2][2][kTile];  // of the queries of a tile: lse in base 2, delta
  const AttentionTile owned = tiles[blockIdx.y];
  const int kvHead = static_cast<int>(blockIdx.x) / parts, part = static_cast<int>(blockIdx.x) % parts,
            k0 = owned.first;
  const int heads = p.heads / p.kvHeads / parts, firstHead = (kvHead * parts + part) * heads;
  const Span s = spanOf(p, owned.sequence);
  const int64_t qStride = static_cast<int64_t>(p.heads) * D, kvStride = static_cast<int64_t>(p.kvHeads) * D;
  const int64_t qBase = s.queryStart * qStride + firstHead * D, kvBase = s.keyStart * kvStride + kvHead * D;
  // The queries that see any of these keys.
  const int64_t reach = p.window > 0 ? static_cast<int64_t>(k0) + kTile - 1 + p.window : s.queries;
  const int queryEnd = reach < s.queries ? static_cast<int>(reach) : s.queries;

  constexpr int kSize = kTile * kRow<D>;
  bf16* shared = dynamicShared<bf16>();
  const int lane = laneOf(), warp = warpOf(), pair = warp % kPairs, role = warp / kPairs;
  const Exchange exchange = reinterpret_cast<Exchange>(shared + (2 + 2 * buffers) * kSize) + pair * kPieces;
  const auto start = [&](int head, int q0, int buffer) {
    bf16* to = shared + (2 + 2 * buffer) * kSize;
    loadTile<D, kTile>(to, q + qBase + head * D, qStride, q0, s.queries);
    loadTile<D, kTile>(to + kSize, dout + qBase + head * D, qStride, q0, s.queries);
    // Infinity makes the probabilities of queries behind the end 0.
    const int i = static_cast<int>(threadIdx.x) % kTile, which = static_cast<int>(threadIdx.x) / kTile;
    const bool there = q0 + i < s.queries;
    const int64_t at = (s.queryStart + q0 + i) * static_cast<int64_t>(p.heads) + firstHead + head;
    columns[buffer][which][i] = which == 0 ? (there ? lse[at] * kLog2e : INFINITY) : there ? delta[at] : 0.0f;
  };
  loadTile<D, kTile>(shared, k + kvBase, kvStride, k0, s.keys);
  loadTile<D, kTile>(shared + kSize, v + kvBase, kvStride, k0, s.keys);
  start(0, k0, 0);
  commitCopies();

  const int first = k0 + pair * kWarpRows;  // the pair's keys
  bf16* own = shared + role * kSize + pair * kWarpRows * kRow<D>;
  float sum[2][D / 8][4];
  clear<D>(sum);
  int head = 0, q0 = k0, buffer = 0;
  while (head < heads) {
    int nextHead = head, nextQuery = q0 + kTile, nextBuffer = buffers == 2 ? buffer ^ 1 : 0;
    if (nextQuery >= queryEnd) {
      nextHead++;
      nextQuery = k0;
    }
    waitCopies();
    __syncthreads();
    if (buffers == 2 && nextHead < heads) start(nextHead, nextQuery, nextBuffer);
    commitCopies();
    const bf16* queries = shared + (2 + 2 * buffer) * kSize;
    const bf16* douts = queries + kSize;
    float z[2][kTile / 8][4];
    uint32_t weights[kTile / 16][2][4];
    clear<kTile>(z);
    timesTransposed<D>(z, own, role == 0 ? queries : douts);
    const float* column = columns[buffer][role] + 2 * (lane & 3);
    const auto ofColumn = [&](int, int n, int i) { return column[8 * n + (i & 1)]; };
    if (role == 0) {
      if (p.softcap > 0) capProducts(exponents, z);
      if (!allSee(p, 0, q0, kTile, first, kWarpRows)) hide<true>(p, 0, z, first, q0);
      probabilities(p, exponents, z, weights, exchange, ofColumn);
      arriveAt(barrierOf(pair, 0), 64);
    } else {
      waitAt(barrierOf(pair, 0), 64);
      scoreGradients(z, weights, exchange, false, ofColumn);
    }
    timesTile<D, D>(sum, weights, role == 0 ? douts : queries);
    if (buffers == 1) {
      __syncthreads();
      if (nextHead < heads) start(nextHead, nextQuery, 0);
      commitCopies();
    }
    head = nextHead;
    q0 = nextQuery;
    buffer = nextBuffer;
  }
  const float factor = role == 0 ? 1.0f : p.scale, factors[2][2] = {{factor, factor}, {factor, factor}};
  bf16* grad = (role == 0 ? dv : dk) + part * p.keys * kvStride + kvBase;
  storeRows<D, D>(own, grad, kvStride, first, s.keys, sum, factors);
}

__global__ void sumPartsKernel(const bf16* x, bf16* y, int64_t n, int parts) {
  const int64_t i = (blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x) * 8;
  if (i >= n) return;
  float sum[8], v[8];
  loadEight(x + i, sum);
  for (int part = 1; part < parts; part++) {
    loadEight(x + part * n + i, v);
    for (int j = 0; j < 8; j++) sum[j] += v[j];
  }
  storeEight(y + i, sum);
}

}  // namespace

size_t flashGradShared(int headDim, int buffers) {
  size_t bytes = 0;
  withConstant<64, 96, 128>(
      headDim, [&](auto d) { bytes = tileBytes<d.value>(kTile * (2 + 2 * buffers)) + kExchangeBytes; });
  return bytes;
}

void flashAttentionGrad(Stream s, const Attention& p, const AttentionTensors& t, const FlashGrad& plan) {
  if (plan.count == 0) return;
  const unsigned count = static_cast<unsigned>(plan.count);
  withConstant<64, 96, 128>(p.headDim, [&](auto d) {
    constexpr size_t shared = tileBytes<d.value>(4 * kTile) + kExchangeBytes;
    launch("flashAttentionQueryGrad", queryGradKernel<d.value>, dim3(static_cast<unsigned>(p.heads), count),
        dim3(kAttentionThreads), shared, s, p, exponentsOf(p), plan.queryTiles, as<bf16>(t.q), as<bf16>(t.k),
        as<bf16>(t.v), as<bf16>(t.dout), as<bf16>(t.out), t.lse, t.delta, as<bf16>(t.dq));
    launch("flashAttentionKeyGrad", keyGradKernel<d.value>, dim3(static_cast<unsigned>(p.kvHeads * plan.parts), count),
        dim3(kAttentionThreads), flashGradShared(d.value, plan.buffers), s, p, exponentsOf(p), plan.keyTiles,
        plan.parts, plan.buffers, as<bf16>(t.q), as<bf16>(t.k), as<bf16>(t.v), as<bf16>(t.dout), t.lse, t.delta,
        as<bf16>(t.dk), as<bf16>(t.dv));
  });
}

void sumParts(Stream s, Array x, Array y, int64_t n, int parts) {
  const int64_t threads = n / 8;
  if (threads == 0) return;
  launch("sumParts", sumPartsKernel, dim3(static_cast<unsigned>((threads + 255) / 256)), dim3(256), 0, s, as<bf16>(x),
      as<bf16>(y), n, parts);
}

}  // namespace tunesmith::cuda
