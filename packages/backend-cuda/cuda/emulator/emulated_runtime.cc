// The device and the matrix product of the emulated build: host memory, streams that are queues; a plain loop.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "../device/portable.h"
#include "../host/failure.h"
#include "../host/gemm.h"
#include "../host/requirements.h"
#include "../host/runtime.h"
#include "streams.h"

namespace tunesmith::cuda {
namespace {

size_t megabytes(const char* variable, double otherwise) {
  const char* text = std::getenv(variable);
  return static_cast<size_t>((text ? std::atof(text) : otherwise) * (1 << 20));
}

// A guard behind each block shows writes beyond its end when it is given back.
constexpr size_t kGuard = 64;

class EmulatedRuntime : public Runtime {
 public:
  ~EmulatedRuntime() override {
    emulator::dropStreams();
    for (auto& [p, bytes] : sizes_) std::free(p);
  }
  DeviceInfo info() override { return describe("emulated device", 8, 4, emulator::kSharedPerBlock); }
  void* allocate(size_t bytes) override {
    void* p = used_ + bytes > limit() ? nullptr : take(bytes);
    if (!p) return nullptr;
    sizes_[p] = bytes;
    used_ += bytes;
    return p;
  }
  // As cudaFree and cudaFreeHost do, giving memory back waits for the device.
  void release(void* pointer) override {
    refuseInCapture("memory goes back to the driver");
    emulator::drainAll();
    const auto at = sizes_.find(pointer);
    if (at == sizes_.end()) throw Failure("internal", "memory was released twice or never allocated");
    give(pointer, at->second);
    used_ -= at->second;
    sizes_.erase(at);
  }
  void* allocatePinned(size_t bytes) override {
    void* p = pinned_ + bytes > megabytes("TUNESMITH_CUDA_EMULATED_PINNED_MB", 1e9) ? nullptr : takePinned(bytes);
    if (!p) return nullptr;
    pinnedSizes_[p] = bytes;
    pinned_ += bytes;
    return p;
  }
  void releasePinned(void* pointer) override {
    emulator::drainAll();
    const auto at = pinnedSizes_.find(pointer);
    givePinned(pointer, at->second);
    pinned_ -= at->second;
    pinnedSizes_.erase(at);
  }
  Stream createStream() override { return static_cast<Stream>(emulator::makeStream(streams_++ == 0)); }
  Event createEvent(bool) override { return static_cast<Event>(emulator::makeEvent()); }
  void destroyEvent(Event event) override { emulator::dropEvent(event); }
  void record(Event event, Stream stream) override {
    refuseInCapture("an event is recorded");
    emulator::recordEvent(event, stream);
  }
  void waitFor(Event event) override {
    refuseInCapture("the host waits for an event");
    emulator::waitForEvent(event);
  }
  void streamWaits(Stream stream, Event event) override {
    refuseInCapture("a stream waits for another");
    emulator::streamWaitsFor(stream, event);
  }
  void synchronize(Stream stream) override {
    refuseInCapture("the host waits for a stream");
    emulator::drain(stream);
  }
  void copyToDevice(void* to, const void* from, size_t bytes, Stream stream) override {
    refuseInCapture("a copy comes from the host");
    copy(to, from, bytes, stream);
  }
  void copyToHost(void* to, const void* from, size_t bytes, Stream stream) override {
    refuseInCapture("a copy goes to the host");
    copy(to, from, bytes, stream);
  }
  void setBytes(void* to, int value, size_t bytes, Stream stream) override {
    emulator::submit(stream, [=] { std::memset(to, value, bytes); });
  }

  void beginCapture(Stream stream) override {
    refuseInCapture("another capture begins");
    capturing_ = true;
    broken_.clear();
    emulator::beginRecording(stream);
  }
  Graph endCapture(Stream stream) override {
    capturing_ = false;
    std::vector<std::function<void()>> work = emulator::endRecording(stream);
    if (!broken_.empty()) throw Failure("backend", "the capture failed: " + broken_);
    return reinterpret_cast<Graph>(new std::shared_ptr<Work>(std::make_shared<Work>(std::move(work))));
  }
  void abandonCapture(Stream stream) override {
    capturing_ = false;
    emulator::endRecording(stream);
  }
  void launchGraph(Graph graph, Stream stream) override {
    refuseInCapture("a graph is launched");
    emulator::submit(stream, [work = *reinterpret_cast<std::shared_ptr<Work>*>(graph)] {
      for (const std::function<void()>& part : *work) part();
    });
  }
  void destroyGraph(Graph graph) override { delete reinterpret_cast<std::shared_ptr<Work>*>(graph); }

 protected:
  virtual void* take(size_t bytes) {
    char* p = static_cast<char*>(std::aligned_alloc(256, (bytes + kGuard + 255) / 256 * 256));
    if (p) std::memset(p + bytes, 0xff, kGuard);
    return p;
  }
  virtual void give(void* pointer, size_t bytes) {
    const char* guard = static_cast<const char*>(pointer) + bytes;
    for (size_t i = 0; i < kGuard; i++)
      if (guard[i] != '\xff') throw Failure("internal", "a kernel wrote behind the end of its memory");
    std::free(pointer);
  }
  virtual void* takePinned(size_t bytes) {
    void* p = std::malloc(bytes);
    if (p) std::memset(p, 0xff, bytes);
    return p;
  }
  virtual void givePinned(void* pointer, size_t) { std::free(pointer); }
  // Read at each call: tests change it while the device is open.
  virtual size_t limit() const { return megabytes("TUNESMITH_CUDA_EMULATED_MB", 1024); }
  DeviceInfo describe(const char* name, int major, int multiprocessors, size_t shared) const {
    DeviceInfo d;
    d.name = name;
    d.totalBytes = limit();
    d.freeBytes = limit() > used_ ? limit() - used_ : 0;
    d.major = major;
    d.multiprocessors = multiprocessors;
    d.sharedPerBlock = shared;
    d.sharedPerMultiprocessor = shared + 1024;
    return d;
  }
  std::unordered_map<void*, size_t> sizes_, pinnedSizes_;

 private:
  using Work = std::vector<std::function<void()>>;
  // What waits, or reads and writes the host's memory, has no place in a capture, which is of no use afterwards.
  void refuseInCapture(const char* what) {
    if (!capturing_) return;
    broken_ = what;
    throw Failure("backend", broken_ + " during a capture");
  }
  static void copy(void* to, const void* from, size_t bytes, Stream stream) {
    emulator::submit(stream, [=] { std::memmove(to, from, bytes); });
  }
  size_t used_ = 0, pinned_ = 0;
  int streams_ = 0;
  std::string broken_;
};

// TUNESMITH_CUDA_DRY=1: a device that computes nothing, for counting what a step of a model that would never fit here
// allocates and launches, and how long the thread takes that submits it. Memory is address space without pages behind
// it; what is read back is zero.
class DryRuntime final : public EmulatedRuntime {
 public:
  DryRuntime() {
    addresses_ = map(kAddresses, PROT_NONE);
    if (!addresses_)
      throw Failure(
          "backend", "the dry device found no address space", "Raise the limit of virtual memory (ulimit -v)");
    emulator::dry = true;
  }
  ~DryRuntime() override {
    emulator::dry = false;
    munmap(addresses_, kAddresses);
    sizes_.clear();
  }
  DeviceInfo info() override { return describe("dry device", 9, 132, 227 * 1024); }
  void copyToDevice(void*, const void*, size_t, Stream) override {}
  void copyToHost(void* to, const void*, size_t bytes, Stream) override {
    // Large copies give their pages back, which reads as zero and costs nothing.
    if (bytes < kLargeCopy || !pinnedSizes_.count(to) || madvise(to, bytes, MADV_DONTNEED) != 0)
      std::memset(to, 0, bytes);
  }
  void setBytes(void*, int, size_t, Stream) override {}

 private:
  static constexpr size_t kAddresses = size_t{1} << 45, kLargeCopy = size_t{1} << 20;
  static char* map(size_t bytes, int access) {
    void* p = mmap(nullptr, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? nullptr : static_cast<char*>(p);
  }
  // Addresses are handed out once and never again, so that a stale one is never another tensor's. A page that anybody
  // touches ends the program.
  void* take(size_t bytes) override {
    if (next_ + bytes > kAddresses) return nullptr;
    void* p = addresses_ + next_;
    next_ += (bytes + 511) / 512 * 512;
    return p;
  }
  void give(void*, size_t) override {}
  void* takePinned(size_t bytes) override { return map(bytes, PROT_READ | PROT_WRITE); }
  void givePinned(void* pointer, size_t bytes) override { munmap(pointer, bytes); }
  size_t limit() const override { return megabytes("TUNESMITH_CUDA_EMULATED_MB", 142336); }
  char* addresses_;
  size_t next_ = 0;
};

std::vector<float> floats(const Array& x, int64_t rows, int64_t cols, int64_t ld) {
  std::vector<float> v(static_cast<size_t>(rows * cols));
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = 0; c < cols; c++)
      v[static_cast<size_t>(r * cols + c)] = x.type == Type::bf16
          ? toFloat(static_cast<const bf16*>(x.data)[r * ld + c])
          : static_cast<const float*>(x.data)[r * ld + c];
  return v;
}

class LoopGemm final : public Gemm {
 public:
  std::string description() const override {
    return emulator::dry ? "no matrix product (dry)" : "emulated matrix product";
  }
  void run(Stream stream, const GemmCall& g, void*) override {
    if (g.a.type != g.b.type || (g.c.type != g.a.type && g.c.type != Type::f32))
      throw Failure("internal", "a product of types that cuBLASLt does not have");
    if (emulator::dry) return;
    emulator::submit(stream, [g] {
      for (int64_t i = 0; i < g.batch; i++) multiply(g, i);
    });
  }

 private:
  static void multiply(GemmCall g, int64_t index) {
    const auto step = [&](Array& x, int64_t stride) {
      x.data = static_cast<char*>(x.data) + index * stride * static_cast<int64_t>(bytesOf(x.type));
    };
    step(g.a, g.strideA);
    step(g.b, g.strideB);
    step(g.c, g.strideC);
    const std::vector<float> a = floats(g.a, g.transposeA ? g.k : g.m, g.transposeA ? g.m : g.k, g.lda);
    const std::vector<float> b = floats(g.b, g.transposeB ? g.n : g.k, g.transposeB ? g.k : g.n, g.ldb);
    std::vector<float> row(static_cast<size_t>(g.n));
    for (int64_t i = 0; i < g.m; i++) {
      std::fill(row.begin(), row.end(), 0.0f);
      for (int64_t j = 0; g.transposeB && j < g.n; j++) {
        double sum = 0;
        for (int64_t p = 0; p < g.k; p++)
          sum += static_cast<double>(a[static_cast<size_t>(g.transposeA ? p * g.m + i : i * g.k + p)]) *
              static_cast<double>(b[static_cast<size_t>(j * g.k + p)]);
        row[static_cast<size_t>(j)] = static_cast<float>(sum);
      }
      for (int64_t p = 0; !g.transposeB && p < g.k; p++) {
        const float left = a[static_cast<size_t>(g.transposeA ? p * g.m + i : i * g.k + p)];
        for (int64_t j = 0; j < g.n; j++) row[static_cast<size_t>(j)] += left * b[static_cast<size_t>(p * g.n + j)];
      }
      for (int64_t j = 0; j < g.n; j++) {
        float y = g.alpha * row[static_cast<size_t>(j)];
        void* at = static_cast<char*>(g.c.data) + static_cast<size_t>(i * g.ldc + j) * bytesOf(g.c.type);
        const auto value = [&](const void* p) {
          return g.c.type == Type::bf16 ? toFloat(*static_cast<const bf16*>(p)) : *static_cast<const float*>(p);
        };
        if (g.beta != 0)
          y += g.beta *
              value(static_cast<const char*>(g.source()) + (static_cast<char*>(at) - static_cast<char*>(g.c.data)));
        if (g.bias) y += value(static_cast<const char*>(g.bias) + static_cast<size_t>(j) * bytesOf(g.c.type));
        if (g.c.type == Type::bf16)
          *static_cast<bf16*>(at) = fromFloat<bf16>(y);
        else
          *static_cast<float*>(at) = y;
      }
    }
  }
};

// Machines that cannot be used, for the tests of what is said about them: TUNESMITH_CUDA_EMULATED_MACHINE names one.
bool machineIs(const char* name) {
  const char* machine = std::getenv("TUNESMITH_CUDA_EMULATED_MACHINE");
  return machine && std::strcmp(machine, name) == 0;
}
System emptySystem() {
  System s = realSystem();
  s.exists = [](const std::string&) { return false; };
  s.open = [](const std::string&, std::string&) -> void* { return nullptr; };
  return s;
}
void requireMachine(int device) {
  if (machineIs("no driver")) requireLibrary(findLibrary(driverSpec(), emptySystem()), driverSpec());
  requireDriver(machineIs("old driver") ? 12020 : 13000, 13000);
  const int count = machineIs("no GPU") ? 0 : machineIs("one GPU") ? 1 : 16;
  requireGpu(device, count, machineIs("broken driver") ? "unknown error" : "");
  requireCapability("an older GPU", machineIs("old GPU") ? 7 : 8, machineIs("old GPU") ? 5 : 0);
  if (machineIs("other GPU")) refuseMissingCode("another GPU", 12, 1);
}

}  // namespace

void noteLaunch(const char*, int) {}
std::unique_ptr<Runtime> makeRuntime(int device) {
  requireMachine(device);
  const char* dry = std::getenv("TUNESMITH_CUDA_DRY");
  if (dry && std::strcmp(dry, "1") == 0) return std::make_unique<DryRuntime>();
  return std::make_unique<EmulatedRuntime>();
}
std::unique_ptr<Gemm> makeGemm(bool, Runtime&) {
  if (machineIs("no cuBLASLt")) requireLibrary(findLibrary(cublasLtSpec(), emptySystem()), cublasLtSpec());
  return std::make_unique<LoopGemm>();
}

}  // namespace tunesmith::cuda
