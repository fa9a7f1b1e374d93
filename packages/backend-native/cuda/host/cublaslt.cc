// Matrix products by cuBLASLt, loaded at run time so that the addon starts without it and takes version 12 or 13.
//
// Only the few entry points used are declared here; their values and layouts are the same in both versions.
#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <tuple>

#include "failure.h"
#include "gemm.h"
#include "library_finder.h"

namespace tunesmith {
namespace cuda {
namespace {

using Status = int;
enum DescAttribute : int { kTransA = 3, kTransB = 4, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26 };
enum LayoutAttribute : int { kBatchCount = 5, kBatchStride = 6 };
enum PreferenceAttribute : int { kMaxWorkspace = 1, kMinAlignmentA = 5, kMinAlignmentB = 6, kMinAlignmentC = 7, kMinAlignmentD = 8 };
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
static_assert(sizeof(Heuristic) == 96, "cublasLtMatmulHeuristicResult_t");

struct Library {
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
  Status (*heuristic)(void*, void* desc, void* a, void* b, void* c, void* d, void* preference, int asked, Heuristic*, int* given) = nullptr;
  Status (*matmul)(void*, void* desc, const void* alpha, const void* a, void* aLayout, const void* b, void* bLayout, const void* beta, const void* c, void* cLayout, void* d, void* dLayout, const Algo*, void* workspace, size_t bytes, Stream) = nullptr;
};

template <class F>
void resolve(void* handle, const char* name, F& f, const std::string& path) {
  f = reinterpret_cast<F>(dlsym(handle, name));
  if (!f) throw Failure("backend", path + " has no " + name, cublasLtSpec().remedy);
}

int typeCode(Type type) { return type == Type::bf16 ? kReal16BF : kReal32F; }

// The largest power of two, up to 256, that divides an address or a stride in bytes.
uint32_t alignmentOf(const void* pointer) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(pointer);
  uint32_t alignment = 256;
  while (alignment > 1 && address % alignment) alignment /= 2;
  return alignment;
}

class CublasLt final : public Gemm {
 public:
  explicit CublasLt(bool tf32) : tf32_(tf32) {
    const LibrarySpec spec = cublasLtSpec();
    const FoundLibrary found = findLibrary(spec, realSystem());
    if (!found.handle) throw Failure("backend", found.explain(spec), spec.remedy);
    path_ = found.path;
    void* h = found.handle;
    resolve(h, "cublasLtCreate", lib_.create, path_);
    resolve(h, "cublasLtDestroy", lib_.destroy, path_);
    resolve(h, "cublasLtGetVersion", lib_.version, path_);
    resolve(h, "cublasLtGetStatusString", lib_.statusString, path_);
    resolve(h, "cublasLtMatmulDescCreate", lib_.descCreate, path_);
    resolve(h, "cublasLtMatmulDescDestroy", lib_.descDestroy, path_);
    resolve(h, "cublasLtMatmulDescSetAttribute", lib_.descSet, path_);
    resolve(h, "cublasLtMatrixLayoutCreate", lib_.layoutCreate, path_);
    resolve(h, "cublasLtMatrixLayoutDestroy", lib_.layoutDestroy, path_);
    resolve(h, "cublasLtMatrixLayoutSetAttribute", lib_.layoutSet, path_);
    resolve(h, "cublasLtMatmulPreferenceCreate", lib_.preferenceCreate, path_);
    resolve(h, "cublasLtMatmulPreferenceDestroy", lib_.preferenceDestroy, path_);
    resolve(h, "cublasLtMatmulPreferenceSetAttribute", lib_.preferenceSet, path_);
    resolve(h, "cublasLtMatmulAlgoGetHeuristic", lib_.heuristic, path_);
    resolve(h, "cublasLtMatmul", lib_.matmul, path_);
    check(lib_.create(&handle_), "cublasLtCreate");
  }
  ~CublasLt() override {
    for (auto& [key, plan] : plans_) {
      lib_.descDestroy(plan.desc);
      for (void* layout : {plan.left, plan.right, plan.out}) lib_.layoutDestroy(layout);
    }
    if (handle_) lib_.destroy(handle_);
  }

  size_t workspaceBytes() const override { return kWorkspaceBytes; }
  std::string description() const override { return "cuBLASLt " + std::to_string(lib_.version()) + " (" + path_ + ")"; }

  // cuBLASLt counts by columns: a row-major matrix is its transpose there, so that c^T = op(b)^T op(a)^T has b on the left.
  void run(Stream stream, const GemmCall& call, void* workspace) override {
    if (call.m == 0 || call.n == 0) return;
    Plan& plan = planFor(call);
    if (call.bias) check(lib_.descSet(plan.desc, kBiasPointer, &call.bias, sizeof call.bias), "cublasLt's bias");
    check(lib_.matmul(handle_, plan.desc, &call.alpha, call.b.data, plan.left, call.a.data, plan.right, &call.beta, call.source(), plan.out, call.c.data, plan.out, &plan.algo, workspace, workspaceBytes(), stream), "cublasLtMatmul");
  }

 private:
  using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int, uint32_t, uint32_t, uint32_t, int64_t, int64_t, int64_t, int64_t>;
  struct Plan {
    void *desc = nullptr, *left = nullptr, *right = nullptr, *out = nullptr;
    Algo algo;
  };

  void check(Status status, const char* what) const {
    if (status != 0) throw Failure("backend", std::string(what) + " failed: " + lib_.statusString(status) + " (" + path_ + ")");
  }

  Plan& planFor(const GemmCall& c) {
    // Of every matrix of a batch: the address of the first, and the step to the next.
    const auto aligned = [&](const Array& x, int64_t stride) { return std::min(alignmentOf(x.data), alignmentOf(reinterpret_cast<const void*>(static_cast<uintptr_t>(stride) * bytesOf(x.type)))); };
    const uint32_t alignA = aligned(c.a, c.strideA), alignB = aligned(c.b, c.strideB), alignC = std::min(aligned(c.c, c.strideC), alignmentOf(c.source()));
    const int flags = c.transposeA | c.transposeB << 1 | (c.bias != nullptr) << 2 | (c.beta != 0) << 3 | static_cast<int>(c.a.type) << 4 | static_cast<int>(c.c.type) << 6;
    const Key key(c.m, c.n, c.k, c.lda, c.ldb, c.ldc, flags, alignA, alignB, alignC, c.batch, c.strideA, c.strideB, c.strideC);
    if (const auto at = plans_.find(key); at != plans_.end()) return at->second;
    Plan p;
    check(lib_.descCreate(&p.desc, c.a.type == Type::f32 && tf32_ ? kCompute32FFastTf32 : kCompute32F, kReal32F), "cublasLtMatmulDescCreate");
    const int32_t left = c.transposeB, right = c.transposeA, epilogue = c.bias ? kEpilogueBias : kEpilogueDefault;
    check(lib_.descSet(p.desc, kTransA, &left, sizeof left), "cublasLt's left transposition");
    check(lib_.descSet(p.desc, kTransB, &right, sizeof right), "cublasLt's right transposition");
    check(lib_.descSet(p.desc, kEpilogue, &epilogue, sizeof epilogue), "cublasLt's epilogue");
    if (c.bias) {
      const int32_t type = typeCode(c.c.type);
      check(lib_.descSet(p.desc, kBiasType, &type, sizeof type), "cublasLt's bias type");
      check(lib_.descSet(p.desc, kBiasPointer, &c.bias, sizeof c.bias), "cublasLt's bias");
    }
    const auto layout = [&](void** to, Type type, int64_t rows, int64_t cols, int64_t ld, int64_t stride) {
      check(lib_.layoutCreate(to, typeCode(type), static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld), "cublasLtMatrixLayoutCreate");
      if (c.batch == 1) return;
      const int32_t count = static_cast<int32_t>(c.batch);
      check(lib_.layoutSet(*to, kBatchCount, &count, sizeof count), "cublasLt's batch count");
      check(lib_.layoutSet(*to, kBatchStride, &stride, sizeof stride), "cublasLt's batch stride");
    };
    layout(&p.left, c.b.type, c.transposeB ? c.k : c.n, c.transposeB ? c.n : c.k, c.ldb, c.strideB);
    layout(&p.right, c.a.type, c.transposeA ? c.m : c.k, c.transposeA ? c.k : c.m, c.lda, c.strideA);
    layout(&p.out, c.c.type, c.n, c.m, c.ldc, c.strideC);
    void* preference = nullptr;
    check(lib_.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const size_t workspace = workspaceBytes();
    lib_.preferenceSet(preference, kMaxWorkspace, &workspace, sizeof workspace);
    lib_.preferenceSet(preference, kMinAlignmentA, &alignB, sizeof alignB);
    lib_.preferenceSet(preference, kMinAlignmentB, &alignA, sizeof alignA);
    lib_.preferenceSet(preference, kMinAlignmentC, &alignC, sizeof alignC);
    lib_.preferenceSet(preference, kMinAlignmentD, &alignC, sizeof alignC);
    Heuristic best = {};
    int given = 0;
    const Status status = lib_.heuristic(handle_, p.desc, p.left, p.right, p.out, p.out, preference, 1, &best, &given);
    lib_.preferenceDestroy(preference);
    if (status != 0 || given == 0 || best.state != 0)
      throw Failure("backend", "cuBLASLt has no algorithm for a product of " + std::to_string(c.m) + " x " + std::to_string(c.n) + " x " + std::to_string(c.k) + ": " + lib_.statusString(status ? status : best.state));
    p.algo = best.algo;
    return plans_.emplace(key, p).first->second;
  }

  bool tf32_;
  Library lib_;
  std::string path_;
  void* handle_ = nullptr;
  std::map<Key, Plan> plans_;
};

}  // namespace

std::unique_ptr<Gemm> makeGemm(bool tf32) { return std::make_unique<CublasLt>(tf32); }

}  // namespace cuda
}  // namespace tunesmith
