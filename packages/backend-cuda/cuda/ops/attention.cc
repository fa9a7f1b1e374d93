// Attention: checks the sequences on the host, plans the work of blocks and chooses the kernel.
#include <algorithm>
#include <deque>

#include "../host/attention_plan.h"
#include "../host/failure.h"
#include "operations.h"

namespace tunesmith::cuda {

// Lists of tiles on the device. A step has the same sequences in every layer, so that uploading them once is enough, or
// once for each of a few windows: of forward's queries, of backward's, and of its keys.
enum class Rows { forward, queries, keys };
struct AttentionLists {
  static constexpr size_t kKept = 4;
  struct List {
    std::vector<int32_t> key;
    std::vector<AttentionTile> tiles;
    Temp memory;
    const AttentionTile* device() const { return reinterpret_cast<const AttentionTile*>(memory.ints()); }
  };
  // The next one to be replaced is the first.
  std::deque<List> kept[3];
};

namespace {

void check(bool good, const char* what) {
  if (!good) throw Failure("invalid_data", std::string("CausalAttention: expected ") + what);
}

// A captured step runs again with other sequences, for which its list of tiles would be wrong; all other kernels find
// their sequences on the device.
bool useFlash(const Context& c, const Attention& p) { return hasFlashAttention(c.type, p) && !c.capture; }

const AttentionLists::List& tilesFor(Context& c, const Attention& p, const AttentionBounds& host, Rows rows) {
  if (!c.attentionLists) c.attentionLists = std::make_shared<AttentionLists>();
  std::deque<AttentionLists::List>& kept = c.attentionLists->kept[static_cast<int>(rows)];
  std::vector<int32_t> key = {p.sequences, p.window};
  key.insert(key.end(), host.cuSeqlens, host.cuSeqlens + p.sequences + 1);
  if (host.kvLength) key.insert(key.end(), host.kvLength, host.kvLength + p.sequences);
  for (const AttentionLists::List& list : kept)
    if (list.key == key) return list;
  std::vector<SequenceLength> lengths;
  for (int s = 0; s < p.sequences; s++) {
    const int64_t queries = host.cuSeqlens[s + 1] - host.cuSeqlens[s];
    lengths.push_back({queries, host.kvLength ? host.kvLength[s] : queries});
  }
  const std::vector<AttentionTile> tiles =
      attentionTiles(lengths, rows == Rows::forward ? kForwardTile : kBackwardTile, p.window, rows == Rows::keys);
  check(static_cast<int64_t>(tiles.size()) <= kMaxBlocksYZ, "fewer tokens");
  std::vector<int32_t> flat;
  for (const AttentionTile& tile : tiles) flat.insert(flat.end(), {tile.sequence, tile.first});
  if (kept.size() == AttentionLists::kKept) kept.pop_front();
  kept.push_back({key, tiles, upload(c, flat)});
  return kept.back();
}

void decode(Context& c, const Attention& p, const AttentionTensors& t) {
  const int64_t blocks = p.tokens * p.kvHeads * ceilDiv(p.heads / p.kvHeads, decodeHeads(p));
  const int splits = decodeSplits(blocks, p.keys / p.sequences, c.device.multiprocessors);
  const Temp partial(c, std::max<int64_t>(1, decodePartials(p, splits)), Type::f32);
  decodeAttention(c.stream, p, t, splits, partial.floats());
}

// Blocks that fit a multiprocessor of the device beside another one of the same kind.
bool twoFit(const Context& c, size_t shared) {
  constexpr size_t kReserved = 1024, kStatic = 1024;
  return 2 * (shared + kStatic + kReserved) <= c.device.sharedPerMultiprocessor;
}

void flashGrad(Context& c, const Attention& p, const AttentionBounds& host, AttentionTensors t) {
  const AttentionLists::List& keys = tilesFor(c, p, host, Rows::keys);
  FlashGrad plan;
  plan.queryTiles = tilesFor(c, p, host, Rows::queries).device();
  plan.keyTiles = keys.device();
  plan.count = static_cast<int64_t>(keys.tiles.size());
  plan.buffers = twoFit(c, flashGradShared(p.headDim, 2)) ? 2 : 1;
  int64_t longest = 0, all = 0;
  for (const AttentionTile& tile : keys.tiles) {
    const int64_t seen = attentionTileWork({host.cuSeqlens[tile.sequence + 1] - host.cuSeqlens[tile.sequence], 0},
        tile.first, kBackwardTile, p.window, true);
    longest = std::max(longest, seen);
    all += seen;
  }
  plan.parts = keyGradParts(longest, all, p.heads / p.kvHeads, p.kvHeads, 2 * int64_t{c.device.multiprocessors});
  if (plan.parts == 1) return flashAttentionGrad(c.stream, p, t, plan);
  const int64_t kvSize = p.tokens * p.kvHeads * p.headDim;
  const Temp dk(c, plan.parts * kvSize, Type::bf16), dv(c, plan.parts * kvSize, Type::bf16);
  AttentionTensors partial = t;
  partial.dk = dk.array();
  partial.dv = dv.array();
  flashAttentionGrad(c.stream, p, partial, plan);
  sumParts(c.stream, partial.dk, t.dk, kvSize, plan.parts);
  sumParts(c.stream, partial.dv, t.dv, kvSize, plan.parts);
}

}  // namespace

void checkAttention(Attention& p, const AttentionBounds& host) {
  check(p.heads > 0 && p.kvHeads > 0 && p.headDim > 0 && p.heads % p.kvHeads == 0, "heads that share kv heads evenly");
  check(p.headDim <= 256, "a head size up to 256");
  check(p.heads <= kMaxBlocksYZ && p.sequences <= kMaxBlocksYZ, "at most 65,535 heads and sequences");
  check(host.cuSeqlens[0] == 0 && host.cuSeqlens[p.sequences] == p.tokens, "sequences inside q and k");
  check(p.kvStart ? true : p.keys == p.tokens, "sequences inside q and k");
  for (int s = 0; s < p.sequences; s++) {
    const int64_t queries = int64_t{host.cuSeqlens[s + 1]} - host.cuSeqlens[s];
    check(queries >= 0, "sequences inside q and k");
    p.maxQueries = std::max(p.maxQueries, static_cast<int>(queries));
    if (p.kvStart)
      check(
          host.kvStart[s] >= 0 && host.kvLength[s] >= queries && int64_t{host.kvStart[s]} + host.kvLength[s] <= p.keys,
          "sequences inside q and k");
  }
}

void attention(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t) {
  checkAttention(p, host);
  if (p.tokens == 0) return;
  const int64_t width = int64_t{p.heads} * p.headDim, kvWidth = int64_t{p.kvHeads} * p.headDim;
  const Operand q(c, t.q, p.tokens * width, c.type), k(c, t.k, p.keys * kvWidth, c.type),
      v(c, t.v, p.keys * kvWidth, c.type);
  Result out(c, t.out, p.tokens * width, c.type);
  t.q = q;
  t.k = k;
  t.v = v;
  t.out = out;
  if (p.maxQueries == 1 && hasDecodeAttention(p.headDim)) {
    decode(c, p, t);
  } else if (useFlash(c, p)) {
    const AttentionLists::List& list = tilesFor(c, p, host, Rows::forward);
    flashAttention(c.stream, p, t, list.device(), static_cast<int64_t>(list.tiles.size()));
  } else {
    plainAttention(c.stream, p, t);
  }
  out.finish();
}

void attentionGrad(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t) {
  if (p.kvStart) throw Failure("invalid_data", "CausalAttentionGrad: expected no cache in a gradient");
  checkAttention(p, host);
  if (p.tokens == 0) return;
  const int64_t size = p.tokens * p.heads * p.headDim, kvSize = p.tokens * p.kvHeads * p.headDim;
  const Operand q(c, t.q, size, c.type), k(c, t.k, kvSize, c.type), v(c, t.v, kvSize, c.type),
      out(c, t.out, size, c.type), dout(c, t.dout, size, c.type);
  const Temp delta(c, p.tokens * p.heads, Type::f32);
  t.q = q;
  t.k = k;
  t.v = v;
  t.out = out;
  t.dout = dout;
  t.delta = delta.floats();
  if (useFlash(c, p))
    flashGrad(c, p, host, t);
  else
    plainAttentionGrad(c.stream, p, t);
}

}  // namespace tunesmith::cuda
