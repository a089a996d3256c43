// What a plan does with calls that are not plain: wrong shapes, broken bytes, many callers. Part of
// test_chain.cpp.
#pragma once

#include "runtime/plan.h"

namespace {

Net feed_forward(int64_t features, int64_t inner, double density, bool low = false) {
  Net net;
  net.low = low;
  const int x = net.step("input", features, "rank=2");
  const int h = net.linear(x, inner, density, true);
  const int g = net.step("gelu", inner, "r" + std::to_string(h));
  const int y = net.linear(g, features, density, true);
  const int s = net.step("add", features, "r" + std::to_string(y) + " r" + std::to_string(x));
  const std::string p = std::to_string(net.floats(2 * features, 1));
  net.step("norm", features,
           "r" + std::to_string(s) + " p=" + p + ":" + std::to_string(features) + " eps=1e-05");
  net.text += "output r5\n";
  return net;
}

// Eight threads call one plan at once; each gets the bits that one alone gets.
void test_callers(const char* set, bool low) {
  const Net net = feed_forward(61, 130, 0.3, low);
  rarefy::Floats memory;
  rarefy::Program program;
  const auto chain = chain_of(net, set, memory, program);
  if (!chain) return;
  for (int64_t tokens : {3, 70}) {
    Tensors in(net, program.inputs, tokens, 2, true), alone(net, program.outputs, tokens, 2, false);
    chain->run(in.tensors.data(), 1, alone.tensors.data(), 1, 1);
    std::vector<int> wrong(8, 0);
    std::vector<std::thread> callers;
    for (int c = 0; c < 8; ++c) {
      callers.emplace_back([&, c] {
        for (int repeat = 0; repeat < 20; ++repeat) {
          Tensors out(net, program.outputs, tokens, 2, false);
          wrong[c] += chain->run(in.tensors.data(), 1, out.tensors.data(), 1, 1 + repeat % 3) != 0;
          wrong[c] += out.memory != alone.memory;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    check(wrong == std::vector<int>(8, 0), "eight callers get the same bits");
  }
}

// Operands that must not share a place, or must be there in time.
void test_operands(const char* set) {
  Net net;
  net.step("input", 130, "rank=2");
  net.step("input", 130, "rank=2");
  net.linear(0, 130, 0.4, true);
  net.step("add", 130, "r2 r0");  // the last to read r0, of which the product still reads
  net.step("add", 130, "r2 r1");  // the first to read r1
  net.step("mul", 130, "r3 r4");
  net.text += "output r5\noutput r2\n";
  for (int repeat = 0; repeat < 8; ++repeat) test_net(net, 2, set, {3, 40});
  rarefy::Floats memory;
  rarefy::Program program;
  const auto chain = chain_of(net, set, memory, program);
  if (!chain) return;
  Tensors in(net, program.inputs, 6, 2, true), out(net, program.outputs, 6, 2, false);
  in.tensors[1].size[0] = 5;
  check(chain->run(in.tensors.data(), 2, out.tensors.data(), 2, 1) == 2, "unequal inputs");
}

int code_of(void* plan, const rarefy_tensor& in, int count, rarefy_tensor out, int out_count) {
  return rarefy_plan_run(plan, &in, count, &out, out_count, 2);
}

void test_wrong_calls(const char* set) {
  const Net net = feed_forward(7, 13, 0.5);
  const std::vector<uint8_t> bytes = net.container();
  char error[200] = "";
  void* const plan = rarefy_plan_new(net.text.c_str(), bytes.data(), bytes.size(), set, error, 200);
  check(plan != nullptr, error);
  if (!plan) return;
  std::vector<float> x(70, 1), y(70, 0);
  const rarefy_tensor in{x.data(), 2, {10, 7}}, out{y.data(), 2, {10, 7}};
  check(code_of(plan, in, 1, out, 1) == 0, "a right call");
  check(code_of(plan, in, 0, out, 1) == 1 && code_of(plan, in, 1, out, 2) == 1, "counts");
  const rarefy_tensor wrong[] = {{x.data(), 2, {9, 7}},  {x.data(), 2, {10, 6}},
                                 {x.data(), 3, {1, 10, 7}}, {x.data(), 1, {70}},
                                 {x.data(), 2, {-10, 7}}, {nullptr, 2, {10, 7}},
                                 {x.data(), 2, {int64_t(1) << 62, 7}}};
  for (const rarefy_tensor& tensor : wrong) {
    check(code_of(plan, tensor, 1, out, 1) == 2, "an input of a wrong shape");
    check(code_of(plan, in, 1, tensor, 1) == 2, "an output of a wrong shape");
  }
  const rarefy_tensor negative{x.data(), 2, {-10, 7}}, result{y.data(), 2, {-10, 7}};
  check(code_of(plan, negative, 1, result, 1) == 2, "negative sizes");
  rarefy_plan_free(plan);
  rarefy_plan_free(nullptr);
  check(!rarefy_plan_new(net.text.c_str(), bytes.data(), bytes.size(), "no_set", error, 200),
        "an unknown set");
  check(!rarefy_plan_new(net.text.c_str(), nullptr, 0, set, error, 200), "no container");
  std::string swapped = net.text;
  swapped.replace(swapped.find("w=0:"), 4, "w=1:");
  check(!rarefy_plan_new(swapped.c_str(), bytes.data(), bytes.size(), set, error, 200) &&
            std::string(error) == "line 3 of the program: section 1 holds floats, wanted tiles",
        error);
}

// Broken bytes are refused, or give a plan that stays within its memory.
void test_broken_containers(const char* set) {
  const Net net = feed_forward(7, 40, 0.4);
  const std::vector<uint8_t> good = net.container();
  std::vector<float> x(9 * 7, 1), y(9 * 7, 0);
  int refused = 0;
  for (int repeat = 0; repeat < 2000; ++repeat) {
    std::vector<uint8_t> bytes = good;
    for (int64_t change = below(3) + 1; change > 0; --change) {
      bytes[below(bytes.size())] = static_cast<uint8_t>(generator());
    }
    char error[200] = "";
    void* plan = rarefy_plan_new(net.text.c_str(), bytes.data(), bytes.size(), set, error, 200);
    refused += !plan;
    check(plan || error[0], "a refusal says why");
    if (!plan) continue;
    for (int64_t tokens : {2, 5}) {
      check(code_of(plan, {x.data(), 2, {tokens, 7}}, 1, {y.data(), 2, {tokens, 7}}, 1) == 0,
            "a changed weight runs");
    }
    rarefy_plan_free(plan);
  }
  check(refused > 500, "most broken containers are refused");
}

// An inf or NaN of one token and feature reaches what depends on it, and nothing else.
void test_not_numbers(const char* set) {
  Net net;
  net.step("input", 3, "rank=2");
  const int w = net.add("tiles", {}, {});
  const float weight[] = {1, 0, 0, 0, 2, 0, 0, 0, 0};
  std::vector<uint64_t> bytes(rarefy_pack_size(weight, nullptr, 3, 3, 512, 1) / 8);
  auto* const begin = reinterpret_cast<uint8_t*>(bytes.data());
  rarefy_pack(weight, nullptr, 3, 3, 512, 1, begin, 8 * bytes.size());
  net.packed[w].assign(begin, begin + 8 * bytes.size());
  net.step("linear", 3, "r0 w=0:3x3 b=-");
  net.step("relu", 3, "r1");
  net.text += "output r2\n";
  rarefy::Floats memory;
  rarefy::Program program;
  const auto chain = chain_of(net, set, memory, program);
  if (!chain) return;
  for (int64_t tokens : {2, 20}) {
    Tensors in(net, program.inputs, tokens, 2, true), out(net, program.outputs, tokens, 2, false);
    float* const x = in.memory[0].data();
    x[0] = NAN, x[1] = -INFINITY, x[2] = NAN, x[3] = INFINITY, x[4] = 1, x[5] = INFINITY;
    chain->run(in.tensors.data(), 1, out.tensors.data(), 1, 2);
    const float* const y = out.memory[0].data();
    check(std::isnan(y[0]) && y[1] == 0 && y[2] == 0 && y[3] == INFINITY && y[4] == 2 && y[5] == 0,
          "what is no number stays where it belongs");
    for (int64_t i = 6; i < 3 * tokens; ++i) check(std::isfinite(y[i]), "other tokens");
  }
}

// How a call runs may depend on everything; which order its sums have, on tokens and weights alone.
void test_ways() {
  for (int64_t entries : {0, 1000, 100000, 2000000}) {
    for (int64_t tokens : {1, 4, 5, 8, 9, 40, 130, 5000}) {
      const auto of = [&](int threads, bool emit, bool interpret) {
        return rarefy::choose_way({tokens, threads, entries, 768, 768, emit, interpret}, {});
      };
      for (int threads : {-1, 0, 1, 2, 3, 16}) {
        const rarefy::Way way = of(threads, true, true);
        check(way.threads >= 1 && way.threads <= std::max(1, threads) && way.together >= 1,
              "a way has threads and groups");
        check(way.rows == of(1, true, true).rows && way.rows == of(threads, false, true).rows,
              "rows or lines whatever the threads");
        check(of(threads, false, true).interpreted && of(threads, false, false).interpreted,
              "without code all is interpreted");
        check(!of(threads, true, false).interpreted, "and else nothing that sums in another way");
        check(way.threads > 1 || way.by_groups, "one thread shares with nobody");
      }
    }
  }
}

void test_calls(const char* set) {
  test_net(feed_forward(96, 384, 0.2), 2, set, {1, 3, 16, 48, 80, 257});
  Net unknown;  // no step says how many features there are
  unknown.step("input", 19, "rank=3");
  unknown.step("silu", 19, "r0");
  unknown.step("mul", 19, "r1 r0");
  unknown.text += "output r2\noutput r0\noutput r0\n";
  test_net(unknown, 3, set, {0, 1, 4, 5, 50});
  Net empty;  // nothing in, nothing out
  empty.step("input", 0, "rank=2");
  empty.linear(empty.linear(0, 5, 1, true), 0, 1, true);
  empty.text += "output r1\noutput r2\n";
  test_net(empty, 2, set, {0, 1, 4, 5, 50});
  test_operands(set);
  test_callers(set, false);
  test_callers(set, true);
  test_wrong_calls(set);
  test_broken_containers(set);
  test_not_numbers(set);
}

}  // namespace
