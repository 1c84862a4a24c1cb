/* The header asserts its own sizes when it is compiled here. */
#include "postern_abi.h"
