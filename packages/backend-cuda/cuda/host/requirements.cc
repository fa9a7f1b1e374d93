#include "requirements.h"

#include "failure.h"

namespace tunesmith::cuda {
namespace {

std::string capabilityText(int major, int minor) {
  return "compute capability " + std::to_string(major) + "." + std::to_string(minor);
}

// "13.0" for 13000.
std::string versionText(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

void requireLibrary(const FoundLibrary& found, const LibrarySpec& spec) {
  if (!found.handle) throw Failure("backend", found.explain(spec), spec.remedy);
}

void requireDriver(int supported, int builtWith) {
  if (supported >= builtWith) return;
  throw Failure("backend",
      "The NVIDIA driver is too old: it supports CUDA " + versionText(supported) + ", this addon was built with CUDA " +
          versionText(builtWith),
      std::string("Update the driver to ") + (builtWith >= 13000 ? "580" : "525") +
          " or newer, or build the addon with an older toolkit (npm run build:cuda)");
}

void requireGpu(int device, int count, const std::string& error) {
  if (!error.empty() || count == 0)
    throw Failure("backend", "No NVIDIA GPU can be used: " + (error.empty() ? "the driver shows none" : error),
        "Check nvidia-smi and CUDA_VISIBLE_DEVICES");
  if (device >= count)
    throw Failure("backend", "There is no GPU " + std::to_string(device) + ", only " + std::to_string(count),
        "Choose another with TUNESMITH_CUDA_DEVICE");
}

void requireCapability(const std::string& gpu, int major, int minor) {
  if (major < 8)
    throw Failure("backend", gpu + " has " + capabilityText(major, minor) + ", at least 8.0 is needed",
        "Use another GPU, or TUNESMITH_BACKEND=native");
}

void refuseMissingCode(const std::string& gpu, int major, int minor) {
  throw Failure("backend", "The CUDA addon has no code for " + gpu + " (" + capabilityText(major, minor) + ")",
      "Build it for this GPU: npm run build:cuda in @tunesmith/backend-cuda");
}

}  // namespace tunesmith::cuda
