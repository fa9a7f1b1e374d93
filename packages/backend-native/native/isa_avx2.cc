#define TS_VL 8
#define TS_ISA "avx2"
#define TS_TABLE kernelsAvx2
#include "isa/table.h"
