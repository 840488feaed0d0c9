// llama.cpp and the shim around its common/, as scripts/deps-engine built them.
#pragma once
#include <lcc.h>
