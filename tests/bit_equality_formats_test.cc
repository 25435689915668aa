// The same bits in any batch, chunk and number of threads, for every format and every set of kernels that
// this processor has.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cctype>
#include <string>
#include <tuple>
#include <vector>

#include "backend/cpu/isa.h"
#include "bit_equality_for_tests.h"

namespace beryl {
namespace {

// A checkpoint of every format and way of scaling.
constexpr const char* kFolders[] = {"dense-bf16",
                                    "dense-bnb-nf4",
                                    "dense-gguf-q4_0",
                                    "dense-gguf-q8_0",
                                    "dense-gptq-int4",
                                    "dense-mlx-4bit",
                                    "moe-autoround-int4",
                                    "moe-ct-fp8-dynamic",
                                    "moe-ct-mxfp4",
                                    "moe-ct-mxfp8",
                                    "moe-ct-nvfp4",
                                    "moe-ct-w4a16-g32-actorder",
                                    "moe-ct-w4a16-g32-asym",
                                    "moe-ct-w8a8-int8",
                                    "ple-ct-w4a16-g32",
                                    "wide-ct-fp8-block",
                                    "wide-gguf-q4_k_m",
                                    "wide-gguf-q6_k"};

using FormatCase = std::tuple<const char*, backend::Isa>;

class FormatBitEqualityTest : public testing::TestWithParam<FormatCase> {
 protected:
  void SetUp() override {
    ::setenv("BERYL_ISA", std::string(backend::isa_name(std::get<1>(GetParam()))).c_str(), 1);
  }
  void TearDown() override { ::unsetenv("BERYL_ISA"); }

  static Model load(int threads) {
    const std::string folder = std::string("testdata/checkpoints/") + std::get<0>(GetParam());
    return {{folder, backend::Compute::kBf16}, threads};
  }
};

TEST_P(FormatBitEqualityTest, ChunksAndThreadsChangeNothing) {
  const std::vector<int32_t> tokens = make_tokens(66, 0);
  const std::vector<float> expected = logits_alone(load(1), tokens, {1, 66, 16});
  for (const int threads : {1, 2, 3}) {
    const Model model = load(threads);
    for (const int64_t chunk : {1, 7, 64}) {
      expect_same_bits(logits_alone(model, tokens, {threads, chunk, 4}), expected,
                       std::to_string(threads) + " threads, chunks of " + std::to_string(chunk));
    }
  }
}

TEST_P(FormatBitEqualityTest, OtherStreamsOfABatchChangeNothing) {
  const Model model = load(2);
  const std::vector<size_t> batches = {1, 2, 3, 4, 5, 6, 7, 8, 9, 33};
  std::vector<std::vector<int32_t>> prompts;
  std::vector<std::vector<float>> alone;
  for (size_t s = 0; s < 33; ++s) {
    prompts.push_back(make_tokens(batches.size() + 1, s));
    alone.push_back(logits_alone(model, prompts.back(), {2, 256, 16}));
  }
  SharedCache shared(model, prompts);
  for (const size_t batch : batches) {
    std::vector<size_t> counts(prompts.size(), 0);
    std::fill_n(counts.begin(), batch, size_t{1});
    shared.feed(counts, 1, alone);
  }
}

std::string name_of(const testing::TestParamInfo<FormatCase>& info) {
  std::string name =
      std::string(std::get<0>(info.param)) + "_" + std::string(backend::isa_name(std::get<1>(info.param)));
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, FormatBitEqualityTest,
                         testing::Combine(testing::ValuesIn(kFolders),
                                          testing::ValuesIn(backend::available_isas())),
                         name_of);

}  // namespace
}  // namespace beryl
