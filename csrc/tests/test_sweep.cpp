// The interpreted product, in every set that runs here, against a plain loop. Fails if it found
// nothing to run.
#include <algorithm>

#include "runtime/product.h"
#include "runtime/sweep_form.h"
#include "sparse_case.h"

using namespace cases;
using rarefy::Product;
using rarefy::SweepParts;
using rarefy::SweepShape;

namespace {

constexpr float kUntouched = 1234.5f;
int ran = 0;

// Lines on 64-byte boundaries, at scattered places, and nothing before or behind them.
struct Lines {
  std::vector<int32_t> offsets;
  std::vector<float> memory;
  float* start;

  Lines(int64_t lines, int64_t positions, std::mt19937& random)
      : offsets(lines), memory(16 * lines * positions + 16) {
    for (int64_t i = 0; i < lines; ++i) offsets[i] = static_cast<int32_t>(64 * i);
    std::shuffle(offsets.begin(), offsets.end(), random);
    start = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64) % 64 / 4;
  }
  float& at(int64_t position, int64_t line, int lane) {
    const auto lines = static_cast<int64_t>(offsets.size());
    return start[16 * lines * position + offsets[line] / 4 + lane];
  }
};

// A call on `groups` positions, the last of them first.
struct Call {
  Lines x, y;
  std::vector<int64_t> x_at, y_at;
  std::vector<float> bias;
  bool relu, shifted;

  Call(const Weight& weight, int groups, Numbers numbers, std::mt19937& random)
      : x(weight.columns, groups, random),
        y(weight.rows, groups, random),
        bias(weight.rows),
        relu(random() % 2),
        shifted(random() % 2) {
    fill(x.start, 16 * weight.columns * groups, numbers, random);
    fill(bias.data(), weight.rows, Numbers::plain, random);
    std::fill(y.memory.begin(), y.memory.end(), kUntouched);
    for (int g = groups - 1; g >= 0; --g) {
      x_at.push_back(16 * weight.columns * g);
      y_at.push_back(16 * weight.rows * g);
    }
  }
  const float* shift() const { return shifted ? bias.data() : nullptr; }

  void check(const Weight& weight, const std::string& name) {
    ++ran;
    for (int g = 0; g < static_cast<int>(x_at.size()); ++g) {
      for (int64_t r = 0; r < weight.rows; ++r) {
        for (int lane = 0; lane < 16; ++lane) {
          Sum sum;
          for (int64_t c = 0; c < weight.columns; ++c) {
            if (!weight.mask[r * weight.columns + c]) continue;
            sum.add(weight.values[r * weight.columns + c], x.at(g, c, lane));
          }
          expect(sum.matches(y.at(g, r, lane), shifted ? bias[r] : 0, relu), name);
        }
      }
    }
    const int64_t used = y.start - y.memory.data() + 16 * weight.rows * x_at.size();
    for (size_t i = used; i < y.memory.size(); ++i) {
      expect(y.memory[i] == kUntouched, name + " wrote past its lines");
    }
  }
};

std::string name_of(const Weight& weight, const char* set, int groups) {
  return std::string("sweep ") + set + " " + std::to_string(weight.rows) + "x" +
         std::to_string(weight.columns) + " at " + std::to_string(groups);
}

void check_product(const Weight& weight, const char* set, int groups, std::mt19937& random) {
  Call call(weight, groups, static_cast<Numbers>(random() % 3), random);
  std::string error;
  const auto product = Product::interpreted(weight.tiles, set, call.x.offsets.data(),
                                            call.y.offsets.data(), error);
  expect(product != nullptr, error);
  if (!product) return;
  int64_t work = 0;
  for (int block = 0; block < product->blocks; ++block) work += product->work(block);
  expect(work == weight.tiles.nonzero, "the work of all blocks");
  const int half = product->blocks / 2;
  for (int part = 0; part < 2; ++part) {
    product->run_at(part ? 0 : half, part ? half : product->blocks, call.x.start,
                    call.x_at.data(), call.y.start, call.y_at.data(), groups, call.shift(),
                    call.relu);
  }
  call.check(weight, name_of(weight, set, groups));
}

void test_products(const char* set) {
  std::mt19937 random(1);
  for (int64_t rows : {1, 2, 15, 16, 17, 31, 33, 100}) {
    for (int64_t columns : {1, 2, 15, 16, 17, 31, 33, 100}) {
      for (double density : {0.0, 0.01, 0.1, 0.5, 1.0}) {
        const Weight weight(rows, columns, density, static_cast<Shape>(random() % 6), random);
        check_product(weight, set, 1 + static_cast<int>(random() % 4), random);
      }
    }
  }
  check_product(Weight(768, 100, 0.1, Shape::skewed, random), set, 3, random);
  check_product(Weight(300, 768, 0.05, Shape::holes, random), set, 2, random);
  check_product(Weight(7, 0, 0.5, Shape::even, random), set, 2, random);
  check_product(Weight(0, 7, 0.5, Shape::even, random), set, 2, random);
  for (int groups = 0; groups <= 7; ++groups) {
    check_product(Weight(40, 50, 0.2, Shape::skewed, random), set, groups, random);
  }
}

// Shapes no set asks for, so that every height meets every remainder and passes are many.
void test_shapes(const char* set) {
  std::mt19937 random(2);
  const auto kernel = reinterpret_cast<rarefy::sweep<float>*>(rarefy_kernel("sweep_f32", set));
  for (int height : {1, 2, 4}) {
    for (int64_t pass_columns : {1, 7, 64}) {
      for (int64_t block_rows : {1, 13, 64}) {
        const Weight weight(50, 60, 0.2, Shape::skewed, random);
        Call call(weight, 3, Numbers::broken, random);
        SweepShape shape;
        shape.height = height;
        shape.pass_columns = pass_columns;
        shape.block_rows = block_rows;
        const SweepParts parts(weight.tiles, shape, call.x.offsets.data(), call.y.offsets.data());
        expect(parts.form.passes == (60 + pass_columns - 1) / pass_columns, "passes");
        expect(parts.bytes() >= 8 * weight.tiles.nonzero, "bytes");
        kernel(&parts.form, 0, parts.form.blocks, call.x.start, call.x_at.data(), call.y.start,
               call.y_at.data(), 3, call.shift(), call.relu);
        call.check(weight, name_of(weight, set, 3));
      }
    }
  }
}

}  // namespace

int main() {
  for (int i = 0; const char* set = rarefy_set(i); ++i) {
    test_products(set);
    test_shapes(set);
  }
  std::string error;
  std::mt19937 random(3);
  const Weight weight(3, 4, 0.5, Shape::even, random);
  const int32_t offsets[] = {0, 64, 128, 192};
  expect(!Product::interpreted(weight.tiles, "v9", offsets, offsets, error) && !error.empty(),
         "an unknown set");
  expect(ran > 300, "hardly anything ran");
  std::printf("sweep: %d calls, %d failures\n", ran, failures);
  return failures != 0;
}
