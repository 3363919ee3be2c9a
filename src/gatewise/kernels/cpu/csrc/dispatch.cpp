// The instruction sets in this library, and which of them this processor has.
//
// Compiled for the weakest, so that it runs everywhere. CMakeLists.txt defines GATEWISE_WITH_<NAME> for each set that
// the compiler could build: isa.cpp, compiled with that set's flags, then defines gatewise_functions_<name>.
#include "api.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

extern "C" {
extern const gatewise_functions gatewise_functions_sse2, gatewise_functions_avx2, gatewise_functions_avx512,
    gatewise_functions_avx512_bf16, gatewise_functions_neon, gatewise_functions_generic;
}

namespace {

bool always() { return true; }

// These also ask whether the operating system saves the wide registers.
#if defined(__x86_64__)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif
#if defined(GATEWISE_WITH_AVX512_BF16)  // a compiler that cannot build it may not know its name either
bool has_avx512_bf16() { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
#endif

struct InstructionSet {
  const char *name;
  bool (*runs)();
  const gatewise_functions *functions;
};

const InstructionSet sets[] = {
// weakest first
#if defined(GATEWISE_WITH_GENERIC)
    {"generic", always, &gatewise_functions_generic},
#endif
#if defined(GATEWISE_WITH_NEON)
    {"neon", always, &gatewise_functions_neon},
#endif
#if defined(GATEWISE_WITH_SSE2)
    {"sse2", always, &gatewise_functions_sse2},
#endif
#if defined(GATEWISE_WITH_AVX2)
    {"avx2", has_avx2, &gatewise_functions_avx2},
#endif
#if defined(GATEWISE_WITH_AVX512)
    {"avx512", has_avx512, &gatewise_functions_avx512},
#endif
#if defined(GATEWISE_WITH_AVX512_BF16)
    {"avx512_bf16", has_avx512_bf16, &gatewise_functions_avx512_bf16},
#endif
};

}  // namespace

EXPORT int gatewise_abi() { return GATEWISE_ABI; }

// What Python's description of each structure must agree with, in api.h's order.
EXPORT int64_t gatewise_structure_bytes(int structure) {
  const int64_t bytes[] = {sizeof(gatewise_weights),  sizeof(gatewise_sequence), sizeof(gatewise_layer),
                           sizeof(gatewise_norm),     sizeof(gatewise_dropout),  sizeof(gatewise_columns),
                           sizeof(gatewise_functions)};
  return bytes[structure];
}

EXPORT int gatewise_openmp() {
#if defined(_OPENMP)
  return 1;
#else
  return 0;
#endif
}

EXPORT int gatewise_isa_count() { return sizeof sets / sizeof *sets; }
EXPORT const char *gatewise_isa_name(int isa) { return sets[isa].name; }
EXPORT int gatewise_isa_runs(int isa) { return sets[isa].runs(); }
EXPORT const gatewise_functions *gatewise_isa_functions(int isa) { return sets[isa].functions; }
