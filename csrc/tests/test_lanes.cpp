// The kernels on lanes, in every instruction set that runs here, over many layouts, against plain
// loops. Memory is of exactly the size that is needed, so that the sanitizers see what is past it.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "dispatch.h"
#include "kernels/table.inc"
#include "lanes_case.h"

namespace {

using namespace cases;

template <class T>
void test_lanes_split(rarefy::lanes_split<T>* kernel, const std::string& name) {
  for (int round = 0; round < 120; ++round) {
    const LaneLayout layout = any_layout();
    const int64_t images = any(1, layout.map.images);
    const Image image(images * layout.channels * pixels_of(layout));
    const Lines lines(layout.floats());
    const auto strips = rarefy::strips_to_split(layout);
    kernel(image.data, pixels_of(layout), layout.channels, strips.data(),
           static_cast<int64_t>(strips.size()), lanes_of(layout, images), layout.fill, lines.data,
           kLine * layout.plane);
    const bool covered = rarefy::covers(layout);  // then what is outside is left to others
    bool good = true;
    each(layout, !covered, [&](int64_t c, int64_t y, int64_t x, int lane, int64_t at) {
      const rarefy::LanePixel pixel = rarefy::pixel_of(layout, lane, y, x);
      if (pixel.image >= images || (covered && pixel.image < 0)) return;
      good = good && lines.data[at] == held(layout, image, 0, c, lane, y, x);
    });
    expect(good, name);
  }
}

template <class T>
void test_lanes_join(rarefy::lanes_join<T>* kernel, const std::string& name) {
  for (int round = 0; round < 120; ++round) {
    const LaneLayout layout = any_layout();
    const int64_t images = any(1, layout.map.images);
    const Image image(images * layout.channels * pixels_of(layout));
    std::vector<float> wanted(image.data, image.data + image.size);
    const Lines lines(layout.floats());
    each(layout, false, [&](int64_t c, int64_t y, int64_t x, int lane, int64_t at) {
      const rarefy::LanePixel pixel = rarefy::pixel_of(layout, lane, y, x);
      if (pixel.image < 0 || pixel.image >= images) return;
      const int64_t row = (pixel.image * layout.channels + c) * layout.size[0] + pixel.y;
      wanted[row * layout.size[1] + pixel.x] = lines.data[at];
    });
    const auto strips = rarefy::strips_to_join(layout);
    kernel(lines.data, kLine * layout.plane, layout.channels, strips.data(),
           static_cast<int64_t>(strips.size()), lanes_of(layout, images), image.data,
           pixels_of(layout));
    expect(std::equal(wanted.begin(), wanted.end(), image.data), name);
  }
}

// Fills the tiles of line groups of a layout, `slot` floats apart, with the pixels of images.
void put(const LaneLayout& layout, const Image& image, int64_t images, float* lines, int64_t slot) {
  for (int64_t group = 0; group * layout.map.images < images; ++group) {
    const int64_t first = group * layout.map.images;
    each(layout, false, [&](int64_t c, int64_t y, int64_t x, int lane, int64_t at) {
      if (rarefy::pixel_of(layout, lane, y, x).image < 0) return;
      lines[group * slot + at] = held(layout, image, first, c, lane, y, x);
    });
  }
}

template <class T>
void move(rarefy::lanes_permute<T>* kernel, const rarefy::LaneMoves& moves, const LaneLayout& from,
          const float* source, const LaneLayout& to, float* target) {
  kernel(source, kLine * from.plane, target, kLine * to.plane, to.channels, moves.moves.data(),
         static_cast<int64_t>(moves.moves.size()), moves.takes.data(), moves.permutations.data(),
         to.fill);
}

bool holds(const LaneLayout& layout, const float* lines, const Image& image, int64_t first) {
  bool good = true;
  each(layout, true, [&](int64_t c, int64_t y, int64_t x, int lane, int64_t at) {
    good = good && lines[at] == held(layout, image, first, c, lane, y, x);
  });
  return good;
}

// From one map to another, and the ring of one, as the images tell.
template <class T>
void test_lanes_permute(rarefy::lanes_permute<T>* kernel, const std::string& name) {
  for (int round = 0; round < 120; ++round) {
    LaneLayout from = any_layout(), to = any_layout();
    while (!rarefy::covers(from)) from = any_layout();
    to.channels = from.channels;
    for (int side = 0; side < 2; ++side) to.size[side] = from.size[side];
    expect(to.arrange(1), "a small layout fits");
    const int64_t images = std::max(from.map.images, to.map.images), slot = from.floats();
    const Image image(images * from.channels * pixels_of(from));
    const Lines source(images / from.map.images * slot), target(to.floats());
    put(from, image, images, source.data, slot);
    const int64_t first = any(0, images / to.map.images - 1) * to.map.images;
    const auto between = rarefy::moves_between(from, to, slot, first % from.map.images);
    move(kernel, between, from, source.data + first / from.map.images * slot, to, target.data);
    expect(holds(to, target.data, image, first), name + " between");
    move(kernel, rarefy::moves_of_ring(from), from, source.data, from, source.data);
    expect(holds(from, source.data, image, 0), name + " ring");
  }
}

template <class T>
void test_lanes_max_pool(rarefy::lanes_max_pool<T>* kernel, const std::string& name) {
  const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 0.f, -0.f};
  for (int round = 0; round < 60; ++round) {
    const int64_t tall = any(1, 4), wide = any(1, 4), step = any(1, 3), count = any(1, 9);
    const int64_t pitch = kLine * ((count - 1) * step + wide);
    const Lines x(pitch * tall), y(kLine * count);
    for (int64_t i = 0; i < x.size; ++i) {
      if (round % 2 && any(0, 20) == 0) x.data[i] = special[any(0, 5)];
    }
    kernel(x.data, pitch, kLine * step, tall, wide, y.data, count);
    bool good = true;
    for (int64_t i = 0; i < y.size; ++i) {
      float wanted = -INFINITY;
      for (int64_t k = 0; k < tall * wide; ++k) {
        const float found =
            x.data[k / wide * pitch + (i / kLine * step + k % wide) * kLine + i % kLine];
        if (found > wanted || std::isnan(found)) wanted = found;
        if (std::isnan(wanted)) break;
      }
      good = good && (std::isnan(wanted) ? std::isnan(y.data[i]) : wanted == y.data[i]);
    }
    expect(good, name);
  }
}

template <class T>
void test_lanes_sum(rarefy::lanes_sum<T>* kernel, const std::string& name) {
  for (int round = 0; round < 30; ++round) {
    const int64_t channels = any(1, 5), tall = any(1, 6), wide = any(1, 6);
    const int64_t pitch = kLine * (wide + any(0, 2)), plane = pitch * tall;
    const Lines x(plane * channels), sums(kLine * channels);
    std::vector<uint16_t> kept(tall * wide);
    for (uint16_t& lanes : kept) lanes = static_cast<uint16_t>(any(0, 65535));
    for (int64_t i = 0; i < x.size; ++i) {
      const int64_t row = i % plane / pitch, column = i % pitch / kLine;
      const bool held = column < wide && kept[row * wide + column] >> (i % kLine) & 1;
      if (!held && any(0, 1)) x.data[i] = NAN;
    }
    kernel(x.data, plane, channels, pitch, tall, wide, kept.data(), sums.data);
    bool good = true;
    for (int64_t i = 0; i < sums.size; ++i) {
      double wanted = 0;
      for (int64_t k = 0; k < tall * wide; ++k) {
        if (kept[k] >> (i % kLine) & 1) {
          wanted += x.data[i / kLine * plane + k / wide * pitch + k % wide * kLine + i % kLine];
        }
      }
      good = good && std::fabs(wanted - sums.data[i]) < 1e-4;
    }
    expect(good, name);
  }
}

template <class T>
void test_lanes_finish(rarefy::lanes_finish<T>* kernel, const std::string& name) {
  for (int round = 0; round < 72; ++round) {
    const int64_t rows = any(1, 5), length = any(1, 40), pitch = length + any(0, 3);
    const Image x(rows * pitch), other(rows * pitch), scale(rows), shift(rows);
    const Image apart(rows * pitch);
    x.data[0] = NAN;
    rarefy::LaneFinish what = {};
    what.combine = static_cast<rarefy::LaneCombine>(round % 3);
    what.act = static_cast<rarefy::LaneAct>(round / 3 % 3);
    what.low = -0.5f;
    what.high = 0.5f;
    what.other = what.combine == rarefy::LaneCombine::none ? nullptr : other.data;
    what.other_pitch = pitch;
    what.scale = round % 4 ? scale.data : nullptr;
    what.shift = shift.data;
    what.scale_step = round % 4 == 1 ? 0 : 1;
    std::vector<float> wanted(x.data, x.data + x.size);
    for (int64_t i = 0; i < rows * pitch; ++i) {
      if (i % pitch >= length) continue;
      float& value = wanted[i];
      const int64_t at = i / pitch * what.scale_step;
      if (what.scale) value = value * scale.data[at] + shift.data[at];
      if (what.combine == rarefy::LaneCombine::add) value += other.data[i];
      if (what.combine == rarefy::LaneCombine::multiply) value *= other.data[i];
      if (what.act == rarefy::LaneAct::relu && value < 0) value = 0;
      if (what.act == rarefy::LaneAct::clamp && value < what.low) value = what.low;
      if (what.act == rarefy::LaneAct::clamp && value > what.high) value = what.high;
    }
    float* to = round % 2 ? apart.data : x.data;
    if (round % 5 == 0 && what.other) to = other.data;
    kernel(x.data, pitch, to, pitch, rows, length, &what);
    bool good = true;
    for (int64_t i = 0; i < rows * pitch; ++i) {
      if (i % pitch >= length) continue;
      const bool near = std::fabs(wanted[i] - to[i]) < 1e-5f;
      good = good && (std::isnan(wanted[i]) ? std::isnan(to[i]) : near);
    }
    expect(good, name);
  }
}

}  // namespace

int main() {
  int ran = 0;
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
#define TEST(op, element, type, unused)                                                          \
  {                                                                                              \
    void* address = rarefy_kernel(#op "_" #element, set);                                        \
    expect(address != nullptr, std::string(#op "_" #element " has no ") + set);                  \
    if (address) {                                                                               \
      test_##op(reinterpret_cast<rarefy::op<type>*>(address),                                    \
                std::string(#op "_" #element "_") + set);                                        \
      ++ran;                                                                                     \
    }                                                                                            \
  }
    RAREFY_LANE_KERNELS(TEST, )
#undef TEST
  }
  expect(ran > 0, "nothing ran");
  std::printf("%d lane kernels ran, %d failures\n", ran, failures);
  return failures != 0;
}
