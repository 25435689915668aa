// Damaged and contradicting checkpoints: each is refused with the name of what is wrong.
#include "checkpoint/weight_map.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <sstream>

#include "checkpoint/checkpoint_editor_for_tests.h"
#include "formats/decoder.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

const std::string kLayer0 = "model.language_model.layers.0.";
const std::string kExpert = kLayer0 + "experts.3.up_proj";

void expect_refused(const CheckpointEditor& editor, ErrorCode code, const std::vector<std::string>& parts) {
  const Refusal refusal = refusal_of(editor);
  EXPECT_EQ(refusal.code, code) << refusal.text;
  for (const std::string& part : parts) EXPECT_THAT(refusal.text, HasSubstr(part));
}

void expect_invalid(const CheckpointEditor& editor, const std::vector<std::string>& parts) {
  expect_refused(editor, ErrorCode::kInvalidInput, parts);
}

void expect_unsupported(const CheckpointEditor& editor, const std::vector<std::string>& parts) {
  expect_refused(editor, ErrorCode::kUnsupported, parts);
}

TEST(WeightMapTest, OpensEveryPublishedLayout) {
  for (const char* name :
       {"moe-bf16", "moe-perexpert-bf16", "moe-ct-fp8-dynamic", "moe-ct-fp8-static", "dense-bf16", "ple-bf16",
        "ple-ct-fp8-dynamic", "wide-ct-fp8-dynamic", "unified-bf16"}) {
    const CheckpointEditor editor(name);
    const Checkpoint checkpoint = editor.open();
    EXPECT_NE(checkpoint.weights().find({Part::kEmbedding}), nullptr) << name;
  }
}

// ---- Something is missing
// ----------------------------------------------------------------------------------

TEST(WeightMapTest, MissingTensorsAreNamed) {
  CheckpointEditor no_weight("moe-ct-fp8-dynamic");
  no_weight.remove(kExpert + ".weight");
  expect_invalid(no_weight, {"'" + kExpert + "' has weight_scale but no weight"});

  CheckpointEditor no_scale("moe-ct-fp8-dynamic");
  no_scale.remove(kExpert + ".weight_scale");
  expect_invalid(no_scale, {"'" + kExpert + "' has weight but no weight_scale", "never guessed"});

  CheckpointEditor no_expert("moe-ct-fp8-dynamic");
  no_expert.remove(kExpert + ".weight");
  no_expert.remove(kExpert + ".weight_scale");
  expect_invalid(no_expert, {"1 weight is missing: layers.0.experts.3.up_proj"});

  for (const char* name :
       {"input_layernorm.weight", "layer_scalar", "router.scale", "router.per_expert_scale"}) {
    CheckpointEditor editor("moe-bf16");
    editor.remove(kLayer0 + name);
    expect_invalid(editor, {"1 weight is missing: layers.0."});
  }
}

// ---- Something is there that should not be
// -------------------------------------------------------------------

TEST(WeightMapTest, UnknownTensorsAreNamed) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  editor.put("model.language_model.layers.0.moe.moe.experts.0.up_proj.weight", DType::kBf16, {32, 96});
  editor.put("adapter.lora_A", DType::kBf16, {2});
  expect_invalid(editor, {"2 tensors are unknown: adapter.lora_A, ", "moe.moe.experts"});

  CheckpointEditor doubled("dense-bf16");
  doubled.rename(kLayer0 + "mlp.up_proj.weight", kLayer0 + "mlp.up_proj.weight.weight");
  expect_unsupported(doubled, {"mlp.up_proj", "weight.weight"});

  CheckpointEditor suffix("moe-ct-fp8-dynamic");
  suffix.put(kExpert + ".weight_zero_point", DType::kI8, {32, 1});
  expect_invalid(suffix, {"unknown tensor '" + kExpert + ".weight_zero_point'"});
}

TEST(WeightMapTest, WeightStoredTwiceIsRefused) {
  CheckpointEditor spelling("dense-bf16");
  spelling.copy(kLayer0 + "mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight");
  expect_invalid(spelling, {"layers.0.mlp.up_proj is stored twice", "model.layers.0.mlp.up_proj", kLayer0});

  CheckpointEditor both("moe-bf16");
  both.put(kLayer0 + "experts.2.gate_proj.weight", DType::kBf16, {32, 96});
  expect_invalid(both, {"layers.0.experts.2.gate_proj is stored twice"});
}

TEST(WeightMapTest, ValuesOfALayerThatSharesThemWithKeysAreRefused) {
  CheckpointEditor weight("moe-ct-fp8-dynamic");
  weight.put("model.language_model.layers.1.self_attn.v_proj.weight", DType::kF8E4M3, {64, 96});
  expect_invalid(weight, {"layers.1.self_attn.v_proj.weight' has no place", "attention_k_eq_v"});
}

TEST(WeightMapTest, CacheScalesAreSkippedAndSaidSo) {
  // As compressed-tensors and as ModelOpt spell them, in layers with and without a v_proj.
  for (const char* names : {"k_scale v_scale q_scale", "k_proj.k_scale v_proj.v_scale"}) {
    CheckpointEditor editor("moe-ct-fp8-dynamic");
    std::vector<std::string> added;
    std::istringstream words(names);
    for (std::string word; words >> word;) {
      for (const char* layer : {"0", "1"}) {
        added.push_back("model.language_model.layers." + std::string(layer) + ".self_attn." + word);
        editor.put(added.back(), DType::kF32, {});
      }
    }
    std::vector<std::string> skipped;
    const Checkpoint checkpoint = editor.open();
    for (const SkippedTensor& tensor : checkpoint.weights().skipped()) {
      if (tensor.reason.find("the cache is not quantised") != std::string::npos)
        skipped.push_back(tensor.name);
    }
    EXPECT_THAT(skipped, UnorderedElementsAreArray(added));
    EXPECT_EQ(checkpoint.weights().find({Part::kV, 1}), nullptr);
  }
}

// ---- The head of a model whose embedding is its head ----

TEST(WeightMapTest, AHeadBesideATiedEmbeddingIsTheHead) {
  CheckpointEditor plain("moe-bf16");
  EXPECT_EQ(plain.open().weights().find({Part::kHead}), nullptr);
  plain.put("lm_head.weight", DType::kBf16, {512, 96});
  const Checkpoint checkpoint = plain.open();
  EXPECT_TRUE(checkpoint.config().ties_head);
  EXPECT_EQ(checkpoint.weights().at({Part::kHead}).module, "lm_head");
  EXPECT_THAT(checkpoint.weights().at({Part::kEmbedding}).module, HasSubstr("embed_tokens"));

  plain.put("lm_head.weight", DType::kBf16, {511, 96});
  expect_invalid(plain, {"lm_head.weight' has shape [511,96]", "[512,96]"});
}

TEST(WeightMapTest, AHeadMayBeQuantisedOnItsOwn) {
  CheckpointEditor fp8("moe-ct-fp8-dynamic");
  fp8.put("lm_head.weight", DType::kF8E4M3, {512, 96});
  fp8.put("lm_head.weight_scale", DType::kBf16, {512, 1});
  expect_invalid(fp8, {"'lm_head' is stored as FP8, but quantization_config"});
  nlohmann::json& ignored = fp8.quantization()["ignore"];
  ignored.erase(std::find(ignored.begin(), ignored.end(), "lm_head"));
  const Checkpoint checkpoint = fp8.open();
  EXPECT_EQ(checkpoint.weights().at({Part::kHead}).matrix.format, formats::Format::kFp8E4m3);
  EXPECT_EQ(checkpoint.weights().at({Part::kEmbedding}).matrix.format, formats::Format::kBf16);

  fp8.remove("lm_head.weight_scale");
  expect_invalid(fp8, {"'lm_head' has weight but no weight_scale"});
}

TEST(WeightMapTest, AQuantisedEmbeddingIsTheHeadUnlessThereIsOne) {
  CheckpointEditor editor("moe-mlx-4bit");
  const Checkpoint tied = editor.open();
  EXPECT_EQ(tied.weights().at({Part::kEmbedding}).matrix.format, formats::Format::kAffine4);
  EXPECT_EQ(tied.weights().find({Part::kHead}), nullptr);

  for (const char* suffix : {".weight", ".scales", ".biases"}) {
    editor.copy("language_model.model.embed_tokens" + std::string(suffix),
                "language_model.lm_head" + std::string(suffix));
  }
  const Checkpoint apart = editor.open();
  EXPECT_EQ(apart.weights().at({Part::kHead}).matrix.format, formats::Format::kAffine4);

  editor.remove("language_model.lm_head.scales");
  expect_invalid(editor, {"lm_head' has ", "but no scales"});
}

// ---- Shapes and types
// ----------------------------------------------------------------------------------------

TEST(WeightMapTest, MisshapenWeightsAreNamedWithBothShapes) {
  CheckpointEditor transposed("moe-ct-fp8-dynamic");
  transposed.at(kExpert + ".weight").shape = {96, 32};
  expect_invalid(transposed, {kExpert + ".weight' has shape [96,32]", "calls for [32,96]"});

  CheckpointEditor empty("dense-bf16");
  empty.put(kLayer0 + "mlp.up_proj.weight", DType::kBf16, {0, 96});
  expect_invalid(empty, {"mlp.up_proj.weight' has shape [0,96]"});

  CheckpointEditor norm("dense-bf16");
  norm.put(kLayer0 + "input_layernorm.weight", DType::kBf16, {1, 96});
  expect_invalid(norm, {"input_layernorm.weight' has shape [1,96]", "[96]"});
}

TEST(WeightMapTest, NormsOfOtherTypesAreRefused) {
  CheckpointEditor editor("dense-bf16");
  editor.put(kLayer0 + "input_layernorm.weight", DType::kI8, {96});
  expect_unsupported(editor, {kLayer0 + "input_layernorm", "weight I8 [96]"});
}

TEST(WeightMapTest, QuantisedNormsAreRefused) {
  CheckpointEditor editor("dense-ct-fp8-dynamic");
  editor.put(kLayer0 + "input_layernorm.weight", DType::kF8E4M3, {96});
  editor.put(kLayer0 + "input_layernorm.weight_scale", DType::kBf16, {96});
  expect_unsupported(editor, {"'" + kLayer0 + "input_layernorm' is stored as F8_E4M3"});
}

TEST(WeightMapTest, ConfigAndTensorsMustAgreeOnSizes) {
  CheckpointEditor fewer("moe-ct-fp8-dynamic");
  fewer.text()["num_experts"] = 6;
  expect_invalid(fewer, {"config.json has num_experts 6"});

  CheckpointEditor more("moe-ct-fp8-dynamic");
  more.text()["num_experts"] = 12;
  expect_invalid(more, {"router"});

  CheckpointEditor layers("moe-ct-fp8-dynamic");
  layers.text()["num_hidden_layers"] = 2;
  layers.text()["layer_types"] = {"sliding_attention", "full_attention"};
  expect_invalid(layers, {"config.json has num_hidden_layers 2"});

  CheckpointEditor vocabulary("dense-bf16");
  vocabulary.text()["vocab_size"] = 513;
  expect_invalid(vocabulary, {"embed_tokens.weight' has shape [512,96]", "[513,96]"});

  CheckpointEditor width("dense-bf16");
  width.text()["intermediate_size"] = 65;
  expect_invalid(width, {"mlp.", "65"});
}

// ---- Scales
// ---------------------------------------------------------------------------------------------------

TEST(WeightMapTest, ScaleOfARowMayBeAColumnOrAVector) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{32}, std::vector<int64_t>{32, 1}}) {
    CheckpointEditor editor("moe-ct-fp8-dynamic");
    editor.at(kExpert + ".weight_scale").shape = shape;
    const Checkpoint checkpoint = editor.open();
    EXPECT_EQ(formats::scale_text(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix), "per row");
  }
}

TEST(WeightMapTest, ScaleOfAMatrixMayHaveNoDimension) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, std::vector<int64_t>{1}, std::vector<int64_t>{1, 1}}) {
    CheckpointEditor editor("moe-ct-fp8-static");
    editor.at(kExpert + ".weight_scale").shape = shape;
    const Checkpoint checkpoint = editor.open();
    EXPECT_EQ(formats::scale_text(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix), "per tensor");
  }
}

TEST(WeightMapTest, ScalesOfOtherShapesAndTypesAreRefused) {
  CheckpointEditor shape("moe-ct-fp8-dynamic");
  shape.put(kExpert + ".weight_scale", DType::kBf16, {33, 1});
  expect_invalid(shape, {kExpert + ".weight_scale' has shape [33,1]", "expected [32] or [32,1]"});

  CheckpointEditor tensor("moe-ct-fp8-dynamic");
  tensor.put(kExpert + ".weight_scale", DType::kBf16, {1});
  expect_invalid(tensor, {"'" + kExpert + "' is stored as FP8", "strategy channel"});

  CheckpointEditor type("moe-ct-fp8-dynamic");
  type.put(kExpert + ".weight_scale", DType::kI32, {32, 1});
  expect_unsupported(type, {kExpert + ".weight_scale' has type I32"});
}

TEST(WeightMapTest, DamagedScaleValuesAreFoundWhenRead) {
  const std::vector<std::pair<std::string, const char*>> values = {{std::string("\x80\x7f", 2), "infinity"},
                                                                   {std::string("\xc0\x7f", 2), "NaN"},
                                                                   {std::string("\x80\xbf", 2), "-1"}};
  for (const auto& [bf16, name] : values) {
    CheckpointEditor editor("moe-ct-fp8-dynamic");
    editor.at(kExpert + ".weight_scale").bytes->replace(10, 2, bf16);
    const Checkpoint checkpoint = editor.open();
    try {
      std::vector<float> rows(32 * 96);
      formats::RowDecoder(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix).decode(0, rows);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_THAT(error.message(), HasSubstr("scale of row 5 is "));
    }
  }
}

// ---- The configuration and the tensors disagree about quantisation
// --------------------------------------------

TEST(WeightMapTest, UnquantisedModuleOfAQuantisedModelIsRefused) {
  CheckpointEditor expert("moe-ct-fp8-dynamic");
  expert.remove(kExpert + ".weight_scale");
  expert.put(kExpert + ".weight", DType::kBf16, {32, 96});
  expect_invalid(expert, {"'" + kExpert + "' is stored as BF16", "quantised"});

  CheckpointEditor fused("moe-bf16");
  fused.config["quantization_config"] = CheckpointEditor("moe-ct-fp8-dynamic").quantization();
  fused.quantization()["config_groups"]["group_0"]["targets"] = {"re:.*experts.*"};
  expect_invalid(fused, {"experts.down_proj' is stored as BF16"});
}

TEST(WeightMapTest, QuantisedModuleOfAnUnquantisedModelIsRefused) {
  CheckpointEditor no_config("dense-ct-fp8-dynamic");
  no_config.config.erase("quantization_config");
  expect_invalid(no_config, {"is stored as FP8, but config.json says that it is not quantised"});

  CheckpointEditor ignored("moe-ct-fp8-dynamic");
  ignored.quantization()["ignore"].push_back(kExpert);
  expect_invalid(ignored, {"'" + kExpert + "' is stored as FP8, but quantization_config"});

  CheckpointEditor router("moe-ct-fp8-dynamic");
  router.put(kLayer0 + "router.proj.weight", DType::kF8E4M3, {8, 96});
  router.put(kLayer0 + "router.proj.weight_scale", DType::kBf16, {8, 1});
  expect_invalid(router, {kLayer0 + "router.proj' is stored as FP8"});
}

// ---- Quantisation that is not supported
// ------------------------------------------------------------------------

TEST(WeightMapTest, UnsupportedMethodsAreNamed) {
  for (const char* method : {"gemma", "quark", "no-such"}) {
    CheckpointEditor editor("dense-bf16");
    editor.config["quantization_config"] = {{"quant_method", method}};
    expect_unsupported(editor, {"'" + std::string(method) + "'", "supported: compressed-tensors"});
  }
}

// A method whose tools skip modules silently may have skipped all; that is worth a word.
TEST(WeightMapTest, AMethodThatNoTensorFollowsIsNoted) {
  CheckpointEditor editor("dense-bf16");
  editor.config["quantization"] = {{"group_size", 64}, {"bits", 4}};
  const Checkpoint checkpoint = editor.open();
  ASSERT_EQ(checkpoint.weights().notes().size(), 1U);
  EXPECT_THAT(std::string(checkpoint.weights().notes()[0].text), HasSubstr("no weight is quantised"));
}

// Tensors of one tool under the configuration of another.
TEST(WeightMapTest, TensorsOfAnotherMethodAreRefused) {
  CheckpointEditor editor("moe-ct-w4a16-g32");
  editor.config["quantization_config"] = {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 32}};
  expect_invalid(editor, {"in the way of compressed-tensors", "quant_method \"gptq\""});
}

struct FormatCase {
  const char* format;
  const char* type;
  int bits;
  const char* strategy;
};

TEST(WeightMapTest, UnsupportedFormatsAreNamedBeforeTheirTensorsAreLookedAt) {
  for (const FormatCase& one :
       {FormatCase{"pack-quantized", "int", 2, "channel"}, FormatCase{"pack-quantized", "int", 3, "group"},
        FormatCase{"float-quantized", "float", 8, "attn_head"}}) {
    CheckpointEditor editor("moe-ct-fp8-dynamic");
    nlohmann::json& group = editor.quantization()["config_groups"]["group_0"];
    group["format"] = one.format;
    group["weights"]["type"] = one.type;
    group["weights"]["num_bits"] = one.bits;
    group["weights"]["strategy"] = one.strategy;
    editor.rename(kLayer0 + "experts.0.down_proj.weight", kLayer0 + "experts.0.down_proj.weight_packed");
    expect_unsupported(
        editor, {"'" + kLayer0 + "experts.0.down_proj' is quantised by compressed-tensors in format '" +
                     one.format + "'",
                 "strategy '" + std::string(one.strategy) + "'", "supported: "});
  }
}

// The scheme in config.json against the tensors, field by field.
TEST(WeightMapTest, AnyFieldOfASchemeThatContradictsTheTensorsIsNamed) {
  const auto expect = [](const char* kind, const char* field, const nlohmann::json& value,
                         const std::string& part) {
    CheckpointEditor editor(kind);
    editor.quantization()["config_groups"]["group_0"]["weights"][field] = value;
    expect_invalid(editor, {part});
  };
  expect("moe-ct-w4a16-g32", "group_size", 16, "down_proj.weight_scale' has shape [96,1], but");
  expect("moe-ct-w4a16-g32", "num_bits", 8, "weight_packed' has shape");
  expect("moe-ct-w4a16-g32", "type", "float", "has type float");
  expect("moe-ct-w4a16-g32", "symmetric", false, "no weight_zero_point");
  expect("moe-ct-w4a16-g32", "actorder", "group", "no weight_g_idx");
  expect("moe-ct-w4a16-g32-asym", "symmetric", true, "has symmetric true");
  expect("moe-ct-nvfp4", "strategy", "group", "has strategy group");
  expect("moe-ct-nvfp4", "num_bits", 8, "has num_bits 8");
  expect("moe-ct-mxfp4", "group_size", 16, "has group_size 16");
  expect("moe-ct-mxfp8", "strategy", "channel", "has strategy channel");
  expect("moe-ct-w8a8-int8", "type", "float", "has type float");
  expect("wide-ct-fp8-block", "block_structure", {64, 64}, "weight_scale' has shape");
}

TEST(WeightMapTest, MissingScalesOfQuantisedActivationsAreNoted) {
  CheckpointEditor editor("moe-ct-nvfp4");
  editor.remove(kLayer0 + "experts.3.up_proj.input_global_scale");
  editor.remove(kLayer0 + "experts.5.up_proj.input_global_scale");
  const Checkpoint checkpoint = editor.open();
  ASSERT_EQ(checkpoint.weights().notes().size(), 1U);
  EXPECT_EQ(checkpoint.weights().notes()[0].modules, 2);
  EXPECT_EQ(checkpoint.weights().notes()[0].example, kExpert);

  CheckpointEditor weight("moe-ct-nvfp4");
  weight.remove(kLayer0 + "experts.3.up_proj.weight_global_scale");
  expect_invalid(weight, {kExpert, "no weight_global_scale"});
}

}  // namespace
}  // namespace beryl::checkpoint
