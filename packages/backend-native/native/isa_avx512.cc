#define TS_VL 16
#define TS_ISA "avx512"
#define TS_TABLE kernelsAvx512
#include "isa/table.h"
