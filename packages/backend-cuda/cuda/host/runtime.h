// What the host side needs of a device. The real one is CUDA's runtime; tests and the emulated build bring others.
#pragma once
#include <memory>
#include <string>

#include "types.h"

namespace tunesmith::cuda {

struct DeviceInfo {
  std::string name;
  size_t totalBytes = 0, freeBytes = 0;
  int major = 0, minor = 0, multiprocessors = 0;
  size_t sharedPerBlock = 0, sharedPerMultiprocessor = 0;  // bytes of shared memory, the first after opting in
  int driverVersion = 0, runtimeVersion = 0;               // 13000 is 13.0
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual DeviceInfo info() = 0;
  // nullptr when there is no memory.
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* pointer) = 0;
  virtual void* allocatePinned(size_t bytes) = 0;
  virtual void releasePinned(void* pointer) = 0;

  virtual Stream createStream() = 0;
  // `timed`: knows when it was passed, where the device has a clock.
  virtual Event createEvent(bool timed = false) = 0;
  // Between two timing events that were passed.
  virtual double milliseconds(Event, Event) { return 0; }
  virtual void destroyEvent(Event event) = 0;
  virtual void record(Event event, Stream stream) = 0;
  virtual void waitFor(Event event) = 0;
  virtual void streamWaits(Stream stream, Event event) = 0;
  // Waits for all work of the stream; throws Failure when any of it failed.
  virtual void synchronize(Stream stream) = 0;

  virtual void copyToDevice(void* to, const void* pinned, size_t bytes, Stream stream) = 0;
  virtual void copyToHost(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void setBytes(void* to, int value, size_t bytes, Stream stream) = 0;

  // Until endCapture, what is asked for on `stream` is written down instead of done. Nothing may wait meanwhile, and no
  // copy may come from or go to the host.
  virtual void beginCapture(Stream stream) = 0;
  // What was written down, ready to be launched again and again. Throws Failure when it cannot be; the capture is over.
  virtual Graph endCapture(Stream stream) = 0;
  virtual void abandonCapture(Stream stream) = 0;
  virtual void launchGraph(Graph graph, Stream stream) = 0;
  // The graph must have run to its end.
  virtual void destroyGraph(Graph graph) = 0;
  bool capturing() const { return capturing_; }

 protected:
  bool capturing_ = false;
};

// The runtime this addon was built for. `device` counts from 0.
std::unique_ptr<Runtime> makeRuntime(int device);

}  // namespace tunesmith::cuda
