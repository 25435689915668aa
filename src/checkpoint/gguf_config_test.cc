#include "checkpoint/gguf_config.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/error.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/gguf_builder_for_tests.h"

namespace beryl::checkpoint {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A published size, as the reference implementations give it.
struct Size {
  std::string name;
  uint32_t layers, period, hidden, heads, sliding_kv, full_kv, window, context;
  uint32_t width, wide_width;  // of the dense MLP; the second in layers that reuse keys, 0 for the same
  uint32_t shared;             // layers that reuse keys
  uint32_t per_layer_input;
  bool v_is_k;
  uint32_t experts, used, expert_width;

  bool slides(uint32_t layer) const { return layer % period != period - 1; }
};

const Size kE2b = {"E2B", 35, 5, 1536, 8, 1, 1, 512, 131'072, 6144, 12'288, 20, 256, false, 0, 0, 0};
const Size kE4b = {"E4B", 42, 6, 2560, 8, 2, 2, 512, 131'072, 10'240, 0, 18, 256, false, 0, 0, 0};
const Size k12b = {"12B", 48, 6, 3840, 16, 8, 1, 1024, 262'144, 15'360, 0, 0, 0, true, 0, 0, 0};
const Size k26b = {"26B", 30, 6, 2816, 16, 8, 2, 1024, 262'144, 2112, 0, 0, 0, true, 128, 8, 704};
const Size k31b = {"31B", 60, 6, 5376, 32, 16, 4, 1024, 262'144, 21'504, 0, 0, 0, true, 0, 0, 0};

constexpr int64_t kVocabulary = 262'144;

std::vector<TensorRecord> tensors_of(const Size& size) {
  std::vector<TensorRecord> tensors;
  const auto add = [&](std::string name, std::vector<int64_t> shape) {
    tensors.push_back({.name = std::move(name), .shape = std::move(shape), .range = {}});
  };
  add("token_embd.weight", {kVocabulary, size.hidden});
  if (size.per_layer_input > 0) add("per_layer_token_embd.weight", {kVocabulary, size.layers * 256});
  for (uint32_t i = 0; i < size.layers; ++i) {
    if (i >= size.layers - size.shared) continue;
    add(fmt::format("blk.{}.attn_k.weight", i), {1, size.hidden});
    if (size.slides(i) || !size.v_is_k) add(fmt::format("blk.{}.attn_v.weight", i), {1, size.hidden});
  }
  return tensors;
}

// The keys that llama.cpp's converter writes. `left_out` is not among them.
GgufBuilder keys_of(const Size& size, std::string_view left_out = "") {
  GgufBuilder builder;
  const auto number = [&](std::string_view name, auto value) {
    if (name != left_out) builder.number(fmt::format("gemma4.{}", name), value);
  };
  std::vector<bool> slides;
  std::vector<int32_t> kv_heads;
  std::vector<int32_t> widths;
  for (uint32_t i = 0; i < size.layers; ++i) {
    slides.push_back(size.slides(i));
    kv_heads.push_back(static_cast<int32_t>(size.slides(i) ? size.sliding_kv : size.full_kv));
    const bool is_wide = i >= size.layers - size.shared && size.wide_width > 0;
    widths.push_back(static_cast<int32_t>(is_wide ? size.wide_width : size.width));
  }
  builder.string("general.architecture", "gemma4");
  number("block_count", size.layers);
  number("context_length", size.context);
  number("embedding_length", size.hidden);
  number("attention.head_count", size.heads);
  number("attention.key_length", 512U);
  number("attention.value_length", 512U);
  number("attention.key_length_swa", 256U);
  number("attention.value_length_swa", 256U);
  number("rope.dimension_count", 512U);
  number("rope.dimension_count_swa", 256U);
  number("rope.freq_base", 1e6F);
  number("rope.freq_base_swa", 1e4F);
  number("attention.layer_norm_rms_epsilon", 1e-6F);
  number("final_logit_softcapping", 30.0F);
  number("attention.sliding_window", size.window);
  number("attention.shared_kv_layers", size.shared);
  number("embedding_length_per_layer_input", size.per_layer_input);
  if (size.experts > 0) {
    number("expert_count", size.experts);
    number("expert_used_count", size.used);
    number("expert_feed_forward_length", size.expert_width);
  }
  if (left_out != "attention.sliding_window_pattern") {
    builder.numbers<bool>("gemma4.attention.sliding_window_pattern", slides);
  }
  if (left_out != "attention.head_count_kv") builder.numbers("gemma4.attention.head_count_kv", kv_heads);
  if (left_out == "feed_forward_length") return builder;
  if (size.wide_width > 0) {
    builder.numbers("gemma4.feed_forward_length", widths);
  } else {
    builder.number("gemma4.feed_forward_length", size.width);
  }
  return builder;
}

GgufMetadata metadata_of(const GgufBuilder& builder) {
  return parse_gguf(builder.build()).metadata;
}

class GgufConfigTest : public testing::TestWithParam<Size> {};

TEST_P(GgufConfigTest, PublishedSizes) {
  const Size& size = GetParam();
  const ModelConfig config = read_model_config(metadata_of(keys_of(size)), tensors_of(size));
  EXPECT_EQ(config.hidden_size, size.hidden);
  EXPECT_EQ(config.vocabulary_size, kVocabulary);
  EXPECT_EQ(config.heads, size.heads);
  EXPECT_EQ(config.sliding_window, size.window);
  EXPECT_EQ(config.position_count_max, size.context);
  EXPECT_EQ(config.norm_epsilon, 1e-6F);
  EXPECT_EQ(config.logit_soft_cap, 30);
  EXPECT_TRUE(config.ties_head);
  EXPECT_EQ(config.per_layer_input_size, size.per_layer_input);
  EXPECT_EQ(config.per_layer_vocabulary_size, size.per_layer_input > 0 ? kVocabulary : 0);
  EXPECT_EQ(config.expert_count, size.experts);
  EXPECT_EQ(config.experts_per_token, size.used);
  EXPECT_EQ(config.expert_intermediate_size, size.expert_width);
  EXPECT_EQ(config.sliding_rotary.theta, 1e4);
  EXPECT_EQ(config.sliding_rotary.partial_factor, 1);
  EXPECT_EQ(config.full_rotary.theta, 1e6);
  EXPECT_EQ(config.full_rotary.partial_factor, 0.25);
  ASSERT_EQ(config.layers.size(), size.layers);
  for (uint32_t i = 0; i < size.layers; ++i) {
    const LayerConfig& layer = config.layers[i];
    const bool slides = size.slides(i);
    const bool is_shared = i >= size.layers - size.shared;
    EXPECT_EQ(layer.attention, slides ? AttentionKind::kSliding : AttentionKind::kFull) << i;
    EXPECT_EQ(layer.head_dim, slides ? 256 : 512) << i;
    EXPECT_EQ(layer.kv_heads, slides ? size.sliding_kv : size.full_kv) << i;
    EXPECT_EQ(layer.intermediate_size, is_shared && size.wide_width > 0 ? size.wide_width : size.width) << i;
    EXPECT_EQ(layer.v_is_k, !slides && size.v_is_k) << i;
    if (!is_shared) {
      EXPECT_EQ(layer.kv_source, i);
    }
  }
  // The published donors.
  if (size.name == "E2B") {
    EXPECT_EQ(config.layers[15].kv_source, 13);
    EXPECT_EQ(config.layers[34].kv_source, 14);
  }
  if (size.name == "E4B") {
    EXPECT_EQ(config.layers[24].kv_source, 22);
    EXPECT_EQ(config.layers[41].kv_source, 23);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, GgufConfigTest, testing::Values(kE2b, kE4b, k12b, k26b, k31b),
                         [](const auto& tested) { return tested.param.name; });

std::string refusal(const GgufBuilder& builder, ErrorCode code = ErrorCode::kInvalidInput,
                    const std::vector<TensorRecord>& tensors = tensors_of(k26b)) {
  try {
    read_model_config(metadata_of(builder), tensors);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

TEST(GgufConfigRefusalTest, MissingKeysAreNamed) {
  for (const std::string key :
       {"block_count", "context_length", "embedding_length", "attention.head_count", "attention.key_length",
        "attention.key_length_swa", "rope.freq_base", "rope.freq_base_swa", "attention.sliding_window",
        "attention.layer_norm_rms_epsilon", "expert_used_count", "expert_feed_forward_length",
        "attention.sliding_window_pattern", "attention.head_count_kv", "feed_forward_length"}) {
    EXPECT_THAT(refusal(keys_of(k26b, key)), HasSubstr("gemma4." + key + " is absent"));
  }
}

TEST(GgufConfigRefusalTest, OtherArchitecturesAreNamed) {
  GgufBuilder builder;
  EXPECT_THAT(refusal(builder), HasSubstr("general.architecture is absent"));
  builder.string("general.architecture", "gemma3");
  EXPECT_THAT(refusal(builder, ErrorCode::kUnsupported), HasSubstr("is 'gemma3', expected 'gemma4'"));
}

TEST(GgufConfigRefusalTest, WrongValuesAreNamed) {
  struct Wrong {
    std::string key;
    std::function<void(GgufBuilder&, const std::string&)> add;
    std::string expected;
  };
  const auto number = [](auto value) {
    return [value](GgufBuilder& builder, const std::string& key) { builder.number("gemma4." + key, value); };
  };
  const auto bools = [](std::vector<bool> values) {
    return [values](GgufBuilder& builder, const std::string& key) {
      builder.numbers<bool>("gemma4." + key, values);
    };
  };
  const std::vector<Wrong> wrongs = {
      {"block_count", number(0U), "1 to 1024"},
      {"block_count", number(29U), "29 elements (gemma4.block_count)"},
      {"attention.key_length", number(511U), "an even number"},
      {"attention.value_length", number(256U), "512, as gemma4.attention.key_length"},
      {"rope.dimension_count", number(128U), "512, as gemma4.attention.key_length"},
      {"rope.dimension_count_swa", number(128U), "256, as gemma4.attention.key_length_swa"},
      {"attention.head_count_kv", number(3U), "divisors of 16"},
      {"attention.shared_kv_layers", number(29U), "leaves layer"},
      {"attention.shared_kv_layers", number(30U), "0 to 29"},
      {"expert_used_count", number(129U), "1 to 128"},
      {"attention.layer_norm_rms_epsilon", number(2.0F), "0 to 1"},
      {"attn_logit_softcapping", number(50.0F), "0, as Gemma 4 has it"},
      {"rope.scaling.factor", number(8.0F), "1, as Gemma 4 has it"},
      {"attention.causal", number(false), "true"},
      {"attention.sliding_window_pattern", number(6U), "an array of booleans"},
      {"attention.sliding_window_pattern", bools(std::vector<bool>(30, true)), "false (full attention)"},
  };
  for (const Wrong& wrong : wrongs) {
    GgufBuilder builder = keys_of(k26b, wrong.key);
    wrong.add(builder, wrong.key);
    const std::string message = refusal(builder);
    EXPECT_THAT(message, HasSubstr("gemma4.")) << wrong.key;
    EXPECT_THAT(message, HasSubstr(wrong.expected)) << wrong.key;
  }
  GgufBuilder scaled = keys_of(k26b);
  scaled.string("gemma4.rope.scaling.type", "yarn");
  EXPECT_THAT(refusal(scaled), HasSubstr("gemma4.rope.scaling.type is 'yarn'"));
}

TEST(GgufConfigTest, AHeadOfItsOwnIsATensor) {
  std::vector<TensorRecord> tensors = tensors_of(k12b);
  tensors.push_back({.name = "output.weight", .shape = {kVocabulary, 3840}, .range = {}});
  EXPECT_FALSE(read_model_config(metadata_of(keys_of(k12b)), tensors).ties_head);
}

TEST(GgufConfigRefusalTest, TheTablesMustBeThere) {
  EXPECT_THAT(refusal(keys_of(k26b), ErrorCode::kInvalidInput, {}),
              HasSubstr("there is no tensor 'token_embd.weight'"));
  std::vector<TensorRecord> tensors = tensors_of(kE2b);
  tensors[1].shape = {3};
  EXPECT_THAT(refusal(keys_of(kE2b), ErrorCode::kInvalidInput, tensors),
              HasSubstr("'per_layer_token_embd.weight' has shape [3]"));
}

class RotaryFactorsTest : public testing::Test {
 protected:
  std::string check(const std::vector<float>& factors, formats::DType dtype = formats::DType::kF32) {
    const std::string_view bytes(reinterpret_cast<const char*>(factors.data()),
                                 factors.size() * sizeof(float));
    const File file(directory_.write("factors", bytes));
    const ModelConfig config = read_model_config(metadata_of(keys_of(k26b)), tensors_of(k26b));
    try {
      check_rotary_factors({.name = "rope_freqs.weight",
                            .dtype = dtype,
                            .shape = {static_cast<int64_t>(factors.size())},
                            .range = {&file, 0, bytes.size()}},
                           config);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }
  static std::vector<float> factors(size_t turning, size_t still) {
    std::vector<float> result(turning, 1.0F);
    result.insert(result.end(), still, 1e30F);
    return result;
  }

  TemporaryDirectory directory_;
};

TEST_F(RotaryFactorsTest, AQuarterOfTheFullHeadTurns) {
  EXPECT_EQ(check(factors(64, 192)), "");
  EXPECT_THAT(check(factors(65, 191)),
              HasSubstr("has 1 at position 64, expected 64 times 1 and 192 times 1e30"));
  EXPECT_THAT(check(factors(63, 193)), HasSubstr("at position 63"));
  EXPECT_THAT(check(factors(64, 191)), HasSubstr("is F32 [255], expected F32 [256]"));
  EXPECT_THAT(check(factors(64, 192), formats::DType::kI32), HasSubstr("is I32 [256]"));
}

TEST(GgufGenerationTest, ReadsSamplingAndTokens) {
  GgufBuilder builder;
  builder.number<int32_t>("general.sampling.top_k", 20).number("general.sampling.top_p", 0.5F);
  builder.number("general.sampling.temp", 0.25F).number("general.sampling.min_p", 0.125F);
  builder.number("general.sampling.penalty_repeat", 1.5F);
  builder.strings("tokenizer.ggml.tokens", {"<pad>", "<eos>", "<bos>", "<|tool_response>", "x", "<turn|>"});
  builder.number<uint32_t>("tokenizer.ggml.eos_token_id", 1)
      .number<uint32_t>("tokenizer.ggml.bos_token_id", 2);
  builder.number<uint32_t>("tokenizer.ggml.eot_token_id", 5);
  builder.number<uint32_t>("tokenizer.ggml.padding_token_id", 0);
  builder.numbers<int32_t>("tokenizer.ggml.suppress_tokens", {4, 3, 4});
  const GenerationConfig config = read_generation_config(metadata_of(builder), 6);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.5F);
  EXPECT_EQ(config.temperature, 0.25F);
  EXPECT_EQ(config.min_p, 0.125F);
  EXPECT_EQ(config.repetition_penalty, 1.5F);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 3, 5));
  EXPECT_EQ(config.bos_token_id, 2);
  EXPECT_EQ(config.pad_token_id, 0);
  EXPECT_THAT(config.suppress_tokens, ElementsAre(3, 4));
}

TEST(GgufGenerationTest, AbsentKeysKeepTheDefaults) {
  const GenerationConfig config = read_generation_config(metadata_of(GgufBuilder()), 1000);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(1, 50, 106));
  EXPECT_EQ(config.top_k, 64);
  EXPECT_EQ(config.bos_token_id, std::nullopt);
}

TEST(GgufGenerationTest, IdsOutsideTheVocabularyAreRefused) {
  for (const std::string key : {"eos_token_id", "eot_token_id", "bos_token_id", "padding_token_id"}) {
    GgufBuilder builder;
    builder.number<uint32_t>("tokenizer.ggml." + key, 6);
    try {
      read_generation_config(metadata_of(builder), 6);
      ADD_FAILURE() << key;
    } catch (const Error& error) {
      EXPECT_THAT(error.message(), HasSubstr(key + " is 6, expected an integer from 0 to 5"));
    }
  }
}

}  // namespace
}  // namespace beryl::checkpoint
