#include "base/machine.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

namespace beryl {
namespace {

TEST(MachineTest, MemoryAgreesWithTheSystem) {
  const MachineMemory memory = read_memory();
  const uint64_t physical =
      static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  EXPECT_GT(memory.total_bytes, physical / 2);
  EXPECT_LE(memory.total_bytes, physical + physical / 2);
  EXPECT_GT(memory.available_bytes, 0U);
  EXPECT_LE(memory.available_bytes, memory.total_bytes);
}

TEST(MachineTest, ProcessorsFollowTheAffinity) {
  EXPECT_GE(usable_processor_count(), 1);
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(usable_processor_count(), 1);
  EXPECT_EQ(usable_processors(), std::vector<int>{first});
  ASSERT_EQ(::sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(MachineTest, PagesAndHugePages) {
  EXPECT_GE(page_bytes(), 4096U);
  EXPECT_EQ(page_bytes() & (page_bytes() - 1), 0U);
  const std::vector<std::string> modes = {"", "always", "madvise", "never"};
  EXPECT_NE(std::find(modes.begin(), modes.end(), huge_page_mode()), modes.end()) << huge_page_mode();
}

TEST(MachineTest, FeaturesHaveNames) {
  for (const ProcessorFeature& feature : processor_features())
    EXPECT_FALSE(std::string(feature.name).empty());
  EXPECT_EQ(processor_name().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace beryl
