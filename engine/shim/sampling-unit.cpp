#include "sampling.cpp"
