// What all parts of one render share: its memory, its step budget, the clock.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

#include "text/template/arena.h"
#include "text/template/lexer.h"
#include "text/template/limits.h"

namespace beryl::text {

class Runtime {
 public:
  // `now` is what strftime_now() tells.
  Runtime(const RenderLimits& limits, const std::tm& now)
      : arena_(limits.memory_bytes_max), steps_left_(limits.steps_max), now_(now) {}

  Arena& arena() { return arena_; }
  const std::tm& now() const { return now_; }

  // To be called before work on `steps` items. Errors: kResource when the budget is spent.
  void charge(uint64_t steps) {
    if (steps > steps_left_) fail_steps();
    steps_left_ -= steps;
  }

  // The place that errors name.
  Position position() const { return position_; }
  void set_position(Position position) { position_ = position; }

  // Set by raise_exception(): the error's text is for the user, and gets no place in front.
  bool is_raised_by_template = false;

 private:
  [[noreturn]] static void fail_steps();

  Arena arena_;
  uint64_t steps_left_;
  std::tm now_;
  Position position_;
};

// Errors of the template's author or of what the caller put in. The interpreter puts the place in front.
[[noreturn]] void fail_render(std::string message);

}  // namespace beryl::text
