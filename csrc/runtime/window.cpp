#include "window.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <random>

#include "pool.h"
#include "window_forms.h"

namespace rarefy {
namespace {

constexpr int64_t kMostTrial = 256 << 20;  // bytes

// The forms worth trying for a kind here, best guess first.
std::vector<std::string> candidates(int32_t kind, const std::string& set) {
  if (set != kWindowSet) return {"narrow"};
  if (kind == kF16) {
    if (!has_half_arithmetic()) return {"narrow"};
    return {"lists", "code"};
  }
  std::vector<std::string> names = {"narrow", "wide"};
  if ((kind == kW8A8 || kind == kBf16) && can_use_tiles()) {
    names.insert(names.end(), {"masks", "tiles"});
  }
  return names;
}

std::unique_ptr<Window> make_form(const Quantized& weight, const std::string& form, const char* set,
                                  std::string& error) {
  if (form == "narrow") return make_lines(weight, set, 1, error);
  if (form == "wide") return make_lines(weight, set, 2, error);
  if (form == "tiles" || form == "masks") {
    return make_tiles(weight, set, form == "tiles", error);
  }
  if (form == "lists") return make_lists(weight, set, error);
  if (form == "code") return make_code(weight, set, error);
  error = "there is no form '" + form + "'; forms: narrow, wide, tiles, masks, lists, code";
  return nullptr;
}

uint8_t* aligned(std::vector<uint8_t>& memory) {
  return memory.data() + (-reinterpret_cast<uintptr_t>(memory.data()) & 63);
}

// Seconds of the fastest of a few products on made-up tokens; 0 where even one would be too large.
double measured(const Window& window, int64_t tokens) {
  const int64_t bytes = 4 * (window.columns + window.rows) + window.prepared_bytes(1);
  tokens = std::min(tokens, kMostTrial / bytes);
  if (tokens < 1) return 0;
  std::vector<float> x(tokens * window.columns), y(tokens * window.rows);
  std::minstd_rand random(1);
  for (float& value : x) value = static_cast<float>(random() % 2001) / 1000 - 1;
  std::vector<uint8_t> memory(window.prepared_bytes(tokens) + 64);
  window.prepare(0, window.pieces(tokens), x.data(), window.columns, tokens, aligned(memory));
  using Clock = std::chrono::steady_clock;
  double best = 1e9, spent = 0;
  for (int turn = 0; turn < 12 && (turn < 2 || spent < 5e-3); ++turn) {
    const auto begin = Clock::now();
    window.run(0, window.units(), aligned(memory), tokens, y.data(), window.rows, nullptr, false);
    const double taken = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::min(best, taken);
    spent += taken;
  }
  return best;
}

std::unique_ptr<Window> fastest(const uint8_t* section, int64_t size, const WindowWish& wish,
                                std::string& error) {
  Quantized weight;
  if (!Quantized::read(section, size, weight, error)) return nullptr;
  const std::string form = wish.form;
  const std::vector<std::string> names =
      form.empty() ? candidates(weight.kind, wish.set) : std::vector<std::string>{form};
  const int64_t tokens = std::clamp<int64_t>(wish.tokens, 1, 256);
  std::unique_ptr<Window> best;
  double least = 0;
  for (const std::string& name : names) {
    auto made = make_form(weight, name, wish.set, error);
    if (!made) continue;
    const double seconds = names.size() > 1 ? measured(*made, tokens) : 0;
    // A later form takes more memory, which a trifle of time is not worth.
    if (!best || seconds < 0.95 * least) {
      best = std::move(made);
      least = seconds;
    }
  }
  return best;
}

}  // namespace

std::unique_ptr<Window> Window::make(const uint8_t* section, int64_t size, const WindowWish& wish,
                                     std::string& error) {
  try {
    return fastest(section, size, wish, error);
  } catch (const std::exception&) {  // no memory, or more than a vector can hold
    error = "there is not enough memory for a weight of low precision";
    return nullptr;
  }
}

void window_product(const Window& window, const float* x, int64_t x_stride, int64_t tokens,
                    float* y, int64_t y_stride, const float* bias, bool relu, uint8_t* prepared,
                    int threads) {
  const int pieces = window.pieces(tokens), units = window.units();
  auto prepare = [&](int thread, int all) {
    window.prepare(pieces * int64_t{thread} / all, pieces * (int64_t{thread} + 1) / all, x,
                   x_stride, tokens, prepared);
  };
  parallel(std::min(threads, std::max(1, pieces)), prepare);
  std::vector<int64_t> before(units + 1, 0);
  for (int unit = 0; unit < units; ++unit) before[unit + 1] = before[unit] + window.work(unit);
  auto run = [&](int thread, int all) {
    const auto unit_at = [&](int64_t part) {
      if (part == all) return units;
      const auto found = std::lower_bound(before.begin(), before.end(), before[units] * part / all);
      return static_cast<int>(found - before.begin());
    };
    window.run(unit_at(thread), unit_at(thread + 1), prepared, tokens, y, y_stride, bias, relu);
  };
  parallel(std::min(threads, std::max(1, units)), run);
}

}  // namespace rarefy

using rarefy::Window;

void* rarefy_window_new(const uint8_t* section, int64_t size, const char* set, const char* form,
                        int64_t tokens, char* error, int64_t error_size) {
  std::string problem;
  auto made = Window::make(section, size, rarefy::WindowWish{set, form, tokens}, problem);
  if (!made && error_size > 0) std::snprintf(error, error_size, "%s", problem.c_str());
  return made.release();
}

const char* rarefy_window_form(const void* window) {
  return static_cast<const Window*>(window)->form();
}

int64_t rarefy_window_bytes(const void* window) {
  return static_cast<const Window*>(window)->bytes();
}

int rarefy_window_run(const void* window, const float* x, int64_t tokens, float* y,
                      const float* bias, int relu, int threads) {
  const auto& weight = *static_cast<const Window*>(window);
  if (tokens <= 0) return 0;
  try {
    // Kept for the thread's next call: fresh memory of this size costs as much as a small product.
    static thread_local std::vector<uint8_t> memory;
    const auto wanted = static_cast<size_t>(weight.prepared_bytes(tokens) + 64);
    if (memory.size() < wanted) memory.resize(wanted);
    rarefy::window_product(weight, x, weight.columns, tokens, y, weight.rows, bias, relu != 0,
                           rarefy::aligned(memory), threads);
  } catch (const std::exception&) {
    return -1;
  }
  return 0;
}

void rarefy_window_free(void* window) { delete static_cast<Window*>(window); }
