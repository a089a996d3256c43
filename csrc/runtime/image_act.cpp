// Actions on the channels of one pass of images: in and out of lanes, rings, pooling, means.
#include <algorithm>
#include <cstring>

#include "image_run.h"

namespace rarefy {
namespace {

uint32_t lanes_of(const LaneMap& map, int64_t images) {
  return static_cast<uint32_t>((uint64_t{1} << (images * map.tiles[0] * map.tiles[1])) - 1);
}

}  // namespace

void ImageRun::act(const ImageGroup& group, const ImagePlace& place, int64_t first,
                   int64_t last) const {
  for (const ImageAction& action : group.actions) {
    switch (action.kind) {
      case ActionKind::split: split(action, place, first, last); break;
      case ActionKind::join: join(action, place, first, last); break;
      case ActionKind::move: move(action, place, first, last); break;
      case ActionKind::pool: pool(action, place, first, last); break;
      case ActionKind::mean: mean(action, place, first, last); break;
      case ActionKind::pass: point(action, place, first, last); break;
    }
  }
}

void ImageRun::split(const ImageAction& action, const ImagePlace& place, int64_t first,
                     int64_t last) const {
  const LaneLayout& to = layout(action.to);
  const int64_t pixels = to.size[0] * to.size[1], plane = kLine * to.plane;
  const float* const image = plain(action.from) + first * pixels +
                             place.number * place.images * plan_.plains[action.from].numbers;
  float* const lines = tensor(action.to, place) + first * plane;
  if (!to.map.flat) {
    kernels_.split(image, pixels, last - first, action.strips.data(),
                   static_cast<int64_t>(action.strips.size()), lanes_of(to.map, present(place)),
                   to.fill, lines, plane);
    return;
  }
  const int64_t floats = kLine * to.map.lines();
  for (int64_t c = 0; c < last - first; ++c) {
    std::memcpy(lines + c * plane, image + c * pixels, sizeof(float) * pixels);
    std::fill(lines + c * plane + pixels, lines + c * plane + floats, to.fill);
  }
}

void ImageRun::join(const ImageAction& action, const ImagePlace& place, int64_t first,
                    int64_t last) const {
  const LaneLayout& from = layout(action.from);
  const int64_t pixels = from.size[0] * from.size[1], plane = kLine * from.plane;
  float* const image = plain(action.to) + first * pixels +
                       place.number * place.images * plan_.plains[action.to].numbers;
  const float* const lines = tensor(action.from, place) + first * plane;
  if (!from.map.flat) {
    kernels_.join(lines, plane, last - first, action.strips.data(),
                  static_cast<int64_t>(action.strips.size()), lanes_of(from.map, present(place)),
                  image, pixels);
    return;
  }
  for (int64_t c = 0; c < last - first; ++c) {
    std::memcpy(image + c * pixels, lines + c * plane, sizeof(float) * pixels);
  }
}

void ImageRun::move(const ImageAction& action, const ImagePlace& place, int64_t first,
                    int64_t last) const {
  const LaneLayout &from = layout(action.from), &to = layout(action.to);
  const LaneMoves& moves = action.moves[place.number % static_cast<int64_t>(action.moves.size())];
  kernels_.permute(tensor(action.from, place) + first * kLine * from.plane, kLine * from.plane,
                   tensor(action.to, place) + first * kLine * to.plane, kLine * to.plane,
                   last - first, moves.moves.data(), static_cast<int64_t>(moves.moves.size()),
                   moves.takes.data(), moves.permutations.data(), to.fill);
}

void ImageRun::pool(const ImageAction& action, const ImagePlace& place, int64_t first,
                    int64_t last) const {
  const LaneLayout &x = layout(action.from), &y = layout(action.to);
  const float* const from = tensor(action.from, place);
  float* const to = tensor(action.to, place);
  const ImageWindow& window = action.node->window;
  for (int64_t c = first; c < last; ++c) {
    for (int64_t row = 0; row < y.map.tile[0]; ++row) {
      const int64_t at =
          c * x.plane + x.line(row * window.stride[0] - window.pad[0], -window.pad[1]);
      kernels_.max_pool(from + kLine * at, kLine * x.pitch, kLine * window.stride[1],
                        window.size[0], window.size[1],
                        to + kLine * (c * y.plane + y.line(row, 0)), y.map.tile[1]);
    }
  }
}

void ImageRun::mean(const ImageAction& action, const ImagePlace& place, int64_t first,
                    int64_t last) const {
  const LaneLayout& x = layout(action.from);
  const float* const from = tensor(action.from, place);
  const int64_t tiles = x.map.tiles[0] * x.map.tiles[1];
  const float share = 1.f / static_cast<float>(x.size[0] * x.size[1]);
  float* const out = plain(action.to) + place.number * place.images * x.channels;
  constexpr int64_t kAtOnce = 64;
  alignas(64) float sums[kAtOnce * kLine];
  for (int64_t c = first; c < last; c += kAtOnce) {
    const int64_t count = std::min(kAtOnce, last - c);
    kernels_.sum(from + kLine * (c * x.plane + x.line(0, 0)), kLine * x.plane, count,
                 kLine * x.pitch, x.map.tile[0], x.map.tile[1], action.kept.data(), sums);
    for (int64_t image = 0; image < present(place); ++image) {
      for (int64_t i = 0; i < count; ++i) {
        float sum = 0;
        for (int64_t t = 0; t < tiles; ++t) sum += sums[i * kLine + image * tiles + t];
        out[image * x.channels + c + i] = sum * share;
      }
    }
  }
}

void ImageRun::point(const ImageAction& action, const ImagePlace& place, int64_t first,
                     int64_t last) const {
  const LaneLayout &x = layout(action.from), &y = layout(action.to);
  const float* const from = tensor(action.from, place);
  float* const to = tensor(action.to, place);
  for (int64_t c = first; c < last; ++c) {
    float* const result = to + kLine * (c * y.plane + y.line(0, 0));
    const float* given = from + kLine * (c * x.plane + x.line(0, 0));
    int64_t pitch = kLine * x.pitch;
    for (size_t i = 0; i < action.node->passes.size(); ++i) {
      const ImagePass& pass = action.node->passes[i];
      LaneFinish what = {};
      if (!pass.scale.empty()) {
        what.scale = pass.scale.data() + c;
        what.shift = pass.shift.data() + c;
      }
      if (pass.other >= 0) {
        const LaneLayout& other = layout(action.others[i]);
        what.other = tensor(action.others[i], place) +
                     kLine * (c * other.plane + other.line(0, 0));
        what.other_pitch = kLine * other.pitch;
      }
      pass_rows(pass, what, given, pitch, result, kLine * y.pitch, y.map.tile[0],
                kLine * y.map.tile[1]);
      given = result;
      pitch = kLine * y.pitch;
    }
  }
}

}  // namespace rarefy
