// A device of the emulated build that computes nothing, for counting: what a step of a model that would never fit here
// allocates and launches, and how long the thread takes that submits it.
#pragma once
#include <memory>

#include "../host/gemm.h"
#include "../host/runtime.h"

namespace tunesmith::cuda {

// TUNESMITH_CUDA_DRY=1, asked when a device is opened.
bool dryWanted();
// True while one is open: launches then do nothing.
bool dryDevice();
// Memory is address space without pages behind it, TUNESMITH_CUDA_EMULATED_MB of it; what is read back is zero.
std::unique_ptr<Runtime> makeDryRuntime();
std::unique_ptr<Gemm> makeDryGemm();

}  // namespace tunesmith::cuda
