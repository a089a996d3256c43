// The text of a chain, parsed.
//
//   rarefy 1
//   input r0 rank=3
//   linear r1 r0 w=0:3072x768 b=1          w=<section>:<out>x<in>; b=<section> or -
//   conv r2 r1 w=2:64x64x3x3 b=- stride=1,1 pad=1,1
//   affine r3 r2 s=3:64                    y = x * scale[c] + shift[c] along dimension 1
//   relu|gelu|gelu_tanh|silu r4 r3
//   clamp r5 r4 lo=0.0 hi=6.0
//   add|mul r6 r5 r1                       equal shapes
//   norm r7 r6 p=4:768 eps=1e-05           layer norm over the last dimension
//   max_pool r8 r7 size=3,3 stride=2,2 pad=1,1
//   mean r9 r8                             over height and width
//   flatten r10 r9                         from dimension 1
//   output r10
//
// One step a line, inputs first, outputs last; a register is written once, before it is read.
#include "program.h"

#include <cstring>
#include <locale>
#include <sstream>

namespace rarefy {
namespace {

constexpr int kMostRegisters = 65536;
constexpr int64_t kLargestSize = 0x7FFFFFFF, kLargestWindow = 1024;

struct Form {
  Op op;
  const char* word;
  int inputs;
  const char* options;  // all of them are wanted, in any order
};

const Form forms[] = {
    {Op::linear, "linear", 1, "w b"},
    {Op::conv, "conv", 1, "w b stride pad"},
    {Op::affine, "affine", 1, "s"},
    {Op::relu, "relu", 1, ""},
    {Op::gelu, "gelu", 1, ""},
    {Op::gelu_tanh, "gelu_tanh", 1, ""},
    {Op::silu, "silu", 1, ""},
    {Op::clamp, "clamp", 1, "lo hi"},
    {Op::add, "add", 2, ""},
    {Op::mul, "mul", 2, ""},
    {Op::norm, "norm", 1, "p eps"},
    {Op::max_pool, "max_pool", 1, "size stride pad"},
    {Op::mean, "mean", 1, ""},
    {Op::flatten, "flatten", 1, ""},
};

std::vector<std::string> words_of(const std::string& text, char between) {
  std::vector<std::string> words;
  std::string word;
  for (char c : text + between) {
    if (c != between) {
      word += c;
    } else if (between != ' ' || !word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

bool whole(const std::string& text, int64_t most, int64_t& value) {
  if (text.empty() || text.size() > 10) return false;
  value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + (c - '0');
  }
  return value <= most;
}

// As Python writes a float, whatever the program's locale is.
bool real(const std::string& text, double& value) {
  if (text == "inf" || text == "-inf") {
    value = text[0] == '-' ? -__builtin_inf() : __builtin_inf();
    return true;
  }
  std::istringstream stream(text);
  stream.imbue(std::locale::classic());
  stream >> std::noskipws >> value;
  return !stream.fail() && stream.peek() == std::istringstream::traits_type::eof();
}

bool register_of(const std::string& text, int& number) {
  int64_t value = 0;
  if (text.size() < 2 || text[0] != 'r' || !whole(text.substr(1), kMostRegisters - 1, value)) {
    return false;
  }
  number = static_cast<int>(value);
  return true;
}

bool pair_of(const std::string& text, int64_t least, int64_t (&pair)[2]) {
  const std::vector<std::string> parts = words_of(text, ',');
  return parts.size() == 2 && whole(parts[0], kLargestWindow, pair[0]) &&
         whole(parts[1], kLargestWindow, pair[1]) && pair[0] >= least && pair[1] >= least;
}

bool section_of(const std::string& text, int& section) {
  int64_t value = 0;
  if (!whole(text, kLargestSize, value)) return false;
  section = static_cast<int>(value);
  return true;
}

// "<section>:<a>x<b>..." with exactly `count` sizes.
bool sized_section(const std::string& text, size_t count, int& section, int64_t* sizes) {
  const std::vector<std::string> halves = words_of(text, ':');
  if (halves.size() != 2 || !section_of(halves[0], section)) return false;
  const std::vector<std::string> parts = words_of(halves[1], 'x');
  if (parts.size() != count) return false;
  for (size_t i = 0; i < count; ++i) {
    if (!whole(parts[i], i < 2 ? kLargestSize : kLargestWindow, sizes[i])) return false;
  }
  return true;
}

bool weight_option(const std::string& value, Step& step) {
  int64_t sizes[4] = {0, 0, 1, 1};
  if (!sized_section(value, step.op == Op::conv ? 4 : 2, step.section, sizes)) return false;
  step.rows = sizes[0];
  step.columns = sizes[1];
  step.kernel[0] = sizes[2];
  step.kernel[1] = sizes[3];
  return sizes[2] > 0 && sizes[3] > 0;
}

bool set_option(const std::string& key, const std::string& value, Step& step) {
  if (key == "w") return weight_option(value, step);
  if (key == "b") return value == "-" || section_of(value, step.bias);
  if (key == "s" || key == "p") return sized_section(value, 1, step.section, &step.rows);
  if (key == "stride") return pair_of(value, 1, step.stride);
  if (key == "pad") return pair_of(value, 0, step.pad);
  if (key == "size") return pair_of(value, 1, step.kernel);
  if (key == "lo") return real(value, step.low);
  if (key == "hi") return real(value, step.high);
  return real(value, step.epsilon) && step.epsilon >= 0 && step.epsilon < __builtin_inf();
}

class Parser {
 public:
  Parser(Program& program, std::string& error) : program_(program), error_(error) {}

  bool parse(const char* text) {
    program_ = Program();
    std::vector<std::string> lines = words_of(text, '\n');
    while (!lines.empty() && lines.back().empty()) lines.pop_back();
    if (lines.empty() || lines[0] != "rarefy 1") {
      line_ = 1;
      return wrong("a program of this version begins with 'rarefy 1'");
    }
    for (size_t i = 1; i < lines.size(); ++i) {
      line_ = static_cast<int>(i) + 1;
      words_ = words_of(lines[i], ' ');
      if (words_.empty()) return wrong("the line is empty");
      if (!line()) return false;
    }
    if (program_.outputs.empty()) return wrong("the program has no output");
    return infer_shapes(program_, error_);
  }

 private:
  bool wrong(const std::string& what) {
    error_ = "line " + std::to_string(line_) + " of the program: " + what;
    return false;
  }

  bool line() {
    if (words_[0] == "output") return output();
    if (!program_.outputs.empty()) return wrong("a step follows an output");
    if (words_[0] == "input") return input();
    for (const Form& form : forms) {
      if (words_[0] == form.word) return step(form);
    }
    return wrong("there is no step '" + words_[0] + "'");
  }

  bool input() {
    if (!program_.steps.empty()) return wrong("an input follows a step");
    int number = 0;
    int64_t rank = 0;
    if (words_.size() != 3 || words_[2].rfind("rank=", 0) != 0 ||
        !whole(words_[2].substr(5), 6, rank) || rank < 1) {
      return wrong("wanted 'input r<number> rank=<1 to 6>'");
    }
    if (!define(words_[1], number)) return false;
    program_.registers[number].rank = static_cast<int>(rank);
    program_.inputs.push_back(number);
    return true;
  }

  bool output() {
    int number = 0;
    if (words_.size() != 2) return wrong("wanted 'output r<number>'");
    if (!use(words_[1], number)) return false;
    program_.outputs.push_back(number);
    return true;
  }

  bool step(const Form& form) {
    Step step;
    step.op = form.op;
    step.line = line_;
    step.input_count = form.inputs;
    const std::vector<std::string> keys = words_of(form.options, ' ');
    if (words_.size() != 2 + form.inputs + keys.size()) return wrong(shape_of(form));
    for (int i = 0; i < form.inputs; ++i) {
      if (!use(words_[2 + i], step.inputs[i])) return false;
    }
    if (!define(words_[1], step.out)) return false;
    for (const std::string& key : keys) {
      if (!option(form, key, step)) return false;
    }
    program_.steps.push_back(step);
    return true;
  }

  bool option(const Form& form, const std::string& key, Step& step) {
    for (size_t i = 2 + form.inputs; i < words_.size(); ++i) {
      if (words_[i].rfind(key + "=", 0) != 0) continue;
      const std::string value = words_[i].substr(key.size() + 1);
      return set_option(key, value, step) || wrong("'" + words_[i] + "' is no valid " + key + "=");
    }
    return wrong(shape_of(form));
  }

  std::string shape_of(const Form& form) const {
    std::string text = std::string("wanted '") + form.word + " r<out> r<in>";
    if (form.inputs == 2) text += " r<in>";
    for (const std::string& key : words_of(form.options, ' ')) text += " " + key + "=...";
    return text + "'";
  }

  bool define(const std::string& word, int& number) {
    if (!register_of(word, number)) return wrong("'" + word + "' is no register");
    if (number >= static_cast<int>(program_.registers.size())) {
      program_.registers.resize(number + 1);
    }
    if (program_.registers[number].rank >= 0) return wrong(word + " is written a second time");
    program_.registers[number].rank = 0;  // written; infer_shapes will know better
    return true;
  }

  bool use(const std::string& word, int& number) {
    if (!register_of(word, number)) return wrong("'" + word + "' is no register");
    if (number >= static_cast<int>(program_.registers.size()) ||
        program_.registers[number].rank < 0) {
      return wrong(word + " is read before it is written");
    }
    return true;
  }

  Program& program_;
  std::string& error_;
  int line_ = 0;
  std::vector<std::string> words_;
};

}  // namespace

const char* name_of(Op op) {
  for (const Form& form : forms) {
    if (form.op == op) return form.word;
  }
  return "?";
}

bool Program::has(Op op) const {
  for (const Step& step : steps) {
    if (step.op == op) return true;
  }
  return false;
}

bool Program::parse(const char* text, Program& program, std::string& error) {
  if (!text) {
    error = "there is no program";
    return false;
  }
  return Parser(program, error).parse(text);
}

}  // namespace rarefy
