// The calls to cuBLASLt beside a library that does in plain loops what its manual says: matrices by columns, a bias
// along the result's columns, C apart from D. What the real one does with them needs a GPU.
#include "../host/cublaslt.h"

#include <cmath>
#include <memory>

#include "test.h"

namespace tunesmith::cuda {
namespace {

using namespace cublaslt;

struct Desc {
  int compute = 0;
  int32_t transA = 0, transB = 0, epilogue = kEpilogueDefault, biasType = kReal32F;
  const float* bias = nullptr;
};
struct Layout {
  int type = 0;
  int64_t rows = 0, cols = 0, ld = 0;
  int32_t batch = 1;
  int64_t stride = 0;
};
struct Preference {
  size_t workspace = 0;
};

struct Library {
  int objects = 0;     // made and not destroyed
  int heuristics = 0;  // questions
  int tried = 0;       // calls of matmul
  uint64_t algorithm = 0;
  int refuses = -1;  // an algorithm that does not run
  double cost[8] = {0, 0, 3, 1, 2, 0, 0, 0};
  BookRuntime* runtime = nullptr;
};
Library library;

template <class T> Status make(void** to) {
  library.objects++;
  *to = new T;
  return 0;
}
template <class T> Status destroy(void* x) {
  library.objects--;
  delete static_cast<T*>(x);
  return 0;
}

// Column-major: element (r, c) at c * ld + r.
Status multiply(const Desc& d, float alpha, const float* a, const Layout& al, const float* b, const Layout& bl,
    float beta, const float* c, const Layout& cl, float* out) {
  const int64_t m = cl.rows, n = cl.cols, k = d.transA ? al.rows : al.cols;
  if ((d.transA ? al.cols : al.rows) != m || (d.transB ? bl.rows : bl.cols) != n || (d.transB ? bl.cols : bl.rows) != k)
    return 7;
  if (al.ld < al.rows || bl.ld < bl.rows || cl.ld < cl.rows || d.compute != kCompute32F) return 7;
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      float sum = 0;
      for (int64_t p = 0; p < k; p++)
        sum += (d.transA ? a[i * al.ld + p] : a[p * al.ld + i]) * (d.transB ? b[p * bl.ld + j] : b[j * bl.ld + p]);
      float y = alpha * sum;
      if (beta != 0) y += beta * c[j * cl.ld + i];
      if (d.epilogue == kEpilogueBias) y += d.bias[i];
      out[j * cl.ld + i] = y;
    }
  return 0;
}

Functions functions() {
  Functions f;
  f.create = make<int>;
  f.destroy = destroy<int>;
  f.version = [] { return size_t{130001}; };
  f.statusString = [](Status) { return "a status"; };
  f.descCreate = [](void** to, int compute, int) {
    make<Desc>(to);
    static_cast<Desc*>(*to)->compute = compute;
    return 0;
  };
  f.descDestroy = destroy<Desc>;
  f.descSet = [](void* desc, int attribute, const void* value, size_t bytes) -> Status {
    Desc& d = *static_cast<Desc*>(desc);
    if (attribute == kBiasPointer) {
      if (bytes != sizeof(void*)) return 7;
      d.bias = *static_cast<const float* const*>(value);
      return 0;
    }
    if (bytes != 4) return 7;
    const int32_t x = *static_cast<const int32_t*>(value);
    int32_t Desc::* const field = attribute == kTransA ? &Desc::transA
        : attribute == kTransB                         ? &Desc::transB
        : attribute == kEpilogue                       ? &Desc::epilogue
                                                       : &Desc::biasType;
    d.*field = x;
    return 0;
  };
  f.layoutCreate = [](void** to, int type, uint64_t rows, uint64_t cols, int64_t ld) {
    make<Layout>(to);
    *static_cast<Layout*>(*to) = {type, static_cast<int64_t>(rows), static_cast<int64_t>(cols), ld, 1, 0};
    return 0;
  };
  f.layoutDestroy = destroy<Layout>;
  f.layoutSet = [](void* layout, int attribute, const void* value, size_t bytes) -> Status {
    Layout& l = *static_cast<Layout*>(layout);
    if (bytes != (attribute == kBatchCount ? 4u : 8u)) return 7;
    if (attribute == kBatchCount)
      l.batch = *static_cast<const int32_t*>(value);
    else
      l.stride = *static_cast<const int64_t*>(value);
    return 0;
  };
  f.preferenceCreate = make<Preference>;
  f.preferenceDestroy = destroy<Preference>;
  f.preferenceSet = [](void* preference, int attribute, const void* value, size_t bytes) -> Status {
    if (bytes != (attribute == kMaxWorkspace ? 8u : 4u)) return 7;
    if (attribute == kMaxWorkspace)
      static_cast<Preference*>(preference)->workspace = *static_cast<const size_t*>(value);
    return 0;
  };
  // 0 needs too much memory, 1 cannot do it, 2 to 4 can.
  f.heuristic = [](void*, void*, void*, void*, void*, void*, void* preference, int asked, Heuristic* found,
                    int* given) {
    library.heuristics++;
    *given = asked < 5 ? asked : 5;
    for (int i = 0; i < *given; i++) {
      found[i] = {};
      found[i].algo.data[0] = static_cast<uint64_t>(i);
      found[i].state = i == 1 ? 15 : 0;
      found[i].workspaceSize = i == 0 ? static_cast<Preference*>(preference)->workspace + 1 : 0;
    }
    return 0;
  };
  f.matmul = [](void*, void* desc, const void* alpha, const void* a, void* al, const void* b, void* bl,
                 const void* beta, const void* c, void* cl, void* out, void* dl, const Algo* algo, void*, size_t bytes,
                 void*) -> Status {
    library.tried++;
    library.algorithm = algo->data[0];
    if (static_cast<int>(algo->data[0]) == library.refuses) return 13;
    library.runtime->clock += library.cost[algo->data[0]];
    const Desc& d = *static_cast<Desc*>(desc);
    const Layout &A = *static_cast<Layout*>(al), &B = *static_cast<Layout*>(bl), &C = *static_cast<Layout*>(cl);
    if (bytes != kWorkspaceBytes || cl != dl || A.type != kReal32F) return 7;
    for (int64_t i = 0; i < C.batch; i++) {
      const Status status = multiply(d, *static_cast<const float*>(alpha), static_cast<const float*>(a) + i * A.stride,
          A, static_cast<const float*>(b) + i * B.stride, B, *static_cast<const float*>(beta),
          static_cast<const float*>(c) + i * C.stride, C, static_cast<float*>(out) + i * C.stride);
      if (status) return status;
    }
    return 0;
  };
  return f;
}

std::vector<float> numbers(int64_t n) {
  static uint32_t state = 5;
  std::vector<float> v;
  for (int64_t i = 0; i < n; i++) v.push_back(static_cast<float>((state = state * 1664525u + 1013904223u) >> 28) - 7);
  return v;
}

struct Case {
  bool transposeA, transposeB, bias, addend;
  int64_t batch;
  bool sharedB;
};

// Small whole numbers, so that every order of summing gives the same.
void compareWith(Gemm& gemm, const Case& t) {
  const int64_t m = 3, n = 5, k = 4;
  std::vector<float> a = numbers(t.batch * m * k), b = numbers(t.batch * k * n), c = numbers(t.batch * m * n),
                     bias = numbers(n);
  const std::vector<float> before = c;
  std::vector<float> addend = numbers(t.batch * m * n);
  GemmCall g =
      product(m, n, k, {a.data(), Type::f32}, t.transposeA, {b.data(), Type::f32}, t.transposeB, {c.data(), Type::f32});
  g.alpha = 2;
  g.beta = 3;
  if (t.addend) g.addend = {addend.data(), Type::f32};
  if (t.bias) g.bias = bias.data();
  g.batch = t.batch;
  g.strideA = t.batch > 1 ? m * k : 0;
  g.strideB = t.batch > 1 && !t.sharedB ? k * n : 0;
  g.strideC = t.batch > 1 ? m * n : 0;
  gemm.run(nullptr, g, nullptr);
  bool good = true;
  for (int64_t s = 0; s < t.batch; s++)
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) {
        float sum = 0;
        for (int64_t p = 0; p < k; p++)
          sum += a[static_cast<size_t>(s * g.strideA + (t.transposeA ? p * m + i : i * k + p))] *
              b[static_cast<size_t>(s * g.strideB + (t.transposeB ? j * k + p : p * n + j))];
        const size_t at = static_cast<size_t>(s * g.strideC + i * n + j);
        const float want = 2 * sum + 3 * (t.addend ? addend : before)[at] + (t.bias ? bias[static_cast<size_t>(j)] : 0);
        good = good && c[at] == want;
      }
  expect(good,
      std::string("cuBLASLt is asked for the product") + (t.transposeA ? " a^T" : "") + (t.transposeB ? " b^T" : "") +
          (t.bias ? " with bias" : "") + (t.addend ? " with addend" : "") + (t.batch > 1 ? " of a batch" : ""));
}

void testChoice(BookRuntime& runtime) {
  std::vector<float> a = numbers(12), b = numbers(20), c(15);
  const GemmCall g =
      product(3, 5, 4, {a.data(), Type::f32}, false, {b.data(), Type::f32}, false, {c.data(), Type::f32});
  const auto chosen = [&](bool autotune) {
    const std::unique_ptr<Gemm> gemm = makeCublasLt(functions(), {"a library", false, autotune}, runtime);
    library.heuristics = library.tried = 0;
    gemm->run(nullptr, g, nullptr);
    const int tried = library.tried;
    gemm->run(nullptr, g, nullptr);
    expect(library.heuristics == 1 && library.tried == tried + 1, "a shape is looked up once");
    return library.algorithm;
  };
  expect(chosen(false) == 2 && library.tried == 2, "the first algorithm that can be used");
  expect(chosen(true) == 3, "the fastest algorithm");
  library.refuses = 3;
  expect(chosen(true) == 4, "the fastest algorithm that runs");
  library.refuses = -1;
  const size_t limit = runtime.limit;
  runtime.limit = runtime.used;
  expect(chosen(true) == 2, "without memory to try them in, the first");
  runtime.limit = limit;
  runtime.beginCapture(nullptr);
  expect(chosen(true) == 2, "nothing is tried in a step that is being captured");
  runtime.abandonCapture(nullptr);
  expect(runtime.used == 0 && runtime.events == 0, "trying leaves nothing behind");
}

}  // namespace

void testCublasLt() {
  BookRuntime runtime;
  library = Library();
  library.runtime = &runtime;
  for (bool autotune : {false, true}) {
    const std::unique_ptr<Gemm> gemm = makeCublasLt(functions(), {"a library", false, autotune}, runtime);
    for (int bits = 0; bits < 16; bits++)
      for (int64_t batch : {1, 3})
        compareWith(
            *gemm, {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0, batch, (bits & 1) != 0});
  }
  testChoice(runtime);
  expect(library.objects == 0, "all descriptions are destroyed");
}

}  // namespace tunesmith::cuda
