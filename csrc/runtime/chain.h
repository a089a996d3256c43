// A program of linear layers, norms and what works number by number, brought into the order and the
// places in which it runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "program.h"

namespace rarefy {

// An operation that works on each feature alone, so that it can follow at once wherever some of
// them have just been written. Registers; `step` of the program it comes from.
struct Point {
  Op op;
  int step;
  int a, b, out;
};

enum class Stage { enter, multiply, norm, point, leave };

// What is done before the next needs all of it: a head, then its points.
struct Part {
  Stage stage;
  int step = -1;          // multiply, norm: of the program
  int in = -1, out = -1;  // registers
  int number = -1;        // enter: which input; leave: which output
  bool relu = false;      // multiply
  int64_t features = 0;   // of all that is written
  std::vector<Point> points;
};

// Registers lie in an arena: `offset` in features, multiples of 16. Those that are never needed at
// the same time share a place.
struct Chain {
  std::vector<Part> parts;
  std::vector<int> products;      // which parts multiply
  std::vector<int64_t> features;  // of every register
  std::vector<int64_t> offset;    // of every register; -1 where there is none
  int64_t room = 0;               // features of the arena, a multiple of 16
};

// Whether the program has only such steps (else it is an image's).
bool is_linear(const Program& program);

// Sizes of all registers from those of the inputs (in the order of the call; -1: not known yet).
// False, and one line, where they contradict; what cannot be known yet stays -1.
bool spread_features(const Program& program, const std::vector<int64_t>& inputs,
                     std::vector<int64_t>& features, std::string& error);

// All features must be known.
Chain lower(const Program& program, std::vector<int64_t> features);

}  // namespace rarefy
