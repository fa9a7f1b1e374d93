// The kernels of one instruction set, as a table.
#include "attention.h"
#include "cross_entropy.h"
#include "elementwise.h"
#include "gemm.h"
#include "optimizer.h"

namespace tunesmith {

const Kernels* TS_TABLE() {
  static const Kernels table = {
      TS_ISA,      gemm,      dequantize,    gatherRows, rmsNorm,    rmsNormGrad,  rmsNormWeightGrad, rope,   attention,
      attentionGrad, swiglu,  swigluGrad,    crossEntropy, embeddingGrad, adamW,  adamW8bit, sumSquares, binary, unary,
      softmax,     reduceSum, transpose2d,
  };
  return &table;
}

}  // namespace tunesmith
