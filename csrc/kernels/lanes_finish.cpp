// What is done with the results of a product while they are near: folded normalisation, the
// residual, the activation.
#include "kernels.h"
#include "lanes.h"

namespace {

using namespace rarefy;

template <LaneAct act>
inline float activated(float x, float low, float high) {
  if constexpr (act == LaneAct::relu) return x < 0.f ? 0.f : x;
  if constexpr (act == LaneAct::clamp) return x < low ? low : x > high ? high : x;
  return x;
}

template <bool affine, LaneCombine combine, LaneAct act>
void rows_of(const float* x, int64_t pitch, float* y, int64_t y_pitch, int64_t rows, int64_t length,
             const LaneFinish& what) {
  const float low = what.low, high = what.high;
  for (int64_t r = 0; r < rows; ++r, x += pitch, y += y_pitch) {
    const float* const other = what.other ? what.other + r * what.other_pitch : nullptr;
    const float scale = affine ? what.scale[r * what.scale_step] : 1.f;
    const float shift = affine ? what.shift[r * what.scale_step] : 0.f;
    // x, y and the other are the same row or lie apart: no number depends on one written before.
#pragma GCC ivdep
    for (int64_t i = 0; i < length; ++i) {
      float value = x[i];
      if constexpr (affine) value = value * scale + shift;
      if constexpr (combine == LaneCombine::add) value += other[i];
      if constexpr (combine == LaneCombine::multiply) value *= other[i];
      y[i] = activated<act>(value, low, high);
    }
  }
}

using Rows = void (*)(const float*, int64_t, float*, int64_t, int64_t, int64_t, const LaneFinish&);

template <bool affine, LaneCombine combine>
Rows with_act(LaneAct act) {
  if (act == LaneAct::relu) return rows_of<affine, combine, LaneAct::relu>;
  if (act == LaneAct::clamp) return rows_of<affine, combine, LaneAct::clamp>;
  return rows_of<affine, combine, LaneAct::none>;
}

template <bool affine>
Rows with_combine(LaneCombine combine, LaneAct act) {
  if (combine == LaneCombine::add) return with_act<affine, LaneCombine::add>(act);
  if (combine == LaneCombine::multiply) return with_act<affine, LaneCombine::multiply>(act);
  return with_act<affine, LaneCombine::none>(act);
}

}  // namespace

extern "C" void RAREFY_JOIN(lanes_finish_f32, RAREFY_SET)(const float* x, int64_t pitch, float* y,
                                                          int64_t y_pitch, int64_t rows,
                                                          int64_t length,
                                                          const rarefy::LaneFinish* what) {
  const Rows run = what->scale ? with_combine<true>(what->combine, what->act)
                               : with_combine<false>(what->combine, what->act);
  run(x, pitch, y, y_pitch, rows, length, *what);
}
