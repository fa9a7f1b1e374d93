// Matrix products by cuBLASLt, whichever way its functions were found.
#pragma once
#include "cublaslt_abi.h"
#include "gemm.h"
#include "runtime.h"

namespace tunesmith::cuda {

struct CublasLtOptions {
  std::string path;  // of the library, for messages
  bool tf32 = false;
  bool autotune = false;  // times several algorithms of each new product instead of trusting the library's order
};
// `runtime` must outlive the result.
std::unique_ptr<Gemm> makeCublasLt(
    const cublaslt::Functions& functions, const CublasLtOptions& options, Runtime& runtime);

}  // namespace tunesmith::cuda
