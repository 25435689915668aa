// Whole model directories of FP8 and NVFP4 producers: what is in which file, and what that must agree with.
#include "checkpoint/checkpoint.h"

#include <gmock/gmock.h>

#include "checkpoint/checkpoint_editor_for_tests.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using formats::Format;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kLayer0 = "model.language_model.layers.0.";

void expect_refused(const CheckpointEditor& editor, ErrorCode code, const std::vector<std::string>& parts) {
  const Refusal refusal = refusal_of(editor);
  EXPECT_EQ(refusal.code, code) << refusal.text;
  for (const std::string& part : parts) EXPECT_THAT(refusal.text, HasSubstr(part));
}

Format format_of(const Checkpoint& checkpoint, const Role& role) {
  return checkpoint.weights().at(role).matrix.format;
}

// ---- ModelOpt's own file ----

// Of which config.json says nothing.
struct OlderExport : CheckpointEditor {
  OlderExport() : CheckpointEditor("moe-modelopt-nvfp4") { config.erase("quantization_config"); }
};

constexpr std::string_view kOwnFile = R"({
  "producer": {"name": "modelopt", "version": "0.29.0"},
  "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": null, "group_size": 16,
    "exclude_modules": ["lm_head", "model.language_model.layers.*.self_attn*",
                        "model.language_model.layers.*.mlp*", "*.router*", "model.vision_tower*"]}})";

TEST(CheckpointTest, ModelOptMayHaveAFileOfItsOwn) {
  const OlderExport editor;
  editor.directory().write("hf_quant_config.json", std::string(kOwnFile));
  const Checkpoint checkpoint = editor.open();
  EXPECT_EQ(checkpoint.quantization().method(), "modelopt");
  ASSERT_THAT(checkpoint.quantization().schemes(), SizeIs(1));
  EXPECT_EQ(checkpoint.quantization().schemes().front().format, "NVFP4");
  EXPECT_EQ(format_of(checkpoint, {Part::kExpertUp, 0, 3}), Format::kNvFp4);
  EXPECT_EQ(format_of(checkpoint, {Part::kUp, 0}), Format::kBf16);
  EXPECT_THAT(checkpoint.weights().notes(), IsEmpty());
}

TEST(CheckpointTest, ModelOptsFileIsCheckedLikeConfigJson) {
  const OlderExport none;
  expect_refused(none, ErrorCode::kInvalidInput, {"neither config.json nor hf_quant_config.json"});

  // Without exclude_modules, attention should be quantised.
  const OlderExport all;
  all.directory().write("hf_quant_config.json", R"({"quantization": {"quant_algo": "NVFP4"}})");
  expect_refused(all, ErrorCode::kInvalidInput, {"is stored as BF16", "quantised (modelopt)"});

  const OlderExport other;
  other.directory().write("hf_quant_config.json", R"({"quantization": {"quant_algo": "FP8"}})");
  expect_refused(other, ErrorCode::kInvalidInput, {"is stored as NVFP4", "FP8"});
}

TEST(CheckpointTest, MalformedModelOptFilesAreRefused) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"{}", "hf_quant_config.json: quantization"},
      {"[]", "hf_quant_config.json"},
      {"{", "hf_quant_config.json"},
      {R"({"quantization": "NVFP4"})", "hf_quant_config.json: quantization"},
      {R"({"quantization": {}})", "quant_algo"},
      {R"({"quantization": {"quant_algo": "NVFP4"}, "producer": "modelopt"})", "producer"}};
  for (const auto& [text, part] : cases) {
    const OlderExport editor;
    editor.directory().write("hf_quant_config.json", text);
    expect_refused(editor, ErrorCode::kInvalidInput, {part});
  }
  const OlderExport producer;
  producer.directory().write("hf_quant_config.json",
                             R"({"quantization": {"quant_algo": "NVFP4"}, "producer": {"name": "other"}})");
  expect_refused(producer, ErrorCode::kUnsupported, {"quantisation method 'other'"});
}

TEST(CheckpointTest, ConfigJsonBeatsModelOptsFile) {
  const CheckpointEditor editor("moe-modelopt-nvfp4");
  editor.directory().write("hf_quant_config.json", R"({"quantization": {"quant_algo": "FP8"}})");
  EXPECT_EQ(format_of(editor.open(), {Part::kExpertUp, 0, 3}), Format::kNvFp4);
}

// ---- Scales that are not there, or are another's ----

TEST(CheckpointTest, CacheScalesOfModelOptAreSkipped) {
  const Checkpoint checkpoint = CheckpointEditor("moe-modelopt-fp8").open();
  int64_t count = 0;
  for (const SkippedTensor& tensor : checkpoint.weights().skipped()) {
    count += tensor.name.ends_with(".v_proj.v_scale") || tensor.name.ends_with(".k_proj.k_scale");
  }
  EXPECT_EQ(count, 8);  // in each of four layers, two of which have no v_proj
}

TEST(CheckpointTest, MissingActivationScalesAreToldOnce) {
  const Checkpoint checkpoint = CheckpointEditor("moe-modelopt-nvfp4-missing-input-scale").open();
  ASSERT_THAT(checkpoint.weights().notes(), SizeIs(1));
  const Note& note = checkpoint.weights().notes().front();
  EXPECT_EQ(note.modules, 6);  // three of experts 1 and 4 of the first layer
  EXPECT_EQ(note.example, kLayer0 + "moe.experts.1.down_proj");
}

TEST(CheckpointTest, MissingWeightScalesAreRefused) {
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"moe-autofp8", "experts.3.up_proj.weight_scale"},
      {"moe-hf-finegrained-fp8", "mlp.up_proj.weight_scale_inv"},
      {"moe-hf-finegrained-fp8", "experts.gate_up_proj_scale_inv"},
      {"moe-hf-finegrained-fp8-dotscale", "mlp.up_proj.scale"},
      {"moe-modelopt-fp8", "experts.3.up_proj.weight_scale"},
      {"moe-modelopt-nvfp4", "experts.3.up_proj.weight_scale"},
      {"moe-modelopt-nvfp4", "experts.3.up_proj.weight_scale_2"},
      {"moe-aeyeops-fp8", "experts.down_proj_scale"}};
  for (const auto& [folder, tensor] : cases) {
    CheckpointEditor editor(folder);
    editor.remove(kLayer0 + tensor);
    expect_refused(editor, ErrorCode::kInvalidInput, {"but no ", "a scale is never guessed"});
  }
}

TEST(CheckpointTest, RouterScaleIsAWeightAmongScales) {
  const Checkpoint checkpoint = CheckpointEditor("moe-hf-finegrained-fp8-dotscale").open();
  EXPECT_EQ(format_of(checkpoint, {Part::kRouterScale, 0}), Format::kBf16);
  EXPECT_EQ(format_of(checkpoint, {Part::kUp, 0}), Format::kFp8E4m3);

  CheckpointEditor missing("moe-hf-finegrained-fp8-dotscale");
  missing.remove(kLayer0 + "router.scale");
  expect_refused(missing, ErrorCode::kInvalidInput, {"1 weight is missing: layers.0.router.scale"});

  // A scale of the router's matrix is not router.scale.
  CheckpointEditor both("moe-hf-finegrained-fp8-dotscale");
  both.put(kLayer0 + "router.proj.scale", DType::kF32, {1, 3});
  const Checkpoint noted = both.open();
  EXPECT_EQ(format_of(noted, {Part::kRouterProjection, 0}), Format::kBf16);
  EXPECT_THAT(noted.weights().notes(), SizeIs(1));
}

// ---- Modules left unquantised ----

TEST(CheckpointTest, OnlyModelOptMustListWhatItLeavesUnquantised) {
  for (const char* folder : {"dense-autofp8", "dense-hf-finegrained-fp8"}) {
    CheckpointEditor editor(folder);
    editor.put(kLayer0 + "mlp.up_proj.weight", DType::kBf16, {160, 96});
    editor.tensors.erase(kLayer0 + "mlp.up_proj.weight_scale");
    editor.tensors.erase(kLayer0 + "mlp.up_proj.weight_scale_inv");
    editor.tensors.erase(kLayer0 + "mlp.up_proj.input_scale");
    EXPECT_EQ(format_of(editor.open(), {Part::kUp, 0}), Format::kBf16) << folder;
  }
  CheckpointEditor strict("dense-modelopt-fp8");
  strict.put(kLayer0 + "mlp.up_proj.weight", DType::kBf16, {160, 96});
  strict.remove(kLayer0 + "mlp.up_proj.weight_scale");
  strict.remove(kLayer0 + "mlp.up_proj.input_scale");
  expect_refused(strict, ErrorCode::kInvalidInput, {kLayer0 + "mlp.up_proj' is stored as BF16", "modelopt"});
}

TEST(CheckpointTest, UnsupportedAlgorithmsAreNamedBeforeTheirTensorsAreLookedAt) {
  for (const char* algorithm : {"NVFP4_AWQ", "NVFP4_SVD", "W4A8_NVFP4_FP8", "MXFP8", "W4A8_AWQ"}) {
    CheckpointEditor editor("dense-modelopt-fp8");
    editor.quantization()["quant_algo"] = algorithm;
    expect_refused(editor, ErrorCode::kUnsupported, {"quantised by modelopt", algorithm, "supported: "});
  }
}

}  // namespace
}  // namespace beryl::checkpoint
