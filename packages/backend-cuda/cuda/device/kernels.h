// The launches host code may ask for. Every pointer is device memory; sizes are in elements; T = tokens.
#pragma once
#include "../host/types.h"

namespace tunesmith::cuda {

// ---- norm, position, activation: all arrays of one storage type, weights and tables float32 -------------------------
void rmsNorm(Stream s, Array x, const float* w, Array y, int64_t tokens, int64_t h, float eps, float offset);
// The addend may be empty, or dx.
void rmsNormGrad(Stream s, Array dy, Array x, const float* w, Array addend, Array dx, int64_t tokens, int64_t h,
    float eps, float offset);
// partial: columnSplits(tokens, h) * h floats, and tokens floats behind them.
void rmsNormWeightGrad(Stream s, Array dy, Array x, float* dw, float* partial, int64_t tokens, int64_t h, float eps);
void rotaryEmbedding(Stream s, Array x, const float* cos, const float* sin, Array y, int64_t tokens, int64_t heads,
    int64_t headDim, int64_t rotaryDim, bool inverse);
void swiglu(Stream s, Array gate, Array up, Array y, int64_t n, Activation activation);
void swigluGrad(Stream s, Array dy, Array gate, Array up, Array dgate, Array dup, int64_t n, Activation activation);

// ---- weights --------------------------------------------------------------------------------------------------------
void dequantize(Stream s, const Weight& w, int64_t rowStart, int64_t rowEnd, Array y);
void embeddingLookup(Stream s, const Weight& w, const int32_t* ids, Array y, int64_t tokens);
// dw must be zero; order: ids sorted stably by value, as positions; starts: where each distinct id begins, and the end.
void embeddingGrad(Stream s, Array dy, const int32_t* ids, const int32_t* order, const int32_t* starts,
    int64_t distinct, float* dw, int64_t h);
// y[m, rows] = x[m, cols] W^T + bias + scaling xa[m, rank] B^T for the few rows of decoding; bias and B may be empty.
// All arrays of one type.
void decodeLinear(
    Stream s, const Weight& w, Array x, Array bias, Array xa, Array loraB, int rank, float scaling, Array y, int64_t m);
constexpr int64_t kDecodeRows = 4;
void dropout(Stream s, Array x, Array y, int64_t n, const Dropout& d);

// ---- attention ------------------------------------------------------------------------------------------------------
struct AttentionTensors {
  Array q, k, v, out;
  float* lse = nullptr;  // [T, heads]
  Array dout, dq, dk, dv;
  float* delta = nullptr;  // [T, heads], working memory of the gradient
};
// On tensor cores: bf16, head size 64, 96 or 128, a positive scale. `tiles` is a list on the device, a block each.
bool hasFlashAttention(Type type, const Attention& p);
// Tiles of kForwardTile queries.
void flashAttention(Stream s, const Attention& p, const AttentionTensors& t, const AttentionTile* tiles, int64_t count);
struct FlashGrad {
  const AttentionTile *queryTiles = nullptr, *keyTiles = nullptr;  // of kBackwardTile rows
  int64_t count = 0;                                               // of each
  int parts = 1;  // blocks that share a key head's query heads; t.dk and t.dv have a [keys, kvHeads, headDim] for each
  int buffers = 1;  // 2: a block's next tile arrives during the present one
};
size_t flashGradShared(int headDim, int buffers);  // bytes of shared memory a block of the key gradient takes
void flashAttentionGrad(Stream s, const Attention& p, const AttentionTensors& t, const FlashGrad& plan);
// y[n] = sum over parts of x[parts, n], bf16 added up in float32; n a multiple of 8.
void sumParts(Stream s, Array x, Array y, int64_t n, int parts);
// One query a sequence, head sizes that are a multiple of 8 up to 256. Lengths are read on the device alone; the keys
// of each head are split into `splits` parts, whose results are in `partial`, decodePartials() floats, if several.
bool hasDecodeAttention(int headDim);
int decodeHeads(const Attention& p);  // query heads a block computes together
int64_t decodePartials(const Attention& p, int splits);
void decodeAttention(Stream s, const Attention& p, const AttentionTensors& t, int splits, float* partial);
// Any type and head size up to 256, without tensor cores.
void plainAttention(Stream s, const Attention& p, const AttentionTensors& t);
void plainAttentionGrad(Stream s, const Attention& p, const AttentionTensors& t);

// ---- loss -----------------------------------------------------------------------------------------------------------
struct LossRows {
  const int32_t* rows = nullptr;    // [count] rows of the batch
  const int32_t* labels = nullptr;  // [T]
  int64_t count = 0, vocab = 0;
  float softcap = 0;
  float *nll = nullptr, *entropy = nullptr, *correct = nullptr;  // [T]
};
// Turns logits [count, vocab] into each row's statistics, and into its gradient when that is wanted: in float32, or in
// bf16 at the start of each row, so that its rows lie 2 vocab elements apart.
void softmaxLoss(Stream s, float* logits, const LossRows& p, bool gradient, Type type);
void gatherRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width);
void scatterRows(Stream s, Array x, const int32_t* rows, Array y, int64_t count, int64_t width);
// y = sum of x in float64.
void sumInDouble(Stream s, const float* x, int64_t n, float* y);

// ---- optimizer ------------------------------------------------------------------------------------------------------
// Lists of any length, several tensors to a launch. `copy`, which may be null, is a bf16 copy of the parameter that is
// kept up to date with it. All arrays must lie on 16 bytes.
struct AdamWTensor {
  float* param;
  const float* grad;
  float *expAvg, *expAvgSq;
  void* copy;
  int64_t n;
};
void adamW(Stream s, const AdamWTensor* tensors, int count, const AdamW& o);
// bitsandbytes' blockwise states: a code per element, a scale per 256, two ascending tables of 256 values.
struct AdamW8bitTensor {
  float* param;
  const float* grad;
  uint8_t *codes1, *codes2;
  float *absmax1, *absmax2;
  void* copy;
  int64_t n;
};
struct AdamW8bit {
  const float *qmap1, *qmap2;
  // -lr / (1 - beta1^step), sqrt(1 - beta2^step), 1 - lr weightDecay, and the rest as given.
  float rate, root, shrink, eps, gradScale, beta1, rest1, beta2, rest2;
};
void adamW8bit(Stream s, const AdamW8bitTensor* tensors, int count, const AdamW8bit& o);
struct NormTensor {
  const void* x;
  int64_t n;
};
int64_t normParts(const NormTensor& t);
// The sums of squares of parts of the tensors, all of one type; partial has an element for each of their parts.
void sumSquares(Stream s, Type type, const NormTensor* tensors, int count, double* partial);
void finishNorm(Stream s, const double* partial, int64_t n, float* y);

// ---- plain operations -----------------------------------------------------------------------------------------------
// mode 0 alike, 1 b is a row, 2 b is a value per row, 3 a is a row, 4 a is a value per row.
void binary(Stream s, Binary op, int mode, Array a, Array b, Array y, int64_t outer, int64_t inner);
// One operand is a number: the second, or the first when reversed.
void binaryNumber(Stream s, Binary op, Array a, float b, bool reversed, Array y, int64_t n);
void unary(Stream s, Unary op, Array x, Array y, int64_t n, float p = 0, float q = 0);
void softmax(Stream s, Array x, Array y, int64_t rows, int64_t cols);
void reduceSum(Stream s, Array x, float* y, float* partial, int64_t outer, int64_t axis, int64_t inner, float scale);
// rows up to 2,097,120.
void transpose2d(Stream s, Array x, Array y, int64_t rows, int64_t cols);
void convert(Stream s, Array x, Array y, int64_t n);
void fill(Stream s, Array y, float value, int64_t n);

// ---- plain operations over any strides: broadcasts, transpositions, steps, repetitions ------------------------------
// y is without gaps in the order of the extent. int32 operands are computed with as integers when both are.
void stridedBinary(Stream s, Binary op, const Extent& e, const Strided& a, const Strided& b, Array y);
void stridedSelect(Stream s, const Extent& e, const Strided& condition, const Strided& a, const Strided& b, Array y);
// x and y of one type.
void stridedCopy(Stream s, const Extent& e, const Strided& x, const Strided& y);
// y[r] over x[r, 0 .. cols); cols > 0. argMax and argMin give int32.
void reduceRows(Stream s, Reduction op, Array x, Array y, int64_t rows, int64_t cols);
// y[b, o, i, :] = x[b, o, ids[b, i], :] with `inner` elements in the last axis; NaN (or 0) for an id outside [0, rows).
struct Gather {
  int64_t batch = 1, outer = 1, rows = 0, inner = 1, count = 0;
};
void gather(Stream s, const Gather& g, Array x, const int32_t* ids, Array y);
// y[i, j] = ids[i] == j ? on : off
void oneHot(Stream s, const int32_t* ids, Array y, int64_t count, int64_t depth, float on, float off);

}  // namespace tunesmith::cuda
