// What the per-ISA kernels, the bindings and the native tests share: plain structs and the kernel table.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tunesmith {

// ---- threads -------------------------------------------------------------------------------------------------------

using Body = void (*)(void* context, int64_t index);

// Runs body(context, 0..count-1) on the pool and the calling thread; returns when all are done.
void parallelFor(int64_t count, Body body, void* context);
int threadCount();
// At least 1; takes effect with the next parallelFor.
void setThreadCount(int threads);
int defaultThreadCount();

template <class Function> inline void parallel(int64_t count, const Function& function) {
  parallelFor(
      count, [](void* context, int64_t index) { (*static_cast<const Function*>(context))(index); },
      const_cast<Function*>(&function));
}

// ---- memory --------------------------------------------------------------------------------------------------------

// 64-byte aligned, huge pages advised when large; nullptr when there is no memory.
void* allocateAligned(size_t bytes);
void freeAligned(void* pointer, size_t bytes);

// Bytes [offset, offset + bytes) of a file as memory, read when they are first used and shared with other processes;
// writes stay in this process. nullptr where that cannot be: no such system call, file or range. Any alignment.
void* mapFile(const char* path, int64_t offset, size_t bytes);
void unmapFile(void* pointer, size_t bytes);

// Uninitialised working memory of the calling thread, kept between calls; one buffer per slot. Ends the process' kernel
// call with std::bad_alloc-free semantics: returns nullptr when there is no memory.
enum ScratchSlot {
  kScratchA,
  kScratchB,
  kScratchRows,
  kScratchLogits,
  kScratchHidden,
  kScratchLora,
  kScratchAttention,
  kScratchSlots
};
float* scratch(ScratchSlot slot, size_t floats);
void releaseScratch();

// ---- operands ------------------------------------------------------------------------------------------------------

enum Format : int { kF32, kBF16, kF16, kNF4, kINT8 };  // FP4 is NF4 with another code table

// What code * absmax of a 4-bit weight is rounded to: the dtype it was quantized from, as bitsandbytes does.
enum Rounding : int { kUnrounded, kToBF16, kToF16 };

// A matrix [rows, cols], row-major, in its storage format.
struct Matrix {
  Format format = kF32;
  Rounding rounding = kUnrounded;  // 4-bit formats only
  const void* data = nullptr;
  const float* scale = nullptr;  // NF4: absmax per block; INT8: one per row
  const float* code = nullptr;   // NF4: 16 values
  int64_t blockSize = 64;
  int64_t rows = 0, cols = 0;
};

// Inverted dropout by counter: element i of the flattened matrix is kept iff hash(i, seed) >= threshold.
struct Dropout {
  bool on = false;
  uint32_t seed = 0;
  uint32_t threshold = 0;
  float keepScale = 1;
};

// alpha * A[M,K] * B[K,N], A float32 with any strides, B a Matrix, transposed (rows are n) or not (rows are k).
struct Term {
  const float* a = nullptr;
  int64_t aRow = 0, aCol = 1;  // strides in elements
  Dropout aDropout;            // index = m * aRow + k
  Matrix b;
  bool bTransposed = true;
  Dropout bDropout;  // only for float32 B, not transposed
  int64_t k = 0;
  float alpha = 1;
  Dropout outDropout;  // mask on what is accumulated so far, index = m * N + n
};

struct GemmOutput {
  float* c = nullptr;
  int64_t ldc = 0;
  const float* bias = nullptr;  // [N]
  bool accumulate = false;      // add to what C holds
};

static inline Matrix floatMatrix(const float* data, int64_t rows, int64_t cols) {
  Matrix m;
  m.data = data;
  m.rows = rows;
  m.cols = cols;
  return m;
}

// x W^T for rows of x, and with `transposed` false dy W.
static inline Term productTerm(const float* a, const Matrix& w, bool transposed = true) {
  Term t;
  t.a = a;
  t.b = w;
  t.bTransposed = transposed;
  t.aRow = t.k = transposed ? w.cols : w.rows;
  return t;
}

// A^T B for A [tokens, columns] and B of as many rows.
static inline Term transposedTerm(const float* a, int64_t columns, const Matrix& b) {
  Term t = productTerm(a, b, false);
  t.aRow = 1;
  t.aCol = columns;
  return t;
}

struct Attention {
  const float *q, *k, *v;
  const int32_t* cuSeqlens;
  const int32_t *kvStart, *kvLength;  // null: keys are the rows of the queries
  int64_t sequences, heads, kvHeads, headDim;
  int64_t qStride, kvStride;
  float scale, softcap;
  int64_t window;
  bool rounded;  // factors of products may be rounded to bf16, where such products are
};

struct AttentionGrad {
  const float *dout, *out, *lse;
  float *dq, *dk, *dv;
};

struct CrossEntropy {
  const float* hidden;  // [tokens, h]
  Matrix weight;        // [vocab, h]
  const float* bias;
  const int32_t* labels;
  int64_t tokens;
  float softcap;
  float *nll, *entropy, *correct;  // [tokens]
  float *dHidden, *dWeight;        // or null
  double lossSum;                  // result
};

// An ascending table of 256 values and what finds the nearest entry: the upper half of a float gives a first code, from
// which the right one is at most `steps` further.
struct CodeMap {
  float values[256];
  float thresholds[256];  // midpoints of neighbours; a value above k of them has code k
  uint8_t first[65536];
  int steps;
};
// The map of these values, made when it was not among the last ones of this thread; null without memory.
const CodeMap* codeMap(const float* values);

// Both moments of AdamW in 8 bits, 256 elements to a scale.
struct AdamW8bitState {
  uint8_t *codes1, *codes2;
  float *absmax1, *absmax2;
  const CodeMap *map1, *map2;
};

struct AdamW {
  double lr, beta1, beta2, eps, weightDecay, gradScale;
  int64_t step;
};

enum Unary : int { kNeg, kSquare, kSqrt, kRsqrt, kExp, kLog, kTanh, kSigmoid, kRelu, kAbs, kReciprocal };
enum Binary : int { kAdd, kSub, kMul, kDiv, kMax, kMin };
enum Activation : int { kSilu, kGeluTanh };

// ---- kernels: one table per instruction set ------------------------------------------------------------------------

// Every function returns false when working memory could not be had; the outputs are then undefined.
struct Kernels {
  const char* isa;
  bool (*gemm)(int64_t m, int64_t n, const Term* terms, int termCount, const GemmOutput& out);
  void (*dequantize)(const Matrix& w, int64_t rowStart, int64_t rowEnd, float* out);
  void (*gatherRows)(const Matrix& w, const int32_t* ids, int64_t count, float* out);
  void (*rmsNorm)(const float* x, const float* w, float* y, int64_t tokens, int64_t h, float eps, float offset);
  void (*rmsNormGrad)(
      const float* dy, const float* x, const float* w, float* dx, int64_t tokens, int64_t h, float eps, float offset);
  bool (*rmsNormWeightGrad)(const float* dy, const float* x, float* dw, int64_t tokens, int64_t h, float eps);
  void (*rope)(const float* x, const float* cos, const float* sin, float* y, int64_t tokens, int64_t heads,
      int64_t headDim, int64_t rotaryDim, bool inverse);
  void (*dropout)(const float* x, float* y, int64_t n, const Dropout& d);
  bool (*attention)(const Attention& p, float* out, float* lse);
  bool (*attentionGrad)(const Attention& p, const AttentionGrad& g);
  void (*swiglu)(const float* gate, const float* up, float* y, int64_t n, Activation activation);
  void (*swigluGrad)(
      const float* dy, const float* gate, const float* up, float* dgate, float* dup, int64_t n, Activation activation);
  bool (*crossEntropy)(CrossEntropy& p);
  void (*embeddingGrad)(const float* dy, const int32_t* ids, int64_t tokens, int64_t h, int64_t vocab, float* dw);
  void (*adamW)(float* p, const float* g, float* m, float* v, int64_t n, const AdamW& o);
  void (*adamW8bit)(float* p, const float* g, const AdamW8bitState& state, int64_t n, const AdamW& o);
  double (*sumSquares)(const float* x, int64_t n);
  void (*binary)(Binary op, const float* a, const float* b, float* y, int64_t outer, int64_t inner, int mode);
  void (*unary)(Unary op, const float* x, float* y, int64_t n);
  void (*softmax)(const float* x, float* y, int64_t rows, int64_t cols);
  void (*reduceSum)(const float* x, float* y, int64_t outer, int64_t axis, int64_t inner);
  void (*transpose2d)(const float* x, float* y, int64_t rows, int64_t cols);
};

const Kernels* kernelsAmx();  // those of AVX512_BF16, with the products of gemm in tiles
const Kernels* kernelsAvx512BF16();
const Kernels* kernelsAvx512();
const Kernels* kernelsAvx2();
const Kernels* kernelsBase();
// The best this processor runs, or the one named by TUNESMITH_ISA (amx, avx512_bf16, avx512, avx2, base) when it runs.
const Kernels& kernels();

// Whether products with 16-bit and quantized weights round their factors to bf16. At first where the chosen kernels can
// and the processor is faster so: with tiles, or on AMD's, which take twice as many products in bf16 as in float32;
// Intel's without tiles take half as many.
bool bf16Products();
// Whether those products run in AMX tiles.
bool productsInTiles();
// Returns whether the kernels can do what is asked for; from the next product on.
bool setBF16Products(bool wanted);

}  // namespace tunesmith
