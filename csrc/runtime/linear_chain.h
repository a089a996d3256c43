// Runs a chain of linear layers, norms and what works number by number.
//
// Up to 4 tokens (8 where the weights are large), activations stay rows. From there on they lie in
// lines: of 16 tokens at a time, one line of 16 floats per feature; rows are turned into lines on
// entry and back on exit. Threads take whole groups of 16 tokens through the entire chain, or share
// the rows of each product.
//
// A chain that has a weight of low precision keeps rows at any number of tokens (linear_low.cpp).
//
// What a number comes out as depends on the tokens of the call only in this: one row, some rows, or
// lines. It does not depend on the threads, nor on who takes which share, nor on which product of
// lines is taken: all add up a row's columns in their order. (A product of bfloat16 or float16 is
// that of whichever form was measured fastest for about so many tokens in this process.)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "abi.h"
#include "chain.h"
#include "container.h"
#include "few.h"
#include "line_kernels.h"
#include "linear_way.h"
#include "phases.h"
#include "product.h"
#include "window.h"
#include "workspace.h"

namespace rarefy {

// Answers of a run.
enum Status : int { kDone = 0, kWrongCount = 1, kWrongShape = 2, kNoMemory = 3, kNoKernel = 4 };

// A sparse weight and the forms of it that calls have asked for so far.
struct LayerWeight {
  struct Lines {
    std::unique_ptr<Product> product;
    std::vector<int64_t> until;  // work of blocks [0, i)
    bool by_rows = false;        // block b is rows [first_row[b], first_row[b + 1])
  };
  // In ranges of rows, so that threads seldom write to the same lines of memory: inside a form for
  // a few tokens, rows stand in any order.
  struct Rows {
    struct Range {
      std::unique_ptr<Few> few;
      int64_t row, part;  // its first
    };
    std::vector<Range> ranges;
    std::vector<int64_t> until{0};  // work of parts [0, i)

    int64_t parts() const { return static_cast<int64_t>(until.size()) - 1; }
    // As Few::run, for parts of all ranges.
    void run(int64_t first, int64_t last, const float* x, int64_t x_stride, float* y,
             int64_t y_stride, int64_t tokens, const float* bias, bool relu) const;
  };

  // Low precision, for about so many tokens.
  struct Low {
    std::unique_ptr<Window> window;
    std::vector<int64_t> until;  // work of units [0, i)
  };
  static constexpr int kLowForms = 4;
  // Which of them is for calls of so many tokens.
  static int low_form(int64_t tokens) {
    return tokens <= 1 ? 0 : tokens <= 4 ? 1 : tokens <= 16 ? 2 : 3;
  }

  Tiles tiles;  // unless it is in low precision
  Lazy<Lines> generated, interpreted;
  Lazy<Rows> one_row, some_rows;

  Section low;  // if it is
  Lazy<Low> low_forms[kLowForms];
};

// The numbers of one step of the program.
struct Layer {
  LayerWeight* weight = nullptr;  // linear
  std::vector<float> values;      // bias (or none); scale, shift; gamma, beta
  const float* bias() const { return values.empty() ? nullptr : values.data(); }
};

class LinearChain {
 public:
  // The container's bytes, aligned to 64, must outlive the chain.
  static std::unique_ptr<LinearChain> make(const Program& program, const Container& container,
                                           const char* set, std::string& error);

  int run(const rarefy_tensor* inputs, int count, rarefy_tensor* outputs, int out_count,
          int threads);

  WayLimits limits;

  // What a call works in.
  struct Scratch {
    Floats arena;
    Floats prepared;  // tokens as a weight of low precision reads them
    Phases phases;
  };

  // One call.
  struct Job {
    const Chain& chain;
    const rarefy_tensor* inputs;
    rarefy_tensor* outputs;
    int64_t tokens;
    Way way;
    Scratch& scratch;
  };

 private:
  friend class LinesRun;
  friend class FewRun;
  friend class LowRun;

  bool load(const Container& container, std::string& error);
  bool load_weight(const Container& container, const Step& step, Layer& layer,
                   std::string& error);
  bool load_low(const Section& section, LayerWeight& weight, std::string& error);
  int check(const rarefy_tensor* inputs, const rarefy_tensor* outputs, int64_t& tokens) const;
  int run(const Chain& chain, const rarefy_tensor* inputs, rarefy_tensor* outputs, int64_t tokens,
          int threads);
  bool prepare(const Job& job, std::string& error);
  bool prepare_low(int64_t tokens, std::string& error);
  Way way_of(const Chain& chain, int64_t tokens, int threads) const;

  void run_lines(const Job& job) const;
  void run_few(const Job& job) const;
  void run_low(const Job& job) const;

  Program program_;
  std::string set_;
  LineKernels kernels_;
  std::vector<std::unique_ptr<LayerWeight>> weights_;  // by section; null where it is none
  std::vector<Layer> layers_;                          // by step
  int64_t entries_ = 0;                                // of all weights
  bool low_ = false;                                   // one is in low precision
  bool fixed_ = false;                                 // all sizes are known from the text
  Chain chain_;                                        // where they are
  Shelf<Scratch> shelf_;
};

}  // namespace rarefy
