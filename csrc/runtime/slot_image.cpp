#include "slot_image.h"

#include <algorithm>
#include <cstring>

#include "plan.h"
#include "slot_size.h"

namespace rarefy {
namespace {

// Positions of the gradient at a time: their lines of a few channels stay in the first cache.
constexpr int64_t kMostPositions = 12;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

class SlotImage final : public SlotLayer {
 public:
  SlotImage(Slots slots, const ImageGeometry& geometry, const char* set, const LineKernels& kernels)
      : SlotLayer(std::move(slots), set, kernels),
        geometry_(geometry),
        channels_(slots_.columns / geometry.taps()) {}

  int64_t bytes() const override {
    const auto size = std::atomic_load(&size_);
    return size ? size->parts->bytes() : static_cast<int64_t>(slots_.positions.size() * 2);
  }

  int forward(const float* x, const float* values, const float* bias, float* y,
              const int64_t* sizes, int threads) const override {
    const auto size = size_for(sizes[1], sizes[2]);
    if (!size) return kWrongShape;
    const SlotProduct* const made = size->parts->product();
    if (!made) return kNoKernel;
    each_group(sizes[0], *size, threads, [&](const Group& group, float* x_lines, float* y_lines) {
      enter_padded(x, group, *size, x_lines, y_lines);
      multiply(*made, values, x_lines, y_lines, *size, true, bias);
      leave(y_lines, group, slots_.rows, size->out_pixels(), y);
    });
    return kDone;
  }

  int input_gradient(const float* dy, const float* values, float* dx, const int64_t* sizes,
                     int threads) const override {
    const auto size = size_for(sizes[1], sizes[2]);
    if (!size) return kWrongShape;
    const SlotProduct* const made = size->parts->twin();
    if (!made) return kNoKernel;
    each_group(sizes[0], *size, threads, [&](const Group& group, float* x_lines, float* y_lines) {
      std::memset(x_lines, 0, sizeof(float) * channels_ * size->plane * kLine);
      enter(dy, group, slots_.rows, size->out_pixels(), y_lines);
      multiply(*made, values, y_lines, x_lines, *size, false, nullptr);
      leave_padded(x_lines, group, *size, dx, y_lines);
    });
    return kDone;
  }

  int weight_gradient(const float* x, const float* dy, float* dvalues, const int64_t* sizes,
                      int threads) const override {
    const auto size = size_for(sizes[1], sizes[2]);
    if (!size) return kWrongShape;
    const SlotGradient* const made = size->parts->gradient();
    if (!made) return kNoKernel;
    std::memset(dvalues, 0, sizeof(float) * slots_.capacity);
    const auto groups = static_cast<int>(divide_up(sizes[0], kLine));
    if (!groups || !slots_.entries) return kDone;
    auto scratch = shelf_.take();
    float* const x_lines = scratch->arena.at_least(room(*size));
    float* const y_lines = x_lines + channels_ * size->plane * kLine;
    Phases& phases = scratch->phases;
    phases.begin(3 * groups, threads);
    const int64_t blocks = slots_.row_blocks();
    for (int g = 0; g < groups; ++g) {
      // The lines of y are free until theirs come, and hold images that are not padded yet.
      phases.set(3 * g, 1, 1, nullptr);
      phases.set(3 * g + 1, slots_.rows, divide_up(slots_.rows, 4 * threads), nullptr);
      phases.set(3 * g + 2, blocks, divide_up(blocks, 4 * threads), nullptr);
    }
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int phase, int64_t first, int64_t last) {
            const Group group = group_at(phase / 3, sizes[0]);
            if (phase % 3 == 0) {
              enter_padded(x, group, *size, x_lines, y_lines);
            } else if (phase % 3 == 1) {
              enter_channels(dy, group, slots_.rows, size->out_pixels(), first, last, y_lines);
            } else {
              sample(*made, x_lines, y_lines, *size, first, last, dvalues);
            }
          },
          [](int) {});
    };
    parallel_optional(threads, body);
    shelf_.put(std::move(scratch));
    return kDone;
  }

 private:
  // Up to 16 images.
  struct Group {
    int64_t first, count;
  };

  static Group group_at(int64_t g, int64_t images) {
    return {g * kLine, std::min(kLine, images - g * kLine)};
  }

  // What is made for images of this size; the last one is kept. Null where it does not fit.
  std::shared_ptr<const ImageSize> size_for(int64_t height, int64_t width) const {
    auto known = std::atomic_load(&size_);
    if (known && known->height == height && known->width == width) return known;
    auto made = std::make_shared<ImageSize>();
    if (!made->fit(geometry_, slots_, height, width)) return nullptr;
    const LinePlaces places{made->columns.data(), made->rows.data()};
    made->parts =
        std::make_unique<SlotParts>(slots_, set_.c_str(), may_emit_, places, places, true);
    std::atomic_store(&size_, std::shared_ptr<const ImageSize>(made));
    return made;
  }

  // Floats of the lines of a group of images and of what comes out.
  int64_t room(const ImageSize& size) const {
    const int64_t outputs = slots_.rows * size.out_pixels();
    return (channels_ * size.plane + std::max(outputs, channels_ * size.pixels())) * kLine;
  }

  template <class Take>
  void each_group(int64_t images, const ImageSize& size, int threads, const Take& take) const {
    const int64_t groups = divide_up(images, kLine);
    if (!groups) return;
    threads = static_cast<int>(std::min<int64_t>(threads, groups));
    auto scratch = shelf_.take();
    float* const arena = scratch->arena.at_least(threads * room(size));
    scratch->phases.begin(1, threads);
    scratch->phases.set(0, groups, 1, nullptr);
    auto body = [&](int thread, int) {
      float* const x_lines = arena + thread * room(size);
      scratch->phases.work(
          thread,
          [&](int, int64_t first, int64_t last) {
            for (int64_t g = first; g < last; ++g) {
              take(group_at(g, images), x_lines, x_lines + channels_ * size.plane * kLine);
            }
          },
          [](int) {});
    };
    parallel_optional(threads, body);
    shelf_.put(std::move(scratch));
  }

  // A row of output pixels at a time; `forward`: from the image's lines to those of what comes out.
  void multiply(const SlotProduct& product, const float* values, const float* from, float* to,
                const ImageSize& size, bool forward, const float* bias) const {
    std::vector<int64_t> in_at(size.out_width), out_at(size.out_width);
    for (int64_t y = 0; y < size.out_height; ++y) {
      for (int64_t x = 0; x < size.out_width; ++x) {
        in_at[x] = image_line(size, y, x) * kLine;
        out_at[x] = (y * size.out_width + x) * kLine;
      }
      const int64_t* const from_at = forward ? in_at.data() : out_at.data();
      const int64_t* const to_at = forward ? out_at.data() : in_at.data();
      product.run(0, product.blocks, values, from, from_at, to, to_at,
                  static_cast<int>(size.out_width), bias);
    }
  }

  // Of the window's first pixel for one output pixel.
  int64_t image_line(const ImageSize& size, int64_t y, int64_t x) const {
    return y * geometry_.stride[0] * size.wide + x * geometry_.stride[1];
  }

  void sample(const SlotGradient& gradient, const float* x_lines, const float* y_lines,
              const ImageSize& size, int64_t first, int64_t last, float* dvalues) const {
    const int64_t pieces = divide_up(size.out_width, kMostPositions);
    for (int64_t y = 0; y < size.out_height; ++y) {
      for (int64_t p = 0; p < pieces; ++p) {
        const int64_t left = size.out_width * p / pieces;
        const int64_t right = size.out_width * (p + 1) / pieces;
        gradient.run(static_cast<int>(first), static_cast<int>(last),
                     x_lines + image_line(size, y, left) * kLine, geometry_.stride[1] * kLine,
                     y_lines + (y * size.out_width + left) * kLine, kLine, right - left, dvalues);
      }
    }
  }

  void enter_channels(const float* images, const Group& group, int64_t channels, int64_t pixels,
                      int64_t first, int64_t last, float* lines) const {
    for (int64_t c = first; c < last; ++c) {
      kernels_.lines_of_tokens(images + (group.first * channels + c) * pixels, channels * pixels,
                               group.count, pixels, lines + c * pixels * kLine, kLine);
    }
  }

  void enter(const float* images, const Group& group, int64_t channels, int64_t pixels,
             float* lines) const {
    enter_channels(images, group, channels, pixels, 0, channels, lines);
  }

  void leave(const float* lines, const Group& group, int64_t channels, int64_t pixels,
             float* images) const {
    for (int64_t c = 0; c < channels; ++c) {
      kernels_.tokens_of_lines(lines + c * pixels * kLine, group.count, pixels,
                               images + (group.first * channels + c) * pixels, channels * pixels);
    }
  }

  // Images as they are pass through `spare`, a channel at a time, in long runs of pixels.
  void enter_padded(const float* images, const Group& group, const ImageSize& size, float* lines,
                    float* spare) const {
    const bool padded = geometry_.padding[0] || geometry_.padding[1];
    if (padded) std::memset(lines, 0, sizeof(float) * channels_ * size.plane * kLine);
    for (int64_t c = 0; c < channels_; ++c) {
      float* const plane = lines + c * size.plane * kLine;
      float* const whole = padded ? spare : plane;
      kernels_.lines_of_tokens(images + (group.first * channels_ + c) * size.pixels(),
                               channels_ * size.pixels(), group.count, size.pixels(), whole,
                               kLine);
      if (!padded) continue;
      for (int64_t y = 0; y < size.height; ++y) {
        std::memcpy(inside(plane, size, y), whole + y * size.width * kLine,
                    sizeof(float) * size.width * kLine);
      }
    }
  }

  void leave_padded(float* lines, const Group& group, const ImageSize& size, float* images,
                    float* spare) const {
    const bool padded = geometry_.padding[0] || geometry_.padding[1];
    for (int64_t c = 0; c < channels_; ++c) {
      float* const plane = lines + c * size.plane * kLine;
      for (int64_t y = 0; padded && y < size.height; ++y) {
        std::memcpy(spare + y * size.width * kLine, inside(plane, size, y),
                    sizeof(float) * size.width * kLine);
      }
      kernels_.tokens_of_lines(padded ? spare : plane, group.count, size.pixels(),
                               images + (group.first * channels_ + c) * size.pixels(),
                               channels_ * size.pixels());
    }
  }

  float* inside(float* plane, const ImageSize& size, int64_t y) const {
    return plane + ((y + geometry_.padding[0]) * size.wide + geometry_.padding[1]) * kLine;
  }

  const ImageGeometry geometry_;
  const int64_t channels_;
  mutable std::shared_ptr<const ImageSize> size_;
};

}  // namespace

std::unique_ptr<SlotLayer> make_image(Slots slots, const int64_t* geometry, const char* set,
                                      const LineKernels& kernels, std::string& error) {
  ImageGeometry own;
  std::memcpy(&own, geometry, sizeof(own));
  for (int i = 0; i < 2; ++i) {
    if (own.kernel[i] < 1 || own.stride[i] < 1 || own.padding[i] < 0 || own.dilation[i] < 1) {
      error = "a convolution has sides that cannot be";
      return nullptr;
    }
  }
  if (slots.columns % own.taps()) {
    error = "the columns of a topology are no whole number of channels";
    return nullptr;
  }
  return std::make_unique<SlotImage>(std::move(slots), own, set, kernels);
}

}  // namespace rarefy
