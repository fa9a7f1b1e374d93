// What a machine must have, and what is said when it has not. Takes plain facts: every answer is tested without a GPU.
#pragma once
#include <string>

#include "library_finder.h"

namespace tunesmith::cuda {

// Each throws Failure("backend", ...) with the reason and what to do.
void requireLibrary(const FoundLibrary& found, const LibrarySpec& spec);
// CUDA versions the driver supports and the addon was built with.
void requireDriver(int supported, int builtWith);
// `error`: why the driver could not say how many GPUs there are; empty when it could.
void requireGpu(int device, int count, const std::string& error);
void requireCapability(const std::string& gpu, int major, int minor);
[[noreturn]] void refuseMissingCode(const std::string& gpu, int major, int minor);

}  // namespace tunesmith::cuda
