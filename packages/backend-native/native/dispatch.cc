// Chooses the instruction set once, at first use.
#include <cstdlib>
#include <cstring>

#include "common.h"

namespace tunesmith {
namespace {

bool runs(const char* isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
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
  if ((!wanted || !std::strcmp(wanted, "avx512")) && runs("avx512")) return kernelsAvx512();
  if ((!wanted || std::strcmp(wanted, "base")) && runs("avx2")) return kernelsAvx2();
#endif
  (void)wanted;
  (void)runs;
  return kernelsBase();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels* chosen = choose();
  return *chosen;
}

}  // namespace tunesmith
