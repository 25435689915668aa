#include "checkpoint/gguf_files.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/temporary_directory_for_tests.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/gguf_builder_for_tests.h"

namespace beryl::checkpoint {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string float_bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

// The configuration of one full layer with a head of 16.
GgufBuilder keys() {
  GgufBuilder builder;
  builder.string("general.architecture", "gemma4");
  for (const auto& [name, value] :
       {std::pair("block_count", 1U), std::pair("context_length", 64U), std::pair("embedding_length", 32U),
        std::pair("feed_forward_length", 32U), std::pair("attention.head_count", 2U),
        std::pair("attention.head_count_kv", 1U), std::pair("attention.key_length", 16U),
        std::pair("attention.key_length_swa", 8U), std::pair("attention.sliding_window", 8U)}) {
    builder.number(fmt::format("gemma4.{}", name), value);
  }
  builder.number("gemma4.rope.freq_base", 1e6F).number("gemma4.rope.freq_base_swa", 1e4F);
  builder.number("gemma4.attention.layer_norm_rms_epsilon", 1e-6F);
  builder.numbers<bool>("gemma4.attention.sliding_window_pattern", {false});
  return builder;
}

const GgufTensorSpec kTable = {"token_embd.weight", {4, 32}, 2};
const GgufTensorSpec kFactors = {
    "rope_freqs.weight", {8}, 0, float_bytes({1, 1, 1e30F, 1e30F, 1e30F, 1e30F, 1e30F, 1e30F})};

GgufBuilder& part_keys(GgufBuilder& builder, uint16_t number, uint16_t count, int32_t tensors) {
  return builder.number("split.no", number)
      .number("split.count", count)
      .number("split.tensors.count", tensors);
}

class GgufFilesTest : public testing::Test {
 protected:
  void write(const std::string& name, const GgufBuilder& builder) { directory_.write(name, builder.build()); }
  fs::path path(const std::string& name = "") const { return directory_.path() / name; }

  std::string refusal(const fs::path& model, ErrorCode code = ErrorCode::kInvalidInput) const {
    try {
      open_gguf(find_gguf_file(model).value());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.message();
      return error.message() + " | " + error.help();
    }
    ADD_FAILURE() << "accepted";
    return "";
  }
  // Writes a model in two parts.
  void write_parts() {
    GgufBuilder first = keys();
    part_keys(first, 0, 2, 3).tensor(kTable).tensor(kFactors);
    write("m-00001-of-00002.gguf", first);
    GgufBuilder second;
    part_keys(second, 1, 2, 3).tensor({"blk.0.attn_q.weight", {32, 32}, 2});
    write("m-00002-of-00002.gguf", second);
  }

  TemporaryDirectory directory_;
};

TEST_F(GgufFilesTest, OpensAFile) {
  write("m.gguf", keys().tensor(kTable).tensor(kFactors).tensor({"other.weight", {3}, 0}));
  const GgufModel model = open_gguf(find_gguf_file(path("m.gguf")).value());
  const auto records = model.shards.tensors().records();
  // The factors are checked and left out; unknown names stay.
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0].name, "model.language_model.embed_tokens.weight");
  EXPECT_EQ(records[0].range.file, &model.shards.shards().front().file);
  EXPECT_EQ(records[1].name, "other.weight");
  EXPECT_EQ(model.config.hidden_size, 32);
  EXPECT_EQ(model.metadata.find_string("general.architecture"), "gemma4");
}

TEST_F(GgufFilesTest, ADirectoryWithOneFileIsThatFile) {
  write("m.gguf", keys());
  write("mmproj-BF16.gguf", keys());
  directory_.write("config.json", "{}");
  directory_.write("README.md", "");
  const auto choice = find_gguf_file(path());
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->file, path("m.gguf"));
  EXPECT_THAT(choice->ignored_files, ElementsAre("config.json", "mmproj-BF16.gguf"));
  EXPECT_THAT(find_gguf_file(path("m.gguf"))->ignored_files, IsEmpty());
  directory_.write("model.safetensors", "");
  EXPECT_FALSE(find_gguf_file(path()));
}

TEST_F(GgufFilesTest, ADirectoryWithSeveralFilesIsRefused) {
  write("a-Q4_0.gguf", keys());
  write("a-Q8_0.gguf", keys());
  EXPECT_THAT(refusal(path()), AllOf(HasSubstr("holds several GGUF files: 'a-Q4_0.gguf', 'a-Q8_0.gguf'"),
                                     HasSubstr("give one of them")));
}

TEST_F(GgufFilesTest, OpensAModelInParts) {
  write_parts();
  for (const fs::path& model : {path(), path("m-00001-of-00002.gguf"), path("m-00002-of-00002.gguf")}) {
    const GgufModel opened = open_gguf(find_gguf_file(model).value());
    EXPECT_EQ(opened.shards.shards().size(), 2U);
    EXPECT_EQ(opened.config.hidden_size, 32);
    const TensorRecord* q =
        opened.shards.tensors().find("model.language_model.layers.0.self_attn.q_proj.weight");
    ASSERT_NE(q, nullptr);
    EXPECT_EQ(q->range.file, &opened.shards.shards()[1].file);
    EXPECT_EQ(read_gguf_metadata(find_gguf_file(model)->file).find_integer("split.no", 0, 9), 0);
  }
}

TEST_F(GgufFilesTest, PartsMustBeThereAndBelongTogether) {
  write_parts();
  fs::rename(path("m-00002-of-00002.gguf"), path("kept"));
  EXPECT_THAT(refusal(path(), ErrorCode::kNotFound), HasSubstr("m-00002-of-00002.gguf"));
  fs::copy(path("m-00001-of-00002.gguf"), path("m-00002-of-00002.gguf"));
  EXPECT_THAT(refusal(path()), HasSubstr("'m-00002-of-00002.gguf': metadata: split.no is 0, expected 1"));
  fs::remove(path("m-00002-of-00002.gguf"));
  GgufBuilder second;
  part_keys(second, 1, 2, 3);
  write("m-00002-of-00002.gguf", second);
  EXPECT_THAT(refusal(path()), HasSubstr("split.tensors.count is 3, expected 2"));
  GgufBuilder of_three;
  part_keys(of_three, 1, 3, 3);
  write("m-00002-of-00002.gguf", of_three);
  EXPECT_THAT(refusal(path()), HasSubstr("split.count is 3, expected 2"));
  GgufBuilder twice;
  part_keys(twice, 1, 2, 3).tensor(kTable);
  write("m-00002-of-00002.gguf", twice);
  EXPECT_THAT(refusal(path()), HasSubstr("is present twice: in 'm-00001-of-00002.gguf' and in 'm-00002"));
}

TEST_F(GgufFilesTest, ARenamedPartIsRefused) {
  GgufBuilder builder = keys();
  part_keys(builder, 0, 2, 2).tensor(kTable).tensor(kFactors);
  write("m.gguf", builder);
  EXPECT_THAT(refusal(path("m.gguf")), HasSubstr("split.count is 2, expected 1, as the file is not named"));
  write("m-00001-of-99999.gguf", builder);
  EXPECT_THAT(refusal(path("m-00001-of-99999.gguf")), HasSubstr("one of 99999 parts, at most 256"));
}

TEST_F(GgufFilesTest, NeedsTheRotaryFactors) {
  write("m.gguf", keys().tensor(kTable));
  EXPECT_THAT(refusal(path("m.gguf")), HasSubstr("there is no tensor 'rope_freqs.weight'"));
}

TEST_F(GgufFilesTest, RefusesExpertsInSeparateTensors) {
  write("m.gguf",
        keys().tensor(kTable).tensor(kFactors).tensor({"blk.0.ffn_gate_exps.weight", {2, 3, 32}, 8}));
  EXPECT_THAT(refusal(path("m.gguf"), ErrorCode::kUnsupported),
              HasSubstr("'blk.0.ffn_gate_exps.weight': experts with gate and up in separate tensors"));
}

TEST_F(GgufFilesTest, AnAbsentFileIsAnError) {
  EXPECT_THAT(refusal(path("absent.gguf"), ErrorCode::kNotFound), HasSubstr("absent.gguf"));
  EXPECT_FALSE(find_gguf_file(path()));
}

TEST_F(GgufFilesTest, WeightsAreMissedByTheNamesInTheFile) {
  write("m.gguf", keys().tensor(kTable).tensor(kFactors).tensor({"blk.0.attn_norm.weight", {33}, 0}));
  try {
    Checkpoint::open(path("m.gguf"));
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.message(),
                AllOf(HasSubstr("model '"), HasSubstr("m.gguf'"),
                      HasSubstr("tensor 'blk.0.attn_norm.weight' has shape [33], but the file's "
                                "metadata calls for [32]")));
  }
}

// What llama.cpp's converter made of a checkpoint, against that checkpoint's own config.json.
class ConvertedModelTest : public testing::TestWithParam<std::string> {
 protected:
  fs::path directory() const { return fs::path(BERYL_SOURCE_DIR) / "testdata/checkpoints" / GetParam(); }
};

TEST_P(ConvertedModelTest, SaysTheSameAsItsConfigJson) {
  const ModelConfig found = Checkpoint::open(directory()).config();
  const std::string text = read_text_file(directory() / "config.json", kConfigBytesMax);
  const ModelConfig expected = parse_model_config(parse_json(text, "config.json"), "config.json");
  EXPECT_EQ(found.hidden_size, expected.hidden_size);
  EXPECT_EQ(found.vocabulary_size, expected.vocabulary_size);
  EXPECT_EQ(found.heads, expected.heads);
  EXPECT_EQ(found.sliding_window, expected.sliding_window);
  EXPECT_EQ(found.position_count_max, expected.position_count_max);
  EXPECT_EQ(found.norm_epsilon, expected.norm_epsilon);
  EXPECT_EQ(found.logit_soft_cap, expected.logit_soft_cap);
  EXPECT_EQ(found.ties_head, expected.ties_head);
  EXPECT_EQ(found.per_layer_input_size, expected.per_layer_input_size);
  EXPECT_EQ(found.expert_count, expected.expert_count);
  EXPECT_EQ(found.experts_per_token, expected.experts_per_token);
  EXPECT_EQ(found.expert_intermediate_size, expected.expert_intermediate_size);
  EXPECT_EQ(found.sliding_rotary.theta, expected.sliding_rotary.theta);
  EXPECT_EQ(found.sliding_rotary.partial_factor, expected.sliding_rotary.partial_factor);
  EXPECT_EQ(found.full_rotary.theta, expected.full_rotary.theta);
  EXPECT_EQ(found.full_rotary.partial_factor, expected.full_rotary.partial_factor);
  ASSERT_EQ(found.layers.size(), expected.layers.size());
  for (size_t i = 0; i < found.layers.size(); ++i) {
    EXPECT_EQ(found.layers[i].attention, expected.layers[i].attention);
    EXPECT_EQ(found.layers[i].head_dim, expected.layers[i].head_dim);
    EXPECT_EQ(found.layers[i].kv_heads, expected.layers[i].kv_heads);
    EXPECT_EQ(found.layers[i].intermediate_size, expected.layers[i].intermediate_size);
    EXPECT_EQ(found.layers[i].v_is_k, expected.layers[i].v_is_k);
    EXPECT_EQ(found.layers[i].kv_source, expected.layers[i].kv_source);
  }
}

TEST_P(ConvertedModelTest, TheFileAndItsDirectoryAreTheSameModel) {
  const Checkpoint from_directory = Checkpoint::open(directory());
  const Checkpoint from_file = Checkpoint::open(directory() / "model.gguf");
  EXPECT_THAT(from_directory.shards().ignored_files(), ElementsAre("config.json", "generation_config.json"));
  EXPECT_THAT(from_file.shards().ignored_files(), IsEmpty());
  ASSERT_NE(from_file.gguf(), nullptr);
  const auto& weights = from_file.weights().weights();
  ASSERT_EQ(weights.size(), from_directory.weights().weights().size());
  for (const auto& [role, weight] : weights) {
    const Weight& other = from_directory.weights().at(role);
    EXPECT_EQ(weight.module, other.module);
    EXPECT_EQ(weight.matrix.format, other.matrix.format);
    EXPECT_EQ(weight.matrix.codes.range.offset, other.matrix.codes.range.offset);
    EXPECT_EQ(weight.matrix.codes.range.bytes, other.matrix.codes.range.bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Converted, ConvertedModelTest,
                         testing::Values("dense-gguf-bf16", "dense-gguf-q4_0", "dense-gguf-q8_0",
                                         "moe-gguf-bf16", "moe-gguf-q4_0", "moe-gguf-q8_0",
                                         "wide-gguf-q4_k_m", "wide-gguf-q6_k"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace beryl::checkpoint
