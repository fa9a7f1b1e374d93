// What the test programs share: counting failures, random numbers, a device that only keeps books.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../host/failure.h"
#include "../host/runtime.h"

namespace tunesmith::cuda {

inline int& failures() {
  static int count = 0;
  return count;
}
inline void expect(bool good, const std::string& what) {
  if (good) return;
  failures()++;
  std::printf("FAILED %s\n", what.c_str());
}
template <class F> std::string messageOf(F f) {
  try {
    f();
  } catch (const std::exception& e) {
    return e.what();
  }
  return "";
}

// Memory by malloc up to a limit.
class BookRuntime final : public Runtime {
 public:
  size_t limit = size_t{1} << 30, used = 0;
  int allocations = 0, releases = 0, synchronized = 0;
  bool broken = false;  // every wait fails, as after a kernel that wrote where it must not
  std::vector<std::string> log;

  ~BookRuntime() override {
    for (auto& [p, bytes] : sizes_) std::free(p);
  }
  DeviceInfo info() override {
    DeviceInfo d;
    d.name = "test device";
    d.totalBytes = limit;
    d.freeBytes = limit - used;
    return d;
  }
  void* allocate(size_t bytes) override {
    if (used + bytes > limit) return nullptr;
    void* p = std::malloc(bytes);
    sizes_[p] = bytes;
    used += bytes;
    allocations++;
    return p;
  }
  void release(void* p) override {
    used -= sizes_.at(p);
    sizes_.erase(p);
    releases++;
    std::free(p);
  }
  void* allocatePinned(size_t bytes) override { return std::malloc(bytes); }
  void releasePinned(void* p) override { std::free(p); }
  Stream createStream() override { return reinterpret_cast<Stream>(++next_); }
  Event createEvent(bool) override {
    events++;
    return reinterpret_cast<Event>(++next_);
  }
  void destroyEvent(Event) override { events--; }
  void record(Event event, Stream) override {
    log.push_back("record");
    recorded_[event] = clock;
  }
  double milliseconds(Event from, Event to) override { return recorded_.at(to) - recorded_.at(from); }
  void waitFor(Event) override {
    failWhenBroken();
    log.push_back("wait");
  }
  void streamWaits(Stream, Event) override { log.push_back("streamWaits"); }
  void synchronize(Stream) override {
    failWhenBroken();
    synchronized++;
  }
  void copyToDevice(void* to, const void* from, size_t bytes, Stream) override { copy(to, from, bytes); }
  void copyToHost(void* to, const void* from, size_t bytes, Stream) override { copy(to, from, bytes); }
  void setBytes(void* to, int value, size_t bytes, Stream) override {
    for (size_t i = 0; i < bytes; i++) static_cast<char*>(to)[i] = static_cast<char>(value);
  }
  int events = 0;
  double clock = 0;  // of the test, in milliseconds
  // What a capture is asked for goes to the log only, and its graphs count their launches.
  int graphs = 0, launches = 0;
  bool captureFails = false;
  void beginCapture(Stream) override {
    capturing_ = true;
    log.push_back("beginCapture");
  }
  Graph endCapture(Stream) override {
    capturing_ = false;
    if (captureFails) throw Failure("backend", "the capture failed");
    graphs++;
    return reinterpret_cast<Graph>(++next_);
  }
  void abandonCapture(Stream) override {
    capturing_ = false;
    log.push_back("abandonCapture");
  }
  void launchGraph(Graph, Stream) override { launches++; }
  void destroyGraph(Graph) override { graphs--; }

 private:
  void failWhenBroken() const {
    if (broken) throw Failure("backend", "the device is lost");
  }
  void copy(void* to, const void* from, size_t bytes) {
    log.push_back("copy " + std::to_string(bytes));
    for (size_t i = 0; i < bytes; i++) static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
  }
  std::map<void*, size_t> sizes_;
  std::map<Event, double> recorded_;
  uintptr_t next_ = 0;
};

void testHost();
void testCublasLt();
void testPager();  // the emulated device only
void testCapture();
void testStreamsOfDevice();  // the emulated device only
void testOperations(uint64_t seed);

}  // namespace tunesmith::cuda
