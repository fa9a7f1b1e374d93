// Tables for the 8-bit formats whose values are a list.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>

#include "common.h"

namespace tunesmith {
namespace {

float fromUpper(uint32_t upper, uint32_t lower) {
  const uint32_t bits = upper << 16 | lower;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

int countBelow(const CodeMap& map, float x) {
  if (x != x) return 255;  // NaN has the last code, as everywhere
  int low = 0;
  for (int high = 255; low < high;) {
    const int middle = (low + high) / 2;
    if (x > map.thresholds[middle])
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void make(CodeMap& map, const float* values) {
  std::memcpy(map.values, values, sizeof map.values);
  for (int i = 0; i < 255; i++) map.thresholds[i] = (values[i] + values[i + 1]) / 2;
  map.thresholds[255] = INFINITY;
  map.steps = 0;
  for (uint32_t bin = 0; bin < 65536; bin++) {
    const bool negative = bin & 0x8000;
    const float least = fromUpper(bin, negative ? 0xffff : 0), most = fromUpper(bin, negative ? 0 : 0xffff);
    const int first = countBelow(map, least), last = countBelow(map, most);
    map.first[bin] = static_cast<uint8_t>(first);
    if (first <= last && last - first > map.steps) map.steps = last - first;
  }
}

constexpr int kKept = 4;
struct Kept {
  CodeMap* map[kKept] = {};
  int next = 0;
  ~Kept() {
    for (CodeMap* m : map) delete m;
  }
};
thread_local Kept kept;

}  // namespace

const CodeMap* codeMap(const float* values) {
  for (const CodeMap* map : kept.map)
    if (map && std::memcmp(map->values, values, sizeof map->values) == 0) return map;
  CodeMap*& slot = kept.map[kept.next];
  kept.next = (kept.next + 1) % kKept;
  if (!slot) slot = new (std::nothrow) CodeMap;
  if (slot) make(*slot, values);
  return slot;
}

}  // namespace tunesmith
