// Makes a chain ready, checks calls and decides how they run.
#include "linear_chain.h"

#include <algorithm>
#include <new>

namespace rarefy {
namespace {

// Some 240 rows: long enough to group them by like counts, short enough for threads to share.
constexpr int64_t kBlocksOfRange = 8;
// Tokens that the form for some rows is made for.
constexpr int64_t kSomeRows = 4;
// What the forms of low precision are made for.
constexpr int64_t kLowTokens[LayerWeight::kLowForms] = {1, 4, 16, 128};
// Offsets of lines are 32 bits of bytes.
constexpr int64_t kMostFeatures = (int64_t(1) << 31) / 64 - 1;

std::string where(const Step& step) {
  return "line " + std::to_string(step.line) + " of the program: ";
}

std::unique_ptr<LayerWeight::Lines> lines_of(const Tiles& tiles, const char* set,
                                             bool interpreted, std::string& error) {
  std::vector<int32_t> x(tiles.columns), y(tiles.rows);
  for (int64_t k = 0; k < tiles.columns; ++k) x[k] = static_cast<int32_t>(64 * k);
  for (int64_t r = 0; r < tiles.rows; ++r) y[r] = static_cast<int32_t>(64 * r);
  auto made = std::make_unique<LayerWeight::Lines>();
  made->product = interpreted
                      ? Product::interpreted(tiles, set, x.data(), y.data(), error)
                      : Product::make(tiles, set, x.data(), y.data(), error);
  if (!made->product) return nullptr;
  made->until.assign(1, 0);
  for (int b = 0; b < made->product->blocks; ++b) {
    made->until.push_back(made->until.back() + made->product->work(b) + 1);
  }
  made->by_rows = made->product->blocks == tiles.blocks;
  return made;
}

// Blocks [first, last) as a matrix of their own; `first_row` is filled, and must outlive it.
Tiles some_blocks(const Tiles& tiles, int64_t first, int64_t last,
                  std::vector<int32_t>& first_row) {
  first_row.clear();
  for (int64_t b = first; b <= last; ++b) {
    first_row.push_back(tiles.first_row[b] - tiles.first_row[first]);
  }
  Tiles some = tiles;
  some.rows = first_row.back();
  some.blocks = last - first;
  some.start = tiles.start + first * tiles.tiles;
  some.first_row = first_row.data();
  some.nonzero = tiles.begin(last) - tiles.begin(first);
  return some;
}

std::unique_ptr<LayerWeight::Rows> rows_of(const Tiles& tiles, const char* set, int64_t tokens,
                                           std::string& error) {
  auto made = std::make_unique<LayerWeight::Rows>();
  std::vector<int32_t> first_row;
  for (int64_t b = 0; b < tiles.blocks; b += kBlocksOfRange) {
    const int64_t end = std::min(b + kBlocksOfRange, tiles.blocks);
    const Tiles some = some_blocks(tiles, b, end, first_row);
    LayerWeight::Rows::Range range{Few::make(some, set, error, tokens), tiles.first_row[b],
                                   made->parts()};
    if (!range.few) return nullptr;
    for (int64_t p = 0; p < range.few->parts; ++p) {
      made->until.push_back(made->until.back() + range.few->work(p) + 1);
    }
    made->ranges.push_back(std::move(range));
  }
  return made;
}

std::unique_ptr<LayerWeight::Low> low_of(const Section& section, const char* set, int64_t tokens,
                                         std::string& error) {
  auto made = std::make_unique<LayerWeight::Low>();
  made->window = Window::make(section.data, section.size, WindowWish{set, "", tokens}, error);
  if (!made->window) return nullptr;
  made->until.assign(1, 0);
  for (int u = 0; u < made->window->units(); ++u) {
    made->until.push_back(made->until.back() + made->window->work(u) + 1);
  }
  return made;
}

int64_t leading(const rarefy_tensor& tensor) {
  int64_t product = 1;
  for (int64_t d = 0; d + 1 < tensor.rank; ++d) product *= tensor.size[d];
  return product;
}

bool same_leading(const rarefy_tensor& a, const rarefy_tensor& b) {
  return a.rank == b.rank && std::equal(a.size, a.size + std::max<int64_t>(a.rank - 1, 0), b.size);
}

bool is_sane(const rarefy_tensor& tensor, int rank) {
  if (tensor.rank != rank) return false;
  int64_t numbers = 1;
  for (int d = 0; d < rank; ++d) {
    if (tensor.size[d] < 0) return false;
    if (__builtin_mul_overflow(numbers, tensor.size[d], &numbers)) return false;
  }
  return numbers == 0 || tensor.data;
}

}  // namespace

std::unique_ptr<LinearChain> LinearChain::make(const Program& program, const Container& container,
                                               const char* set, std::string& error) {
  std::unique_ptr<LinearChain> made(new LinearChain);
  made->program_ = program;
  made->set_ = set ? set : "";
  if (!LineKernels::find(set, made->kernels_, error) || !made->load(container, error)) {
    return nullptr;
  }
  std::vector<int64_t> features;
  const std::vector<int64_t> unknown(program.inputs.size(), -1);
  if (!spread_features(program, unknown, features, error)) return nullptr;
  for (size_t r = 0; r < features.size(); ++r) {
    if (features[r] <= kMostFeatures) continue;
    error = "r" + std::to_string(r) + " has more features than a chain can hold";
    return nullptr;
  }
  made->fixed_ = true;
  for (int r : program.inputs) made->fixed_ = made->fixed_ && features[r] >= 0;
  if (made->fixed_) made->chain_ = lower(program, std::move(features));
  return made;
}

bool LinearChain::load(const Container& container, std::string& error) {
  weights_.resize(container.sections.size());
  layers_.resize(program_.steps.size());
  for (size_t s = 0; s < program_.steps.size(); ++s) {
    const Step& step = program_.steps[s];
    Layer& layer = layers_[s];
    bool good = true;
    if (step.op == Op::linear) {
      good = load_weight(container, step, layer, error) &&
             (step.bias < 0 || container.floats(step.bias, step.rows, layer.values, error));
    } else if (step.section >= 0) {
      good = container.floats(step.section, 2 * step.rows, layer.values, error);
    }
    if (!good) {
      error = where(step) + error;
      return false;
    }
  }
  return true;
}

bool LinearChain::load_weight(const Container& container, const Step& step, Layer& layer,
                              std::string& error) {
  const size_t count = container.sections.size(), at = step.section;
  const bool low = at < count && container.sections[at].kind == "quantized";
  const Section* section = container.find(step.section, low ? "quantized" : "tiles", error);
  if (!section) return false;
  std::unique_ptr<LayerWeight>& weight = weights_[step.section];
  if (!weight) {
    weight = std::make_unique<LayerWeight>();
    const bool good = low ? load_low(*section, *weight, error)
                          : Tiles::view(section->data, section->size, weight->tiles, error);
    if (!good) return false;
    entries_ += weight->tiles.nonzero;
  }
  const Tiles& tiles = weight->tiles;
  if (tiles.rows != step.rows || tiles.columns != step.columns) {
    error = "section " + std::to_string(step.section) + " holds a weight of " +
            std::to_string(tiles.rows) + " x " + std::to_string(tiles.columns) + ", wanted " +
            std::to_string(step.rows) + " x " + std::to_string(step.columns);
    return false;
  }
  layer.weight = weight.get();
  return true;
}

// Of its tiles only the sizes are told.
bool LinearChain::load_low(const Section& section, LayerWeight& weight, std::string& error) {
  Quantized numbers;
  if (!Quantized::read(section.data, section.size, numbers, error)) return false;
  weight.low = section;
  weight.tiles.rows = numbers.rows;
  weight.tiles.columns = numbers.columns;
  weight.tiles.nonzero = numbers.nonzero();
  low_ = true;
  return true;
}

// Every register has the leading sizes of the first input.
int LinearChain::check(const rarefy_tensor* inputs, const rarefy_tensor* outputs,
                       int64_t& tokens) const {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    if (!is_sane(inputs[i], program_.registers[program_.inputs[i]].rank) ||
        !same_leading(inputs[i], inputs[0])) {
      return kWrongShape;
    }
  }
  for (size_t o = 0; o < program_.outputs.size(); ++o) {
    if (!is_sane(outputs[o], program_.registers[program_.outputs[o]].rank) ||
        !same_leading(outputs[o], inputs[0])) {
      return kWrongShape;
    }
  }
  tokens = leading(inputs[0]);
  return kDone;
}

int LinearChain::run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs,
                     int out_count, int threads) {
  if (count != static_cast<int>(program_.inputs.size()) ||
      out_count != static_cast<int>(program_.outputs.size())) {
    return kWrongCount;
  }
  int64_t tokens = 0;
  const int wrong = check(inputs, outputs, tokens);
  if (wrong) return wrong;
  if (fixed_) return run(chain_, inputs, outputs, tokens, threads);
  std::vector<int64_t> given, features;
  for (int i = 0; i < count; ++i) given.push_back(inputs[i].size[inputs[i].rank - 1]);
  std::string error;
  if (!spread_features(program_, given, features, error)) return kWrongShape;
  for (int64_t size : features) {
    if (size > kMostFeatures) return kWrongShape;
  }
  return run(lower(program_, std::move(features)), inputs, outputs, tokens, threads);
}

int LinearChain::run(const Chain& chain, const rarefy_tensor* inputs, rarefy_tensor* outputs,
                     int64_t tokens, int threads) {
  for (size_t i = 0; i < program_.inputs.size(); ++i) {
    if (inputs[i].size[inputs[i].rank - 1] != chain.features[program_.inputs[i]]) {
      return kWrongShape;
    }
  }
  for (size_t o = 0; o < program_.outputs.size(); ++o) {
    if (outputs[o].size[outputs[o].rank - 1] != chain.features[program_.outputs[o]]) {
      return kWrongShape;
    }
  }
  if (tokens == 0) return kDone;
  std::unique_ptr<Scratch> scratch = shelf_.take();
  const Job job{chain, inputs, outputs, tokens, way_of(chain, tokens, threads), *scratch};
  std::string error;
  const bool there = prepare(job, error);
  if (there) (this->*(low_ ? &LinearChain::run_low
                           : job.way.rows ? &LinearChain::run_few : &LinearChain::run_lines))(job);
  shelf_.put(std::move(scratch));
  return there ? kDone : kNoKernel;
}

Way LinearChain::way_of(const Chain& chain, int64_t tokens, int threads) const {
  WayQuestion question;
  question.tokens = tokens;
  question.threads = threads;
  question.entries = entries_;
  question.room = chain.room;
  question.read = 0;
  for (int p : chain.products) question.read += chain.features[chain.parts[p].in];
  question.can_emit = can_emit();
  // The generic kernels round a product before they add it, as generated code does not.
  question.can_interpret = set_ != "generic";
  return choose_way(question, limits);
}

bool LinearChain::prepare(const Job& job, std::string& error) {
  if (low_) return prepare_low(job.tokens, error);
  const char* const set = set_.c_str();
  for (Layer& layer : layers_) {
    LayerWeight* weight = layer.weight;
    if (!weight) continue;
    if (job.way.rows) {
      const int64_t about = job.tokens == 1 ? 1 : kSomeRows;
      auto& rows = about == 1 ? weight->one_row : weight->some_rows;
      if (!rows.get([&] { return rows_of(weight->tiles, set, about, error); })) return false;
      continue;
    }
    auto& lines = job.way.interpreted ? weight->interpreted : weight->generated;
    if (!lines.get([&] { return lines_of(weight->tiles, set, job.way.interpreted, error); })) {
      return false;
    }
  }
  return true;
}

bool LinearChain::prepare_low(int64_t tokens, std::string& error) {
  const char* const set = set_.c_str();
  const int form = LayerWeight::low_form(tokens);
  for (Layer& layer : layers_) {
    LayerWeight* weight = layer.weight;
    if (!weight) continue;
    const auto low = [&] { return low_of(weight->low, set, kLowTokens[form], error); };
    const auto rows = [&] { return rows_of(weight->tiles, set, kSomeRows, error); };
    if (weight->low.data ? !weight->low_forms[form].get(low) : !weight->some_rows.get(rows)) {
      return false;
    }
  }
  return true;
}

}  // namespace rarefy
