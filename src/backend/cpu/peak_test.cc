#include "backend/cpu/peak.h"

#include <gtest/gtest.h>

#include <chrono>

namespace beryl::backend {
namespace {

constexpr float kAddend = 0x1p-10F;

// What one lane of all chains sums up to tells how many chains there are, and with the lanes of a register
// how many operations a round takes.
TEST(PeakTest, CountsItsOperations) {
  for (const Isa isa : available_isas()) {
    const PeakLoop loop = peak_loop(isa);
    ASSERT_NE(loop.run, nullptr);
    int64_t chains = 0;
    int64_t operations_of_chain = 0;
    if (isa == Isa::kPortable) {  // x = x * 1 + b, four lanes
      operations_of_chain = 4 * 2;
      chains = static_cast<int64_t>(loop.run(64) / (64 * kAddend));
    } else if (isa == Isa::kAvx512Bf16) {  // x = x + 2 * 0.5 * b, sixteen lanes of two products
      operations_of_chain = 16 * 4;
      chains = static_cast<int64_t>(loop.run(64) / (64 * kAddend));
    } else {  // x = x * 0.5 + b, which tends to 2 b
      operations_of_chain = (isa == Isa::kAvx2 ? 8 : 16) * 2;
      chains = static_cast<int64_t>(loop.run(64) / (2 * kAddend));
    }
    EXPECT_GE(chains, 8) << isa_name(isa);
    EXPECT_EQ(loop.operations, chains * operations_of_chain) << isa_name(isa);
  }
}

TEST(PeakTest, MeasuresEverySet) {
  for (const Isa isa : available_isas()) {
    EXPECT_GT(measure_multiply_peak(isa, 1, std::chrono::milliseconds(5)), 1e8) << isa_name(isa);
  }
}

}  // namespace
}  // namespace beryl::backend
