// The plain operations of TensorFlow.js that run on the device.
#include <algorithm>

#include "../host/launch_geometry.h"
#include "args.h"

namespace tunesmith::cuda {
namespace {

template <class Code> Code codeOf(Fields& f, Code last) {
  const int op = f.small("op");
  if (op > static_cast<int>(last)) f.fail("op", "an operation");
  return static_cast<Code>(op);
}

void binaryOp(Fields& f) {
  const Binary op = codeOf(f, Binary::eluGrad);
  const int mode = f.small("mode");
  if (mode > 4) f.fail("mode", "a pattern");
  const int64_t outer = f.count("outer"), inner = f.count("inner"), n = product(outer, inner);
  // Of the operand that is a row in mode `row` and a column in mode `column`.
  const auto size = [&](int row, int column) { return mode == row ? inner : mode == column ? outer : n; };
  const Array a = f.floats("a", size(3, 4)), b = f.floats("b", size(1, 2));
  binary(context().stream, op, mode, a, b, f.any("y", n), outer, inner);
}
void binaryNumberOp(Fields& f) {
  const Binary op = codeOf(f, Binary::eluGrad);
  const int64_t n = f.count("size");
  const Array x = f.any("x", n);
  binaryNumber(context().stream, op, x, f.real("number"), f.boolean("reversed"), f.any("y", n), n);
}
void unaryOp(Fields& f) {
  const Unary op = codeOf(f, Unary::isFinite);
  const int64_t n = f.count("size");
  const Array x = f.any("x", n), y = f.any("y", n);
  unary(context().stream, op, x, y, n, f.real("p"), f.real("q"));
}
void softmaxOp(Fields& f) {
  const int64_t rows = f.count("rows"), cols = f.count("cols"), n = product(rows, cols);
  const Array x = f.floats("x", n);
  softmax(context().stream, x, f.floats("y", n), rows, cols);
}
void reduce(Fields& f) {
  Context& c = context();
  const int64_t outer = f.count("outer"), axis = f.count("axis"), inner = f.count("inner");
  const float scale = f.real("scale");
  const Array x = f.floats("x", product(outer, product(axis, inner)));
  float* y = f.f32("y", product(outer, inner));
  const Temp partial(c, std::min(outer, kMaxBlocksYZ) * inner * columnSplits(axis, inner), Type::f32);
  reduceSum(c.stream, x, y, partial.floats(), outer, axis, inner, scale);
}
void transposeOp(Fields& f) {
  const int64_t rows = f.count("rows"), cols = f.count("cols"), n = product(rows, cols);
  if (rows > 32 * kMaxBlocksYZ) f.fail("rows", "at most 2,097,120 rows");
  const Array x = f.floats("x", n);
  transpose2d(context().stream, x, f.floats("y", n), rows, cols);
}
void convertOp(Fields& f) {
  const int64_t n = f.count("size");
  const Array x = f.any("x", n);
  convert(context().stream, x, f.any("y", n), n);
}
void fillOp(Fields& f) {
  const int64_t n = f.count("size");
  const float value = f.real("value");
  fill(context().stream, f.any("y", n), value, n);
}
void matMulOp(Fields& f) {
  MatMul p;
  p.m = f.count("m");
  p.n = f.count("n");
  p.k = f.count("k");
  p.transposeA = f.boolean("transposeA");
  p.transposeB = f.boolean("transposeB");
  p.batch = f.small("batch");
  p.sharedA = f.boolean("sharedA");
  p.sharedB = f.boolean("sharedB");
  const Array a = f.floats("a", product(product(p.m, p.k), p.sharedA ? 1 : p.batch)),
              b = f.floats("b", product(product(p.k, p.n), p.sharedB ? 1 : p.batch));
  matMul(context(), p, a, b, f.floats("y", product(product(p.m, p.n), p.batch)));
}

// An index space and views in it, as numbers: rank, sizes, then handle, offset and strides of each view.
class Layout {
 public:
  explicit Layout(Fields& f) : values_(f.doubles("layout", length_)) {
    extent.rank = static_cast<int>(next());
    if (extent.rank < 0 || extent.rank > kMaxRank) f.fail("layout", "at most 6 axes");
    int64_t n = 1;
    for (int d = 0; d < extent.rank; d++) n = product(n, extent.sizes[d] = next());
  }
  // Every element the extent reaches must lie inside the tensor.
  Strided view() {
    const Buffer* b = bufferOf(next());
    const int64_t offset = next();
    Strided x;
    int64_t first = offset, last = offset;
    for (int d = 0; d < extent.rank; d++) {
      x.strides[d] = next();
      const int64_t reach =
          x.strides[d] < 0 ? -product(-x.strides[d], extent.sizes[d] - 1) : product(x.strides[d], extent.sizes[d] - 1);
      (reach < 0 ? first : last) += reach;
    }
    if (!b || (extent.count() > 0 && (first < 0 || last >= b->elements)))
      Fields::fail("layout", "a view inside the tensor");
    x.array = b->array;
    x.array.data = static_cast<char*>(x.array.data) + offset * static_cast<int64_t>(bytesOf(x.array.type));
    return x;
  }
  Extent extent;

 private:
  int64_t next() {
    const double d = at_ < length_ ? values_[at_++] : 0.5;
    const int64_t n = std::abs(d) <= 9007199254740991.0 ? static_cast<int64_t>(d) : 0;
    if (static_cast<double>(n) != d) Fields::fail("layout", "whole numbers for rank, sizes and views");
    return n;
  }
  size_t length_ = 0, at_ = 0;
  const double* values_;
};
void stridedBinaryOp(Fields& f) {
  const Binary op = codeOf(f, Binary::eluGrad);
  Layout l(f);
  const Strided a = l.view(), b = l.view();
  stridedBinary(context().stream, op, l.extent, a, b, f.any("y", l.extent.count()));
}
void selectOp(Fields& f) {
  Layout l(f);
  const Strided condition = l.view(), a = l.view(), b = l.view();
  stridedSelect(context().stream, l.extent, condition, a, b, f.any("y", l.extent.count()));
}
void stridedCopyOp(Fields& f) {
  Layout l(f);
  const Strided from = l.view(), to = l.view();
  if (from.array.type != to.array.type) f.fail("layout", "tensors of one type");
  stridedCopy(context().stream, l.extent, from, to);
}
void reduceRowsOp(Fields& f) {
  const Reduction op = codeOf(f, Reduction::argMin);
  const int64_t rows = f.count("rows"), cols = f.count("cols");
  if (cols == 0) f.fail("cols", "rows that are not empty");
  const Array x = f.any("x", product(rows, cols));
  reduceRows(context().stream, op, x, f.any("y", rows), rows, cols);
}
void gatherOp(Fields& f) {
  Gather g;
  g.batch = f.count("batch");
  g.outer = f.count("outer");
  g.rows = f.count("rows");
  g.inner = f.count("inner");
  g.count = f.count("count");
  const int64_t blocks = product(g.batch, g.outer);
  const Array x = f.any("x", product(product(blocks, g.rows), g.inner));
  const int32_t* ids = f.ints("ids", product(g.batch, g.count));
  const Array y = f.any("y", product(product(blocks, g.count), g.inner));
  if (x.type != y.type) f.fail("y", "tensors of one type");
  gather(context().stream, g, x, ids, y);
}
void oneHotOp(Fields& f) {
  const int64_t count = f.count("count"), depth = f.count("depth");
  const float on = f.real("on"), off = f.real("off");
  const int32_t* ids = f.ints("ids", count);
  oneHot(context().stream, ids, f.any("y", product(count, depth)), count, depth, on, off);
}

}  // namespace

const std::vector<NamedBody>& operations() {
  static const std::vector<NamedBody> all = {
      {"binary", binaryOp},
      {"binaryNumber", binaryNumberOp},
      {"unary", unaryOp},
      {"softmax", softmaxOp},
      {"reduceSum", reduce},
      {"transpose2d", transposeOp},
      {"convert", convertOp},
      {"fill", fillOp},
      {"matMul", matMulOp},
      {"stridedBinary", stridedBinaryOp},
      {"select", selectOp},
      {"stridedCopy", stridedCopyOp},
      {"reduceRows", reduceRowsOp},
      {"gather", gatherOp},
      {"oneHot", oneHotOp},
  };
  return all;
}

}  // namespace tunesmith::cuda
