// The plain operations over any strides, types and axes.
#include <algorithm>

#include "lab.h"

namespace tunesmith::cuda {
namespace {

bool isTruth(Binary op) { return op >= Binary::equal && op <= Binary::logicalOr; }

// A random index space, and for each index its place in an operand that repeats along some axes and runs backwards
// along others. Elements: how many the operand needs; first: where index zero lies.
struct Space {
  Extent e;
  explicit Space(Lab& lab) {
    e.rank = static_cast<int>(lab.random.integer(0, kMaxRank));
    for (int d = 0; d < e.rank; d++) e.sizes[d] = lab.random.integer(1, 5);
  }
};
struct Placement {
  int64_t strides[kMaxRank] = {}, elements = 1, first = 0;
  Placement(Lab& lab, const Extent& e, bool mayRepeat) {
    // Axes in an order of their own.
    std::vector<int> order;
    for (int d = 0; d < e.rank; d++) order.insert(order.begin() + lab.random.integer(0, d), d);
    for (int d : order) {
      if (mayRepeat && lab.random.integer(0, 2) == 0) continue;
      const bool backwards = lab.random.coin();
      strides[d] = backwards ? -elements : elements;
      if (backwards) first += elements * (e.sizes[d] - 1);
      elements *= e.sizes[d];
    }
  }
  int64_t at(const Extent& e, int64_t i) const {
    int64_t place = first;
    for (int d = e.rank - 1; d >= 0; d--) {
      place += i % e.sizes[d] * strides[d];
      i /= e.sizes[d];
    }
    return place;
  }
  Strided of(Array array) const {
    Strided x;
    x.array = array;
    x.array.data = static_cast<char*>(array.data) + first * static_cast<int64_t>(bytesOf(array.type));
    std::copy(strides, strides + kMaxRank, x.strides);
    return x;
  }
};

// Whole numbers or numbers in between, none of them zero.
std::vector<double> values(Lab& lab, int64_t count, Type type, bool positive = false) {
  std::vector<double> all;
  for (int64_t i = 0; i < count; i++) {
    const double size = type == Type::i32 ? static_cast<double>(lab.random.integer(1, 4)) : lab.random.real(0.5, 2);
    all.push_back(positive || lab.random.coin() ? size : -size);
  }
  return all;
}

void binaries(Lab& lab) {
  for (Type type : {Type::f32, Type::bf16, Type::i32})
    for (int code = 0; code <= static_cast<int>(Binary::eluGrad); code++) {
      const Binary op = static_cast<Binary>(code);
      if (op == Binary::div && type == Type::i32) continue;
      const Space space(lab);
      const Placement pa(lab, space.e, true), pb(lab, space.e, true);
      const DeviceArray a(lab, type, values(lab, pa.elements, type, op == Binary::pow)),
          b(lab, type, values(lab, pb.elements, type, op == Binary::pow));
      const Type result = isTruth(op) ? Type::i32 : type == Type::bf16 ? Type::f32 : type;
      const int64_t n = space.e.count();
      const DeviceArray y(lab, n, result, Content::output);
      stridedBinary(lab.stream, op, space.e, pa.of(a), pb.of(b), y);
      std::vector<double> want;
      for (int64_t i = 0; i < n; i++) want.push_back(apply(op, a[pa.at(space.e, i)], b[pb.at(space.e, i)]));
      compare(lab, std::string(nameOf(type)) + ", operation " + std::to_string(code), y.now(), want,
          result == Type::i32 ? 0 : 1e-5);
      if (type == Type::i32) continue;
      const DeviceArray z(lab, pa.elements, result, Content::output);
      const bool reversed = lab.random.coin();
      binaryNumber(lab.stream, op, a, 1.5f, reversed, z, pa.elements);
      want.clear();
      for (int64_t i = 0; i < pa.elements; i++) want.push_back(reversed ? apply(op, 1.5, a[i]) : apply(op, a[i], 1.5));
      compare(lab, std::string(nameOf(type)) + " and a number, operation " + std::to_string(code), z.now(), want,
          result == Type::i32 ? 0 : 1e-5);
    }
}

void choices(Lab& lab) {
  for (Type type : {Type::f32, Type::bf16, Type::i32}) {
    const Space space(lab);
    const Placement pc(lab, space.e, true), pa(lab, space.e, true), pb(lab, space.e, true);
    std::vector<double> truth;
    for (int64_t i = 0; i < pc.elements; i++) truth.push_back(lab.random.coin());
    const DeviceArray c(lab, Type::i32, truth), a(lab, type, values(lab, pa.elements, type)),
        b(lab, type, values(lab, pb.elements, type)), y(lab, space.e.count(), type, Content::output);
    stridedSelect(lab.stream, space.e, pc.of(c), pa.of(a), pb.of(b), y);
    std::vector<double> want;
    for (int64_t i = 0; i < space.e.count(); i++)
      want.push_back(c[pc.at(space.e, i)] != 0 ? a[pa.at(space.e, i)] : b[pb.at(space.e, i)]);
    compare(lab, nameOf(type), y.now(), want, 0);
  }
}

void copies(Lab& lab) {
  for (Type type : {Type::f32, Type::bf16, Type::i32}) {
    const Space space(lab);
    const Placement px(lab, space.e, true), py(lab, space.e, false);
    std::vector<double> given;
    // Integers beyond a float's precision must come through.
    for (int64_t i = 0; i < px.elements; i++)
      given.push_back(
          type == Type::i32 ? static_cast<double>(lab.random.integer(-2147483647, 2147483647)) : lab.random.real());
    const DeviceArray x(lab, type, given), y(lab, py.elements, type, Content::output);
    stridedCopy(lab.stream, space.e, px.of(x), py.of(y));
    std::vector<double> want(static_cast<size_t>(py.elements));
    for (int64_t i = 0; i < space.e.count(); i++) want[static_cast<size_t>(py.at(space.e, i))] = x[px.at(space.e, i)];
    compare(lab, nameOf(type), y.now(), want, 0);
  }
}

void rows(Lab& lab) {
  for (Type type : {Type::f32, Type::bf16, Type::i32})
    for (int code = 0; code <= static_cast<int>(Reduction::argMin); code++) {
      const Reduction op = static_cast<Reduction>(code);
      // More and fewer columns than threads; products of few numbers, so that they stay small.
      const int64_t count = lab.random.integer(1, 5),
                    cols = op == Reduction::prod ? lab.random.integer(1, 9)
                                                 : lab.random.integer(1, lab.random.coin() ? 40 : 900);
      const bool truth = op == Reduction::all || op == Reduction::any,
                 place = op == Reduction::argMax || op == Reduction::argMin;
      std::vector<double> given = values(lab, count * cols, type);
      if (truth)
        for (double& v : given) v = lab.random.integer(0, cols) > 0;
      const Type result = truth || place || type == Type::i32 ? Type::i32 : Type::f32;
      const DeviceArray x(lab, type, given), y(lab, count, result, Content::output);
      reduceRows(lab.stream, op, x, y, count, cols);
      std::vector<double> want;
      for (int64_t r = 0; r < count; r++) {
        double value = x[r * cols];
        int64_t at = 0;
        for (int64_t i = 1; i < cols; i++) {
          const double v = x[r * cols + i];
          if (op == Reduction::sum) value += v;
          if (op == Reduction::prod) value *= v;
          if (op == Reduction::all) value = value != 0 && v != 0;
          if (op == Reduction::any) value = value != 0 || v != 0;
          const bool better = op == Reduction::max || op == Reduction::argMax
              ? v > value
              : (op == Reduction::min || op == Reduction::argMin) && v < value;
          if (better) {
            value = v;
            at = i;
          }
        }
        want.push_back(place ? static_cast<double>(at) : value);
      }
      compare(lab, std::string(nameOf(type)) + ", reduction " + std::to_string(code), y.now(), want,
          result == Type::i32 ? 0 : 1e-5, result == Type::i32 ? 0 : 1);
    }
}

void gathers(Lab& lab) {
  for (Type type : {Type::f32, Type::bf16, Type::i32}) {
    Gather g;
    g.batch = lab.random.integer(1, 3);
    g.outer = lab.random.integer(1, 4);
    g.rows = lab.random.integer(1, 9);
    g.inner = lab.random.integer(1, 20);
    g.count = lab.random.integer(1, 12);
    const DeviceArray x(lab, type, values(lab, g.batch * g.outer * g.rows * g.inner, type)),
        y(lab, g.batch * g.outer * g.count * g.inner, type, Content::output);
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < g.batch * g.count; i++)
      ids.push_back(static_cast<int32_t>(lab.random.integer(0, g.rows - 1)));
    const DeviceArray places(lab, ids);
    gather(lab.stream, g, x, places.ints(), y);
    std::vector<double> want;
    for (int64_t b = 0; b < g.batch; b++)
      for (int64_t o = 0; o < g.outer; o++)
        for (int64_t i = 0; i < g.count; i++)
          for (int64_t c = 0; c < g.inner; c++)
            want.push_back(x[((b * g.outer + o) * g.rows + ids[static_cast<size_t>(b * g.count + i)]) * g.inner + c]);
    compare(lab, nameOf(type), y.now(), want, 0);
  }
}

void outside(Lab& lab) {
  Gather g;
  g.rows = 3;
  g.inner = 2;
  g.count = 2;
  const DeviceArray x(lab, 6, Type::f32), y(lab, 4, Type::f32, Content::zero), places(lab, std::vector<int32_t>{-1, 3});
  gather(lab.stream, g, x, places.ints(), y);
  for (double v : y.now()) expect(std::isnan(v), "a row that is not there is not a number");
}

void hot(Lab& lab) {
  for (Type type : {Type::f32, Type::i32}) {
    const int64_t count = lab.random.integer(1, 30), depth = lab.random.integer(1, 40);
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < count; i++) ids.push_back(static_cast<int32_t>(lab.random.integer(-1, depth)));
    const DeviceArray places(lab, ids), y(lab, count * depth, type, Content::output);
    oneHot(lab.stream, places.ints(), y, count, depth, 3, -1);
    std::vector<double> want;
    for (int64_t i = 0; i < count; i++)
      for (int64_t j = 0; j < depth; j++) want.push_back(ids[static_cast<size_t>(i)] == j ? 3 : -1);
    compare(lab, nameOf(type), y.now(), want, 0);
  }
}

const AddCases kAdded = {{{"stridedBinary", "binaryNumber"}, binaries}, {{"stridedSelect"}, choices},
    {{"stridedCopy"}, copies}, {{"reduceRows"}, rows}, {{"gather"}, gathers}, {{"gather"}, outside}, {{"oneHot"}, hot}};

}  // namespace
}  // namespace tunesmith::cuda
