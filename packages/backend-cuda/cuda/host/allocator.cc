#include "allocator.h"

#include <algorithm>
#include <cstdio>

#include "failure.h"
#include "launch_profile.h"

namespace tunesmith::cuda {
namespace {

constexpr int kPoolLabel = 1;

std::string readable(size_t bytes) {
  char text[32];
  const double b = static_cast<double>(bytes);
  if (bytes >= size_t{1} << 30)
    std::snprintf(text, sizeof text, "%.2f GiB", b / (1 << 30));
  else if (bytes >= size_t{1} << 20)
    std::snprintf(text, sizeof text, "%.1f MiB", b / (1 << 20));
  else
    std::snprintf(text, sizeof text, "%.1f KiB", b / 1024);
  return text;
}

}  // namespace

size_t roundedSize(size_t bytes) {
  bytes = std::max<size_t>(bytes, 1);
  size_t step = 64 * 1024;
  if (bytes < kLargeBytes) {
    step = 512;
    while (step * 16 <= bytes) step *= 2;  // step <= bytes / 8
  }
  return (bytes + step - 1) / step * step;
}

Allocator::~Allocator() {
  while (!pools_.empty()) closePool(pools_.begin()->first);
  for (auto& [stream, blocks] : free_)
    for (auto& [size, pointer] : blocks) runtime_.release(pointer);
}

int Allocator::label(const std::string& name) {
  const auto at = std::find(labels_.begin(), labels_.end(), name);
  if (at != labels_.end()) return static_cast<int>(at - labels_.begin());
  labels_.push_back(name);
  tally_.emplace_back();
  return static_cast<int>(labels_.size()) - 1;
}

void* Allocator::fromCache(size_t size, std::multimap<size_t, void*>& blocks, Stream stream) {
  const auto at = blocks.lower_bound(size);
  // A block much larger than asked for is kept for a request of its own size.
  if (at == blocks.end() || at->first > size + size / 8) return nullptr;
  void* pointer = at->second;
  live_[pointer] = Block{at->first, stream, 0, 0};
  blocks.erase(at);
  return pointer;
}

void* Allocator::fromDevice(size_t size, Stream stream) {
  // In a profile, since each of these stops the device: a step that has settled has none.
  const LaunchScope scope("driver allocation", stream);
  void* pointer = runtime_.allocate(size);
  // Not all of it: where memory is short, a step would ask for hundreds of blocks again.
  const auto missing = [&] { return size - std::min(runtime_.info().freeBytes, size - 1); };
  while (!pointer && giveBack(missing())) pointer = runtime_.allocate(size);
  if (pointer) live_[pointer] = Block{size, stream, 0, 0};
  return pointer;
}

void* Allocator::fromStream(size_t size, Stream stream) {
  void* pointer = fromCache(size, free_[stream], stream);
  if (pointer) use_.cached -= live_[pointer].size;
  return pointer;
}

// The pool's own first, then what is cached for the stream, which runs the graph after the old use. Nothing here waits.
void* Allocator::fromPool(size_t size, Stream stream) {
  if (void* own = fromCache(size, pools_.at(open_).free, stream)) {
    // Counted since the pool got it.
    use_.live -= live_[own].size;
    count(kPoolLabel, live_[own].size, false);
    return own;
  }
  if (void* pointer = fromStream(size, stream)) return pointer;
  void* pointer = runtime_.allocate(size);
  if (pointer) live_[pointer] = Block{size, stream, 0, 0};
  return pointer;
}

void* Allocator::allocate(size_t bytes, Stream stream, int label) {
  const size_t size = roundedSize(bytes);
  const bool pooled = open_ && pools_.at(open_).stream == stream;
  void* pointer = pooled ? fromPool(size, stream) : nullptr;
  while (!pointer && !pooled) {
    pointer = fromStream(size, stream);
    if (!pointer) pointer = fromDevice(size, stream);
    if (!pointer && !(onShortage && onShortage(size))) break;
  }
  if (!pointer) fail(size, label);
  Block& block = live_[pointer];
  block.label = label;
  count(label, block.size, true);
  block.pool = pooled ? open_ : 0;
  use_.live += block.size;
  if (use_.live > use_.peak) atPeak_ = true;
  use_.peak = std::max(use_.peak, use_.live);
  if (poison_) runtime_.setBytes(pointer, 0xff, block.size, stream);
  return pointer;
}

void Allocator::count(int label, size_t bytes, bool more) {
  Share& share = tally_[static_cast<size_t>(label)];
  share.bytes += more ? bytes : -bytes;
  share.count += more ? 1 : -1;
}

void Allocator::keepPeak() {
  if (atPeak_) peakTally_ = tally_;
  atPeak_ = false;
}

void Allocator::release(void* pointer) {
  const auto at = live_.find(pointer);
  if (at == live_.end()) throw Failure("internal", "memory was released twice or never allocated");
  if (onRelease) onRelease(pointer);
  const Block block = at->second;
  live_.erase(at);
  keepPeak();
  count(block.label, block.size, false);
  if (block.pool) {
    count(kPoolLabel, block.size, true);
    pools_.at(block.pool).free.emplace(block.size, pointer);
    return;
  }
  use_.live -= block.size;
  use_.cached += block.size;
  free_[block.stream].emplace(block.size, pointer);
}

void Allocator::setLabel(void* pointer, int label) {
  Block& block = live_.at(pointer);
  count(block.label, block.size, false);
  count(label, block.size, true);
  block.label = label;
}

int Allocator::openPool(Stream stream) {
  if (open_) throw Failure("internal", "a pool is open already");
  open_ = nextPool_++;
  pools_[open_].stream = stream;
  return open_;
}

void Allocator::sealPool() { open_ = 0; }

void Allocator::closePool(int pool) {
  if (pool == open_) open_ = 0;
  const Pool closed = std::move(pools_.at(pool));
  pools_.erase(pool);
  keepPeak();
  for (auto& [size, pointer] : closed.free) {
    free_[closed.stream].emplace(size, pointer);
    use_.live -= size;
    use_.cached += size;
    count(kPoolLabel, size, false);
  }
  for (auto& [pointer, block] : live_)
    if (block.pool == pool) block.pool = 0;
}

size_t Allocator::usedOf(int pool) const {
  return static_cast<size_t>(
      std::count_if(live_.begin(), live_.end(), [&](const auto& entry) { return entry.second.pool == pool; }));
}

bool Allocator::inPool(const void* pointer) const {
  const auto at = live_.find(const_cast<void*>(pointer));
  return at != live_.end() && at->second.pool != 0;
}

bool Allocator::giveBack(size_t bytes) {
  size_t given = 0;
  while (given < bytes) {
    const size_t needed = bytes - given;
    std::multimap<size_t, void*>* from = nullptr;
    std::multimap<size_t, void*>::iterator best;
    Stream user = nullptr;
    for (auto& [stream, blocks] : free_) {
      if (blocks.empty()) continue;
      auto at = blocks.lower_bound(needed);
      if (at == blocks.end()) --at;
      if (from && (best->first < needed ? at->first <= best->first : at->first < needed || at->first >= best->first))
        continue;
      from = &blocks;
      best = at;
      user = stream;
    }
    if (!from) break;
    // The driver may hand the memory to anyone: whatever runs on it must have ended.
    runtime_.synchronize(user);
    runtime_.release(best->second);
    use_.cached -= best->first;
    given += best->first;
    from->erase(best);
  }
  return given > 0;
}

void Allocator::trim() {
  for (auto& [stream, blocks] : free_) {
    if (!blocks.empty()) runtime_.synchronize(stream);
    for (auto& [size, pointer] : blocks) {
      runtime_.release(pointer);
      use_.cached -= size;
    }
    blocks.clear();
  }
}

std::vector<Allocator::Consumer> Allocator::named(const std::vector<Share>& tally) const {
  std::vector<Consumer> all;
  for (size_t i = 0; i < tally.size(); i++) all.push_back({labels_[i], tally[i].bytes, tally[i].count});
  all.erase(std::remove_if(all.begin(), all.end(), [](const Consumer& c) { return c.count == 0; }), all.end());
  std::sort(all.begin(), all.end(), [](const Consumer& a, const Consumer& b) { return a.bytes > b.bytes; });
  return all;
}

void Allocator::fail(size_t size, int label) {
  const DeviceInfo device = runtime_.info();
  std::string message = "No GPU memory for " + readable(size) + " (" + labels_[static_cast<size_t>(label)] +
      "): " + readable(use_.live) + " are in use here, " + readable(device.freeBytes) + " of " +
      readable(device.totalBytes) + " are free on " + device.name + ". Largest:";
  const std::vector<Consumer> all = consumers();
  for (size_t i = 0; i < all.size() && i < 5; i++)
    message += (i ? ", " : " ") + all[i].name + " " + readable(all[i].bytes) + " in " + std::to_string(all[i].count) +
        (all[i].count == 1 ? " tensor" : " tensors");
  const auto states = std::find_if(all.begin(), all.end(), [](const Consumer& c) { return c.name == kOptimizerState; });
  const std::string paged = states != all.end() && states->bytes >= use_.live / 8
      ? "Let the optimizer's states leave the GPU (paged_adamw_32bit, paged_adamw_8bit). "
      : "";
  throw Failure("out_of_memory", message,
      paged +
          "Use gradient checkpointing, shorter sequences, a smaller batch or 4-bit weights, or end other programs on "
          "the GPU");
}

}  // namespace tunesmith::cuda
