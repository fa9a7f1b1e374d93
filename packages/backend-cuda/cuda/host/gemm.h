// The matrix product as the operations ask for it; cuBLASLt behind it, or a plain loop in the emulated build.
#pragma once
#include <memory>
#include <string>

#include "types.h"

namespace tunesmith::cuda {

// Row-major c[m, n] = alpha op(a)[m, k] op(b)[k, n] + beta addend + bias[n]. a and b have one type; c has it too or is
// float32. The addend lies as c does, and is c itself when it is empty.
struct GemmCall {
  int64_t m = 0, n = 0, k = 0;
  Array a, b, c, addend;
  bool transposeA = false, transposeB = false;
  int64_t lda = 0, ldb = 0, ldc = 0;  // elements from one stored row to the next
  float alpha = 1, beta = 0;
  const void* bias = nullptr;  // of c's type
  // So many products of this shape; each matrix lies its stride (in elements) behind the last, 0 when shared.
  int64_t batch = 1, strideA = 0, strideB = 0, strideC = 0;
  // What beta multiplies.
  const void* source() const { return addend ? addend.data : c.data; }
};

// c = op(a) op(b) of matrices without gaps between their rows.
inline GemmCall product(int64_t m, int64_t n, int64_t k, Array a, bool transposeA, Array b, bool transposeB, Array c) {
  GemmCall g;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = a;
  g.b = b;
  g.c = c;
  g.transposeA = transposeA;
  g.transposeB = transposeB;
  g.lda = transposeA ? m : k;
  g.ldb = transposeB ? k : n;
  g.ldc = n;
  return g;
}

// What cuBLASLt may work in; the same on every device, so that all need the same memory.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;

class Runtime;

class Gemm {
 public:
  virtual ~Gemm() = default;
  // `workspace` is of kWorkspaceBytes and used by this stream only.
  virtual void run(Stream stream, const GemmCall& call, void* workspace) = 0;
  virtual std::string description() const = 0;
};

// Throws Failure when the library is missing. `tf32`: float32 products may round their factors to tf32.
// `runtime` must outlive the result.
std::unique_ptr<Gemm> makeGemm(bool tf32, Runtime& runtime);

}  // namespace tunesmith::cuda
