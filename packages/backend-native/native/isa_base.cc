#define TS_VL 4
#define TS_ISA "base"
#define TS_TABLE kernelsBase
#include "isa/table.h"
