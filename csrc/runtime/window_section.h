// A sparse weight in low precision, as it is stored: rows of integers or halves, every number
// checked when it is read. What kernels run on is made from this, so no stored byte ever is an
// address, an offset or a count that a kernel follows.
//
// Bytes of the section (little endian): int64 rows, columns, nonzero; int32 kind (window.h), tokens
// (below); float32 scale; 28 zeros; float32 row_scale[rows]; int64 start[rows + 1];
// columns[nonzero], uint16, or uint32 where there are more than 65536; values[nonzero], int8 or 16
// bits. Every array begins at a multiple of 64, and the end is one; zeros between. A row's columns
// ascend.
#pragma once
#include <string>
#include <vector>

#include "../dispatch.h"
#include "../kernels/window.h"

namespace rarefy {

// Where the scale of a token's integers comes from.
enum TokenScale : int32_t {
  kOwn = 0,         // each token's largest
  kCalibrated = 1,  // the section's scale; integers of both signs
  kPositive = 2,    // the same for activations that are never negative: 0 is stored as 0
};

// So that no sum of a row can leave 32 bits, whatever the activations (8 bits x 255; 16 bits x at
// least 8191), nor 16-bit floats of a token below 8.
constexpr int64_t kLargestRowSum8 = INT32_MAX / 255;
constexpr int64_t kLargestRowSum16 = INT32_MAX / 8191;
constexpr int64_t kFewestLevels = 255;
constexpr double kLargestHalfSum = 7500;

struct Quantized {
  int32_t kind = kW8A8;
  int32_t tokens = kOwn;
  int64_t rows = 0, columns = 0;
  float scale = 0;
  std::vector<float> row_scale;
  std::vector<int64_t> start;    // of every row, and the end
  std::vector<uint32_t> column;
  std::vector<int16_t> value;    // integers, or the bits of a half
  int32_t levels = 127;          // largest integer of a 16-bit activation: no sum overflows

  int64_t nonzero() const { return static_cast<int64_t>(value.size()); }
  int64_t count(int64_t row) const { return start[row + 1] - start[row]; }
  TokenRule rule() const;

  // False, and one line in `error`, where the bytes are not such a section. Copies what it needs.
  static bool read(const uint8_t* bytes, int64_t size, Quantized& weight, std::string& error);
};

// Bytes of the section.
int64_t quantized_size(int32_t kind, int64_t rows, int64_t columns, int64_t nonzero);

}  // namespace rarefy

// Quantises a dense row-major matrix. Kept are the nonzero weights, or, where there is a mask, the
// places whose byte is not 0; those that round to 0 are dropped. Writes the section to `out` (room
// for quantized_size with all kept is enough) and returns its bytes; -1 where an argument makes
// none, -2 where a weight is not finite.
RAREFY_EXPORT int64_t rarefy_quantize(const float* weight, const uint8_t* mask, int64_t rows,
                                      int64_t columns, int32_t kind, int32_t tokens, float scale,
                                      uint8_t* out, int64_t room);
