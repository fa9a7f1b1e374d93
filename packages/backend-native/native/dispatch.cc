// Chooses the instruction set once, at first use, and the precision of products.
#include <atomic>
#include <cstdlib>
#include <cstring>

#include "common.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tunesmith {
namespace {

// Whether the processor has tiles with products of bf16, and the system lets this process use them: it keeps their
// 8 KiB per thread only for those that ask.
bool hasTiles() {
#if defined(__x86_64__) && defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kBF16 = 1u << 22, kTile = 1u << 24;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (kBF16 | kTile)) != (kBF16 | kTile)) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool runs(const char* isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!std::strcmp(isa, "amx")) return kernelsAmx() && runs("avx512_bf16") && hasTiles();
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
  // From the wanted one downwards, so that a name this processor cannot run gets the best below it.
  const struct {
    const char* isa;
    const Kernels* (*kernels)();
  } all[] = {{"amx", kernelsAmx}, {"avx512_bf16", kernelsAvx512BF16}, {"avx512", kernelsAvx512}, {"avx2", kernelsAvx2}};
  bool reached = !wanted;
  for (const auto& each : all) {
    reached = reached || !std::strcmp(wanted, each.isa);
    if (reached && runs(each.isa)) return each.kernels();
  }
#endif
  (void)runs;
  return kernelsBase();
}

bool hasBF16() { return productsInTiles() || !std::strcmp(kernels().isa, "avx512_bf16"); }

bool fasterInBF16() {
#if defined(__x86_64__)
  return productsInTiles() || (hasBF16() && __builtin_cpu_is("amd"));
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

bool productsInTiles() {
  static const bool tiles = !std::strcmp(kernels().isa, "amx");
  return tiles;
}

bool bf16Products() { return precision().load(std::memory_order_relaxed); }

bool setBF16Products(bool wanted) {
  if (wanted && !hasBF16()) return false;
  precision().store(wanted, std::memory_order_relaxed);
  return true;
}

}  // namespace tunesmith
