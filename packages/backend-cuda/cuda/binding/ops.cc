// The plain operations of TensorFlow.js that run on the device.
#include <algorithm>

#include "../host/launch_geometry.h"
#include "args.h"

namespace tunesmith {
namespace cuda {
namespace {

void binaryOp(Args& a) {
  const int op = a.small(), mode = a.small();
  if (op > static_cast<int>(Binary::eluGrad) || mode > 4) a.fail("an operation");
  const int64_t outer = a.integer(), inner = a.integer(), n = a.product(outer, inner);
  const Array x = a.floats(mode == 3 ? inner : mode == 4 ? outer : n), z = a.floats(mode == 1 ? inner : mode == 2 ? outer : n);
  binary(context().stream, static_cast<Binary>(op), mode, x, z, a.any(n), outer, inner);
}
void binaryNumberOp(Args& a) {
  const int op = a.small();
  if (op > static_cast<int>(Binary::eluGrad)) a.fail("an operation");
  const int64_t n = a.integer();
  const Array x = a.any(n);
  const float number = a.real();
  const bool reversed = a.boolean();
  binaryNumber(context().stream, static_cast<Binary>(op), x, number, reversed, a.any(n), n);
}
void unaryOp(Args& a) {
  const int op = a.small();
  if (op > static_cast<int>(Unary::isFinite)) a.fail("an operation");
  const int64_t n = a.integer();
  const Array x = a.any(n), y = a.any(n);
  const float p = a.real();
  unary(context().stream, static_cast<Unary>(op), x, y, n, p, a.real());
}
void softmaxOp(Args& a) {
  const int64_t rows = a.integer(), cols = a.integer(), n = a.product(rows, cols);
  const Array x = a.floats(n);
  softmax(context().stream, x, a.floats(n), rows, cols);
}
void reduce(Args& a) {
  Context& c = context();
  const int64_t outer = a.integer(), axis = a.integer(), inner = a.integer();
  const float scale = a.real();
  const Array x = a.floats(a.product(outer, a.product(axis, inner)));
  float* y = a.f32(a.product(outer, inner));
  const Temp partial(c, std::min(outer, kMaxBlocksYZ) * inner * columnSplits(axis, inner), Type::f32);
  reduceSum(c.stream, x, y, partial.floats(), outer, axis, inner, scale);
}
void transposeOp(Args& a) {
  const int64_t rows = a.integer(), cols = a.integer(), n = a.product(rows, cols);
  if (rows > 32 * kMaxBlocksYZ) a.fail("at most 2,097,120 rows");
  const Array x = a.floats(n);
  transpose2d(context().stream, x, a.floats(n), rows, cols);
}
void convertOp(Args& a) {
  const int64_t n = a.integer();
  const Array x = a.any(n);
  convert(context().stream, x, a.any(n), n);
}
void fillOp(Args& a) {
  const int64_t n = a.integer();
  const float value = a.real();
  fill(context().stream, a.any(n), value, n);
}
void matMulOp(Args& a) {
  MatMul p;
  p.m = a.integer();
  p.n = a.integer();
  p.k = a.integer();
  p.transposeA = a.boolean();
  p.transposeB = a.boolean();
  p.batch = a.small();
  p.sharedA = a.boolean();
  p.sharedB = a.boolean();
  const Array x = a.floats(a.product(a.product(p.m, p.k), p.sharedA ? 1 : p.batch)), z = a.floats(a.product(a.product(p.k, p.n), p.sharedB ? 1 : p.batch));
  matMul(context(), p, x, z, a.floats(a.product(a.product(p.m, p.n), p.batch)));
}

// rank, sizes
Extent extent(Args& a) {
  Extent e;
  e.rank = a.small();
  if (e.rank > kMaxRank) a.fail("at most 6 axes");
  int64_t n = 1;
  for (int d = 0; d < e.rank; d++) n = a.product(n, e.sizes[d] = a.integer());
  return e;
}
// handle, offset, strides: every element the extent reaches must lie inside the tensor.
Strided strided(Args& a, const Extent& e) {
  const Buffer* b = bufferOf(a.integer());
  const int64_t offset = a.integer();
  Strided x;
  int64_t first = offset, last = offset;
  for (int d = 0; d < e.rank; d++) {
    x.strides[d] = static_cast<int64_t>(a.number());
    const int64_t reach = x.strides[d] < 0 ? -a.product(-x.strides[d], e.sizes[d] - 1) : a.product(x.strides[d], e.sizes[d] - 1);
    (reach < 0 ? first : last) += reach;
  }
  if (!b || (e.count() > 0 && (first < 0 || last >= b->elements))) a.fail("a view inside the tensor");
  x.array = b->array;
  x.array.data = static_cast<char*>(x.array.data) + offset * static_cast<int64_t>(bytesOf(x.array.type));
  return x;
}
void stridedBinaryOp(Args& a) {
  const int op = a.small();
  if (op > static_cast<int>(Binary::eluGrad)) a.fail("an operation");
  const Extent e = extent(a);
  const Strided x = strided(a, e), z = strided(a, e);
  stridedBinary(context().stream, static_cast<Binary>(op), e, x, z, a.any(e.count()));
}
void selectOp(Args& a) {
  const Extent e = extent(a);
  const Strided condition = strided(a, e), x = strided(a, e), z = strided(a, e);
  stridedSelect(context().stream, e, condition, x, z, a.any(e.count()));
}
void stridedCopyOp(Args& a) {
  const Extent e = extent(a);
  const Strided x = strided(a, e), y = strided(a, e);
  if (x.array.type != y.array.type) a.fail("tensors of one type");
  stridedCopy(context().stream, e, x, y);
}
void reduceRowsOp(Args& a) {
  const int op = a.small();
  if (op > static_cast<int>(Reduction::argMin)) a.fail("an operation");
  const int64_t rows = a.integer(), cols = a.integer();
  if (cols == 0) a.fail("rows that are not empty");
  const Array x = a.any(a.product(rows, cols));
  reduceRows(context().stream, static_cast<Reduction>(op), x, a.any(rows), rows, cols);
}
void gatherOp(Args& a) {
  Gather g;
  g.batch = a.integer();
  g.outer = a.integer();
  g.rows = a.integer();
  g.inner = a.integer();
  g.count = a.integer();
  const int64_t blocks = a.product(g.batch, g.outer);
  const Array x = a.any(a.product(a.product(blocks, g.rows), g.inner));
  const int32_t* ids = a.ints(a.product(g.batch, g.count));
  const Array y = a.any(a.product(a.product(blocks, g.count), g.inner));
  if (x.type != y.type) a.fail("tensors of one type");
  gather(context().stream, g, x, ids, y);
}
void oneHotOp(Args& a) {
  const int64_t count = a.integer(), depth = a.integer();
  const float on = a.real(), off = a.real();
  const int32_t* ids = a.ints(count);
  oneHot(context().stream, ids, a.any(a.product(count, depth)), count, depth, on, off);
}

}  // namespace

void addOps(Napi::Env env, Napi::Object exports) {
  add(env, exports, "binary", binaryOp);
  add(env, exports, "unary", unaryOp);
  add(env, exports, "softmax", softmaxOp);
  add(env, exports, "reduceSum", reduce);
  add(env, exports, "transpose2d", transposeOp);
  add(env, exports, "convert", convertOp);
  add(env, exports, "fill", fillOp);
  add(env, exports, "matMul", matMulOp);
  add(env, exports, "binaryNumber", binaryNumberOp);
  add(env, exports, "stridedBinary", stridedBinaryOp);
  add(env, exports, "select", selectOp);
  add(env, exports, "stridedCopy", stridedCopyOp);
  add(env, exports, "reduceRows", reduceRowsOp);
  add(env, exports, "gather", gatherOp);
  add(env, exports, "oneHot", oneHotOp);
}

}  // namespace cuda
}  // namespace tunesmith
