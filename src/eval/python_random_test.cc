// testdata/gsm8k/sampling.json holds what CPython draws.
#include "eval/python_random.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace beryl::eval {
namespace {

TEST(PythonRandomTest, SamplesAsPythonDoes) {
  const auto file = std::filesystem::path(BERYL_SOURCE_DIR) / "testdata/gsm8k/sampling.json";
  const nlohmann::json cases = nlohmann::json::parse(std::ifstream(file));
  ASSERT_GE(cases.size(), 10U);
  for (const nlohmann::json& each : cases) {
    PythonRandom random(each["seed"].get<uint64_t>());
    for (const nlohmann::json& draw : each["draws"]) {
      EXPECT_EQ(random.sample(each["population"].get<uint32_t>(), each["count"].get<uint32_t>()),
                draw.get<std::vector<uint32_t>>())
          << "seed " << each["seed"] << ", " << each["count"] << " of " << each["population"];
    }
  }
}

// The first numbers of random.Random(1234).getrandbits(32) in CPython 3.11.
TEST(PythonRandomTest, DrawsAsPythonDoes) {
  PythonRandom random(1234);
  EXPECT_EQ(random.bits(32), 4150886329U);
  EXPECT_EQ(random.bits(32), 3342196574U);
}

}  // namespace
}  // namespace beryl::eval
