#include "image_call.h"

#include <algorithm>

namespace rarefy {
namespace {

// Positions of a convolution that a thread takes at once.
constexpr int64_t kPositions = 16;

// Items that threads share until all are done.
struct Phase {
  enum class Kind { passes, convolve, act, before, step, after };
  Kind kind;
  const ImageRun* run;
  const ImageSegment* segment;
  int64_t number = 0;             // of the pass, but where whole passes are the items
  const ImageGroup* group = nullptr;
  const ImageStep* step = nullptr;
  int64_t items = 1, piece = 1;
  int64_t at_parts = 1;           // convolve: items are parts of blocks x parts of positions
};

int64_t cut(int64_t length, int64_t parts, int64_t number) { return length * number / parts; }

class Call {
 public:
  Call(const std::vector<ImageRun>& runs, int threads, ImageWorkspace& workspace)
      : threads_(threads), workspace_(workspace) {
    for (const ImageRun& run : runs) {
      for (const ImageSegment& segment : run.plan().segments) {
        segment.images ? add_passes(run, segment) : add_steps(run, segment);
      }
    }
  }

  // How many threads need lines of their own.
  int apart() const { return apart_; }

  void work() {
    Phases& phases = workspace_.phases;
    phases.begin(static_cast<int>(phases_.size()), threads_);
    for (size_t i = 0; i < phases_.size(); ++i) {
      phases.set(static_cast<int>(i), phases_[i].items, phases_[i].piece, nullptr);
    }
    auto body = [&](int thread, int) {
      phases.work(
          thread,
          [&](int phase, int64_t first, int64_t last) {
            for (int64_t i = first; i < last; ++i) item(phases_[phase], thread, i);
          },
          [](int) {});
    };
    parallel_optional(threads_, body);
  }

 private:
  Phase& add(Phase::Kind kind, const ImageRun& run, const ImageSegment& segment, int64_t items) {
    Phase phase{kind, &run, &segment};
    phase.items = items;
    phases_.push_back(phase);
    return phases_.back();
  }

  void add_passes(const ImageRun& run, const ImageSegment& segment) {
    const int64_t passes = run.passes(segment);
    if (passes >= 2 * threads_ || (passes >= threads_ && passes % threads_ == 0)) {
      add(Phase::Kind::passes, run, segment, passes);
      apart_ = threads_;
      return;
    }
    for (int64_t number = 0; number < passes; ++number) {
      for (const ImageGroup& group : segment.groups) {
        if (group.conv) {
          Phase& phase = add(Phase::Kind::convolve, run, segment, 1);
          phase.number = number;
          phase.group = &group;
          share(phase);
        }
        if (group.actions.empty()) continue;
        Phase& phase = add(Phase::Kind::act, run, segment, 4 * threads_);
        phase.number = number;
        phase.group = &group;
      }
    }
  }

  // First by positions, which all use the same weights; by blocks where there are too few.
  void share(Phase& phase) const {
    const auto positions = static_cast<int64_t>(phase.group->x_at.size());
    const int64_t wanted = 4 * threads_;
    phase.at_parts = std::max<int64_t>(1, positions / kPositions);
    const int64_t blocks = std::max<int64_t>(1, phase.group->blocks());
    const int64_t block_parts =
        std::min(blocks, std::max<int64_t>(1, (wanted + phase.at_parts - 1) / phase.at_parts));
    phase.items = phase.at_parts * block_parts;
  }

  void add_steps(const ImageRun& run, const ImageSegment& segment) {
    for (const ImageStep& step : segment.steps) {
      add(Phase::Kind::before, run, segment, 1).step = &step;
      Phase& phase = add(Phase::Kind::step, run, segment, run.step_parts(step));
      phase.step = &step;
      phase.piece = std::max<int64_t>(1, phase.items / (8 * threads_));
      add(Phase::Kind::after, run, segment, 1).step = &step;
    }
  }

  void item(const Phase& phase, int thread, int64_t i) const {
    const ImageScratch& own = *workspace_.scratch[thread];
    float* const lines = workspace_.scratch[0]->lines;
    switch (phase.kind) {
      case Phase::Kind::passes:
        return phase.run->pass(*phase.segment, {phase.segment->images, i, own.lines, own.staged});
      case Phase::Kind::convolve:
        return convolve(phase, {phase.segment->images, phase.number, lines, own.staged}, i);
      case Phase::Kind::act:
        return act(phase, {phase.segment->images, phase.number, lines, nullptr}, i);
      case Phase::Kind::before: return phase.run->before_step(*phase.step, lines);
      case Phase::Kind::step: return phase.run->step(*phase.step, lines, i, i + 1);
      case Phase::Kind::after: return phase.run->after_step(*phase.step, lines);
    }
  }

  static void convolve(const Phase& phase, const ImagePlace& place, int64_t i) {
    const ImageGroup& group = *phase.group;
    const int64_t block_parts = phase.items / phase.at_parts;
    const int64_t part = i / phase.at_parts, at = i % phase.at_parts;
    const auto positions = static_cast<int64_t>(group.x_at.size());
    phase.run->convolve(group, place, static_cast<int>(cut(group.blocks(), block_parts, part)),
                        static_cast<int>(cut(group.blocks(), block_parts, part + 1)),
                        cut(positions, phase.at_parts, at), cut(positions, phase.at_parts, at + 1));
  }

  static void act(const Phase& phase, const ImagePlace& place, int64_t i) {
    const int64_t channels = phase.group->channels;
    phase.run->act(*phase.group, place, cut(channels, phase.items, i),
                   cut(channels, phase.items, i + 1));
  }

  const int threads_;
  ImageWorkspace& workspace_;
  std::vector<Phase> phases_;
  int apart_ = 1;
};

void run_alone(const std::vector<ImageRun>& runs, const ImageScratch& scratch) {
  for (const ImageRun& run : runs) {
    for (const ImageSegment& segment : run.plan().segments) {
      for (int64_t number = 0; segment.images && number < run.passes(segment); ++number) {
        run.pass(segment, {segment.images, number, scratch.lines, scratch.staged});
      }
      for (const ImageStep& step : segment.steps) {
        run.before_step(step, scratch.lines);
        run.step(step, scratch.lines, 0, run.step_parts(step));
        run.after_step(step, scratch.lines);
      }
    }
  }
}

}  // namespace

void run_images(const ImageKernels& kernels, const std::vector<ImagePart>& parts,
                const std::vector<const float*>& inputs, const std::vector<float*>& outputs,
                int threads, ImageWorkspace& workspace) {
  int64_t shared = 0, lines = 0, rows = 0;
  for (const ImagePart& part : parts) {
    shared = std::max(shared, part.plan->shared_floats);
    lines = std::max(lines, part.plan->scratch_floats);
    rows = std::max(rows, part.plan->staged_rows);
  }
  float* const of_all = workspace.shared.at_least(shared);
  std::vector<ImageRun> runs;
  for (const ImagePart& part : parts) {
    runs.emplace_back(kernels, *part.plan, inputs.data(), outputs.data(), part.first, part.count,
                      of_all);
  }
  while (static_cast<int>(workspace.scratch.size()) < threads) {
    workspace.scratch.push_back(std::make_unique<ImageScratch>());
  }
  Call call(runs, threads, workspace);
  for (int t = 0; t < threads; ++t) {
    ImageScratch& scratch = *workspace.scratch[t];
    if (t < call.apart()) scratch.lines = scratch.lines_room.at_least(lines);
    scratch.staged = scratch.staged_room.at_least(rows * kStagedPitch * kLine);
  }
  if (threads == 1) {
    run_alone(runs, *workspace.scratch[0]);
  } else {
    call.work();
  }
}

}  // namespace rarefy
