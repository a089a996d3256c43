// The kernels for a few tokens: every kind, in every set that runs here, against a plain loop.
// Fails if it found nothing to run.
#include <algorithm>

#include "runtime/few.h"
#include "sparse_case.h"

using namespace cases;
using rarefy::Few;
using rarefy::FewKind;

namespace {

constexpr float kUntouched = 1234.5f;
int ran = 0;

// One call on misaligned memory of the exact size, in two pieces where there is more than a part.
void check(const Few& few, const Weight& weight, int64_t tokens, Numbers numbers, bool relu,
           const std::string& name, std::mt19937& random) {
  const int64_t x_stride = weight.columns, y_stride = weight.rows + 3;
  const Misaligned x(tokens * x_stride), y(tokens * y_stride), bias(weight.rows);
  fill(x.data(), tokens * x_stride, numbers, random);
  fill(bias.data(), weight.rows, Numbers::plain, random);
  std::fill_n(y.data(), tokens * y_stride, kUntouched);
  const float* const shift = relu ? bias.data() : nullptr;
  const int64_t half = few.parts / 2;
  few.run(half, few.parts, x.data(), x_stride, y.data(), y_stride, tokens, shift, relu);
  few.run(0, half, x.data(), x_stride, y.data(), y_stride, tokens, shift, relu);
  ++ran;
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t r = 0; r < y_stride; ++r) {
      const float found = y.data()[t * y_stride + r];
      if (r >= weight.rows) {
        expect(found == kUntouched, name + " wrote past its rows");
        continue;
      }
      Sum sum;
      for (int64_t c = 0; c < weight.columns; ++c) {
        if (!weight.mask[r * weight.columns + c]) continue;
        sum.add(weight.values[r * weight.columns + c], x.data()[t * x_stride + c]);
      }
      expect(sum.matches(found, shift ? shift[r] : 0, relu), name);
    }
  }
}

const FewKind kKinds[] = {FewKind::rows,   FewKind::pick, FewKind::delta,
                          FewKind::column, FewKind::tall, FewKind::flat};

void check_kinds(const Weight& weight, const char* set, std::mt19937& random) {
  const bool plain_only = !std::strcmp(set, "generic");
  for (FewKind kind : kKinds) {
    std::string error;
    const auto few = Few::make_as(kind, weight.tiles, set, error);
    const bool possible =
        kind == FewKind::rows || (!plain_only && (kind != FewKind::flat || weight.columns >= 4));
    expect((few != nullptr) == possible && error.empty() == possible, "what a kind can hold");
    if (!few) continue;
    int64_t work = 0;
    for (int64_t part = 0; part < few->parts; ++part) work += few->work(part);
    expect(work >= weight.tiles.nonzero && few->bytes() >= 4 * work, "work and bytes");
    const std::string name = std::string(few->name()) + " " + set + " " +
                             std::to_string(weight.rows) + "x" + std::to_string(weight.columns);
    const Numbers numbers = static_cast<Numbers>(random() % 3);
    for (int64_t tokens : {1 + random() % 9, 1 + random() % 4}) {
      check(*few, weight, tokens, numbers, random() % 2, name, random);
    }
  }
}

void test_shapes(const char* set) {
  std::mt19937 random(1);
  for (int64_t rows : {1, 2, 15, 16, 17, 31, 33, 100}) {
    for (int64_t columns : {1, 2, 15, 16, 17, 31, 33, 100}) {
      for (double density : {0.0, 0.01, 0.1, 0.5, 1.0}) {
        const auto shape = static_cast<Shape>(random() % 6);
        check_kinds(Weight(rows, columns, density, shape, random), set, random);
      }
    }
  }
  check_kinds(Weight(768, 100, 0.1, Shape::skewed, random), set, random);
  check_kinds(Weight(33, 768, 0.1, Shape::holes, random), set, random);
  // More lines than a step chooses among, and distances of every width.
  check_kinds(Weight(17, 9001, 0.02, Shape::skewed, random), set, random);
  check_kinds(Weight(20, 3000, 0.002, Shape::even, random), set, random);
}

void test_all_tokens(const char* set) {
  std::mt19937 random(2);
  for (Shape shape : {Shape::skewed, Shape::column, Shape::tall, Shape::flat}) {
    const Weight weight(50, 90, 0.2, shape, random);
    std::string error;
    const auto few = Few::make(weight.tiles, set, error);
    for (int64_t tokens = 0; tokens <= 19; ++tokens) {
      for (Numbers numbers : {Numbers::plain, Numbers::denormal, Numbers::broken}) {
        check(*few, weight, tokens, numbers, tokens % 2, std::string("tokens ") + few->name(),
              random);
      }
    }
  }
}

// An inf or NaN reaches exactly the rows that use its input, whatever the slots hold beside.
void test_broken_input(const char* set) {
  std::mt19937 random(3);
  const Weight weight(40, 60, 0.3, Shape::skewed, random);
  for (FewKind kind : kKinds) {
    std::string error;
    const auto few = Few::make_as(kind, weight.tiles, set, error);
    if (!few) continue;
    for (int64_t broken = 0; broken < weight.columns; ++broken) {
      std::vector<float> x(weight.columns, 1.0f), y(weight.rows);
      x[broken] = broken % 2 ? std::numeric_limits<float>::infinity()
                             : std::numeric_limits<float>::quiet_NaN();
      few->run(0, few->parts, x.data(), 0, y.data(), 0, 1, nullptr, false);
      for (int64_t r = 0; r < weight.rows; ++r) {
        const bool uses = weight.mask[r * weight.columns + broken];
        expect(std::isfinite(y[r]) != uses, std::string("broken input, ") + few->name());
      }
    }
  }
}

void test_choice(const char* set) {
  const bool plain_only = !std::strcmp(set, "generic");
  std::mt19937 random(4);
  const auto kind = [&](int64_t rows, int64_t columns, double density, Shape shape) {
    std::string error;
    return Few::make(Weight(rows, columns, density, shape, random).tiles, set, error)->kind();
  };
  const auto wanted = [&](FewKind with_lanes) {
    return plain_only ? FewKind::rows : with_lanes;
  };
  expect(kind(64, 64, 0.2, Shape::column) == wanted(FewKind::column), "choice of 16 x 1");
  expect(kind(64, 64, 0.2, Shape::tall) == wanted(FewKind::tall), "choice of 4 x 1");
  expect(kind(64, 64, 0.2, Shape::flat) == wanted(FewKind::flat), "choice of 1 x 4");
  expect(kind(64, 64, 0.2, Shape::even) == wanted(FewKind::pick), "choice of no blocks");
  expect(kind(64, 640, 0.01, Shape::even) == wanted(FewKind::delta), "choice of very sparse");
  expect(kind(2, 66000, 0.2, Shape::even) == wanted(FewKind::delta), "choice of very wide");
  std::string error;
  const Weight very_wide(2, 66000, 0.01, Shape::even, random);
  expect(!Few::make_as(FewKind::pick, very_wide.tiles, set, error) && !error.empty(),
         "a place does not fit");
  check_kinds(Weight(0, 5, 0.5, Shape::even, random), set, random);
  check_kinds(Weight(3, 4, 0.0, Shape::even, random), set, random);
}

}  // namespace

int main() {
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    test_shapes(set);
    test_all_tokens(set);
    test_broken_input(set);
    test_choice(set);
  }
  std::string error;
  std::mt19937 random(5);
  expect(!Few::make(Weight(3, 4, 0.5, Shape::even, random).tiles, "v9", error) && !error.empty(),
         "an unknown set");
  expect(ran > 1000, "hardly anything ran");
  std::printf("few: %d calls, %d failures\n", ran, failures);
  return failures != 0;
}
