// The kernels of @tunesmith/backend on one device, out of launches and matrix products. Shapes as in that package;
// arrays may be float32 or bf16 and are converted to the context's type where an operation needs it.
#pragma once
#include "../device/kernels.h"
#include "context.h"

namespace tunesmith::cuda {

struct Lora {
  Array a, b;  // [rank, in], [out, rank]
  int64_t rank = 0;
  float scaling = 1;
  Dropout dropout;
};

void linear(Context& c, int64_t tokens, const Weight& w, Array x, Array bias, Array y);
// dx = addend + dy W; the addend may be empty, and may be dx.
void linearGrad(Context& c, int64_t tokens, const Weight& w, Array dy, Array addend, Array dx);
// dw[out, in] = dy^T x, float32.
void linearWeightGrad(Context& c, int64_t tokens, int64_t out, int64_t in, Array dy, Array x, Array dw);
void loraLinear(Context& c, int64_t tokens, const Weight& w, const Lora& lora, Array x, Array bias, Array y, Array xa);
// Gradients of a LoRA linear: of x into dx (with the addend, which may be dx itself, in it), of A and B into float32 dA
// and dB. What is empty is not computed; x and xa are needed for dA and dB only.
struct LoraGrad {
  Array dy, addend, x, xa, dx, dA, dB;
};
void loraLinearGrad(Context& c, int64_t tokens, const Weight& w, const Lora& lora, const LoraGrad& g);
// y[m, n] = op(a) op(b), any mixture of types. Of each there are `batch`, one behind the other; a or b may be shared.
struct MatMul {
  int64_t m = 0, n = 0, k = 0;
  bool transposeA = false, transposeB = false;
  int64_t batch = 1;
  bool sharedA = false, sharedB = false;
};
void matMul(Context& c, const MatMul& p, Array a, Array b, Array y);

// Host copies of boundaries and ranges are checked; throws Failure("invalid_data").
struct AttentionBounds {
  const int32_t *cuSeqlens = nullptr, *kvStart = nullptr, *kvLength = nullptr;
};
void checkAttention(Attention& p, const AttentionBounds& host);
void attention(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t);
void attentionGrad(Context& c, Attention p, const AttentionBounds& host, AttentionTensors t);

struct CrossEntropy {
  int64_t tokens = 0;
  Weight weight;
  Array hidden, bias;
  LossRows rows;  // labels, softcap and where the statistics go
  const int32_t* hostLabels = nullptr;
  float* lossSum = nullptr;
  Array dHidden, dWeight;  // empty when not wanted; dWeight float32
};
void crossEntropy(Context& c, const CrossEntropy& p);

void embeddingGradient(Context& c, Array dy, const int32_t* ids, const int32_t* hostIds, int64_t tokens, int64_t vocab,
    int64_t h, Array dw);
void gradNorm(Context& c, const std::vector<std::pair<Array, int64_t>>& grads, float* norm);

}  // namespace tunesmith::cuda
