// The product by the kernels that read a matrix entry by entry.
#include "product.h"
#include "sweep_form.h"

namespace rarefy {
namespace {

// Entries of the blocks that run on all positions before the next ones do: they stay in the second
// cache meanwhile.
constexpr int64_t kStripEntries = (768 << 10) / 8;

class Interpreted final : public Product {
 public:
  Interpreted(const Tiles& tiles, const char* set, sweep<float>* kernel, const int32_t* x_offset,
              const int32_t* y_offset)
      : kernel_(kernel), parts_(tiles, SweepShape::of(set, tiles), x_offset, y_offset) {
    rows = tiles.rows;
    columns = tiles.columns;
    blocks = parts_.form.blocks;
  }

  int64_t work(int block) const override { return parts_.work[block]; }
  int64_t bytes() const override { return parts_.bytes(); }
  const char* kind() const override { return "interpreted"; }

  void run_at(int first, int last, const float* x, const int64_t* x_at, float* y,
              const int64_t* y_at, int groups, const float* bias, bool relu) const override {
    while (first < last) {
      int end = first + 1;
      int64_t entries = parts_.work[first];
      while (end < last && entries + parts_.work[end] <= kStripEntries) {
        entries += parts_.work[end++];
      }
      kernel_(&parts_.form, first, end, x, x_at, y, y_at, groups, bias,
              relu ? kSweepRelu : kSweepStores);
      first = end;
    }
  }

 private:
  sweep<float>* const kernel_;
  const SweepParts parts_;
};

}  // namespace

std::unique_ptr<Product> Product::interpreted(const Tiles& tiles, const char* set,
                                              const int32_t* x_offset, const int32_t* y_offset,
                                              std::string& error) {
  const auto kernel = reinterpret_cast<sweep<float>*>(rarefy_kernel("sweep_f32", set));
  if (!kernel) {
    error = std::string("there are no kernels for lines in the set ") + set;
    return nullptr;
  }
  return std::make_unique<Interpreted>(tiles, set, kernel, x_offset, y_offset);
}

}  // namespace rarefy
