// Sums over the rows of a matrix, for each of its columns: one pass where single operations would take one each.
#pragma once

#include "api.h"
#include "simd.h"

namespace {

constexpr long kRowsOfSum = 64;  // added up by themselves: a sum of many numbers then loses fewer digits

void column_sums(const gatewise_columns *call) {
  for (long first = 0; first < call->H; first += L) {
    const long lanes = call->H - first < L ? call->H - first : L;
    const Vector centre = load(call->centre + first, lanes);
    Vector total = {}, squares = {};
    Ints above = {}, below = {};
    for (long row = 0; row < call->n; row += kRowsOfSum) {
      const long end = call->n - row < kRowsOfSum ? call->n : row + kRowsOfSum;
      Vector total_here = {}, squares_here = {};
      for (long r = row; r < end; ++r) {
        const float *at = call->x + r * call->stride + first;
        const Vector x = lanes == L ? load(at) : load(at, lanes);
        const Vector away = x - centre;
        total_here += x;
        squares_here += away * away;
        above -= x > call->above;  // a comparison is -1 where it holds
        below -= x < call->below;
      }
      total += total_here;
      squares += squares_here;
    }
    float *sums = call->sums + first;
    store(sums, total, lanes);
    store(sums + call->H, __builtin_convertvector(above, Vector), lanes);
    store(sums + 2 * call->H, __builtin_convertvector(below, Vector), lanes);
    store(sums + 3 * call->H, squares, lanes);
  }
}

}  // namespace
