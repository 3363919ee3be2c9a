#!/usr/bin/env bash
# scripts/sanitize.sh address|thread: builds the CPU kernel so instrumented, in a folder of build/, and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=$1
build=build/$kind
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DGATEWISE_SANITIZE="$kind" -DGATEWISE_REQUIRE_LIBRARY=ON >/dev/null
cmake --build "$build" --parallel
echo

if [ "$kind" = thread ]; then
  "$build/gatewise_driver"
  exit
fi

# Python is not instrumented: what observes the memory must be in the process before it. It would take what Python keeps
# until the end for lost.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$build/CMakeCache.txt")
LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libstdc++.so)" \
  ASAN_OPTIONS=detect_leaks=0 GATEWISE_CPU_LIBRARY=$build/libgatewise_cpu.so \
  .venv/bin/python -m pytest tests/kernels -k cpu
