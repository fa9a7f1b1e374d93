// AdamW with 32-bit and 8-bit moments, and the norm of gradients.
#include <algorithm>

#include "lab.h"

namespace tunesmith::cuda {
namespace {

void adamW32(Lab& lab) {
  // More tensors than one launch takes.
  for (int count : {1, 150}) {
    AdamW o = {0.01f, 0.9f, 0.99f, 1e-8f, 0.1f, 0.5f, 0.2f, 0.3f};
    std::vector<std::unique_ptr<DeviceArray>> arrays, copies;
    std::vector<AdamWTensor> tensors;
    for (int i = 0; i < count; i++) {
      const int64_t n = i % 50 == 49 ? 5003 : lab.random.integer(i ? 0 : 1, 700);
      for (int j = 0; j < 3; j++) arrays.push_back(std::make_unique<DeviceArray>(lab, n, Type::f32));
      std::vector<double> squares;
      for (int64_t k = 0; k < n; k++) squares.push_back(lab.random.real(0.01, 1));
      arrays.push_back(std::make_unique<DeviceArray>(lab, Type::f32, squares));
      const size_t at = arrays.size() - 4;
      copies.push_back(std::make_unique<DeviceArray>(lab, n, Type::bf16, Content::output));
      void* copy = i % 3 ? Array(*copies.back()).data : nullptr;
      tensors.push_back({arrays[at]->floats(), arrays[at + 1]->floats(), arrays[at + 2]->floats(),
          arrays[at + 3]->floats(), copy, n});
    }
    adamW(lab.stream, tensors.data(), count, o);
    for (size_t at = 0; at < arrays.size(); at += 4) {
      std::vector<double> p, m, v;
      for (size_t k = 0; k < arrays[at]->given().size(); k++) {
        const int64_t i = static_cast<int64_t>(k);
        const double g = (*arrays[at + 1])[i] * 0.5;
        m.push_back(0.9 * (*arrays[at + 2])[i] + 0.1 * g);
        v.push_back(0.99 * (*arrays[at + 3])[i] + 0.01 * g * g);
        p.push_back((*arrays[at])[i] * (1 - 0.01 * 0.1) - 0.01 / 0.2 * m.back() / (std::sqrt(v.back()) / 0.3 + 1e-8));
      }
      compare(lab, "parameters", arrays[at]->now(), p, 1e-5);
      if (tensors[at / 4].copy) compare(lab, "copies", copies[at / 4]->now(), p, 1e-2);
      compare(lab, "first moments", arrays[at + 2]->now(), m, 1e-5);
      compare(lab, "second moments", arrays[at + 3]->now(), v, 1e-5);
    }
  }
}

// An ascending table from `low` to 1 with `zero` of its entries near 0, as dynamic quantization has them.
std::vector<double> tableFrom(Lab& lab, double low) {
  std::vector<double> map;
  for (int i = 0; i < 256; i++)
    map.push_back(static_cast<double>(static_cast<float>(low + (1 - low) * std::pow(lab.random.real(0, 1), 2))));
  std::sort(map.begin(), map.end());
  map[255] = 1;
  return map;
}

void adamW8(Lab& lab) {
  for (int64_t n : {lab.random.integer(1, 255), int64_t{512}, lab.random.integer(257, 2000)}) {
    const int64_t blocks = ceilDiv(n, 256);
    const DeviceArray param(lab, n, Type::f32), grad(lab, n, Type::f32), map1(lab, Type::f32, tableFrom(lab, -1)),
        map2(lab, Type::f32, tableFrom(lab, 0));
    std::vector<double> scales;
    for (int64_t b = 0; b < blocks; b++) scales.push_back(lab.random.real(0.5, 1.5));
    const DeviceArray absmax1(lab, Type::f32, scales), absmax2(lab, Type::f32, scales);
    std::vector<uint8_t> random1, random2;
    for (int64_t i = 0; i < n; i++) {
      random1.push_back(static_cast<uint8_t>(lab.random.integer(0, 255)));
      random2.push_back(static_cast<uint8_t>(lab.random.integer(40, 255)));
    }
    const Bytes codes1(lab, random1), codes2(lab, random2);
    const DeviceArray copy(lab, n, Type::bf16, Content::output);
    const AdamW8bitTensor t = {param.floats(), grad.floats(), codes1.data(), codes2.data(), absmax1.floats(),
        absmax2.floats(), Array(copy).data, n};
    const AdamW8bit o = {map1.floats(), map2.floats(), -0.02f, 0.4f, 0.999f, 1e-8f, 0.5f, 0.9f, 0.1f, 0.99f, 0.01f};
    adamW8bit(lab.stream, &t, 1, o);
    std::vector<double> p, m, v, top1(static_cast<size_t>(blocks)), top2(top1);
    for (int64_t i = 0; i < n; i++) {
      const size_t at = static_cast<size_t>(i), b = static_cast<size_t>(i / 256);
      const double g = grad[i] * 0.5;
      m.push_back(0.9 * map1[random1[at]] * absmax1[i / 256] + 0.1 * g);
      v.push_back(0.99 * map2[random2[at]] * absmax2[i / 256] + 0.01 * g * g);
      p.push_back(param[i] * 0.999 - 0.02 * m.back() / (std::sqrt(v.back()) / 0.4 + 1e-8));
      top1[b] = std::max(top1[b], std::fabs(m.back()));
      top2[b] = std::max(top2[b], std::fabs(v.back()));
    }
    compare(lab, "parameters", param.now(), p, 2e-5);
    compare(lab, "copies", copy.now(), p, 1e-2);
    compare(lab, "first scales", absmax1.now(), top1, 1e-5);
    compare(lab, "second scales", absmax2.now(), top2, 1e-5);
    // No entry of the table may be nearer than the one that was chosen.
    const auto nearest = [&](const char* what, const std::vector<uint8_t>& codes, const DeviceArray& map,
                             const std::vector<double>& wanted, const std::vector<double>& tops) {
      size_t off = 0;
      for (size_t i = 0; i < codes.size(); i++) {
        const double x = wanted[i] / tops[i / 256];
        double best = INFINITY;
        for (int64_t c = 0; c < 256; c++) best = std::min(best, std::fabs(map[c] - x));
        off += std::fabs(map[codes[i]] - x) > best + 1e-5;
      }
      expect(off == 0,
          lab.running + ": " + std::to_string(off) + " of " + std::to_string(codes.size()) + " " + what +
              " codes are not the nearest");
    };
    nearest("first", codes1.now(), map1, m, top1);
    nearest("second", codes2.now(), map2, v, top2);
  }
}

void norms(Lab& lab) {
  for (Type type : kFloatTypes) {
    std::vector<std::unique_ptr<DeviceArray>> arrays;
    std::vector<NormTensor> tensors;
    int64_t parts = 0;
    double want = 0;
    // More than one launch takes; the last needs more than one block.
    for (int i = 0; i < 170; i++) {
      const int64_t n = i == 169 ? 40003 : lab.random.integer(i ? 0 : 1, 300);
      arrays.push_back(std::make_unique<DeviceArray>(lab, n, type));
      tensors.push_back({Array(*arrays.back()).data, n});
      parts += normParts(tensors.back());
      for (double v : arrays.back()->given()) want += v * v;
    }
    const DeviceArray partial(lab, 2 * parts, Type::f32, Content::output), y(lab, 1, Type::f32, Content::output);
    sumSquares(lab.stream, type, tensors.data(), static_cast<int>(tensors.size()), partial.doubles());
    finishNorm(lab.stream, partial.doubles(), parts, y.floats());
    compare(lab, nameOf(type), y.now(), {std::sqrt(want)}, 1e-6);
  }
}

const AddCases kAdded = {{{"adamW"}, adamW32}, {{"adamW8bit"}, adamW8}, {{"sumSquares", "finishNorm"}, norms}};

}  // namespace
}  // namespace tunesmith::cuda
