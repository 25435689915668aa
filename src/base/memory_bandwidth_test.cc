#include "base/memory_bandwidth.h"

#include <gtest/gtest.h>

namespace beryl {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// No machine that this runs on reads slower or faster than this, sanitizers and neighbours included.
constexpr double kSlowest = 20e6;
constexpr double kFastest = 20e12;

TEST(MemoryBandwidthTest, IsOfAPlausibleSize) {
  for (const int threads : {1, 3}) {
    const double speed = measure_read_bandwidth(threads, milliseconds(20));
    EXPECT_GT(speed, kSlowest) << threads;
    EXPECT_LT(speed, kFastest) << threads;
  }
}

TEST(MemoryBandwidthTest, MeasuresForTheTimeAskedFor) {
  const auto start = steady_clock::now();
  measure_read_bandwidth(2, milliseconds(50));
  EXPECT_GE(duration<double>(steady_clock::now() - start).count(), 0.05);
}

}  // namespace
}  // namespace beryl
