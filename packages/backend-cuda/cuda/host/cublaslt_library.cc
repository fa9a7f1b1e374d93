// cuBLASLt, loaded at run time so that the addon starts without it and takes version 12 or 13.
#include <dlfcn.h>

#include <cstdlib>

#include "cublaslt.h"
#include "failure.h"
#include "library_finder.h"
#include "requirements.h"

namespace tunesmith::cuda {
namespace {

template <class F> void resolve(const FoundLibrary& library, const char* name, F& f) {
  f = reinterpret_cast<F>(dlsym(library.handle, name));
  if (!f) throw Failure("backend", library.path + " has no " + name, cublasLtSpec().remedy);
}

}  // namespace

std::unique_ptr<Gemm> makeGemm(bool tf32, Runtime& runtime) {
  const LibrarySpec spec = cublasLtSpec();
  const FoundLibrary found = findLibrary(spec, realSystem());
  requireLibrary(found, spec);
  cublaslt::Functions f;
  resolve(found, "cublasLtCreate", f.create);
  resolve(found, "cublasLtDestroy", f.destroy);
  resolve(found, "cublasLtGetVersion", f.version);
  resolve(found, "cublasLtGetStatusString", f.statusString);
  resolve(found, "cublasLtMatmulDescCreate", f.descCreate);
  resolve(found, "cublasLtMatmulDescDestroy", f.descDestroy);
  resolve(found, "cublasLtMatmulDescSetAttribute", f.descSet);
  resolve(found, "cublasLtMatrixLayoutCreate", f.layoutCreate);
  resolve(found, "cublasLtMatrixLayoutDestroy", f.layoutDestroy);
  resolve(found, "cublasLtMatrixLayoutSetAttribute", f.layoutSet);
  resolve(found, "cublasLtMatmulPreferenceCreate", f.preferenceCreate);
  resolve(found, "cublasLtMatmulPreferenceDestroy", f.preferenceDestroy);
  resolve(found, "cublasLtMatmulPreferenceSetAttribute", f.preferenceSet);
  resolve(found, "cublasLtMatmulAlgoGetHeuristic", f.heuristic);
  resolve(found, "cublasLtMatmul", f.matmul);
  CublasLtOptions options;
  options.path = found.path;
  options.tf32 = tf32;
  const char* autotune = std::getenv("TUNESMITH_CUDA_AUTOTUNE");
  options.autotune = autotune && std::string(autotune) == "1";
  return makeCublasLt(f, options, runtime);
}

}  // namespace tunesmith::cuda
