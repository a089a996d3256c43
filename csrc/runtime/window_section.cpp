#include "window_section.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>

#include "../kernels/window_numbers.h"

namespace rarefy {
namespace {

constexpr int64_t kHeader = 64;
constexpr int64_t kMostSide = INT32_MAX / 2;
// A section of a few bytes must not ask for much memory: places of the matrix a byte, and for none.
constexpr int64_t kPlacesOfByte = 1024, kPlacesAtLeast = 1 << 22;

int64_t to_64(int64_t bytes) { return (bytes + 63) / 64 * 64; }

struct Header {
  int64_t rows, columns, nonzero;
  int32_t kind, tokens;
  float scale;
  uint8_t zero[28];
};
static_assert(sizeof(Header) == kHeader, "the header is 64 bytes");

struct Layout {
  int64_t row_scale, start, column, value, size;
  int column_bytes;

  Layout(int32_t kind, int64_t rows, int64_t columns, int64_t nonzero)
      : column_bytes(columns <= 65536 ? 2 : 4) {
    row_scale = kHeader;
    start = row_scale + to_64(4 * rows);
    column = start + to_64(8 * (rows + 1));
    value = column + to_64(column_bytes * nonzero);
    size = value + to_64(weight_bytes(kind) * nonzero);
  }
};

bool fails(std::string& error, const char* problem) {
  error = std::string("a weight of low precision is damaged: ") + problem;
  return false;
}

bool is_integer(int32_t kind) { return kind <= kW16A16; }

bool good_header(const Header& header, int64_t size) {
  const bool scaled = header.tokens != kOwn;
  const bool fits_kind = header.kind >= 0 && header.kind < kWindowKinds &&
                         (is_integer(header.kind) || !scaled) &&
                         (header.kind == kW8A8 || header.tokens != kPositive);
  const bool fits_scale = scaled ? std::isfinite(header.scale) && header.scale >= kLeastActivation
                                 : bits_of_float(header.scale) == 0;
  const uint8_t* const zero = header.zero;
  return fits_kind && header.tokens >= kOwn && header.tokens <= kPositive && fits_scale &&
         header.rows >= 0 && header.columns >= 0 && header.nonzero >= 0 &&
         header.rows <= kMostSide && header.columns <= kMostSide && header.nonzero <= size &&
         std::all_of(zero, zero + sizeof header.zero, [](uint8_t byte) { return byte == 0; });
}

bool zeros_between(const uint8_t* bytes, int64_t begin, int64_t end) {
  return std::all_of(bytes + begin, bytes + end, [](uint8_t byte) { return byte == 0; });
}

bool check_rows(const Quantized& weight, std::string& error) {
  bool rises = weight.start.front() == 0 && weight.start.back() == weight.nonzero();
  for (int64_t row = 0; row < weight.rows; ++row) {
    rises &= weight.start[row] <= weight.start[row + 1];
  }
  if (!rises) return fails(error, "its rows do not cover its entries");
  for (int64_t row = 0; row < weight.rows; ++row) {
    const float scale = weight.row_scale[row];
    if (!std::isfinite(scale) || scale <= 0) return fails(error, "a row's scale is no scale");
    int64_t before = -1;
    for (int64_t i = weight.start[row]; i < weight.start[row + 1]; ++i) {
      if (weight.column[i] <= before || weight.column[i] >= weight.columns) {
        return fails(error, "the columns of a row do not ascend or lie outside of it");
      }
      before = weight.column[i];
    }
  }
  return true;
}

// Sets the levels of 16-bit activations; false where sums could leave their type.
bool check_values(Quantized& weight, std::string& error) {
  int64_t largest = 0;
  double largest_half = 0;
  for (int64_t row = 0; row < weight.rows; ++row) {
    int64_t sum = 0;
    double half = 0;
    for (int64_t i = weight.start[row]; i < weight.start[row + 1]; ++i) {
      const int32_t value = weight.value[i];
      const auto bits = static_cast<uint16_t>(value);
      if (weight.kind == kBf16 && (bits & 0x7f80) == 0x7f80) return fails(error, "not finite");
      if (weight.kind == kF16 && (bits & 0x7c00) == 0x7c00) return fails(error, "not finite");
      if (weight.kind == kF16) half += std::fabs(float_of_f16(bits));
      sum += std::abs(value);
    }
    largest = std::max(largest, sum);
    largest_half = std::max(largest_half, half);
  }
  if ((weight.kind == kW8A8 && largest > kLargestRowSum8) ||
      (weight.kind == kF16 && largest_half > kLargestHalfSum)) {
    return fails(error, "a row's sum overflows");
  }
  if (weight.kind == kW8A16 || weight.kind == kW16A16) {
    const int64_t levels = largest ? INT32_MAX / largest : INT16_MAX;
    if (levels < kFewestLevels) return fails(error, "a row's sum overflows");
    weight.levels = static_cast<int32_t>(std::min<int64_t>(levels, INT16_MAX));
  }
  return true;
}

// ---- Quantising ------------------------------------------------------------------------------

// To the nearest whole number, ties to even; sizes below 2^22.
inline float whole(float value) {
  constexpr float shift = 3 << 22;
  return (value + shift) - shift;
}

struct Row {
  std::vector<uint32_t> column;
  std::vector<float> value;
  std::vector<int16_t> rounded;

  // The kept weights; false where one is not finite.
  bool gather(const float* weight, const uint8_t* mask, int64_t columns, int32_t kind) {
    column.clear();
    value.clear();
    uint32_t largest = 0;
    for (int64_t first = 0; first < columns; first += 64) {
      const int64_t count = std::min<int64_t>(64, columns - first);
      uint64_t kept = 0;  // bit by bit without a branch: which are kept is hard to predict
      for (int64_t j = 0; j < count; ++j) {
        const bool keep = mask ? mask[first + j] != 0 : weight[first + j] != 0;
        kept |= static_cast<uint64_t>(keep) << j;
      }
      for (; kept; kept &= kept - 1) {
        const int64_t c = first + __builtin_ctzll(kept);
        column.push_back(static_cast<uint32_t>(c));
        value.push_back(weight[c]);
        largest = std::max(largest, bits_of_float(weight[c]) & 0x7fffffff);
      }
    }
    return largest < (kind == kBf16 ? kBf16InfinityBits : kInfinityBits);
  }

  float largest() const {
    float most = 0;
    for (float v : value) most = std::max(most, std::fabs(v));
    return most;
  }
  // Rounds value / scale; the sum of sizes.
  int64_t round(float scale) {
    int64_t sum = 0;
    for (size_t i = 0; i < value.size(); ++i) {
      rounded[i] = static_cast<int16_t>(whole(value[i] / scale));
      sum += std::abs(int32_t{rounded[i]});
    }
    return sum;
  }
  double round_halves(int exponent) {
    double sum = 0;
    for (size_t i = 0; i < value.size(); ++i) {
      const uint16_t bits = f16_of(std::ldexp(value[i], -exponent));
      rounded[i] = static_cast<int16_t>(bits);
      sum += std::fabs(float_of_f16(bits));
    }
    return sum;
  }
};

// The row's scale; its rounded values are set.
float quantise(int32_t kind, Row& row) {
  row.rounded.assign(row.value.size(), 0);
  if (kind == kBf16) {
    for (size_t i = 0; i < row.value.size(); ++i) {
      row.rounded[i] = static_cast<int16_t>(bf16_of(row.value[i]));
    }
    return 1;
  }
  const float most = row.largest();
  if (most < kLeastActivation) return 1;  // what is there rounds to 0
  if (kind == kF16) {
    int exponent;
    std::frexp(most, &exponent);
    exponent = std::min(exponent, 127);  // 2^128 is no float
    while (row.round_halves(exponent) > 0.98 * kLargestHalfSum) ++exponent;
    return std::ldexp(1.0f, exponent);
  }
  float scale = most / (weight_bytes(kind) == 1 ? 127 : INT16_MAX);
  const auto sum = static_cast<double>(row.round(scale));
  const auto most_sum = static_cast<double>(kind == kW16A16 ? kLargestRowSum16 : kLargestRowSum8);
  const double bound = 0.98 * most_sum;
  if (sum > bound) {
    scale = static_cast<float>(static_cast<double>(scale) * (sum / bound));
    row.round(scale);
  }
  return scale;
}

bool is_zero(int32_t kind, int16_t rounded) {
  return is_integer(kind) ? rounded == 0 : (rounded & 0x7fff) == 0;
}

}  // namespace

int64_t quantized_size(int32_t kind, int64_t rows, int64_t columns, int64_t nonzero) {
  return Layout(kind, rows, columns, nonzero).size;
}

TokenRule Quantized::rule() const {
  if (kind != kW8A8) return {-levels, levels, 0, scale};
  return tokens == kPositive ? TokenRule{0, 255, 0, scale} : TokenRule{-128, 127, 128, scale};
}

bool Quantized::read(const uint8_t* bytes, int64_t size, Quantized& weight, std::string& error) {
  Header header;
  if (!bytes || size < kHeader) return fails(error, "it ends before its header does");
  std::memcpy(&header, bytes, sizeof header);
  if (!good_header(header, size) ||
      header.rows * header.columns > size * kPlacesOfByte + kPlacesAtLeast) {
    return fails(error, "its header is impossible");
  }
  const Layout layout(header.kind, header.rows, header.columns, header.nonzero);
  if (layout.size != size) return fails(error, "its length is not what its header tells");
  Quantized found;
  found.kind = header.kind, found.tokens = header.tokens, found.scale = header.scale;
  found.rows = header.rows, found.columns = header.columns;
  found.row_scale.resize(header.rows);
  found.start.resize(header.rows + 1);
  found.column.resize(header.nonzero);
  found.value.resize(header.nonzero);
  if (header.rows) std::memcpy(found.row_scale.data(), bytes + layout.row_scale, 4 * header.rows);
  std::memcpy(found.start.data(), bytes + layout.start, 8 * (header.rows + 1));
  const uint8_t* const columns = bytes + layout.column;
  const uint8_t* const values = bytes + layout.value;
  for (int64_t i = 0; i < header.nonzero; ++i) {
    std::memcpy(&found.column[i], columns + layout.column_bytes * i, layout.column_bytes);
    if (weight_bytes(header.kind) == 1) {
      found.value[i] = static_cast<int8_t>(values[i]);
    } else {
      std::memcpy(&found.value[i], values + 2 * i, 2);
    }
  }
  const int64_t wide = weight_bytes(header.kind);
  if (!zeros_between(bytes, layout.row_scale + 4 * header.rows, layout.start) ||
      !zeros_between(bytes, layout.start + 8 * (header.rows + 1), layout.column) ||
      !zeros_between(bytes, layout.column + layout.column_bytes * header.nonzero, layout.value) ||
      !zeros_between(bytes, layout.value + wide * header.nonzero, layout.size)) {
    return fails(error, "what lies between its parts is not zero");
  }
  if (!check_rows(found, error) || !check_values(found, error)) return false;
  weight = std::move(found);
  return true;
}

}  // namespace rarefy

int64_t rarefy_quantize(const float* weight, const uint8_t* mask, int64_t rows, int64_t columns,
                        int32_t kind, int32_t tokens, float scale, uint8_t* out,
                        int64_t room) try {
  using namespace rarefy;
  Header header{rows, columns, 0, kind, tokens, scale, {}};
  if (!good_header(header, 0) || (columns && rows > INT64_MAX / 64 / columns)) return -1;
  std::vector<float> row_scale(rows);
  std::vector<int64_t> start(rows + 1);
  std::vector<uint32_t> column;
  std::vector<int16_t> value;
  Row row;
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t at = r * columns;
    if (!row.gather(weight + at, mask ? mask + at : nullptr, columns, kind)) return -2;
    row_scale[r] = quantise(kind, row);
    for (size_t i = 0; i < row.value.size(); ++i) {
      if (is_zero(kind, row.rounded[i])) continue;
      column.push_back(row.column[i]);
      value.push_back(row.rounded[i]);
    }
    start[r + 1] = static_cast<int64_t>(value.size());
  }
  header.nonzero = start[rows];
  const Layout layout(kind, rows, columns, header.nonzero);
  if (layout.size > room) return -1;
  std::memset(out, 0, layout.size);
  std::memcpy(out, &header, sizeof header);
  if (rows) std::memcpy(out + layout.row_scale, row_scale.data(), 4 * rows);
  std::memcpy(out + layout.start, start.data(), 8 * (rows + 1));
  for (int64_t i = 0; i < header.nonzero; ++i) {
    std::memcpy(out + layout.column + layout.column_bytes * i, &column[i], layout.column_bytes);
    std::memcpy(out + layout.value + weight_bytes(kind) * i, &value[i], weight_bytes(kind));
  }
  return layout.size;
} catch (const std::exception&) {  // no memory
  return -1;
}
