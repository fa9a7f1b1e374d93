// What every attention kernel shares: where a sequence lies, who sees whom, and the score of a product.
#pragma once
#include "portable.h"

namespace tunesmith::cuda {

constexpr int kAttentionThreads = 128;
constexpr float kLog2e = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// Where a sequence's queries and keys lie; query j sees key i iff first(j) <= i <= j + shift.
struct Span {
  int queryStart, queries, keyStart, keys, shift;
};
__device__ __forceinline__ Span spanOf(const Attention& p, int sequence) {
  Span s;
  s.queryStart = p.cuSeqlens[sequence];
  s.queries = p.cuSeqlens[sequence + 1] - s.queryStart;
  s.keyStart = p.kvStart ? p.kvStart[sequence] : s.queryStart;
  s.keys = p.kvLength ? p.kvLength[sequence] : s.queries;
  s.shift = s.keys - s.queries;
  return s;
}

__device__ __forceinline__ bool sees(const Attention& p, int shift, int query, int key) {
  return key <= query + shift && (p.window == 0 || key > query + shift - p.window);
}

// The sequence whose rows include `row`, in boundaries that ascend.
__device__ __forceinline__ int sequenceOf(const int32_t* cuSeqlens, int sequences, int64_t row) {
  int low = 0, high = sequences - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (cuSeqlens[middle] <= row)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// A row of the batch in its sequence.
struct Place {
  Span span;
  int index;
};
__device__ __forceinline__ Place placeOf(const Attention& p, int64_t row) {
  const int s = sequenceOf(p.cuSeqlens, p.sequences, row);
  Place place;
  place.span = spanOf(p, s);
  place.index = static_cast<int>(row - place.span.queryStart);
  return place;
}
__device__ __forceinline__ int firstKey(const Attention& p, const Place& place) {
  const int first = place.index + place.span.shift - p.window + 1;
  return p.window > 0 && first > 0 ? first : 0;
}

// The score of a product of q and k, after scale and softcap.
__device__ __forceinline__ float scoreOf(const Attention& p, float product) {
  const float x = product * p.scale;
  return p.softcap > 0 ? p.softcap * tanhf(x / p.softcap) : x;
}
// d score / d (scaled product), from the score.
__device__ __forceinline__ float slopeOf(const Attention& p, float score) {
  return p.softcap > 0 ? 1.0f - (score / p.softcap) * (score / p.softcap) : 1.0f;
}

}  // namespace tunesmith::cuda
