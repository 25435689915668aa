// Sums worked out by hand from the published shapes. For the 26B-A4B, in millions of weights: attention 865.1
// of sliding layers and 245.1 of full ones, dense MLPs 535.3, routers 10.8, experts 5.947 each and 1,427.4 a
// token, head 738.2.
#include "eval/bench_traffic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "eval/bench_model.h"

namespace beryl::eval {
namespace {

constexpr int64_t kLayers = 30;
constexpr int64_t kExpertsPerToken = 8;

double megabytes_per_token(const std::string& format, const std::string& head = "") {
  const MadeUpModel model = make_up_model({.shape = "26b-a4b", .format = format, .head = head});
  const DecodeBytes bytes = decode_bytes(model.config, model.weights);
  return static_cast<double>(bytes.of_step(1, kLayers * kExpertsPerToken)) / 1e6;
}

double published_gigabytes(const std::string& shape, const std::string& format, const std::string& head) {
  return static_cast<double>(
             make_up_model({.shape = shape, .format = format, .head = head}).weights.published_bytes()) /
         1e9;
}

// Norms and scales of rows, which the sums leave out, are a few megabytes.
TEST(BenchTrafficTest, CountsTheBytesOfAToken) {
  EXPECT_NEAR(megabytes_per_token("bf16"), 7644, 3);
  EXPECT_NEAR(megabytes_per_token("fp8"), 4571, 6);
  EXPECT_NEAR(megabytes_per_token("fp8", "int8"), 3833, 6);
  EXPECT_NEAR(megabytes_per_token("int4-g32"), 3227, 3);
  EXPECT_NEAR(megabytes_per_token("int4-g32", "int8"), 2488, 3);
  EXPECT_NEAR(megabytes_per_token("int4-g128"), 3082, 3);
  EXPECT_NEAR(megabytes_per_token("int4-g128", "int8"), 2344, 3);
  EXPECT_NEAR(megabytes_per_token("nvfp4"), 3227, 3);
  EXPECT_NEAR(megabytes_per_token("nvfp4", "int8"), 2488, 3);
}

TEST(BenchTrafficTest, CountsWhatTheWeightsTake) {
  EXPECT_NEAR(published_gigabytes("26b-a4b", "bf16", "bf16"), 50.5, 0.1);
  EXPECT_NEAR(published_gigabytes("26b-a4b", "fp8", "bf16"), 26.0, 0.1);
  EXPECT_NEAR(published_gigabytes("26b-a4b", "nvfp4", "int8"), 14.5, 0.1);
  // The sizes' parameters, in billions, twice over. Keys and values of the E sizes' last layers, which no one
  // reads, are left out: 20 layers of the E2B and 18 of the E4B, of twice the size in full ones.
  const double unread_e2b = (16 + 4 * 2) * 2 * 1536e-9 * 256;
  const double unread_e4b = (15 + 3 * 2) * 2 * 2560e-9 * 512;
  EXPECT_NEAR(published_gigabytes("e2b", "bf16", "bf16"), 2 * (4.65 - unread_e2b), 0.02);
  EXPECT_NEAR(published_gigabytes("e4b", "bf16", "bf16"), 2 * (7.52 - unread_e4b), 0.02);
  EXPECT_NEAR(published_gigabytes("12b", "bf16", "bf16"), 2 * 11.91, 0.02);
  EXPECT_NEAR(published_gigabytes("31b", "bf16", "bf16"), 2 * 30.70, 0.02);
}

// Blocks of 256 weights do not divide rows of 2112 and 704: those are stored in blocks of 32, of 22 bytes.
TEST(BenchTrafficTest, StoresShortRowsInSmallerBlocks) {
  const double wide = (865.1 + 245.1) * 144 / 256 + (535.3 + 1427.4) * 2 / 3 * 144 / 256;
  const double narrow = (535.3 + 1427.4) / 3 * 22 / 32;
  EXPECT_NEAR(megabytes_per_token("q4_k"), wide + narrow + 10.8 * 2 + 738.2 * 210 / 256, 3);
}

TEST(BenchTrafficTest, CountsWhatExpertsOfABatchTake) {
  const MadeUpModel model = make_up_model({.shape = "26b-a4b", .format = "int4-g32"});
  const DecodeBytes bytes = decode_bytes(model.config, model.weights);
  EXPECT_NEAR(static_cast<double>(bytes.expert), 3 * 2816 * 704 * 4.5 / 8, 1);
  EXPECT_EQ(bytes.of_step(8, 100) - bytes.of_step(8, 99), bytes.expert);
  EXPECT_EQ(bytes.table_row, 0U);  // the embedding is the head
}

// 25 sliding layers of 8 heads of 256, 5 full ones of 2 heads of 512; keys and values of two bytes.
TEST(BenchTrafficTest, CountsKeysAndValuesThatATokenReads) {
  const MadeUpModel model = make_up_model({.shape = "26b-a4b", .format = "bf16"});
  const auto read = [&](int64_t depth, backend::Compute compute = backend::Compute::kBf16) {
    return cache_bytes_read(model.config, compute, depth);
  };
  EXPECT_EQ(read(0), 0U);
  EXPECT_EQ(read(100), 100U * 2 * (102'400 + 10'240));
  EXPECT_EQ(read(16'384), 2U * (1024 * 102'400 + 16'384 * 10'240));
  EXPECT_EQ(read(100, backend::Compute::kF32), 2 * read(100));
}

TEST(BenchTrafficTest, CountsOperationsThatAPromptNeeds) {
  const MadeUpModel moe = make_up_model({.shape = "26b-a4b", .format = "nvfp4"});
  // 3,084 million weights for each token, and the head for one.
  EXPECT_NEAR(prefill_operations(moe.config, moe.weights, 512) / 1e9, 2 * (512 * 3.0837 + 0.7382), 1);
  // Of the E2B only 15 layers run on all tokens. Sliding layers of 8 heads and 1 of keys and values, full
  // ones of twice that head size; MLPs of 6144; per-layer inputs of 256.
  const MadeUpModel e2b = make_up_model({.shape = "e2b", .format = "bf16"});
  const double sliding = 1536.0 * 256 * (8 * 2 + 2);
  const double mlp = 3.0 * 1536 * 6144;
  const double per_layer = 3.0 * 1536 * 256;
  const double first_layers = 12 * sliding + 3 * 2 * sliding + 15 * (mlp + per_layer);
  const double shared = 1536.0 * 256 * 8 * 2;
  const double last_layers = 16 * shared + 4 * 2 * shared + 20 * (2 * mlp + per_layer);
  const double head = 262'144.0 * 1536;
  EXPECT_NEAR(prefill_operations(e2b.config, e2b.weights, 100), 2 * (100 * first_layers + last_layers + head),
              1e3);
}

TEST(BenchModelTest, KeepsTheFirstLayers) {
  const MadeUpModel model = make_up_model({.shape = "31b", .format = "bf16", .layers = 4});
  EXPECT_EQ(model.config.layers.size(), 4U);
  EXPECT_EQ(model.weights.find({checkpoint::Part::kQ, 4, -1}), nullptr);
  EXPECT_NE(model.weights.find({checkpoint::Part::kQ, 3, -1}), nullptr);
}

TEST(BenchModelTest, SaysWhatThereIs) {
  const auto message = [](const MadeUpOptions& options) -> std::string {
    try {
      make_up_model(options);
    } catch (const Error& error) {
      return error.message() + "; " + error.help();
    }
    return "";
  };
  EXPECT_THAT(message({.shape = "27b", .format = "bf16"}),
              testing::HasSubstr("no shape '27b'; choose one of 26b"));
  EXPECT_THAT(message({.shape = "31b", .format = "int3"}), testing::HasSubstr("no format 'int3'"));
  EXPECT_THAT(message({.shape = "31b", .format = "fp8", .layers = 61}),
              testing::HasSubstr("61 layers, expected 1 to 60"));
}

}  // namespace
}  // namespace beryl::eval
