#define TS_VL 16
#define TS_BF16 1
#define TS_ISA "avx512_bf16"
#define TS_TABLE kernelsAvx512BF16
#include "isa/table.h"

namespace tunesmith {

const Kernels* kernelsAmx() {
#if TS_TILES
  static const Kernels table = [] {
    Kernels k = *kernelsAvx512BF16();
    k.isa = "amx";
    return k;
  }();
  return &table;
#else
  return nullptr;
#endif
}

}  // namespace tunesmith
