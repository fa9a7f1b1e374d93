// Matrix products by cuBLASLt: what a product needs of the library is made once per shape and kept.
#include "cublaslt.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "failure.h"

namespace tunesmith::cuda {
namespace {

using namespace cublaslt;

constexpr int kCandidates = 8, kTimedRuns = 5;

int typeCode(Type type) { return type == Type::bf16 ? kReal16BF : kReal32F; }

// The largest power of two, up to 256, that divides an address or a stride in bytes.
uint32_t alignmentOf(uintptr_t x) {
  return static_cast<uint32_t>(x == 0 ? 256 : std::min<uintptr_t>(256, x & (~x + 1)));
}
uint32_t alignmentOf(const void* pointer) { return alignmentOf(reinterpret_cast<uintptr_t>(pointer)); }

// All that an algorithm may depend on. Only whole words, so that two are the same when their bytes are.
struct Key {
  int64_t m, n, k, lda, ldb, ldc, batch, strideA, strideB, strideC;
  uint32_t alignA, alignB, alignC, flags;

  explicit Key(const GemmCall& c)
      : m(c.m), n(c.n), k(c.k), lda(c.lda), ldb(c.ldb), ldc(c.ldc), batch(c.batch), strideA(c.strideA),
        strideB(c.strideB), strideC(c.strideC) {
    // Of every matrix of a batch: the address of the first, and the step to the next.
    const auto aligned = [](const Array& x, int64_t stride) {
      return std::min(alignmentOf(x.data), alignmentOf(static_cast<uintptr_t>(stride) * bytesOf(x.type)));
    };
    alignA = aligned(c.a, c.strideA);
    alignB = aligned(c.b, c.strideB);
    alignC = std::min(aligned(c.c, c.strideC), alignmentOf(c.source()));
    flags = static_cast<uint32_t>(c.transposeA) | static_cast<uint32_t>(c.transposeB) << 1 |
        static_cast<uint32_t>(c.bias != nullptr) << 2 | static_cast<uint32_t>(c.beta != 0) << 3 |
        static_cast<uint32_t>(c.a.type) << 4 | static_cast<uint32_t>(c.c.type) << 6;
  }
  bool operator==(const Key& other) const { return std::memcmp(this, &other, sizeof other) == 0; }
};
static_assert(sizeof(Key) == 10 * sizeof(int64_t) + 4 * sizeof(uint32_t), "no gaps, whose bytes would be compared");

struct HashKey {
  size_t operator()(const Key& key) const {
    uint64_t words[sizeof(Key) / 8], hash = 0;
    std::memcpy(words, &key, sizeof key);
    for (uint64_t word : words) hash = (hash ^ word) * 0x9e3779b97f4a7c15u ^ hash >> 29;
    return static_cast<size_t>(hash ^ hash >> 32);
  }
};

class CublasLt final : public Gemm {
 public:
  CublasLt(const Functions& functions, const CublasLtOptions& options, Runtime& runtime)
      : lib_(functions), options_(options), runtime_(runtime) {
    check(lib_.create(&handle_), "cublasLtCreate");
  }
  ~CublasLt() override {
    for (auto& [key, plan] : plans_) release(plan);
    lib_.destroy(handle_);
  }

  std::string description() const override {
    return "cuBLASLt " + std::to_string(lib_.version()) + (options_.autotune ? ", tuned" : "") + " (" + options_.path +
        ")";
  }

  void run(Stream stream, const GemmCall& call, void* workspace) override {
    if (call.m == 0 || call.n == 0) return;
    const Key key(call);
    auto at = plans_.find(key);
    if (at == plans_.end()) at = plans_.emplace(key, makePlan(call, key, stream, workspace)).first;
    const Plan& plan = at->second;
    if (call.bias) check(lib_.descSet(plan.desc, kBiasPointer, &call.bias, sizeof call.bias), "cublasLt's bias");
    check(multiply(plan, plan.algo, call, call.c.data, stream, workspace), "cublasLtMatmul");
  }

 private:
  struct Plan {
    void *desc = nullptr, *left = nullptr, *right = nullptr, *out = nullptr;
    Algo algo = {};
  };

  void check(Status status, const char* what) const {
    if (status != 0)
      throw Failure(
          "backend", std::string(what) + " failed: " + lib_.statusString(status) + " (" + options_.path + ")");
  }

  // cuBLASLt counts by columns: a row-major matrix is its transpose there, so c^T = op(b)^T op(a)^T has b left.
  Status multiply(
      const Plan& plan, const Algo& algo, const GemmCall& call, void* to, Stream stream, void* workspace) const {
    return lib_.matmul(handle_, plan.desc, &call.alpha, call.b.data, plan.left, call.a.data, plan.right, &call.beta,
        call.source(), plan.out, to, plan.out, &algo, workspace, kWorkspaceBytes, stream);
  }

  void release(const Plan& p) {
    if (p.desc) lib_.descDestroy(p.desc);
    for (void* layout : {p.left, p.right, p.out})
      if (layout) lib_.layoutDestroy(layout);
  }

  Plan makePlan(const GemmCall& c, const Key& key, Stream stream, void* workspace) {
    Plan p;
    try {
      describe(p, c);
      const std::vector<Heuristic> candidates = candidatesFor(p, c, key);
      p.algo = options_.autotune && !runtime_.capturing() && candidates.size() > 1
          ? fastest(p, c, candidates, stream, workspace)
          : candidates[0].algo;
    } catch (...) {
      release(p);
      throw;
    }
    return p;
  }

  void describe(Plan& p, const GemmCall& c) {
    check(
        lib_.descCreate(&p.desc, c.a.type == Type::f32 && options_.tf32 ? kCompute32FFastTf32 : kCompute32F, kReal32F),
        "cublasLtMatmulDescCreate");
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
      check(lib_.layoutCreate(to, typeCode(type), static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld),
          "cublasLtMatrixLayoutCreate");
      if (c.batch == 1) return;
      const int32_t count = static_cast<int32_t>(c.batch);
      check(lib_.layoutSet(*to, kBatchCount, &count, sizeof count), "cublasLt's batch count");
      check(lib_.layoutSet(*to, kBatchStride, &stride, sizeof stride), "cublasLt's batch stride");
    };
    layout(&p.left, c.b.type, c.transposeB ? c.k : c.n, c.transposeB ? c.n : c.k, c.ldb, c.strideB);
    layout(&p.right, c.a.type, c.transposeA ? c.m : c.k, c.transposeA ? c.k : c.m, c.lda, c.strideA);
    layout(&p.out, c.c.type, c.n, c.m, c.ldc, c.strideC);
  }

  // The library's algorithms for a product, the one it thinks best first; at least one.
  std::vector<Heuristic> candidatesFor(const Plan& p, const GemmCall& c, const Key& key) {
    void* preference = nullptr;
    check(lib_.preferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
    const size_t workspace = kWorkspaceBytes;
    lib_.preferenceSet(preference, kMaxWorkspace, &workspace, sizeof workspace);
    lib_.preferenceSet(preference, kMinAlignmentA, &key.alignB, sizeof key.alignB);
    lib_.preferenceSet(preference, kMinAlignmentB, &key.alignA, sizeof key.alignA);
    lib_.preferenceSet(preference, kMinAlignmentC, &key.alignC, sizeof key.alignC);
    lib_.preferenceSet(preference, kMinAlignmentD, &key.alignC, sizeof key.alignC);
    std::vector<Heuristic> found(kCandidates);
    int given = 0;
    const Status status =
        lib_.heuristic(handle_, p.desc, p.left, p.right, p.out, p.out, preference, kCandidates, found.data(), &given);
    lib_.preferenceDestroy(preference);
    found.resize(status == 0 ? static_cast<size_t>(given) : 0);
    const auto useless = [](const Heuristic& h) { return h.state != 0 || h.workspaceSize > kWorkspaceBytes; };
    found.erase(std::remove_if(found.begin(), found.end(), useless), found.end());
    if (found.empty())
      throw Failure("backend",
          "cuBLASLt has no algorithm for a product of " + std::to_string(c.m) + " x " + std::to_string(c.n) + " x " +
              std::to_string(c.k) + (status ? std::string(": ") + lib_.statusString(status) : ""));
    return found;
  }

  // Runs each candidate on the product's own operands, its result put aside: c may be what is added to.
  Algo fastest(
      const Plan& p, const GemmCall& c, const std::vector<Heuristic>& candidates, Stream stream, void* workspace) {
    const int64_t rows = (c.batch - 1) * c.strideC + (c.m - 1) * c.ldc + c.n;
    void* aside = runtime_.allocate(static_cast<size_t>(rows) * bytesOf(c.c.type));
    if (!aside) return candidates[0].algo;
    const Event from = runtime_.createEvent(true), to = runtime_.createEvent(true);
    const Algo* best = &candidates[0].algo;
    double shortest = 0;
    for (const Heuristic& candidate : candidates) {
      // The first run loads the kernel.
      bool works = multiply(p, candidate.algo, c, aside, stream, workspace) == 0;
      runtime_.record(from, stream);
      for (int i = 0; works && i < kTimedRuns; i++)
        works = multiply(p, candidate.algo, c, aside, stream, workspace) == 0;
      runtime_.record(to, stream);
      runtime_.waitFor(to);
      const double taken = runtime_.milliseconds(from, to);
      if (!works || (shortest > 0 && taken >= shortest)) continue;
      shortest = taken;
      best = &candidate.algo;
    }
    runtime_.destroyEvent(from);
    runtime_.destroyEvent(to);
    runtime_.release(aside);
    return *best;
  }

  const Functions lib_;
  const CublasLtOptions options_;
  Runtime& runtime_;
  void* handle_ = nullptr;
  std::unordered_map<Key, Plan, HashKey> plans_;
};

}  // namespace

std::unique_ptr<Gemm> makeCublasLt(const Functions& functions, const CublasLtOptions& options, Runtime& runtime) {
  return std::make_unique<CublasLt>(functions, options, runtime);
}

}  // namespace tunesmith::cuda
