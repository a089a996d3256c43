// The text of programs and the packed container.
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/abi.h"
#include "runtime/container.h"
#include "runtime/program.h"

namespace {

int failures = 0;
std::mt19937 generator(1);

void check(bool right, const std::string& what) {
  if (right) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

const char* const kGood =
    "rarefy 1\ninput r0 rank=4\nconv r1 r0 w=0:8x3x3x3 b=1 stride=2,2 pad=1,1\n"
    "affine r2 r1 s=2:8\nrelu r3 r2\nmax_pool r4 r3 size=3,3 stride=2,2 pad=1,1\n"
    "add r5 r4 r4\nmean r6 r5\nflatten r7 r6\nlinear r8 r7 w=3:10x8 b=-\n"
    "norm r9 r8 p=4:10 eps=1e-05\nclamp r10 r9 lo=-inf hi=6.0\noutput r10\noutput r8\n";

void test_program() {
  rarefy::Program program;
  std::string error;
  check(rarefy::Program::parse(kGood, program, error), "a good program: " + error);
  check(program.inputs.size() == 1 && program.outputs.size() == 2 && program.steps.size() == 10,
        "its steps");
  const rarefy::Step& conv = program.steps[0];
  check(conv.op == rarefy::Op::conv && conv.rows == 8 && conv.columns == 3 && conv.bias == 1 &&
            conv.kernel[1] == 3 && conv.stride[0] == 2 && conv.pad[1] == 1 && conv.line == 3,
        "its convolution");
  check(program.steps[9].low < -1e300 && program.steps[9].high == 6.0, "its clamp");
  check(program.registers[0].channels == 3 && program.registers[7].features == 8 &&
            program.registers[10].features == 10 && program.registers[7].rank == 2,
        "its shapes");
}

void test_program_errors() {
  const std::string head = "rarefy 1\ninput r0 rank=2\n";
  const std::string bodies[] = {
      "", "output r1", "relu r1 r0", "relu r1 r2\noutput r1", "relu r0 r0\noutput r0",
      "relu r1 r0\nrelu r1 r0\noutput r1", "sin r1 r0\noutput r1", "relu r1\noutput r1",
      "relu r1 r0 r0\noutput r1", "relu r1 r0 x=1\noutput r1", "relu x1 r0\noutput r0",
      "relu r99999999999 r0\noutput r0", "relu r70000 r0\noutput r0", "output r0\nrelu r1 r0",
      "linear r1 r0 w=0:4x5\noutput r1", "linear r1 r0 w=0:4x b=-\noutput r1",
      "linear r1 r0 w=0:4x-5 b=-\noutput r1", "linear r1 r0 w=0:4x5x6 b=-\noutput r1",
      "linear r1 r0 b=- b=-\noutput r1", "linear r1 r0 w=9999999999:4x5 b=-\noutput r1",
      "linear r1 r0 w=0:4x5 b=-\nlinear r2 r1 w=0:4x5 b=-\noutput r2",
      "linear r1 r0 w=0:4x5 b=-\nadd r2 r0 r1\noutput r2", "add r1 r0\noutput r1",
      "clamp r1 r0 lo=nan hi=1\noutput r1", "clamp r1 r0 lo=1,5 hi=1\noutput r1",
      "clamp r1 r0 lo=0x1 hi=1\noutput r1", "norm r1 r0 p=0:4 eps=-1\noutput r1",
      "norm r1 r0 p=0:4 eps=inf\noutput r1",
      "conv r1 r0 w=0:1x1x1x1 b=- stride=1,1 pad=0,0\noutput r1",
      "mean r1 r0\noutput r1", "\noutput r0", "input r1 rank=7\noutput r0",
      "relu r1 r0\ninput r2 rank=1\noutput r1", "input r1 rank=1\nadd r2 r0 r1\noutput r2"};
  for (const std::string& body : bodies) {
    rarefy::Program program;
    std::string error;
    const bool taken = rarefy::Program::parse((head + body).c_str(), program, error);
    check(!taken && !error.empty() && error.find('\n') == std::string::npos, "taken: " + body);
  }
  char line[8];
  check(rarefy_program_check("rarefy 2", line, sizeof line) == -1 && std::strlen(line) == 7,
        "an error is cut to its room");
  check(rarefy_program_check(nullptr, nullptr, 0) == -1, "no text is no program");
}

// Any text is either a program or an error.
void test_program_fuzz() {
  const std::string good = kGood, letters = " \nr0123456789x:,=-.einfwbpadstrkz";
  for (int repeat = 0; repeat < 20000; ++repeat) {
    std::string text = good;
    for (unsigned change = generator() % 4 + 1; change > 0; --change) {
      const size_t at = generator() % text.size();
      const unsigned kind = generator() % 3;
      if (kind == 0) text[at] = letters[generator() % letters.size()];
      if (kind == 1) text.erase(at, generator() % 5);
      if (kind == 2) text.insert(at, 1, letters[generator() % letters.size()]);
    }
    rarefy::Program program;
    std::string error;
    const bool taken = rarefy::Program::parse(text.c_str(), program, error);
    check(taken == error.empty(), "a changed program");
  }
}

std::vector<uint8_t> container_of(const std::vector<std::vector<uint8_t>>& parts) {
  std::vector<int64_t> lengths;
  std::vector<const uint8_t*> data;
  std::vector<const char*> kinds;
  for (size_t i = 0; i < parts.size(); ++i) {
    lengths.push_back(static_cast<int64_t>(parts[i].size()));
    data.push_back(parts[i].data());
    kinds.push_back(i % 2 ? "tiles" : "floats");
  }
  const int64_t count = static_cast<int64_t>(parts.size());
  std::vector<uint8_t> bytes(rarefy_container_size(lengths.data(), count), 0xAA);
  check(rarefy_container_write(kinds.data(), data.data(), lengths.data(), count, bytes.data()) == 0,
        "a container is written");
  return bytes;
}

bool differ(const rarefy::Container& a, const rarefy::Container& b) {
  if (a.sections.size() != b.sections.size()) return true;
  for (size_t i = 0; i < a.sections.size(); ++i) {
    const rarefy::Section &x = a.sections[i], &y = b.sections[i];
    if (x.kind != y.kind || x.size != y.size || std::memcmp(x.data, y.data, x.size)) return true;
  }
  return false;
}

void test_container() {
  for (size_t count : {0, 1, 2, 5}) {
    std::vector<std::vector<uint8_t>> parts(count);
    for (size_t i = 0; i < count; ++i) parts[i].assign(i * 37 % 130, static_cast<uint8_t>(i + 1));
    const std::vector<uint8_t> bytes = container_of(parts);
    rarefy::Container container;
    std::string error;
    check(rarefy::Container::read(bytes.data(), bytes.size(), container, error), error);
    check(container.sections.size() == count, "its sections");
    for (size_t i = 0; i < count; ++i) {
      const rarefy::Section& section = container.sections[i];
      check(std::vector<uint8_t>(section.data, section.data + section.size) == parts[i] &&
                section.kind == (i % 2 ? "tiles" : "floats") &&
                (section.data - bytes.data()) % 64 == 0,
            "section " + std::to_string(i));
    }
    // One list of sections has one container: any other byte is refused or changes what is read.
    for (size_t at = 0; at < bytes.size(); ++at) {
      std::vector<uint8_t> changed = bytes;
      changed[at] ^= 1 << generator() % 8;
      rarefy::Container other;
      if (!rarefy::Container::read(changed.data(), changed.size(), other, error)) continue;
      check(at >= 64 && differ(container, other), "a changed byte is seen");
    }
    for (size_t size = 0; size < bytes.size(); ++size) {
      std::vector<uint8_t> cut(bytes.begin(), bytes.begin() + size);
      if (size >= 24) std::memcpy(cut.data() + 16, &size, 8);  // it says that it is so long
      check(!rarefy::Container::read(cut.data(), cut.size(), container, error), "a cut container");
    }
  }
  const int64_t huge[] = {int64_t(1) << 62, -1};
  check(rarefy_container_size(huge, 1) == -1 && rarefy_container_size(huge + 1, 1) == -1,
        "impossible lengths");
}

void test_container_fuzz() {
  const std::vector<uint8_t> good = container_of({{1, 2, 3, 4}, {5}, {6, 7, 8, 9, 10, 11, 12, 13}});
  for (int repeat = 0; repeat < 50000; ++repeat) {
    std::vector<uint8_t> bytes = good;
    for (unsigned change = generator() % 6 + 1; change > 0; --change) {
      const size_t at = generator() % 2 ? generator() % 160 : generator() % bytes.size();
      bytes[at] = generator() % 3 ? static_cast<uint8_t>(generator()) : (generator() % 2 ? 255 : 0);
    }
    rarefy::Container container;
    std::string error;
    int sum = 0;
    if (rarefy::Container::read(bytes.data(), bytes.size(), container, error)) {
      for (const auto& section : container.sections) {
        for (int64_t i = 0; i < section.size; ++i) sum += section.data[i];
      }
      std::vector<float> values;
      container.floats(static_cast<int>(generator() % 5) - 1, 1, values, error);
    }
    check(sum >= 0, "a sum");
  }
}

}  // namespace

int main() {
  test_program();
  test_program_errors();
  test_program_fuzz();
  test_container();
  test_container_fuzz();
  std::printf("runtime: %d failures\n", failures);
  return failures != 0;
}
