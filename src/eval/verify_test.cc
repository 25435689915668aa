// Checkpoints of real producers are whole; each kind of damage to one of them is found and named.
#include "eval/verify.h"

#include <gmock/gmock.h>

#include <bit>
#include <cstring>

#include "base/number_types.h"
#include "checkpoint/checkpoint_editor_for_tests.h"

namespace beryl::eval {
namespace {

using checkpoint::CheckpointEditor;
using formats::DType;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Matcher;
using ::testing::Not;

namespace fs = std::filesystem;

const std::string kLayer0 = "model.language_model.layers.0.";
const std::string kExpert3Up = kLayer0 + "experts.3.up_proj";

VerifyReport verify(const checkpoint::Checkpoint& opened, const checkpoint::Checkpoint* original = nullptr) {
  NoProgress progress;
  return verify_checkpoint(opened, {.threads = 2, .original = original}, progress);
}

VerifyReport verify(const CheckpointEditor& editor) {
  return verify(editor.open());
}

checkpoint::Checkpoint open(const std::string& name) {
  return checkpoint::Checkpoint::open(fs::path(BERYL_SOURCE_DIR) / "testdata/checkpoints" / name);
}

Matcher<Finding> finding(Severity severity, const std::string& kind, const std::string& module) {
  return AllOf(Field("severity", &Finding::severity, severity), Field("kind", &Finding::kind, kind),
               Field("module", &Finding::module, HasSubstr(module)));
}
Matcher<Finding> error(const std::string& kind, const std::string& module) {
  return finding(Severity::kError, kind, module);
}
Matcher<Finding> warning(const std::string& kind, const std::string& module) {
  return finding(Severity::kWarning, kind, module);
}

std::vector<Finding> of_severity(const VerifyReport& report, Severity severity) {
  std::vector<Finding> found;
  for (const Finding& each : report.findings) {
    if (each.severity == severity) found.push_back(each);
  }
  return found;
}

// ---- Changes of tensors ----

template <typename Element>
void set(CheckpointEditor& editor, const std::string& name, size_t index, Element value) {
  std::string& bytes = *editor.at(name).bytes;
  ASSERT_LE((index + 1) * sizeof(value), bytes.size());
  std::memcpy(&bytes[index * sizeof(value)], &value, sizeof(value));
}

void fill(CheckpointEditor& editor, const std::string& name, char byte) {
  std::string& bytes = *editor.at(name).bytes;
  bytes.assign(bytes.size(), byte);
}

constexpr uint16_t kBf16Nan = 0x7fc0;
constexpr uint16_t kBf16One = 0x3f80;

// ---- One weight by itself ----

TEST(VerifyTest, NonFiniteValuesAreNamedWithTheirPlace) {
  CheckpointEditor editor("moe-bf16");
  set(editor, kLayer0 + "self_attn.q_proj.weight", 96 * 5 + 7, kBf16Nan);
  set(editor, kLayer0 + "self_attn.q_proj.weight", 96 * 9 + 1, kBf16Nan);
  set(editor, kLayer0 + "input_layernorm.weight", 3, kBf16Nan);
  set(editor, kLayer0 + "router.per_expert_scale", 2, uint16_t{0x7f80});
  const VerifyReport report = verify(editor);
  EXPECT_FALSE(report.passed());
  EXPECT_THAT(report.findings, Contains(AllOf(error("non-finite", "layers.0.self_attn.q_proj"),
                                              Field("found", &Finding::found, HasSubstr("2 values")),
                                              Field("found", &Finding::found, HasSubstr("row 5 input 7")))));
  EXPECT_THAT(report.findings, Contains(error("non-finite", "layers.0.input_layernorm")));
  EXPECT_THAT(report.findings, Contains(AllOf(error("non-finite", "per_expert_scale"),
                                              Field("found", &Finding::found, HasSubstr("first at 2")))));
}

TEST(VerifyTest, E4m3CodesThatAreNoNumbersAreFound) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  set(editor, kExpert3Up + ".weight", 96 * 4 + 11, uint8_t{0xff});
  const VerifyReport report = verify(editor);
  EXPECT_THAT(of_severity(report, Severity::kError),
              ElementsAre(AllOf(error("non-finite", kExpert3Up),
                                Field("found", &Finding::found, HasSubstr("row 4 input 11")))));
}

TEST(VerifyTest, WeightsThatWereNeverWrittenAreFound) {
  CheckpointEditor editor("moe-bf16");
  fill(editor, kLayer0 + "mlp.down_proj.weight", 0);
  fill(editor, kLayer0 + "self_attn.o_proj.weight", 0x3c);
  fill(editor, "model.language_model.layers.1.pre_feedforward_layernorm.weight", 0);
  const VerifyReport report = verify(editor);
  EXPECT_THAT(report.findings, Contains(error("all-zero", "layers.0.mlp.down_proj")));
  EXPECT_THAT(report.findings, Contains(error("constant-codes", "layers.0.self_attn.o_proj")));
  EXPECT_THAT(report.findings, Contains(error("all-zero", "layers.1.pre_feedforward_layernorm")));
}

TEST(VerifyTest, ConstantCodesOfAnExpertAreFound) {
  CheckpointEditor editor("moe-ct-nvfp4");
  fill(editor, kExpert3Up + ".weight_packed", 0x22);
  EXPECT_THAT(verify(editor).findings, Contains(error("constant-codes", kExpert3Up)));
}

TEST(VerifyTest, ZeroScalesMayCoverZeroCodesOnly) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  const std::string scale = kExpert3Up + ".weight_scale";
  set(editor, scale, 6, uint16_t{0});
  EXPECT_THAT(verify(editor).findings, Contains(AllOf(error("zero-scale", kExpert3Up),
                                                      Field("found", &Finding::found, HasSubstr("row 6")))));
  for (size_t k = 0; k < 96; ++k) set(editor, kExpert3Up + ".weight", 96 * 6 + k, uint8_t{0x80});
  EXPECT_TRUE(verify(editor).passed());
}

// Groups of equal values have no use for a scale where they have a minimum; whole matrices do.
TEST(VerifyTest, ScalesBesideMinimumsMayNotAllBeZero) {
  CheckpointEditor editor("moe-mlx-4bit");
  const std::string module = "language_model.model.layers.1.mlp.down_proj";
  set(editor, module + ".scales", 6, uint16_t{0});
  EXPECT_TRUE(verify(editor).passed());
  fill(editor, module + ".scales", 0);
  EXPECT_THAT(verify(editor).findings,
              Contains(AllOf(error("zero-scale", module),
                             Field("found", &Finding::found, HasSubstr("all 192 scales are zero")))));
}

TEST(VerifyTest, ConfigurationsAreComparedToo) {
  CheckpointEditor editor("moe-bf16");
  editor.text()["sliding_window"] = 4;
  fill(editor, kLayer0 + "input_layernorm.weight", 0x3f);
  const checkpoint::Checkpoint original = open("moe-bf16");
  const VerifyReport report = verify(editor.open(), &original);
  EXPECT_THAT(report.findings,
              Contains(AllOf(error("config-differs", "config.json"),
                             Field("found", &Finding::found, HasSubstr("sliding_window is 4")))));
  EXPECT_THAT(report.findings, Contains(error("vector-differs", "layers.0.input_layernorm")));
}

TEST(VerifyTest, ScalesThatTheFormatForbidsAreFoundInAllWeights) {
  CheckpointEditor editor("moe-ct-nvfp4");
  set(editor, kExpert3Up + ".weight_scale", 5, uint8_t{0xb8});                          // negative
  set(editor, kLayer0 + "experts.4.down_proj.weight_scale", 2, uint8_t{0x7f});          // NaN
  set(editor, kLayer0 + "experts.5.down_proj.weight_global_scale", 0, 1.0F / 2688.0F);  // inverted
  const VerifyReport report = verify(editor);
  EXPECT_THAT(report.findings, Contains(error("invalid-scale", kExpert3Up)));
  EXPECT_THAT(report.findings, Contains(error("invalid-scale", "experts.4.down_proj")));
  EXPECT_THAT(report.findings, Contains(error("inverted-scale", "experts.5.down_proj")));
  EXPECT_EQ(report.count(Severity::kError), 3);
}

TEST(VerifyTest, AbsurdScalesAreFound) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  set(editor, kLayer0 + "self_attn.k_proj.weight_scale", 2, uint16_t{0x4f00});  // 2^31
  EXPECT_THAT(verify(editor).findings, Contains(error("absurd-magnitude", "layers.0.self_attn.k_proj")));
}

TEST(VerifyTest, ScalesThatKeptTheirFirstValueAreFound) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  const std::string name = kLayer0 + "mlp.up_proj.weight_scale";
  for (size_t row = 0; row < editor.at(name).bytes->size() / 2; ++row)
    set(editor, name, row, uint16_t{0x3a00});
  EXPECT_THAT(verify(editor).findings, Contains(warning("equal-scales", "layers.0.mlp.up_proj")));
}

TEST(VerifyTest, StaleTailsAreFound) {
  CheckpointEditor editor("moe-autoround-int4");
  // qweight [K / 8, N]: the last 32 of 96 inputs are half a group of 64.
  const std::string name = kLayer0 + "self_attn.q_proj.qweight";
  std::string& bytes = *editor.at(name).bytes;
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 3 * 2), bytes.end(), '\x11');
  EXPECT_THAT(verify(editor).findings,
              Contains(AllOf(error("stale-tail", "layers.0.self_attn.q_proj"),
                             Field("found", &Finding::found, HasSubstr("last 32 of 96")))));
}

// ---- A weight beside its likes ----

TEST(VerifyTest, AnExpertOfAnotherMagnitudeIsFound) {
  CheckpointEditor editor("moe-ct-nvfp4");
  const std::string name = kExpert3Up + ".weight_global_scale";
  float global = 0;
  std::memcpy(&global, editor.at(name).bytes->data(), sizeof(global));
  set(editor, name, 0, global / 5);
  const VerifyReport report = verify(editor);
  EXPECT_THAT(of_severity(report, Severity::kError), ElementsAre(error("expert-magnitude", kExpert3Up)));
  set(editor, name, 0, global / 3);
  EXPECT_TRUE(verify(editor).passed());
}

TEST(VerifyTest, ALayerOfAnotherMagnitudeIsFound) {
  CheckpointEditor editor("moe-ct-fp8-static");
  const std::string name = kLayer0 + "mlp.down_proj.weight_scale";
  uint16_t scale = 0;
  std::memcpy(&scale, editor.at(name).bytes->data(), sizeof(scale));
  set(editor, name, 0, static_cast<uint16_t>(scale + 5 * 128));  // 32 times as large
  EXPECT_THAT(verify(editor).findings, Contains(warning("layer-magnitude", "layers.0.mlp.down_proj")));
}

TEST(VerifyTest, TransposedCodesDoNotFitTheirScales) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  checkpoint::TensorSpec& weight = editor.at(kLayer0 + "self_attn.q_proj.weight");
  const auto rows = static_cast<size_t>(weight.shape[0]);
  const auto cols = static_cast<size_t>(weight.shape[1]);
  const std::string whole = *weight.bytes;
  for (size_t i = 0; i < whole.size(); ++i) (*weight.bytes)[i] = whole[i % rows * cols + i / rows];
  EXPECT_THAT(verify(editor).findings, Contains(warning("codes-beside-scales", "layers.0.self_attn.q_proj")));
}

// ---- Producers ----

TEST(VerifyTest, GlobalScalesOfTheirOwnAreNoted) {
  const VerifyReport report = verify(open("moe-ct-nvfp4a16-unshared"));
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.findings, Contains(finding(Severity::kNote, "separate-global-scales", "gate_proj")));
  EXPECT_THAT(verify(open("moe-ct-nvfp4")).findings, IsEmpty());
}

TEST(VerifyTest, MissingActivationScalesAreNamedAsAProducersFault) {
  const VerifyReport report = verify(open("moe-modelopt-nvfp4-missing-input-scale"));
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.findings, Contains(AllOf(warning("no-activation-scale", "layers.0.moe.experts.1"),
                                              Field("meaning", &Finding::meaning, HasSubstr("bg-digital")))));
}

TEST(VerifyTest, ActivationScalesThatWereNeverFilledAreFound) {
  CheckpointEditor editor("moe-ct-nvfp4");
  set(editor, kExpert3Up + ".input_global_scale", 0, std::numeric_limits<float>::quiet_NaN());
  set(editor, kLayer0 + "experts.4.up_proj.input_global_scale", 0, 0.0F);
  const VerifyReport report = verify(editor);
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.findings, ElementsAre(AllOf(warning("activation-scale", kExpert3Up),
                                                 Field("found", &Finding::found, HasSubstr("and 1 more")))));
}

TEST(VerifyTest, RecordsOfShapesMustAgree) {
  CheckpointEditor editor("moe-ct-w4a16-g32");
  set(editor, kExpert3Up + ".weight_shape", 0, int64_t{64});
  EXPECT_THAT(of_severity(verify(editor), Severity::kError),
              ElementsAre(error("shape-record", kExpert3Up + ".weight_shape")));
}

TEST(VerifyTest, QuantisedRoutersAreNamed) {
  EXPECT_THAT(verify(open("moe-autoround-int4")).findings,
              Contains(warning("router-quantised", "router.proj")));
}

TEST(VerifyTest, ExpertsThatWereLeftOutAreNamed) {
  EXPECT_THAT(verify(open("moe-bnb-nf4")).findings,
              Contains(AllOf(warning("experts-unquantised", "layers.0.experts"),
                             Field("meaning", &Finding::meaning, HasSubstr("46 GB")))));
  // Where the configuration calls them quantised, loading stops, and the fault is named all the same.
  CheckpointEditor editor("moe-perexpert-bf16");
  editor.config["quantization_config"] = CheckpointEditor("moe-ct-fp8-dynamic").quantization();
  for (const std::string& class_name : {std::string("re:.*self_attn.*"), std::string("re:.*mlp.*")}) {
    editor.quantization()["ignore"].push_back(class_name);
  }
  try {
    editor.open();
    FAIL() << "the checkpoint is accepted";
  } catch (const Error& refusal) {
    EXPECT_THAT(report_refusal(editor.directory().path(), refusal).findings,
                ElementsAre(AllOf(error("experts-unquantised", ""),
                                  Field("meaning", &Finding::meaning, HasSubstr("are unquantised experts")),
                                  Field("meaning", &Finding::meaning, HasSubstr("ModelOpt")))));
  }
}

TEST(VerifyTest, AHeadBesideTheEmbeddingIsCompared) {
  CheckpointEditor editor("dense-bf16");
  editor.copy("model.language_model.embed_tokens.weight", "lm_head.weight");
  EXPECT_THAT(verify(editor).findings, ElementsAre(finding(Severity::kNote, "head-equal", "lm_head")));
  set(editor, "lm_head.weight", 1000, kBf16One);
  EXPECT_THAT(verify(editor).findings,
              ElementsAre(AllOf(warning("head-differs", "lm_head"),
                                Field("found", &Finding::found, HasSubstr("1 of ")))));
}

// ---- Against the original ----

TEST(VerifyTest, AnEqualOriginalIsEqual) {
  const checkpoint::Checkpoint a = open("moe-bf16");
  const checkpoint::Checkpoint b = open("moe-perexpert-bf16");
  const VerifyReport report = verify(a, &b);
  EXPECT_THAT(report.findings, IsEmpty());
  EXPECT_THAT(report.worst, IsEmpty());
  EXPECT_EQ(report.compared, static_cast<int64_t>(a.weights().weights().size()));
}

TEST(VerifyTest, AnotherNetworkIsNotCompared) {
  const checkpoint::Checkpoint a = open("moe-bf16");
  const checkpoint::Checkpoint b = open("dense-bf16");
  EXPECT_THAT(verify(a, &b).findings, ElementsAre(error("other-network", "dense-bf16")));
}

// What the report on the changed checkpoint against moe-bf16 says of the one weight that was changed.
void expect_difference(const CheckpointEditor& editor, const std::string& kind, const std::string& module,
                       const std::string& meaning) {
  const checkpoint::Checkpoint original = open("moe-bf16");
  const checkpoint::Checkpoint changed = editor.open();
  EXPECT_THAT(of_severity(verify(changed, &original), Severity::kError),
              Contains(AllOf(error(kind, module), Field("meaning", &Finding::meaning, HasSubstr(meaning)))));
}

TEST(VerifyTest, SwappedExpertsAreNamed) {
  CheckpointEditor editor("moe-ct-fp8-dynamic");
  for (const std::string suffix : {".weight", ".weight_scale"}) {
    std::swap(editor.at(kExpert3Up + suffix).bytes, editor.at(kLayer0 + "experts.6.up_proj" + suffix).bytes);
  }
  expect_difference(editor, "differs", kExpert3Up, "layers.0.experts.6.up_proj");
  expect_difference(editor, "differs", "experts.6.up_proj", "layers.0.experts.3.up_proj");
}

TEST(VerifyTest, SwappedNibblesAreNamed) {
  CheckpointEditor editor("moe-ct-nvfp4");
  for (char& pair : *editor.at(kExpert3Up + ".weight_packed").bytes) {
    const auto byte = static_cast<uint8_t>(pair);
    pair = static_cast<char>(byte >> 4 | byte << 4);
  }
  expect_difference(editor, "differs", kExpert3Up, "nibble order");
}

TEST(VerifyTest, TransposedWeightsAreNamed) {
  CheckpointEditor editor("moe-bf16");
  checkpoint::TensorSpec& weight = editor.at(kLayer0 + "mlp.up_proj.weight");
  const auto rows = static_cast<size_t>(weight.shape[0]);
  const auto cols = static_cast<size_t>(weight.shape[1]);
  const std::string whole = *weight.bytes;
  for (size_t i = 0; i < rows * cols; ++i)
    weight.bytes->replace(2 * i, 2, whole, 2 * (i % rows * cols + i / rows), 2);
  expect_difference(editor, "differs", "layers.0.mlp.up_proj", "transposed");
}

TEST(VerifyTest, ScalesOfAnotherSizeAreNamed) {
  CheckpointEditor editor("moe-ct-nvfp4");
  const std::string name = kExpert3Up + ".weight_global_scale";
  float global = 0;
  std::memcpy(&global, editor.at(name).bytes->data(), sizeof(global));
  set(editor, name, 0, global / 2);
  expect_difference(editor, "differs", kExpert3Up, "times the original's");
}

TEST(VerifyTest, ATailThatDiffersIsNamed) {
  CheckpointEditor editor("moe-ct-w4a16-g32");
  const std::string name = kLayer0 + "mlp.down_proj.weight_scale";
  checkpoint::TensorSpec& scale = editor.at(name);
  const auto groups = static_cast<size_t>(scale.shape[1]);
  for (size_t row = 0; row < static_cast<size_t>(scale.shape[0]); ++row) {
    uint16_t bits = 0;
    std::memcpy(&bits, &(*scale.bytes)[2 * (row * groups + groups - 1)], sizeof(bits));
    set(editor, name, row * groups + groups - 1, static_cast<uint16_t>(bits - 128));  // half
  }
  const checkpoint::Checkpoint original = open("moe-bf16");
  EXPECT_THAT(of_severity(verify(editor.open(), &original), Severity::kError),
              Contains(Field("module", &Finding::module, HasSubstr("layers.0.mlp.down_proj"))));
}

}  // namespace
}  // namespace beryl::eval
