#include "checkpoint/size_name.h"

#include <gtest/gtest.h>

#include <string>

namespace beryl::checkpoint {
namespace {

// The dimensions of the 26B-A4B as its config.json has them.
ModelConfig moe_config() {
  ModelConfig config;
  config.hidden_size = 2816;
  config.heads = 16;
  config.layers.resize(30);
  config.expert_count = 128;
  return config;
}

std::string name_of(const ModelConfig& config) {
  const PublishedSize* size = find_published_size(config);
  return size == nullptr ? "none" : std::string(size->name);
}

TEST(SizeNameTest, NamesPublishedDimensions) {
  EXPECT_EQ(name_of(moe_config()), "26B-A4B");
  EXPECT_EQ(find_published_size(moe_config())->expert_count, 128);

  ModelConfig small;
  small.hidden_size = 1536;
  small.heads = 8;
  small.layers.resize(35);
  small.per_layer_input_size = 256;
  EXPECT_EQ(name_of(small), "E2B");
  EXPECT_EQ(find_published_size(small)->expert_count, 0);
}

TEST(SizeNameTest, PrunedExpertsKeepTheName) {
  ModelConfig config = moe_config();
  config.expert_count = 98;
  EXPECT_EQ(name_of(config), "26B-A4B");
}

TEST(SizeNameTest, OtherDimensionsHaveNoName) {
  ModelConfig config = moe_config();
  config.layers.resize(29);
  EXPECT_EQ(name_of(config), "none");
  config = moe_config();
  config.hidden_size = 2817;
  EXPECT_EQ(name_of(config), "none");
  config = moe_config();
  config.expert_count = 0;
  EXPECT_EQ(name_of(config), "none");
  EXPECT_EQ(name_of({}), "none");
}

}  // namespace
}  // namespace beryl::checkpoint
