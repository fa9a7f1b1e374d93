// cublaslt_abi.h beside the real header: `npm run test:cuda` compiles this where it finds <cublasLt.h>.
#include <cublasLt.h>

#include <type_traits>

#include "../../host/cublaslt_abi.h"

namespace tunesmith::cuda {
namespace cublaslt {

template <class A, class B> constexpr bool same(A ours, B theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}

static_assert(same(kTransA, CUBLASLT_MATMUL_DESC_TRANSA), "");
static_assert(same(kTransB, CUBLASLT_MATMUL_DESC_TRANSB), "");
static_assert(same(kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE), "");
static_assert(same(kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER), "");
static_assert(same(kBiasType, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), "");
static_assert(same(kBatchCount, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT), "");
static_assert(same(kBatchStride, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET), "");
static_assert(same(kMaxWorkspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES), "");
static_assert(same(kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES), "");
static_assert(same(kMinAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES), "");
static_assert(same(kMinAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES), "");
static_assert(same(kMinAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES), "");
static_assert(same(kCompute32F, CUBLAS_COMPUTE_32F) && same(kCompute32FFastTf32, CUBLAS_COMPUTE_32F_FAST_TF32), "");
static_assert(same(kReal32F, CUDA_R_32F) && same(kReal16BF, CUDA_R_16BF), "");
static_assert(same(kEpilogueDefault, CUBLASLT_EPILOGUE_DEFAULT) && same(kEpilogueBias, CUBLASLT_EPILOGUE_BIAS), "");
static_assert(CUBLAS_OP_N == 0 && CUBLAS_OP_T == 1 && CUBLAS_STATUS_SUCCESS == 0,
    "transpositions and success are numbers in cublaslt.cc");
// Attributes are set as int32 and size_t, enumerations are passed as int.
static_assert(sizeof(cublasOperation_t) == sizeof(int32_t) && sizeof(cublasLtEpilogue_t) == sizeof(int32_t) &&
        sizeof(cudaDataType) == sizeof(int32_t) && sizeof(cublasStatus_t) == sizeof(Status),
    "");
static_assert(sizeof(cublasComputeType_t) == sizeof(int) && sizeof(cublasLtMatmulDescAttributes_t) == sizeof(int), "");

static_assert(sizeof(Algo) == sizeof(cublasLtMatmulAlgo_t) && alignof(Algo) == alignof(cublasLtMatmulAlgo_t), "");
using Theirs = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(Heuristic) == sizeof(Theirs) && offsetof(Heuristic, algo) == offsetof(Theirs, algo) &&
        offsetof(Heuristic, workspaceSize) == offsetof(Theirs, workspaceSize),
    "");
static_assert(offsetof(Heuristic, state) == offsetof(Theirs, state) &&
        offsetof(Heuristic, wavesCount) == offsetof(Theirs, wavesCount),
    "");

// A call through our type passes what theirs takes: as many arguments, each of its size and kind.
template <class A, class B>
constexpr bool passesAs = sizeof(A) == sizeof(B) && std::is_pointer<A>::value == std::is_pointer<B>::value &&
    std::is_floating_point<A>::value == std::is_floating_point<B>::value;
template <class A, class B> struct Alike : std::false_type {};
template <class A, class B, class... As, class... Bs> struct Alike<A (*)(As...), B (*)(Bs...)> {
  static constexpr bool compare() {
    if constexpr (sizeof...(As) == sizeof...(Bs))
      return passesAs<A, B> && (passesAs<As, Bs> && ...);
    else
      return false;
  }
  static constexpr bool value = compare();
};
static_assert(Alike<decltype(Functions::create), decltype(&cublasLtCreate)>::value, "");
static_assert(Alike<decltype(Functions::destroy), decltype(&cublasLtDestroy)>::value, "");
static_assert(Alike<decltype(Functions::version), decltype(&cublasLtGetVersion)>::value, "");
static_assert(Alike<decltype(Functions::statusString), decltype(&cublasLtGetStatusString)>::value, "");
static_assert(Alike<decltype(Functions::descCreate), decltype(&cublasLtMatmulDescCreate)>::value, "");
static_assert(Alike<decltype(Functions::descDestroy), decltype(&cublasLtMatmulDescDestroy)>::value, "");
static_assert(Alike<decltype(Functions::descSet), decltype(&cublasLtMatmulDescSetAttribute)>::value, "");
static_assert(Alike<decltype(Functions::layoutCreate), decltype(&cublasLtMatrixLayoutCreate)>::value, "");
static_assert(Alike<decltype(Functions::layoutDestroy), decltype(&cublasLtMatrixLayoutDestroy)>::value, "");
static_assert(Alike<decltype(Functions::layoutSet), decltype(&cublasLtMatrixLayoutSetAttribute)>::value, "");
static_assert(Alike<decltype(Functions::preferenceCreate), decltype(&cublasLtMatmulPreferenceCreate)>::value, "");
static_assert(Alike<decltype(Functions::preferenceDestroy), decltype(&cublasLtMatmulPreferenceDestroy)>::value, "");
static_assert(Alike<decltype(Functions::preferenceSet), decltype(&cublasLtMatmulPreferenceSetAttribute)>::value, "");
static_assert(Alike<decltype(Functions::heuristic), decltype(&cublasLtMatmulAlgoGetHeuristic)>::value, "");
static_assert(Alike<decltype(Functions::matmul), decltype(&cublasLtMatmul)>::value, "");

}  // namespace cublaslt
}  // namespace tunesmith::cuda
