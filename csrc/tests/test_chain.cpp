// Chains of layers against plain loops in double: odd shapes, every step, any threads, any caller.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "runtime/abi.h"
#include "runtime/container.h"
#include "runtime/linear_chain.h"
#include "runtime/linear_way.h"
#include "runtime/program.h"
#include "runtime/window.h"

namespace {

using rarefy::Op;

int failures = 0;
std::mt19937 generator(1);

void check(bool right, const std::string& what) {
  if (right) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

float drawn() { return std::normal_distribution<float>()(generator); }
int64_t below(int64_t end) { return static_cast<int64_t>(generator() % end); }

// A program with its sections, dense and packed.
struct Net {
  std::string text = "rarefy 1\n";
  std::vector<std::vector<float>> dense;
  std::vector<std::vector<uint8_t>> packed;
  std::vector<std::string> kinds;
  std::vector<int64_t> features;  // of the registers
  bool low = false;               // most weights are integers of 16 bits

  int floats(int64_t count, float around) {
    std::vector<float> values(count);
    for (float& value : values) value = around + 0.5f * drawn();
    std::vector<uint8_t> bytes(4 * count);
    if (count) std::memcpy(bytes.data(), values.data(), bytes.size());
    return add("floats", values, bytes);
  }

  int weight(int64_t rows, int64_t columns, double density) {
    std::vector<float> values(rows * columns);
    const double size = 1 / std::sqrt(std::max(1.0, density * columns));
    for (float& value : values) value = below(1000) < 1000 * density ? float(size * drawn()) : 0;
    if (low && below(4)) {
      std::vector<uint8_t> bytes(
          rarefy::quantized_size(rarefy::kW16A16, rows, columns, rows * columns));
      const int64_t written =
          rarefy_quantize(values.data(), nullptr, rows, columns, rarefy::kW16A16, rarefy::kOwn, 0,
                          bytes.data(), static_cast<int64_t>(bytes.size()));
      check(written > 0, "a weight is rounded");
      bytes.resize(std::max<int64_t>(written, 0));
      return add("quantized", values, bytes);
    }
    const int64_t size_of = rarefy_pack_size(values.data(), nullptr, rows, columns, 512, 1);
    check(size_of > 0, "a weight has a size");
    std::vector<uint64_t> bytes(size_of / 8 + 1);  // aligned
    auto* const begin = reinterpret_cast<uint8_t*>(bytes.data());
    rarefy_pack(values.data(), nullptr, rows, columns, 512, 1, begin, size_of);
    return add("tiles", values, std::vector<uint8_t>(begin, begin + size_of));
  }

  int add(const char* kind, std::vector<float> values, std::vector<uint8_t> bytes) {
    dense.push_back(std::move(values));
    packed.push_back(std::move(bytes));
    kinds.push_back(kind);
    return static_cast<int>(kinds.size()) - 1;
  }

  // A new register, written by `word` with these operands and options.
  int step(const std::string& word, int64_t size, const std::string& rest) {
    const int out = static_cast<int>(features.size());
    text += word + " r" + std::to_string(out) + " " + rest + "\n";
    features.push_back(size);
    return out;
  }

  int linear(int in, int64_t rows, double density, bool bias) {
    const std::string sizes = std::to_string(rows) + "x" + std::to_string(features[in]);
    const int w = weight(rows, features[in], density);
    const std::string b = bias ? std::to_string(floats(rows, 0)) : "-";
    return step("linear", rows,
                "r" + std::to_string(in) + " w=" + std::to_string(w) + ":" + sizes + " b=" + b);
  }

  std::vector<uint8_t> container() const {
    std::vector<const char*> names;
    std::vector<const uint8_t*> data;
    std::vector<int64_t> lengths;
    for (size_t i = 0; i < kinds.size(); ++i) {
      names.push_back(kinds[i].c_str());
      data.push_back(packed[i].data());
      lengths.push_back(static_cast<int64_t>(packed[i].size()));
    }
    const int64_t count = static_cast<int64_t>(kinds.size());
    std::vector<uint8_t> bytes(rarefy_container_size(lengths.data(), count));
    rarefy_container_write(names.data(), data.data(), lengths.data(), count, bytes.data());
    return bytes;
  }
};

// Some steps in any order, with every register that fits as an operand.
Net random_net(int steps, int rank, bool low) {
  const int64_t sizes[] = {1, 2, 7, 13, 16, 17, 31, 48, 61, 130};
  Net net;
  net.low = low;
  const int inputs = 1 + static_cast<int>(below(2));
  const int64_t first = sizes[below(10)];
  for (int i = 0; i < inputs; ++i) net.step("input", first, "rank=" + std::to_string(rank));
  const std::string words[] = {"relu", "gelu", "gelu_tanh", "silu", "add", "mul", "clamp"};
  const double densities[] = {0, 0.1, 0.5, 1};
  for (int s = 0; s < steps; ++s) {
    const int count = static_cast<int>(net.features.size());
    const int in = below(3) ? count - 1 : static_cast<int>(below(count));
    const std::string a = "r" + std::to_string(in);
    const int64_t size = net.features[in];
    const int64_t choice = below(12);
    if (choice < 4) {
      net.linear(in, sizes[below(10)], densities[below(4)], below(2));
    } else if (choice == 4) {
      const std::string p = std::to_string(net.floats(2 * size, 1));
      net.step("norm", size, a + " p=" + p + ":" + std::to_string(size) + " eps=1e-05");
    } else if (choice == 5 && rank == 2) {
      const std::string p = std::to_string(net.floats(2 * size, 0));
      net.step("affine", size, a + " s=" + p + ":" + std::to_string(size));
    } else {
      const std::string word = words[below(7)];
      std::vector<int> like;
      for (int r = 0; r < count; ++r) {
        if (net.features[r] == size) like.push_back(r);
      }
      std::string rest = a;
      if (word == "add" || word == "mul") rest += " r" + std::to_string(like[below(like.size())]);
      if (word == "clamp") rest += " lo=-0.5 hi=" + std::string(below(2) ? "inf" : "0.75");
      net.step(word, size, rest);
    }
  }
  const int last = static_cast<int>(net.features.size()) - 1;
  net.text += "output r" + std::to_string(last) + "\n";
  if (below(2)) net.text += "output r" + std::to_string(below(last + 1)) + "\n";
  return net;
}

double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

using Row = std::vector<double>;

Row one_step(const rarefy::Step& step, const Net& net, const Row& a, const Row& b) {
  Row out(a.size());
  const std::vector<float>* p = step.section < 0 ? nullptr : &net.dense[step.section];
  double mean = 0, variance = 0;
  for (double x : a) mean += x / a.size();
  for (double x : a) variance += (x - mean) * (x - mean) / a.size();
  if (step.op == Op::linear) {
    out.assign(step.rows, 0);
    for (int64_t r = 0; r < step.rows; ++r) {
      if (step.bias >= 0) out[r] = net.dense[step.bias][r];
      for (int64_t k = 0; k < step.columns; ++k) out[r] += (*p)[r * step.columns + k] * a[k];
    }
    return out;
  }
  const size_t n = a.size();
  for (size_t i = 0; i < n; ++i) {
    const double x = a[i], cubic = 1.5957691216057308 * (x + 0.044715 * x * x * x);
    switch (step.op) {
      case Op::relu: out[i] = std::max(x, 0.0); break;
      case Op::gelu: out[i] = gelu(x); break;
      case Op::gelu_tanh: out[i] = x * sigmoid(cubic); break;
      case Op::silu: out[i] = x * sigmoid(x); break;
      case Op::clamp: out[i] = std::min(std::max(x, step.low), step.high); break;
      case Op::add: out[i] = x + b[i]; break;
      case Op::mul: out[i] = x * b[i]; break;
      case Op::affine: out[i] = x * (*p)[i] + (*p)[n + i]; break;
      default: out[i] = (x - mean) / std::sqrt(variance + step.epsilon) * (*p)[i] + (*p)[n + i];
    }
  }
  return out;
}

struct Tensors {
  std::vector<std::vector<float>> memory;
  std::vector<rarefy_tensor> tensors;

  // Each with a value behind its end that nobody may change.
  Tensors(const Net& net, const std::vector<int>& registers, int64_t tokens, int rank, bool fill) {
    for (int r : registers) {
      const int64_t size = tokens * net.features[r];
      std::vector<float> values(size + 1, 123.0f);
      for (int64_t i = 0; fill && i < size; ++i) values[i] = drawn();
      memory.push_back(std::move(values));
      rarefy_tensor tensor{memory.back().data(), rank, {1, 1, 1, 1, 1, 1}};
      tensor.size[rank - 2] = tokens;
      tensor.size[rank - 1] = net.features[r];
      tensors.push_back(tensor);
    }
  }
};

void compare(const Net& net, const rarefy::Program& program, const Tensors& in, const Tensors& out,
             int64_t tokens, const std::string& what) {
  double worst = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    std::map<int, Row> rows;
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const int64_t size = net.features[program.inputs[i]];
      const float* const from = in.memory[i].data() + t * size;
      rows[program.inputs[i]] = Row(from, from + size);
    }
    for (const rarefy::Step& step : program.steps) {
      const Row& b = rows[step.inputs[step.input_count - 1]];
      rows[step.out] = one_step(step, net, rows[step.inputs[0]], b);
    }
    for (size_t o = 0; o < program.outputs.size(); ++o) {
      const Row& wanted = rows[program.outputs[o]];
      double largest = 1;
      for (double w : wanted) largest = std::max(largest, std::fabs(w));
      for (size_t i = 0; i < wanted.size(); ++i) {
        const double found = out.memory[o][t * wanted.size() + i];
        const double error = std::fabs(found - wanted[i]) / largest;
        worst = std::max(worst, error <= 1 ? error : 1.0);
      }
    }
  }
  check(worst < (net.low ? 5e-3 : 2e-4), what + ": error " + std::to_string(worst) + " in\n" + net.text);
  for (const auto& memory : out.memory) check(memory.back() == 123.0f, what + " stays in bounds");
}

std::unique_ptr<rarefy::LinearChain> chain_of(const Net& net, const char* set,
                                              rarefy::Floats& memory,
                                              rarefy::Program& program) {
  const std::vector<uint8_t> bytes = net.container();
  auto* const copy = reinterpret_cast<uint8_t*>(memory.at_least(bytes.size() / 4 + 1));
  std::copy(bytes.begin(), bytes.end(), copy);
  rarefy::Container container;
  std::string error;
  std::unique_ptr<rarefy::LinearChain> chain;
  if (rarefy::Program::parse(net.text.c_str(), program, error) &&
      rarefy::Container::read(copy, bytes.size(), container, error)) {
    chain = rarefy::LinearChain::make(program, container, set, error);
  }
  check(chain != nullptr, error + " in\n" + net.text);
  if (!chain) return nullptr;
  using Split = rarefy::WayLimits::Split;
  chain->limits.work_of_thread = 0;
  if (below(2)) chain->limits.most_rows = 8;
  if (below(2)) chain->limits.code_that_stays = below(30000);
  chain->limits.split = below(2) ? Split::choose : below(2) ? Split::groups : Split::rows;
  return chain;
}

void test_net(const Net& net, int rank, const char* set, const std::vector<int64_t>& counts) {
  rarefy::Floats memory;
  rarefy::Program program;
  const auto chain = chain_of(net, set, memory, program);
  if (!chain) return;
  for (int64_t tokens : counts) {
    Tensors in(net, program.inputs, tokens, rank, true);
    std::vector<std::vector<float>> first;
    for (int threads = 1; threads <= 4; ++threads) {
      Tensors out(net, program.outputs, tokens, rank, false);
      const int code =
          chain->run(in.tensors.data(), static_cast<int>(in.tensors.size()), out.tensors.data(),
                     static_cast<int>(out.tensors.size()), threads);
      const std::string what = std::string(set) + ", " + std::to_string(tokens) + " tokens, " +
                               std::to_string(threads) + " threads";
      check(code == 0, what + " runs");
      if (threads == 1) compare(net, program, in, out, tokens, what);
      if (threads == 1) first = out.memory;
      for (size_t o = 0; o < first.size(); ++o) {
        check(!std::memcmp(first[o].data(), out.memory[o].data(), 4 * first[o].size()),
              what + " give the same bits in\n" + net.text);
      }
    }
  }
}

}  // namespace

#include "test_chain_calls.h"

int main() {
  test_ways();
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    for (int repeat = 0; repeat < 60; ++repeat) {
      const int rank = repeat % 3 ? 2 : 3;
      test_net(random_net(1 + static_cast<int>(below(9)), rank, repeat % 4 == 0), rank, set,
               {0, 1, 4, 5, 17, 33 + below(80)});
    }
    test_calls(set);
  }
  std::printf("chains: %d failures\n", failures);
  return failures != 0;
}
