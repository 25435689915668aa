// Damaged and contradicting checkpoints: each is refused with the name of what is wrong.
#include "checkpoint/weight_map.h"

#include <gmock/gmock.h>

#include "checkpoint/checkpoint_editor_for_tests.h"
#include "formats/decoder.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::AllOf;
using ::testing::HasSubstr;

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
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  editor.put(kLayer0 + "self_attn.v_scale", DType::kF32, {});
  editor.put("model.language_model.layers.1.self_attn.v_scale", DType::kF32, {});
  const size_t before = CheckpointEditor("moe-ct-fp8-dynamic").open().weights().skipped().size();
  EXPECT_EQ(editor.open().weights().skipped().size(), before + 2);
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
    EXPECT_EQ(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix.scale_grid,
              formats::ScaleGrid::kPerRow);
  }
}

TEST(WeightMapTest, ScaleOfAMatrixMayHaveNoDimension) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{}, std::vector<int64_t>{1}, std::vector<int64_t>{1, 1}}) {
    CheckpointEditor editor("moe-ct-fp8-static");
    editor.at(kExpert + ".weight_scale").shape = shape;
    const Checkpoint checkpoint = editor.open();
    EXPECT_EQ(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix.scale_grid,
              formats::ScaleGrid::kPerTensor);
  }
}

TEST(WeightMapTest, ScalesOfOtherShapesAndTypesAreRefused) {
  CheckpointEditor shape("moe-ct-fp8-dynamic");
  shape.put(kExpert + ".weight_scale", DType::kBf16, {33, 1});
  expect_invalid(shape, {kExpert + ".weight_scale' has shape [33,1]", "expected [32] or [32,1]"});

  CheckpointEditor tensor("moe-ct-fp8-dynamic");
  tensor.put(kExpert + ".weight_scale", DType::kBf16, {1});
  expect_invalid(tensor, {"'" + kExpert + "' has scales", "strategy \"channel\""});

  CheckpointEditor type("moe-ct-fp8-dynamic");
  type.put(kExpert + ".weight_scale", DType::kU8, {32, 1});
  expect_unsupported(type, {kExpert + ".weight_scale' has type U8"});
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
      formats::read_row_scales(checkpoint.weights().at({Part::kExpertUp, 0, 3}).matrix);
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidInput);
      EXPECT_THAT(error.message(), HasSubstr("5"));
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
  for (const char* method :
       {"gptq", "awq", "auto-round", "bitsandbytes", "modelopt", "fp8", "gemma", "no-such"}) {
    CheckpointEditor editor("dense-bf16");
    editor.config["quantization_config"] = {{"quant_method", method}};
    expect_unsupported(editor, {"'" + std::string(method) + "'", "supported: compressed-tensors"});
  }
}

TEST(WeightMapTest, MlxIsRecognisedByItsOwnKey) {
  CheckpointEditor editor("dense-bf16");
  editor.config["quantization"] = {{"group_size", 64}, {"bits", 4}};
  expect_unsupported(editor, {"'mlx'"});
  editor.config["quantization_config"] = editor.config["quantization"];
  expect_unsupported(editor, {"'mlx'"});
}

TEST(WeightMapTest, ModelOptIsRecognisedByItsOwnFile) {
  const CheckpointEditor editor("dense-bf16");
  editor.directory().write("hf_quant_config.json", "{}");
  expect_unsupported(editor, {"hf_quant_config.json", "'modelopt'"});
}

struct FormatCase {
  const char* format;
  const char* type;
  int bits;
  const char* strategy;
};

TEST(WeightMapTest, UnsupportedFormatsAreNamedBeforeTheirTensorsAreLookedAt) {
  for (const FormatCase& one :
       {FormatCase{"nvfp4-pack-quantized", "float", 4, "tensor_group"},
        FormatCase{"pack-quantized", "int", 4, "group"},
        FormatCase{"mxfp4-pack-quantized", "float", 4, "group"},
        FormatCase{"mxfp8-quantized", "float", 8, "group"}, FormatCase{"int-quantized", "int", 8, "channel"},
        FormatCase{"float-quantized", "float", 8, "block"}}) {
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

}  // namespace
}  // namespace beryl::checkpoint
