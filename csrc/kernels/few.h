// A sparse matrix laid out for a few tokens: what the kernels in few.cpp read.
//
// Lanes of a vector are output rows. A group is as many rows as a vector has lanes; it runs through
// its steps, and every step brings each of its rows one entry. Rows of like counts share a group,
// so that few slots stay empty; an empty slot holds +0.0, while an entry that is zero holds -0.0.
#pragma once
#include <cstdint>

namespace rarefy {

enum class FewKind : int32_t {
  rows,    // plain lists, row after row; any set
  pick,    // entries out of two lines of x a step, brought into place by one permutation
  delta,   // entries anywhere, found by their distance from the row's last one, by gathers
  column,  // blocks of `lanes` outputs that share an input
  tall,    // blocks of 4 outputs that share an input
  flat,    // blocks of 4 inputs of one output
};

struct FewForm {
  FewKind kind = FewKind::rows;
  int32_t lanes = 1;     // rows of a group
  int32_t bits = 0;      // pick, delta: bits of a slot in its word
  int32_t per_word = 1;  // pick, delta: steps whose slots share a word; a group has whole words
  int64_t rows = 0, columns = 0, groups = 0;

  // groups + 1. First step of a group; for `rows`, where its lists begin is in row_start instead.
  const int64_t* first_step = nullptr;
  // groups * lanes: the row a lane stands for, or -1.
  const int32_t* row_of = nullptr;
  // pick, delta: lanes words for every per_word steps; step s has the bits s % per_word * bits.
  const uint32_t* words = nullptr;
  // pick: two first columns of lines a step. column, tall, flat: first column of every block, the
  // blocks of a step in the order of the vector's lanes (flat: vector q, quad k is lane 4 k + q).
  const uint16_t* places = nullptr;
  const float* values = nullptr;

  // rows only: rows + 1, and the columns of the entries.
  const int64_t* row_start = nullptr;
  const int32_t* entry_columns = nullptr;
};

// Floats of a line that `pick` reads: x shorter than this is copied beside zeros first.
constexpr int64_t kFewLargestLine = 16;
// Tokens of one pass over the weights.
constexpr int kFewTokens = 8;

// y[t * y_stride + r] = bias[r] + sum over k of w[r, k] x[t * x_stride + k] for the rows of groups
// [first, last) and `tokens` <= kFewTokens tokens; without its negative part where `relu`, which
// keeps NaN. No bias where it is null. An empty slot never lets an inf or NaN of x into a row.
template <class T>
using few = void(const FewForm* form, int64_t first, int64_t last, const T* x, int64_t x_stride,
                 T* y, int64_t y_stride, int32_t tokens, const T* bias, int32_t relu);

}  // namespace rarefy
