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

#include "chain_net.h"
#include "runtime/abi.h"
#include "runtime/container.h"
#include "runtime/linear_chain.h"
#include "runtime/linear_way.h"
#include "runtime/program.h"

namespace {

using rarefy::Op;

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
