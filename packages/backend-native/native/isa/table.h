// The kernels of one instruction set, as a table.
#include "attention.h"
#include "cross_entropy.h"
#include "elementwise.h"
#include "gemm.h"
#include "optimizer.h"

namespace tunesmith {

const Kernels* TS_TABLE() {
  static const Kernels table = [] {
    Kernels k = {};
    k.isa = TS_ISA;
    k.gemm = gemm;
    k.dequantize = dequantize;
    k.gatherRows = gatherRows;
    k.rmsNorm = rmsNorm;
    k.rmsNormGrad = rmsNormGrad;
    k.rmsNormWeightGrad = rmsNormWeightGrad;
    k.rope = rope;
    k.dropout = dropout;
    k.attention = attention;
    k.attentionGrad = attentionGrad;
    k.swiglu = swiglu;
    k.swigluGrad = swigluGrad;
    k.crossEntropy = crossEntropy;
    k.embeddingGrad = embeddingGrad;
    k.adamW = adamW;
    k.adamW8bit = adamW8bit;
    k.sumSquares = sumSquares;
    k.binary = binary;
    k.unary = unary;
    k.softmax = softmax;
    k.reduceSum = reduceSum;
    k.transpose2d = transpose2d;
    return k;
  }();
  return &table;
}

}  // namespace tunesmith
