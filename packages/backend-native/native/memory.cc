// Aligned memory for tensors and working space.
#include <cstdlib>
#include <cstring>

#if defined(_WIN32)
#include <malloc.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

#include "common.h"

namespace tunesmith {
namespace {
constexpr size_t kMapped = size_t{1} << 20;  // from here on, pages of our own, given back to the system on free
constexpr size_t kPage = 4096;
size_t rounded(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }
}  // namespace

void* allocateAligned(size_t bytes) {
  if (bytes == 0) bytes = 64;
  if (bytes > (size_t{1} << 46)) return nullptr;
#if defined(_WIN32)
  return _aligned_malloc(bytes, 64);
#else
  if (bytes < kMapped) {
    void* p = nullptr;
    return posix_memalign(&p, 64, bytes) == 0 ? p : nullptr;
  }
  void* p = mmap(nullptr, rounded(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  madvise(p, rounded(bytes), MADV_HUGEPAGE);
#endif
  return p;
#endif
}

void freeAligned(void* pointer, size_t bytes) {
  if (!pointer) return;
#if defined(_WIN32)
  _aligned_free(pointer);
#else
  if (bytes == 0) bytes = 64;
  if (bytes < kMapped)
    free(pointer);
  else
    munmap(pointer, rounded(bytes));
#endif
}

#if defined(_WIN32)
void* mapFile(const char*, int64_t, size_t) { return nullptr; }
void unmapFile(void*, size_t) {}
#else
namespace {
size_t pageSize() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
}  // namespace

void* mapFile(const char* path, int64_t offset, size_t bytes) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return nullptr;
  struct stat status;
  const size_t before = static_cast<size_t>(offset) % pageSize();
  void* pages = MAP_FAILED;
  if (bytes > 0 && offset >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) && offset <= status.st_size &&
      bytes <= static_cast<size_t>(status.st_size - offset))
    pages = mmap(nullptr, before + bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file,
        static_cast<off_t>(static_cast<size_t>(offset) - before));
  close(file);
  if (pages == MAP_FAILED) return nullptr;
  madvise(pages, before + bytes, MADV_WILLNEED);
  return static_cast<char*>(pages) + before;
}

void unmapFile(void* pointer, size_t bytes) {
  if (!pointer) return;
  const size_t before = reinterpret_cast<uintptr_t>(pointer) % pageSize();
  munmap(static_cast<char*>(pointer) - before, before + bytes);
}
#endif

namespace {
struct Scratch {
  void* pointer[kScratchSlots] = {};
  size_t bytes[kScratchSlots] = {};
  void release() {
    for (int i = 0; i < kScratchSlots; i++) {
      freeAligned(pointer[i], bytes[i]);
      pointer[i] = nullptr;
      bytes[i] = 0;
    }
  }
  ~Scratch() { release(); }
};
thread_local Scratch mine;
}  // namespace

float* scratch(ScratchSlot slot, size_t floats) {
  const size_t need = (floats + 64) * sizeof(float);
  if (mine.bytes[slot] < need) {
    freeAligned(mine.pointer[slot], mine.bytes[slot]);
    mine.pointer[slot] = allocateAligned(need);
    mine.bytes[slot] = mine.pointer[slot] ? need : 0;
  }
  return static_cast<float*>(mine.pointer[slot]);
}

void releaseScratch() { mine.release(); }

}  // namespace tunesmith
