// What host and device code share: plain types, of CUDA the names of its handles only.
#pragma once
#include <cstddef>
#include <cstdint>

struct CUstream_st;
struct CUevent_st;
struct CUgraphExec_st;

namespace tunesmith::cuda {

using Stream = CUstream_st*;
using Event = CUevent_st*;
using Graph = CUgraphExec_st*;

// How a tensor's elements are stored; what TensorFlow.js calls float32 may be either of the first two.
enum class Type : int { f32 = 0, bf16 = 1, i32 = 2 };
inline size_t bytesOf(Type type) { return type == Type::bf16 ? 2 : 4; }

// Device memory and what is in it.
struct Array {
  void* data = nullptr;
  Type type = Type::f32;
  explicit operator bool() const { return data != nullptr; }
};

enum class Format : int { f32 = 0, bf16 = 1, f16 = 2, nf4 = 3, int8 = 4 };  // FP4 is NF4 with another code table
inline int bitsOf(Format format) {
  return format == Format::f32 ? 32 : format == Format::nf4 ? 4 : format == Format::int8 ? 8 : 16;
}

// What code * absmax of a 4-bit weight is rounded to: the dtype it was quantized from, as bitsandbytes does.
enum class Rounding : int { none = 0, bf16 = 1, f16 = 2 };

// A weight [rows, cols], row-major, as stored in memory.
struct Weight {
  Format format = Format::f32;
  Rounding rounding = Rounding::none;
  const void* data = nullptr;
  const float* scale = nullptr;  // NF4: absmax per block; INT8: one per row
  const float* code = nullptr;   // NF4: 16 values
  int64_t rows = 0, cols = 0, blockSize = 64;
  // Its logarithm when it is a power of two, which spares a division per access; set by whoever launches.
  int blockShift = -1;
};

// Inverted dropout by counter: element i of the flattened matrix is kept iff hash(i, seed) >= threshold.
struct Dropout {
  bool on = false;
  uint32_t seed = 0, threshold = 0;
  float keepScale = 1;
};

enum class Activation : int { silu = 0, geluTanh = 1 };
// clang-format off
enum class Unary : int {
  neg, square, sqrt, rsqrt, exp, log, tanh, sigmoid, relu, abs, reciprocal, sign, floor, ceil, round, erf, log1p,
  expm1, softplus, step, leakyRelu, elu, clip, logicalNot, isNan, isInf, isFinite
};
enum class Binary : int {
  add, sub, mul, div, max, min, pow, floorDiv, mod, squaredDifference, equal, notEqual, greater, greaterEqual, less,
  lessEqual, logicalAnd, logicalOr, eluGrad
};
// clang-format on
enum class Reduction : int { sum, prod, max, min, all, any, argMax, argMin };

// The index space of an operation over strided operands.
constexpr int kMaxRank = 6;
struct Extent {
  int rank = 0;
  int64_t sizes[kMaxRank] = {};
  int64_t count() const {
    int64_t n = 1;
    for (int d = 0; d < rank; d++) n *= sizes[d];
    return n;
  }
};
// An operand in that space: element i, j, ... lies at i * strides[0] + j * strides[1] + ...; 0 repeats it.
struct Strided {
  Array array;
  int64_t strides[kMaxRank] = {};
};

struct Attention {
  int64_t tokens = 0, keys = 0;
  int sequences = 0, heads = 0, kvHeads = 0, headDim = 0;
  int maxQueries = 0;  // of any sequence
  float scale = 1, softcap = 0;
  int window = 0;
  const int32_t* cuSeqlens = nullptr;
  const int32_t* kvStart = nullptr;  // null: the keys are the rows of the queries
  const int32_t* kvLength = nullptr;
};

// Rows `first` and on of a sequence, the work of one block.
struct AttentionTile {
  int32_t sequence, first;
};
constexpr int kForwardTile = 128, kBackwardTile = 64;  // rows of a tile in the two passes on tensor cores

struct AdamW {
  float lr, beta1, beta2, eps, weightDecay, gradScale;
  float correction1, correction2;  // 1 - beta1^step, sqrt(1 - beta2^step)
};

}  // namespace tunesmith::cuda
