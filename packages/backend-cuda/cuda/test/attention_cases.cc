// Attention of packed sequences, forward with and without a cache and backward, against float64.
#include "../host/attention_plan.h"
#include "lab.h"

namespace tunesmith::cuda {
namespace {

struct Problem {
  Attention p;
  std::vector<int32_t> cuSeqlens, kvStart, kvLength;
  std::unique_ptr<DeviceArray> bounds, starts, lengths;
};

// Random sequences; with `cache` their keys lie in ranges of a longer table, in reverse order.
Problem randomProblem(Lab& lab, int headDim, int longest, bool cache) {
  Problem r;
  Attention& p = r.p;
  p.sequences = static_cast<int>(lab.random.integer(1, 3));
  p.kvHeads = static_cast<int>(lab.random.integer(1, 2));
  p.heads = p.kvHeads * static_cast<int>(lab.random.integer(1, 2));
  p.headDim = headDim;
  p.scale = static_cast<float>(1 / std::sqrt(headDim));
  if (lab.random.coin()) p.window = static_cast<int>(lab.random.integer(1, longest));
  if (lab.random.coin()) p.softcap = 2;
  r.cuSeqlens = {0};
  for (int s = 0; s < p.sequences; s++) {
    const int32_t queries = static_cast<int32_t>(lab.random.integer(s ? 0 : 1, longest));
    p.maxQueries = std::max(p.maxQueries, queries);
    r.cuSeqlens.push_back(r.cuSeqlens.back() + queries);
    r.kvLength.push_back(queries + static_cast<int32_t>(cache ? lab.random.integer(0, longest) : 0));
  }
  p.tokens = p.keys = r.cuSeqlens.back();
  r.bounds = std::make_unique<DeviceArray>(lab, r.cuSeqlens);
  p.cuSeqlens = r.bounds->ints();
  if (!cache) {
    r.kvStart.assign(r.cuSeqlens.begin(), r.cuSeqlens.end() - 1);
    return r;
  }
  int32_t next = static_cast<int32_t>(lab.random.integer(0, 3));
  r.kvStart.resize(r.kvLength.size());
  for (int s = p.sequences; s-- > 0;) {
    r.kvStart[static_cast<size_t>(s)] = next;
    next += r.kvLength[static_cast<size_t>(s)] + static_cast<int32_t>(lab.random.integer(0, 3));
  }
  p.keys = next;
  r.starts = std::make_unique<DeviceArray>(lab, r.kvStart);
  r.lengths = std::make_unique<DeviceArray>(lab, r.kvLength);
  p.kvStart = r.starts->ints();
  p.kvLength = r.lengths->ints();
  return r;
}

struct Reference {
  std::vector<double> out, lse, dq, dk, dv;
};

Reference referenceOf(
    const Problem& r, const DeviceArray& q, const DeviceArray& k, const DeviceArray& v, const DeviceArray* dout) {
  const Attention& p = r.p;
  const int64_t D = p.headDim, group = p.heads / p.kvHeads;
  Reference y;
  y.out.resize(static_cast<size_t>(p.tokens * p.heads * D));
  y.lse.resize(static_cast<size_t>(p.tokens * p.heads));
  y.dq.resize(y.out.size());
  y.dk.resize(static_cast<size_t>(p.keys * p.kvHeads * D));
  y.dv = y.dk;
  for (int s = 0; s < p.sequences; s++)
    for (int64_t i = 0; i < r.cuSeqlens[static_cast<size_t>(s) + 1] - r.cuSeqlens[static_cast<size_t>(s)]; i++)
      for (int64_t head = 0; head < p.heads; head++) {
        const int64_t token = r.cuSeqlens[static_cast<size_t>(s)] + i,
                      queries = r.cuSeqlens[static_cast<size_t>(s) + 1] - r.cuSeqlens[static_cast<size_t>(s)];
        const int64_t last = i + r.kvLength[static_cast<size_t>(s)] - queries,
                      first = p.window ? std::max<int64_t>(0, last - p.window + 1) : 0;
        const int64_t qAt = (token * p.heads + head) * D;
        const auto kvAt = [&](int64_t key) {
          return ((r.kvStart[static_cast<size_t>(s)] + key) * p.kvHeads + head / group) * D;
        };
        std::vector<double> scores, slopes;
        double top = -INFINITY, total = 0, delta = 0;
        for (int64_t key = first; key <= last; key++) {
          double dot = 0;
          for (int64_t d = 0; d < D; d++) dot += q[qAt + d] * k[kvAt(key) + d];
          dot *= static_cast<double>(p.scale);
          const double cap = static_cast<double>(p.softcap), t = cap > 0 ? std::tanh(dot / cap) : 0;
          scores.push_back(cap > 0 ? cap * t : dot);
          slopes.push_back(cap > 0 ? 1 - t * t : 1);
          top = std::max(top, scores.back());
        }
        for (double x : scores) total += std::exp(x - top);
        y.lse[static_cast<size_t>(token * p.heads + head)] = top + std::log(total);
        for (size_t j = 0; j < scores.size(); j++)
          for (int64_t d = 0; d < D; d++)
            y.out[static_cast<size_t>(qAt + d)] +=
                std::exp(scores[j] - top) / total * v[kvAt(first + static_cast<int64_t>(j)) + d];
        if (!dout) continue;
        for (int64_t d = 0; d < D; d++) delta += (*dout)[qAt + d] * y.out[static_cast<size_t>(qAt + d)];
        for (size_t j = 0; j < scores.size(); j++) {
          const int64_t at = kvAt(first + static_cast<int64_t>(j));
          const double weight = std::exp(scores[j] - top) / total;
          double dp = 0;
          for (int64_t d = 0; d < D; d++) dp += (*dout)[qAt + d] * v[at + d];
          const double ds = weight * (dp - delta) * slopes[j] * static_cast<double>(p.scale);
          for (int64_t d = 0; d < D; d++) {
            y.dq[static_cast<size_t>(qAt + d)] += ds * k[at + d];
            y.dk[static_cast<size_t>(at + d)] += ds * q[qAt + d];
            y.dv[static_cast<size_t>(at + d)] += weight * (*dout)[qAt + d];
          }
        }
      }
  return y;
}

// A list of tiles as the kernels take it.
class TileList {
 public:
  TileList(Lab& lab, const Problem& r, int rows, bool ofKeys) : TileList(lab, tilesOf(r, rows, ofKeys)) {}
  const AttentionTile* data() const { return reinterpret_cast<const AttentionTile*>(memory_.ints()); }
  int64_t count() const { return static_cast<int64_t>(memory_.given().size()) / 2; }

 private:
  TileList(Lab& lab, const std::vector<int32_t>& flat) : memory_(lab, flat) {}
  static std::vector<int32_t> tilesOf(const Problem& r, int rows, bool ofKeys) {
    std::vector<SequenceLength> lengths;
    for (size_t s = 0; s < r.kvLength.size(); s++)
      lengths.push_back({r.cuSeqlens[s + 1] - r.cuSeqlens[s], r.kvLength[s]});
    std::vector<int32_t> flat;
    for (const AttentionTile& tile : attentionTiles(lengths, rows, r.p.window, ofKeys))
      flat.insert(flat.end(), {tile.sequence, tile.first});
    return flat;
  }
  DeviceArray memory_;
};

void forwardOf(Lab& lab, bool flash, const Problem& r, const AttentionTensors& t) {
  if (!flash) return plainAttention(lab.stream, r.p, t);
  const TileList tiles(lab, r, kForwardTile, false);
  flashAttention(lab.stream, r.p, t, tiles.data(), tiles.count());
  lab.runtime.synchronize(lab.stream);
}

// With as many buffers as the device has room for or with one, the heads of a group in one block or in one each.
void backwardOf(Lab& lab, bool flash, const Problem& r, const AttentionTensors& t) {
  const Attention& p = r.p;
  if (!flash) return plainAttentionGrad(lab.stream, p, t);
  const TileList queries(lab, r, kBackwardTile, false), keys(lab, r, kBackwardTile, true);
  FlashGrad plan;
  plan.queryTiles = queries.data();
  plan.keyTiles = keys.data();
  plan.count = keys.count();
  plan.buffers = lab.random.coin() && flashGradShared(p.headDim, 2) <= lab.runtime.info().sharedPerBlock ? 2 : 1;
  plan.parts = lab.random.coin() ? p.heads / p.kvHeads : 1;
  const int64_t kv = p.keys * p.kvHeads * p.headDim;
  const DeviceArray dk(lab, plan.parts * kv, Type::bf16, Content::output),
      dv(lab, plan.parts * kv, Type::bf16, Content::output);
  AttentionTensors partial = t;
  partial.dk = dk;
  partial.dv = dv;
  flashAttentionGrad(lab.stream, p, partial, plan);
  sumParts(lab.stream, dk, t.dk, kv, plan.parts);
  sumParts(lab.stream, dv, t.dv, kv, plan.parts);
  lab.runtime.synchronize(lab.stream);
}

// Runs forward, and backward where there is no cache, by the one or the other set of kernels.
void check(Lab& lab, Type type, bool flash, int headDim, int longest, bool cache) {
  const Problem r = randomProblem(lab, headDim, longest, cache);
  const Attention& p = r.p;
  const int64_t n = p.tokens * p.heads * headDim, kv = p.keys * p.kvHeads * headDim;
  const DeviceArray q(lab, n, type), k(lab, kv, type), v(lab, kv, type), dout(lab, n, type);
  const DeviceArray out(lab, n, type, Content::output), lse(lab, p.tokens * p.heads, Type::f32, Content::output);
  AttentionTensors t{q, k, v, out, lse.floats(), {}, {}, {}, {}};
  forwardOf(lab, flash, r, t);
  const Reference want = referenceOf(r, q, k, v, cache ? nullptr : &dout);
  const std::string shape = std::string(nameOf(type)) + ", head size " + std::to_string(headDim) + ", " +
      std::to_string(p.tokens) + " tokens in " + std::to_string(p.sequences) + ", " + std::to_string(p.heads) +
      " heads on " + std::to_string(p.kvHeads) + ", window " + std::to_string(p.window) +
      (p.softcap > 0 ? ", capped" : "") + (cache ? ", cache" : "");
  const double tolerance = type == Type::bf16 ? 2e-2 : 2e-5;
  compare(lab, "out, " + shape, out.now(), want.out, tolerance);
  compare(lab, "lse, " + shape, lse.now(), want.lse, type == Type::bf16 ? 1e-3 : 1e-5);
  if (cache) return;
  const DeviceArray dq(lab, n, type, Content::output), dk(lab, kv, type, Content::output),
      dv(lab, kv, type, Content::output), delta(lab, p.tokens * p.heads, Type::f32, Content::output);
  t.dout = dout;
  t.dq = dq;
  t.dk = dk;
  t.dv = dv;
  t.delta = delta.floats();
  backwardOf(lab, flash, r, t);
  // Where a query sees one key only, the gradients of q and k are what rounding leaves of zero.
  compare(lab, "dq, " + shape, dq.now(), want.dq, tolerance, 0.2);
  compare(lab, "dk, " + shape, dk.now(), want.dk, tolerance, 0.2);
  compare(lab, "dv, " + shape, dv.now(), want.dv, tolerance);
}

void plain(Lab& lab) {
  for (Type type : kFloatTypes)
    for (int headDim : {static_cast<int>(lab.random.integer(1, 40)), 64, 256}) {
      check(lab, type, false, headDim, 40, false);
      check(lab, type, false, headDim, lab.random.coin() ? 1 : 30, true);
    }
}

void flash(Lab& lab) {
  for (int headDim : {64, 96, 128}) {
    Attention p;
    p.headDim = headDim;
    expect(hasFlashAttention(Type::bf16, p) && !hasFlashAttention(Type::f32, p), "which attention has tensor cores");
    p.scale = -1;
    expect(!hasFlashAttention(Type::bf16, p), "a negative scale turns maxima into minima");
    check(lab, Type::bf16, true, headDim, 150, false);
    check(lab, Type::bf16, true, headDim, 80, true);
  }
}

// One query a sequence, its keys in one part or in several, of which some may be empty.
void decoding(Lab& lab) {
  for (Type type : kFloatTypes)
    for (int headDim : {8, 64, 96, 200, 256}) {
      Problem r = randomProblem(lab, headDim, 1, true);
      Attention& p = r.p;
      // Longer caches than randomProblem's, one behind the other.
      p.window = lab.random.coin() ? static_cast<int>(lab.random.integer(1, 300)) : 0;
      p.keys = 0;
      for (size_t s = 0; s < r.kvLength.size(); s++) {
        r.kvStart[s] = static_cast<int32_t>(p.keys);
        r.kvLength[s] = static_cast<int32_t>(lab.random.integer(1, 400));
        p.keys += r.kvLength[s];
      }
      r.starts = std::make_unique<DeviceArray>(lab, r.kvStart);
      r.lengths = std::make_unique<DeviceArray>(lab, r.kvLength);
      p.kvStart = r.starts->ints();
      p.kvLength = r.lengths->ints();
      const int splits = static_cast<int>(lab.random.integer(1, 6));
      const int64_t n = p.tokens * p.heads * headDim, kv = p.keys * p.kvHeads * headDim;
      const DeviceArray q(lab, n, type), k(lab, kv, type), v(lab, kv, type);
      const DeviceArray out(lab, n, type, Content::output), lse(lab, p.tokens * p.heads, Type::f32, Content::output),
          partial(lab, decodePartials(p, splits), Type::f32, Content::output);
      AttentionTensors t{q, k, v, out, lse.floats(), {}, {}, {}, {}};
      expect(hasDecodeAttention(headDim) && !hasDecodeAttention(headDim + 1) && decodeHeads(p) >= p.heads / p.kvHeads,
          "heads of a group in one block");
      decodeAttention(lab.stream, p, t, splits, partial.floats());
      const Reference want = referenceOf(r, q, k, v, nullptr);
      const std::string shape = std::string(nameOf(type)) + ", head size " + std::to_string(headDim) + ", " +
          std::to_string(splits) + " parts";
      compare(lab, "out, " + shape, out.now(), want.out, type == Type::bf16 ? 1e-2 : 1e-5);
      compare(lab, "lse, " + shape, lse.now(), want.lse, 1e-5);
    }
}

const AddCases kAdded = {{{"plainAttention", "plainAttentionGrad"}, plain},
    {{"flashAttention", "flashAttentionGrad", "hasFlashAttention", "flashGradShared", "sumParts"}, flash},
    {{"decodeAttention", "hasDecodeAttention", "decodeHeads", "decodePartials"}, decoding}};

}  // namespace
}  // namespace tunesmith::cuda
