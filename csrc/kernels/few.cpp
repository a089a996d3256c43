// A sparse matrix times 1 to 8 tokens, in torch's layout on both sides.
//
// Empty slots multiply whatever stands at their place by +0.0, which is harmless unless that is an
// inf or NaN. Then, and only then, the sum becomes NaN: a group with a NaN in its result is summed
// once more, with the empty slots masked. So the usual case pays one comparison a group.
//
// Everything here is in an unnamed namespace or carries the set's name: see topk.cpp.
#include "few.h"

#include <cstring>

#include "few_lanes.h"
#include "kernels.h"

namespace {

using rarefy::FewForm;
using rarefy::FewKind;

// x, y and what is added on the way out.
struct Ends {
  const float* x;
  int64_t x_stride;
  float* y;
  int64_t y_stride;
  const float* bias;
  bool relu;
};

// Plain lists: the tokens share the reading of an entry.
template <int tokens>
void run_rows(const FewForm& form, int64_t first, int64_t last, const Ends& ends) {
  const int64_t end = last * form.lanes < form.rows ? last * form.lanes : form.rows;
  for (int64_t row = first * form.lanes; row < end; ++row) {
    float sums[tokens] = {};
    for (int64_t i = form.row_start[row]; i < form.row_start[row + 1]; ++i) {
      const float value = form.values[i];
      const float* const x = ends.x + form.entry_columns[i];
      for (int t = 0; t < tokens; ++t) sums[t] += value * x[t * ends.x_stride];
    }
    for (int t = 0; t < tokens; ++t) {
      const float sum = ends.bias ? sums[t] + ends.bias[row] : sums[t];
      ends.y[t * ends.y_stride + row] = ends.relu && sum < 0 ? 0.0f : sum;
    }
  }
}

#if defined(RAREFY_FEW_LANES)

// Independent sums, so that one waits for no other: the fewer tokens, the more.
template <int tokens>
constexpr int kSums = tokens == 1 ? 4 : tokens <= 3 ? 2 : 1;

template <bool exact>
inline Floats slot_add(Floats x, Floats w, Floats sum) {
  return exact ? multiply_add_kept(x, w, sum) : multiply_add(x, w, sum);
}

inline Places places_at(const uint16_t* from) {
  Places places;
  std::memcpy(&places, from, sizeof places);
  return places;
}

template <int tokens, int sums>
inline void total(Floats (&sum)[sums][tokens]) {
  for (int s = 1; s < sums; ++s) {
    for (int t = 0; t < tokens; ++t) sum[0][t] = add(sum[0][t], sum[s][t]);
  }
}

template <int tokens, int step, bool exact, int sums>
inline void pick_steps(Words words, const uint16_t* places, const float* values, const float* x,
                       int64_t x_stride, Floats (&sum)[sums][tokens]) {
  if constexpr (step < kPickWord) {
    const Words at = shifted<step * kPickBits>(words);
    const Floats value = load(values + step * kLanes);
    const float* const low = x + places[2 * step];
    const float* const high = x + places[2 * step + 1];
    for (int t = 0; t < tokens; ++t) {
      const Floats picked = pick(at, low + t * x_stride, high + t * x_stride);
      sum[step % sums][t] = slot_add<exact>(picked, value, sum[step % sums][t]);
    }
    pick_steps<tokens, step + 1, exact>(words, places, values, x, x_stride, sum);
  }
}

struct Pick {
  template <int tokens, bool exact>
  static void sum(const FewForm& form, int64_t group, const float* x, int64_t x_stride,
                  Floats (&out)[tokens]) {
    constexpr int sums = kSums<tokens>;
    Floats sum[sums][tokens];
    for (auto& some : sum) {
      for (Floats& one : some) one = zeros();
    }
    const int64_t first = form.first_step[group];
    const uint32_t* words = form.words + first / kPickWord * kLanes;
    const uint16_t* places = form.places + 2 * first;
    const float* values = form.values + first * kLanes;
    const float* const end = form.values + form.first_step[group + 1] * kLanes;
    for (; values < end; values += kPickWord * kLanes, words += kLanes, places += 2 * kPickWord) {
      pick_steps<tokens, 0, exact>(load_words(words), places, values, x, x_stride, sum);
    }
    total(sum);
    for (int t = 0; t < tokens; ++t) out[t] = sum[0][t];
  }
};

struct Delta {
  template <int tokens, bool exact>
  static void sum(const FewForm& form, int64_t group, const float* x, int64_t x_stride,
                  Floats (&out)[tokens]) {
    const int per_word = form.per_word;
    const Words bits = words_of(form.bits);
    const Words mask = words_of(static_cast<int32_t>((1u << form.bits) - 1));
    Floats sum[tokens];
    for (Floats& one : sum) one = zeros();
    Words columns = words_of(0);
    const int64_t first = form.first_step[group];
    const uint32_t* words = form.words + first / per_word * kLanes;
    const float* values = form.values + first * kLanes;
    const float* const end = form.values + form.first_step[group + 1] * kLanes;
    for (; values < end; words += kLanes) {
      Words deltas = load_words(words);
      for (int step = 0; step < per_word; ++step, values += kLanes) {
        columns = advanced(columns, deltas, mask);
        deltas = shifted_by(deltas, bits);
        const Floats value = load(values);
        for (int t = 0; t < tokens; ++t) {
          sum[t] = slot_add<exact>(gathered(x + t * x_stride, columns), value, sum[t]);
        }
      }
    }
    for (int t = 0; t < tokens; ++t) out[t] = sum[t];
  }
};

// Blocks of `kLanes` or 4 outputs: a vector of values a step.
template <bool tall>
struct Blocks {
  template <int tokens, bool exact, int sums>
  static void step(const uint16_t* places, const float* values, const float* x, int64_t x_stride,
                   int s, Floats (&sum)[sums][tokens]) {
    const Floats value = load(values);
    const Places at = tall ? places_at(places) : Places{*places};
    for (int t = 0; t < tokens; ++t) {
      const float* const from = x + t * x_stride;
      const Floats shared = tall ? spread_one(from, at) : all(from[at]);
      sum[s][t] = slot_add<exact>(shared, value, sum[s][t]);
    }
  }

  template <int tokens, bool exact>
  static void sum(const FewForm& form, int64_t group, const float* x, int64_t x_stride,
                  Floats (&out)[tokens]) {
    constexpr int sums = kSums<tokens>, width = tall ? kLanes / 4 : 1;
    Floats sum[sums][tokens];
    for (auto& some : sum) {
      for (Floats& one : some) one = zeros();
    }
    const int64_t first = form.first_step[group];
    int64_t left = form.first_step[group + 1] - first;
    const uint16_t* places = form.places + first * width;
    const float* values = form.values + first * kLanes;
    for (; left >= sums; left -= sums, places += sums * width, values += sums * kLanes) {
#pragma GCC unroll 4
      for (int s = 0; s < sums; ++s) {
        step<tokens, exact>(places + s * width, values + s * kLanes, x, x_stride, s, sum);
      }
    }
    for (; left > 0; --left, places += width, values += kLanes) {
      step<tokens, exact>(places, values, x, x_stride, 0, sum);
    }
    total(sum);
    for (int t = 0; t < tokens; ++t) out[t] = sum[0][t];
  }
};

// Blocks of 4 inputs: four vectors a step, whose quads are the rows of the group.
struct Flat {
  template <int tokens, bool exact>
  static void sum(const FewForm& form, int64_t group, const float* x, int64_t x_stride,
                  Floats (&out)[tokens]) {
    Floats sum[4][tokens];
    for (auto& some : sum) {
      for (Floats& one : some) one = zeros();
    }
    const int64_t first = form.first_step[group];
    const uint16_t* places = form.places + first * kLanes;
    const float* values = form.values + first * kLanes * 4;
    const float* const end = form.values + form.first_step[group + 1] * kLanes * 4;
    for (; values < end; places += kLanes, values += 4 * kLanes) {
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
        const Floats value = load(values + q * kLanes);
        const Places at = places_at(places + q * (kLanes / 4));
        for (int t = 0; t < tokens; ++t) {
          const Floats four = spread_four(x + t * x_stride, at);
          sum[q][t] = slot_add<exact>(four, value, sum[q][t]);
        }
      }
    }
    for (int t = 0; t < tokens; ++t) {
      out[t] = quad_sums(sum[0][t], sum[1][t], sum[2][t], sum[3][t]);
    }
  }
};

template <class Way, int tokens>
void run_groups(const FewForm& form, int64_t first, int64_t last, const Ends& ends) {
  for (int64_t group = first; group < last; ++group) {
    Floats sums[tokens];
    Way::template sum<tokens, false>(form, group, ends.x, ends.x_stride, sums);
    for (int t = 0; t < tokens; ++t) {
      if (any_nan(sums[t])) {
        Floats one[1];
        Way::template sum<1, true>(form, group, ends.x + t * ends.x_stride, 0, one);
        sums[t] = one[0];
      }
      scatter(sums[t], form.row_of + group * kLanes, ends.y + t * ends.y_stride, ends.bias,
              ends.relu);
    }
  }
}

// Lines of x are read whole: an x shorter than one is read from a copy beside zeros.
template <int tokens>
void run_picks(const FewForm& form, int64_t first, int64_t last, const Ends& ends) {
  if (form.columns >= kLanes) return run_groups<Pick, tokens>(form, first, last, ends);
  float lines[tokens * kLanes] = {};
  for (int t = 0; t < tokens; ++t) {
    std::memcpy(lines + t * kLanes, ends.x + t * ends.x_stride, form.columns * sizeof(float));
  }
  Ends copied = ends;
  copied.x = lines;
  copied.x_stride = kLanes;
  run_groups<Pick, tokens>(form, first, last, copied);
}

#endif

template <int tokens>
void run(const FewForm& form, int64_t first, int64_t last, const Ends& ends) {
  switch (form.kind) {
    case FewKind::rows: return run_rows<tokens>(form, first, last, ends);
#if defined(RAREFY_FEW_LANES)
    case FewKind::pick: return run_picks<tokens>(form, first, last, ends);
    case FewKind::delta: return run_groups<Delta, tokens>(form, first, last, ends);
    case FewKind::column: return run_groups<Blocks<false>, tokens>(form, first, last, ends);
    case FewKind::tall: return run_groups<Blocks<true>, tokens>(form, first, last, ends);
    case FewKind::flat: return run_groups<Flat, tokens>(form, first, last, ends);
#endif
    default: return;
  }
}

}  // namespace

extern "C" void RAREFY_JOIN(few_f32, RAREFY_SET)(const FewForm* form, int64_t first, int64_t last,
                                                 const float* x, int64_t x_stride, float* y,
                                                 int64_t y_stride, int32_t tokens,
                                                 const float* bias, int32_t relu) {
  const Ends ends{x, x_stride, y, y_stride, bias, relu != 0};
  switch (tokens) {
    case 1: return run<1>(*form, first, last, ends);
    case 2: return run<2>(*form, first, last, ends);
    case 3: return run<3>(*form, first, last, ends);
    case 4: return run<4>(*form, first, last, ends);
    case 5: return run<5>(*form, first, last, ends);
    case 6: return run<6>(*form, first, last, ends);
    case 7: return run<7>(*form, first, last, ends);
    case 8: return run<8>(*form, first, last, ends);
    default: return;
  }
}
