#include "dry_runtime.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <unordered_map>

#include "../host/failure.h"

namespace tunesmith::cuda {
namespace {

// Addresses are handed out once and never again, so that a stale one is never another tensor's. A page that anybody
// touches ends the program.
constexpr size_t kAddresses = size_t{1} << 45;

constexpr size_t kLargeCopy = size_t{1} << 20;

int open = 0;

class DryRuntime final : public Runtime {
 public:
  DryRuntime() {
    void* p = mmap(nullptr, kAddresses, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
      throw Failure(
          "backend", "the dry device found no address space", "Raise the limit of virtual memory (ulimit -v)");
    addresses_ = static_cast<char*>(p);
    open++;
  }
  ~DryRuntime() override {
    open--;
    munmap(addresses_, kAddresses);
  }

  DeviceInfo info() override {
    DeviceInfo d;
    d.name = "dry device";
    d.totalBytes = limit();
    d.freeBytes = limit() - used_;
    d.major = 9;
    d.multiprocessors = 132;
    d.sharedPerBlock = 227 * 1024;
    d.sharedPerMultiprocessor = 228 * 1024;
    return d;
  }
  void* allocate(size_t bytes) override {
    if (used_ + bytes > limit() || next_ + bytes > kAddresses) return nullptr;
    void* p = addresses_ + next_;
    next_ += (bytes + 511) / 512 * 512;
    sizes_[p] = bytes;
    used_ += bytes;
    return p;
  }
  void release(void* pointer) override {
    const auto at = sizes_.find(pointer);
    if (at == sizes_.end()) throw Failure("internal", "memory was released twice or never allocated");
    used_ -= at->second;
    sizes_.erase(at);
  }
  void* allocatePinned(size_t bytes) override {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    pinned_[p] = bytes;
    return p;
  }
  void releasePinned(void* pointer) override {
    munmap(pointer, pinned_.at(pointer));
    pinned_.erase(pointer);
  }
  Stream createStream() override { return addresses_ + ++streams_; }
  Event createEvent() override { return &events_; }
  void destroyEvent(Event) override {}
  void record(Event, Stream) override {}
  void waitFor(Event) override {}
  void streamWaits(Stream, Event) override {}
  void synchronize(Stream) override {}
  void copyToDevice(void*, const void*, size_t, Stream) override {}
  void copyToHost(void* to, const void*, size_t bytes, Stream) override {
    // Large copies give their pages back, which reads as zero and costs nothing.
    if (bytes < kLargeCopy || !pinned_.count(to) || madvise(to, bytes, MADV_DONTNEED) != 0) std::memset(to, 0, bytes);
  }
  void setBytes(void*, int, size_t, Stream) override {}
  void copyOnDevice(void*, const void*, size_t, Stream) override {}
  void beginCapture(Stream) override { capturing_ = true; }
  Graph endCapture(Stream) override {
    capturing_ = false;
    return &events_;
  }
  void abandonCapture(Stream) override { capturing_ = false; }
  void launchGraph(Graph, Stream) override {}
  void destroyGraph(Graph) override {}

 private:
  static size_t limit() {
    const char* text = std::getenv("TUNESMITH_CUDA_EMULATED_MB");
    return static_cast<size_t>((text ? std::atof(text) : 142336) * (1 << 20));
  }
  char* addresses_ = nullptr;
  size_t next_ = 0, used_ = 0;
  std::unordered_map<void*, size_t> sizes_, pinned_;
  int streams_ = 0, events_ = 0;
};

class DryGemm final : public Gemm {
 public:
  size_t workspaceBytes() const override { return kWorkspaceBytes; }
  std::string description() const override { return "no matrix product (dry)"; }
  void run(Stream, const GemmCall&, void*) override {}
};

}  // namespace

bool dryWanted() {
  const char* text = std::getenv("TUNESMITH_CUDA_DRY");
  return text && std::string(text) == "1";
}
bool dryDevice() { return open > 0; }
std::unique_ptr<Runtime> makeDryRuntime() { return std::make_unique<DryRuntime>(); }
std::unique_ptr<Gemm> makeDryGemm() { return std::make_unique<DryGemm>(); }

}  // namespace tunesmith::cuda
