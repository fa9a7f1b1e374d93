// How many blocks and threads a launch gets. Plain arithmetic, tested without a GPU.
#pragma once
#include <algorithm>
#include <cstdint>
#include <unordered_map>

namespace tunesmith::cuda {

struct Geometry {
  uint32_t blocks = 1, threads = 32;
};

constexpr int64_t kMaxBlocksX = 2147483647;
constexpr int64_t kMaxBlocksYZ = 65535;

inline int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// One thread per item; kernels loop when there are more items than threads, which bounds the blocks.
inline Geometry overItems(int64_t items, uint32_t threads = 256, int64_t maxBlocks = 1 << 20) {
  const int64_t wanted = std::min<int64_t>(threads, ceilDiv(std::max<int64_t>(items, 1), 32) * 32);
  return {
      static_cast<uint32_t>(std::clamp<int64_t>(ceilDiv(items, wanted), 1, maxBlocks)), static_cast<uint32_t>(wanted)};
}

// One block per row; as many full warps as the row has work for, 8 elements a thread.
inline Geometry overRows(int64_t rows, int64_t columns, uint32_t maxThreads = 256) {
  const int64_t threads = std::clamp<int64_t>(ceilDiv(ceilDiv(columns, 8), 32) * 32, 32, maxThreads);
  return {static_cast<uint32_t>(std::clamp<int64_t>(rows, 1, kMaxBlocksX)), static_cast<uint32_t>(threads)};
}

// Parts a column sum over `rows` is split into, so that a tall thin matrix still fills the device.
inline int64_t columnSplits(int64_t rows, int64_t columns) {
  const int64_t across = ceilDiv(std::max<int64_t>(columns, 1), 128);
  return std::clamp<int64_t>(std::min(ceilDiv(rows, 32), ceilDiv(1024, across)), 1, 256);
}

// Rows of logits held at once: at most `budget` bytes, a multiple of 64 rows when more than that fit.
inline int64_t logitRows(int64_t labelled, int64_t vocab, int64_t bytesPerLogit, int64_t budget = int64_t{256} << 20) {
  const int64_t fit = std::max<int64_t>(1, budget / std::max<int64_t>(1, vocab * bytesPerLogit));
  const int64_t rows = std::min(std::max<int64_t>(labelled, 1), fit);
  return rows == labelled || rows < 64 ? rows : rows / 64 * 64;
}

// The shared memory each kernel was allowed so far. A smaller launch must not take back what a larger one was given.
class SharedLimits {
 public:
  // True when the kernel has to be allowed more.
  bool raise(const void* kernel, size_t bytes) {
    size_t& limit = limits_[kernel];
    if (bytes <= limit) return false;
    limit = bytes;
    return true;
  }

 private:
  std::unordered_map<const void*, size_t> limits_;
};

}  // namespace tunesmith::cuda
