// Chooses the instruction set once, at first use, and the precision of products.
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "common.h"

namespace tunesmith {
namespace {

bool runs(const char* isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!std::strcmp(isa, "avx512_bf16")) return runs("avx512") && __builtin_cpu_supports("avx512bf16");
  if (!std::strcmp(isa, "avx512"))
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!std::strcmp(isa, "avx2"))
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
#endif
  return !std::strcmp(isa, "base");
}

const Kernels* choose() {
  const char* wanted = std::getenv("TUNESMITH_ISA");
#if defined(__x86_64__)
  const auto may = [&](const char* isa) { return (!wanted || !std::strcmp(wanted, isa)) && runs(isa); };
  if (may("avx512_bf16")) return kernelsAvx512BF16();
  if (may("avx512") || (wanted && !std::strcmp(wanted, "avx512_bf16") && runs("avx512"))) return kernelsAvx512();
  if ((!wanted || std::strcmp(wanted, "base")) && runs("avx2")) return kernelsAvx2();
#endif
  (void)wanted;
  (void)runs;
  return kernelsBase();
}

bool hasBF16() { return !std::strcmp(kernels().isa, "avx512_bf16"); }

bool fasterInBF16() {
#if defined(__x86_64__)
  return hasBF16() && __builtin_cpu_is("amd");
#else
  return false;
#endif
}

std::atomic<bool>& precision() {
  static std::atomic<bool> bf16{fasterInBF16()};
  return bf16;
}

}  // namespace

const Kernels& kernels() {
  static const Kernels* chosen = choose();
  return *chosen;
}

bool bf16Products() { return precision().load(std::memory_order_relaxed); }

bool setBF16Products(bool wanted) {
  if (wanted && !hasBF16()) return false;
  precision().store(wanted, std::memory_order_relaxed);
  return true;
}

}  // namespace tunesmith
