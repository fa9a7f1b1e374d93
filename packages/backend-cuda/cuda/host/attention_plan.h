// Which block of attention does what, from the sequences' lengths. Plain arithmetic, tested without a GPU.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "launch_geometry.h"
#include "types.h"

namespace tunesmith::cuda {

struct SequenceLength {
  int64_t queries, keys;
};

// How many keys (or queries) the rows first .. first + rows - 1 of a sequence meet: those of queries the keys they see,
// those of keys the queries that see them, where both are the same rows.
inline int64_t attentionTileWork(const SequenceLength& n, int64_t first, int64_t rows, int64_t window, bool ofKeys) {
  if (ofKeys) return std::min(n.queries, window > 0 ? first + rows - 1 + window : n.queries) - first;
  const int64_t shift = n.keys - n.queries, start = window > 0 ? std::max<int64_t>(0, first + shift - window + 1) : 0;
  return std::min(first + rows, n.queries) + shift - start;
}

// Tiles of `rows` queries (or keys) of all sequences, those with the most work first: the last blocks are short.
inline std::vector<AttentionTile> attentionTiles(
    const std::vector<SequenceLength>& sequences, int rows, int window, bool ofKeys) {
  struct Sized {
    AttentionTile tile;
    int64_t work;
  };
  std::vector<Sized> sized;
  for (size_t s = 0; s < sequences.size(); s++) {
    for (int64_t first = 0; first < sequences[s].queries; first += rows)
      sized.push_back({{static_cast<int32_t>(s), static_cast<int32_t>(first)},
          attentionTileWork(sequences[s], first, rows, window, ofKeys)});
  }
  std::stable_sort(sized.begin(), sized.end(), [](const Sized& a, const Sized& b) { return a.work > b.work; });
  std::vector<AttentionTile> tiles;
  for (const Sized& x : sized) tiles.push_back(x.tile);
  return tiles;
}

// Into how many blocks the query heads of a key head are divided, a divisor of `group`: few key heads and causal
// attention give few blocks of very different length, and the longest should take at most half of an even share.
// `longest` and `all` are the work of the longest tile and of all tiles, for one query head; `slots` is how many blocks
// run at once.
inline int keyGradParts(int64_t longest, int64_t all, int group, int kvHeads, int64_t slots) {
  const int64_t share = all * group * kvHeads / std::max<int64_t>(slots, 1);
  for (int parts = 1; parts < group; parts++)
    if (group % parts == 0 && 2 * longest * (group / parts) <= share) return parts;
  return group;
}

// Into how many parts decoding splits the keys of each head: enough for two blocks a multiprocessor, 64 keys each at
// least when a sequence's cache of `capacity` rows is full.
inline int decodeSplits(int64_t blocks, int64_t capacity, int64_t multiprocessors) {
  const int64_t wanted = ceilDiv(2 * multiprocessors, std::max<int64_t>(blocks, 1));
  return static_cast<int>(std::clamp<int64_t>(std::min(wanted, capacity / 64), 1, 128));
}

}  // namespace tunesmith::cuda
