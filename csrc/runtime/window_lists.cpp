// A weight of float16 as lists of its entries, row by row in tiles of columns: half the bytes of
// the smallest generated code, for weights that are larger than the cache that code must come from.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "window_half.h"

namespace rarefy {
namespace {

constexpr int64_t kPanelRows = 192;

// Columns of a tile: the fewer, the nearer their lines; the more, the fewer times sums are read.
constexpr int64_t kTileColumns = 256;

class Lists final : public Halves {
 public:
  const char* form() const override { return "lists"; }
  int64_t bytes() const override {
    return static_cast<int64_t>(runs_.size() * sizeof(runs_[0]) + rows_.size() * 4 +
                                quads_.size() * sizeof(quads_[0]) + first_run_.size() * 24);
  }
  int units() const override { return panels_; }
  int64_t work(int unit) const override {
    return first_quad_[(unit + 1) * form_.tiles] - first_quad_[unit * form_.tiles] + 1;
  }

  void run(int first, int last, const uint8_t* prepared, int64_t tokens, float* y, int64_t y_stride,
           const float* bias, bool relu) const override {
    const int64_t groups = pieces(tokens);
    const int64_t at_once = std::clamp<int64_t>(kPlaneRoom / planes_, 1, kListGroups);
    alignas(64) uint8_t sums[kPlaneRoom * kPanelRows * kLine];
    for (int panel = first; panel < last; ++panel) {
      const int64_t begin = first_row(panel), height = first_row(panel + 1) - begin;
      const int64_t plane_bytes = height * kLine, group_bytes = planes_ * plane_bytes;
      for (int64_t group = 0; group < groups; group += at_once) {
        const int64_t count = std::min(at_once, groups - group);
        std::memset(sums, 0, count * group_bytes);
        for (int64_t plane = 0; plane < planes_; ++plane) {
          multiply_(&form_, panel, form_.tiles * plane / planes_,
                    form_.tiles * (plane + 1) / planes_, lines_of(prepared, tokens, group),
                    columns * kLine, count, sums + plane * plane_bytes, group_bytes);
        }
        for (int64_t g = 0; g < count; ++g) {
          finish({tokens, y, y_stride, bias, relu}, prepared, group + g, begin, height,
                 sums + g * group_bytes, plane_bytes);
        }
      }
    }
  }

  bool fill(const Quantized& weight, const char* set, std::string& error) {
    multiply_ =
        reinterpret_cast<window_lists<void>*>(window_kernel("window_lists_f16", set, error));
    if (!multiply_ || !take(weight, set, error)) return false;
    planes_ = std::min(planes_, static_cast<int>(kPlaneRoom));
    form_.tiles = std::max<int64_t>(planes_, (columns + kTileColumns - 1) / kTileColumns);
    form_.tile_columns = (columns + form_.tiles - 1) / form_.tiles;
    panels_ = static_cast<int>((rows + kPanelRows - 1) / kPanelRows);
    std::vector<int64_t> next(weight.start.begin(), weight.start.end() - 1);
    for (int panel = 0; panel < panels_; ++panel) {
      for (int64_t tile = 0; tile < form_.tiles; ++tile) add_tile(weight, panel, tile, next);
    }
    mark();
    form_.first_run = first_run_.data();
    form_.runs = runs_.data();
    form_.first_row = first_listed_.data();
    form_.rows = rows_.data();
    form_.first_quad = first_quad_.data();
    form_.quads = quads_.data();
    return true;
  }

 private:
  static constexpr int64_t kPlaneRoom = 12;  // planes x groups of tokens that fit on the stack

  int64_t first_row(int64_t panel) const { return panels_ ? rows * panel / panels_ : 0; }

  // Where the lists of the next (panel, tile) begin.
  void mark() {
    first_run_.push_back(static_cast<int64_t>(runs_.size()));
    first_listed_.push_back(static_cast<int64_t>(rows_.size()));
    first_quad_.push_back(static_cast<int64_t>(quads_.size()));
  }

  void add_tile(const Quantized& weight, int64_t panel, int64_t tile, std::vector<int64_t>& next) {
    mark();
    const int64_t begin = first_row(panel), height = first_row(panel + 1) - begin;
    const int64_t first_column = tile * form_.tile_columns;
    const int64_t end_column = first_column + form_.tile_columns;
    std::vector<int64_t> from(height);
    std::vector<int32_t> quads(height), order(height);
    for (int64_t row = 0; row < height; ++row) {
      int64_t& at = next[begin + row];
      from[row] = at;
      while (at < weight.start[begin + row + 1] && weight.column[at] < end_column) ++at;
      quads[row] = static_cast<int32_t>((at - from[row] + 3) / 4);
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return quads[a] > quads[b]; });
    for (int32_t row : order) {
      if (!quads[row]) break;
      const bool first = runs_.size() == static_cast<size_t>(first_run_.back());
      if (first || runs_.back().quads != quads[row]) {
        runs_.push_back({0, quads[row]});
      }
      ++runs_.back().rows;
      rows_.push_back(row);
      for (int64_t i = from[row]; i < next[begin + row]; i += 4) {
        ListForm::Quad quad{};
        for (int64_t z = 0; z < 4 && i + z < next[begin + row]; ++z) {
          quad.offset[z] = static_cast<uint16_t>((weight.column[i + z] - first_column) * kLine);
          quad.weight[z] = static_cast<uint16_t>(weight.value[i + z]);
        }
        quads_.push_back(quad);
      }
    }
  }

  int panels_ = 0;
  ListForm form_{};
  window_lists<void>* multiply_ = nullptr;
  std::vector<int64_t> first_run_, first_listed_, first_quad_;
  std::vector<ListForm::Run> runs_;
  std::vector<int32_t> rows_;
  std::vector<ListForm::Quad> quads_;
};

}  // namespace

std::unique_ptr<Window> make_lists(const Quantized& weight, const char* set, std::string& error) {
  if (weight.kind != kF16) {
    error = "lists with float16 arithmetic need weights of float16";
    return nullptr;
  }
  if (std::string(set) == kWindowSet && !has_half_arithmetic()) {
    error = "this CPU has no float16 arithmetic";
    return nullptr;
  }
  auto made = std::make_unique<Lists>();
  if (!made->fill(weight, set, error)) return nullptr;
  return made;
}

}  // namespace rarefy
