// What of <cublasLt.h> this addon relies on, which is compiled without that header: values and layouts that versions 12
// and 13 share. cuda/test/abi/cublaslt.cc compares all of it with the header itself.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tunesmith::cuda {
namespace cublaslt {

using Status = int;
enum DescAttribute : int { kTransA = 3, kTransB = 4, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26 };
enum LayoutAttribute : int { kBatchCount = 5, kBatchStride = 6 };
enum PreferenceAttribute : int {
  kMaxWorkspace = 1,
  kMinAlignmentA = 5,
  kMinAlignmentB = 6,
  kMinAlignmentC = 7,
  kMinAlignmentD = 8
};
constexpr int kCompute32F = 68, kCompute32FFastTf32 = 77;
constexpr int kReal32F = 0, kReal16BF = 14;
constexpr int kEpilogueDefault = 1, kEpilogueBias = 4;

struct Algo {
  uint64_t data[8];
};
struct Heuristic {
  Algo algo;
  size_t workspaceSize;
  Status state;
  float wavesCount;
  int reserved[4];
};

// Handles are pointers; `Stream` is a cudaStream_t.
struct Functions {
  Status (*create)(void**) = nullptr;
  Status (*destroy)(void*) = nullptr;
  size_t (*version)() = nullptr;
  const char* (*statusString)(Status) = nullptr;
  Status (*descCreate)(void**, int compute, int scale) = nullptr;
  Status (*descDestroy)(void*) = nullptr;
  Status (*descSet)(void*, int, const void*, size_t) = nullptr;
  Status (*layoutCreate)(void**, int type, uint64_t rows, uint64_t cols, int64_t ld) = nullptr;
  Status (*layoutDestroy)(void*) = nullptr;
  Status (*layoutSet)(void*, int, const void*, size_t) = nullptr;
  Status (*preferenceCreate)(void**) = nullptr;
  Status (*preferenceDestroy)(void*) = nullptr;
  Status (*preferenceSet)(void*, int, const void*, size_t) = nullptr;
  Status (*heuristic)(void*, void* desc, void* a, void* b, void* c, void* d, void* preference, int asked, Heuristic*,
      int* given) = nullptr;
  Status (*matmul)(void*, void* desc, const void* alpha, const void* a, void* aLayout, const void* b, void* bLayout,
      const void* beta, const void* c, void* cLayout, void* d, void* dLayout, const Algo*, void* workspace,
      size_t bytes, void* stream) = nullptr;
};

}  // namespace cublaslt
}  // namespace tunesmith::cuda
