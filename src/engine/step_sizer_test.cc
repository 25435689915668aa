#include "engine/step_sizer.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace beryl::engine {
namespace {

// A machine on which a step takes `fixed` seconds and `each` for every token of a prompt.
struct Machine {
  double fixed;
  double each;
  double seconds(int64_t tokens) const { return fixed + each * static_cast<double>(tokens); }
};

int64_t settle(StepSizer& sizer, const Machine& machine, int steps) {
  sizer.add(0, 4, machine.fixed);
  for (int i = 0; i < steps; ++i) {
    const int64_t tokens = sizer.prompt_tokens();
    sizer.add(tokens, 4, machine.seconds(tokens));
  }
  return sizer.prompt_tokens();
}

TEST(StepSizerTest, StepsComeToTakeTheTimeAllowed) {
  for (const Machine machine : {Machine{0.1, 0.01}, Machine{0.05, 0.002}, Machine{0.4, 0.004}}) {
    StepSizer sizer(1.0, 1024);
    const double seconds = machine.seconds(settle(sizer, machine, 12));
    EXPECT_GT(seconds, 0.6);
    EXPECT_LE(seconds, 1.0);
  }
}

TEST(StepSizerTest, StaysWithinItsLimits) {
  StepSizer fast(1.0, 512);
  EXPECT_EQ(settle(fast, {0.001, 1e-5}, 12), 512);
  StepSizer slow(1.0, 512);
  EXPECT_EQ(settle(slow, {0.5, 1.0}, 12), 16);
}

TEST(StepSizerTest, NeverOvershootsFarFromACautiousStart) {
  StepSizer sizer(1.0, 1024);
  const Machine machine = {0.15, 0.008};
  sizer.add(0, 1, machine.fixed);
  double longest = 0;
  for (int i = 0; i < 20; ++i) {
    const int64_t tokens = sizer.prompt_tokens();
    longest = std::max(longest, machine.seconds(tokens));
    sizer.add(tokens, 1, machine.seconds(tokens));
  }
  EXPECT_LE(longest, 1.1);
}

TEST(StepSizerTest, TheRestOfAPromptSaysNothingAgainstTheSize) {
  StepSizer sizer(1.0, 1024);
  const int64_t size = settle(sizer, {0.1, 0.005}, 12);
  sizer.add(3, 4, 0.115);
  EXPECT_GE(sizer.prompt_tokens(), size * 9 / 10);
}

TEST(StepSizerTest, MakesRoomForAnswersThatBeganSince) {
  StepSizer sizer(1.0, 1024);
  const double each = 0.008;
  settle(sizer, {0.1, each}, 12);
  for (int i = 0; i < 16; ++i) sizer.add(0, 8, 0.5);
  EXPECT_LE(Machine({0.5, each}).seconds(sizer.prompt_tokens()), 1.0);
}

TEST(StepSizerTest, FallsAtOnceFromAPromptThatHadTheMachineToItself) {
  StepSizer sizer(1.0, 1024);
  sizer.add(1024, 0, 20);
  for (int i = 0; i < 16; ++i) sizer.add(0, 8, 0.5);
  EXPECT_LE(sizer.prompt_tokens(), 17);
}

}  // namespace
}  // namespace beryl::engine
