// The device through CUDA's runtime, linked statically; it opens the driver itself when the first call needs it.
#include <cuda_runtime.h>

#include "../device/portable.h"
#include "failure.h"
#include "launch_geometry.h"
#include "library_finder.h"
#include "requirements.h"
#include "runtime.h"

namespace tunesmith::cuda {
namespace {

// The first launch that failed; launches return nothing, so that the thread that submits them never waits.
struct LaunchError {
  std::string kernel;
  cudaError_t error = cudaSuccess;
};
LaunchError& launchError() {
  static LaunchError error;
  return error;
}

// Errors of work under way, which any later call reports: after them the device is lost to this process.
bool isOfEarlierWork(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable: return true;
    default: return false;
  }
}

std::string reasonOf(cudaError_t error) {
  return std::string(cudaGetErrorName(error)) + ", " + cudaGetErrorString(error);
}

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  if (isOfEarlierWork(error)) {
    const std::string before = launchError().error == error ? ", before kernel " + launchError().kernel : "";
    throw Failure("backend", "CUDA: a kernel failed" + before + ": " + reasonOf(error),
        "Start the program again; with CUDA_LAUNCH_BLOCKING=1 the error names the kernel. Please report it");
  }
  throw Failure(error == cudaErrorMemoryAllocation ? "out_of_memory" : "backend",
      std::string("CUDA: ") + what + " failed: " + reasonOf(error));
}

// Throws what a launch left behind, once.
void checkLaunches() {
  if (launchError().error == cudaSuccess) return;
  if (isOfEarlierWork(launchError().error)) check(launchError().error, "a launch");
  const LaunchError e = launchError();
  launchError() = {};
  if (e.error == cudaErrorNoKernelImageForDevice)
    throw Failure("backend", "The CUDA addon has no code for this GPU (kernel " + e.kernel + ")",
        "Build it for this GPU: npm run build:cuda in @tunesmith/backend-cuda");
  throw Failure("backend", "CUDA: launching kernel " + e.kernel + " failed: " + reasonOf(e.error), "Please report it");
}

__global__ void nothingKernel() {}

class CudaRuntime final : public Runtime {
 public:
  explicit CudaRuntime(int device) : device_(device) {
    requireLibrary(findLibrary(driverSpec(), realSystem()), driverSpec());
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver) {
      int version = 0;
      cudaDriverGetVersion(&version);
      requireDriver(version, CUDART_VERSION);
    }
    requireGpu(device_, count, error == cudaSuccess ? "" : cudaGetErrorString(error));
    check(cudaSetDevice(device_), "choosing the device");
    cudaDeviceProp properties;
    check(cudaGetDeviceProperties(&properties, device_), "asking the device");
    requireCapability(properties.name, properties.major, properties.minor);
    // Code of another architecture only shows when it is loaded.
    cudaFuncAttributes attributes;
    if (const cudaError_t code = cudaFuncGetAttributes(&attributes, nothingKernel);
        code == cudaErrorNoKernelImageForDevice || code == cudaErrorInvalidDeviceFunction) {
      cudaGetLastError();
      refuseMissingCode(properties.name, properties.major, properties.minor);
    } else {
      check(code, "loading the kernels");
    }
    info_.name = properties.name;
    info_.major = properties.major;
    info_.minor = properties.minor;
    info_.multiprocessors = properties.multiProcessorCount;
    info_.sharedPerBlock = properties.sharedMemPerBlockOptin;
    info_.sharedPerMultiprocessor = properties.sharedMemPerMultiprocessor;
    cudaDriverGetVersion(&info_.driverVersion);
    cudaRuntimeGetVersion(&info_.runtimeVersion);
  }

  DeviceInfo info() override {
    cudaMemGetInfo(&info_.freeBytes, &info_.totalBytes);
    return info_;
  }

  void* allocate(size_t bytes) override {
    void* p = nullptr;
    const cudaError_t error = cudaMalloc(&p, bytes);
    if (error == cudaSuccess) return p;
    // A failed allocation leaves a mark that the next check would find.
    cudaGetLastError();
    if (error == cudaErrorMemoryAllocation) return nullptr;
    check(error, "allocating memory");
    return nullptr;
  }
  void release(void* pointer) override { cudaFree(pointer); }
  void* allocatePinned(size_t bytes) override {
    void* p = nullptr;
    if (cudaMallocHost(&p, bytes) == cudaSuccess) return p;
    cudaGetLastError();
    return nullptr;
  }
  void releasePinned(void* pointer) override { cudaFreeHost(pointer); }

  Stream createStream() override {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creating a stream");
    return stream;
  }
  Event createEvent(bool timed) override {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming), "creating an event");
    return event;
  }
  double milliseconds(Event from, Event to) override {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, from, to), "asking for the time between events");
    return ms;
  }
  void destroyEvent(Event event) override { cudaEventDestroy(event); }
  void record(Event event, Stream stream) override { check(cudaEventRecord(event, stream), "recording an event"); }
  void waitFor(Event event) override { check(cudaEventSynchronize(event), "work before an event"); }
  void streamWaits(Stream stream, Event event) override {
    check(cudaStreamWaitEvent(stream, event, 0), "waiting on a stream");
  }
  void synchronize(Stream stream) override {
    checkLaunches();
    check(cudaStreamSynchronize(stream), "work on the GPU");
  }

  void copyToDevice(void* to, const void* pinned, size_t bytes, Stream stream) override {
    check(cudaMemcpyAsync(to, pinned, bytes, cudaMemcpyHostToDevice, stream), "copying to the GPU");
  }
  void copyToHost(void* to, const void* from, size_t bytes, Stream stream) override {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), "copying from the GPU");
  }
  void setBytes(void* to, int value, size_t bytes, Stream stream) override {
    check(cudaMemsetAsync(to, value, bytes, stream), "filling memory");
  }

  // Relaxed: memory may still come from the driver meanwhile.
  void beginCapture(Stream stream) override {
    checkLaunches();
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), "beginning a capture");
    capturing_ = true;
  }
  Graph endCapture(Stream stream) override {
    cudaGraph_t graph = nullptr;
    LaunchError launched;
    cudaError_t error = takeCapture(stream, &graph, launched);
    cudaGraphExec_t ready = nullptr;
    if (error == cudaSuccess) error = cudaGraphInstantiate(&ready, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (error != cudaSuccess) {
      cudaGetLastError();
      throw Failure("backend",
          "CUDA: the capture failed" + (launched.kernel.empty() ? std::string() : " at kernel " + launched.kernel) +
              ": " + reasonOf(error));
    }
    // The first launch would send it otherwise.
    cudaGraphUpload(ready, stream);
    return ready;
  }
  void abandonCapture(Stream stream) override {
    cudaGraph_t graph = nullptr;
    LaunchError launched;
    takeCapture(stream, &graph, launched);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
  }
  void launchGraph(Graph graph, Stream stream) override { check(cudaGraphLaunch(graph, stream), "launching a graph"); }
  void destroyGraph(Graph graph) override { cudaGraphExecDestroy(graph); }

 private:
  // A launch that failed in a capture fails the capture and nothing after it.
  cudaError_t takeCapture(Stream stream, cudaGraph_t* graph, LaunchError& launched) {
    capturing_ = false;
    const cudaError_t ended = cudaStreamEndCapture(stream, graph);
    launched = launchError();
    launchError() = {};
    return ended != cudaSuccess ? ended : launched.error;
  }

  int device_;
  DeviceInfo info_;
};

}  // namespace

void noteLaunch(const char* name, int error) {
  if (error != 0 && launchError().error == cudaSuccess) launchError() = {name, static_cast<cudaError_t>(error)};
}

void allowShared(const void* kernel, size_t bytes) {
  static SharedLimits limits;
  if (limits.raise(kernel, bytes))
    noteLaunch("shared memory",
        static_cast<int>(
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes))));
}

std::unique_ptr<Runtime> makeRuntime(int device) { return std::make_unique<CudaRuntime>(device); }

}  // namespace tunesmith::cuda
