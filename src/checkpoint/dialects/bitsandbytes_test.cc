#include "checkpoint/dialects/bitsandbytes.h"

#include <deque>
#include <memory>
#include <optional>

#include "base/temporary_directory_for_tests.h"
#include "checkpoint/dialects/module_for_tests.h"
#include "checkpoint/dialects/quantization_for_tests.h"
#include "checkpoint/dialects/stored_scheme.h"

namespace beryl::checkpoint {
namespace {

using formats::DType;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::IsEmpty;

const BitsAndBytesDialect kBitsAndBytes;
const std::string kName = "model.language_model.layers.0.self_attn.q_proj";
const std::string kState = "weight.quant_state.bitsandbytes__nf4";
constexpr ModuleShape kShape = {.rows = 128, .cols = 96};  // 192 blocks of 64
constexpr std::string_view kConfig =
    R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4",
        "llm_int8_skip_modules": ["lm_head", "router"]})";
constexpr std::string_view kPlainState =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [128, 96]})";
constexpr std::string_view kNestedState =
    R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [128, 96], "nested_blocksize": 128,
        "nested_dtype": "float32", "nested_offset": 0.25})";
// The table as bitsandbytes publishes it.
constexpr float kTable[16] = {-1.0F,
                              -0.6961928009986877F,
                              -0.5250730514526367F,
                              -0.39491748809814453F,
                              -0.28444138169288635F,
                              -0.18477343022823334F,
                              -0.09105003625154495F,
                              0.0F,
                              0.07958029955625534F,
                              0.16093020141124725F,
                              0.24611230194568634F,
                              0.33791524171829224F,
                              0.44070982933044434F,
                              0.5626170039176941F,
                              0.7229568362236023F,
                              1.0F};

// A module whose table and state lie in a file.
class StoredModule {
 public:
  explicit StoredModule(std::string_view state, std::span<const float> table = kTable) : module(kName) {
    module.put("weight", DType::kU8, {128 * 96 / 2, 1})
        .put("weight.quant_map", DType::kF32, {16})
        .put("weight.absmax", DType::kF32, {192})
        .put(kState, DType::kU8, {static_cast<int64_t>(state.size())});
    const std::string bytes(reinterpret_cast<const char*>(table.data()), table.size_bytes());
    file_.emplace(directory_->write("model", bytes + std::string(state)));
  }
  static StoredModule nested(std::string_view state = kNestedState) {
    StoredModule stored(state);
    stored.module.put("weight.absmax", DType::kU8, {192})
        .put("weight.nested_quant_map", DType::kF32, {256})
        .put("weight.nested_absmax", DType::kF32, {2});
    return stored;
  }

  ModuleReading read(std::string_view config = kConfig) {
    records_.clear();
    Module placed = module.module();
    for (auto& [suffix, record] : placed.tensors) {
      TensorRecord copy = *record;
      copy.range.file = &*file_;
      if (suffix == "weight.quant_map") copy.range.offset = 0;
      if (suffix == kState) copy.range.offset = sizeof(kTable);
      record = &records_.emplace_back(std::move(copy));
    }
    EXPECT_TRUE(kBitsAndBytes.recognises(placed));
    return kBitsAndBytes.read(placed, shape, quantization_of(config));
  }
  void expect_refused(ErrorCode code, const std::vector<std::string>& parts,
                      std::string_view config = kConfig) {
    expect_error(code, parts, [&] { read(config); });
  }

  ModuleForTests module;
  ModuleShape shape = kShape;

 private:
  std::unique_ptr<TemporaryDirectory> directory_ = std::make_unique<TemporaryDirectory>();
  std::optional<File> file_;
  std::deque<TensorRecord> records_;
};

TEST(BitsAndBytesTest, ReadsPlainScales) {
  const ModuleReading reading = StoredModule(kPlainState).read();
  ASSERT_EQ(reading.matrices.size(), 1U);
  const formats::QuantMatrix& matrix = reading.matrices[0];
  EXPECT_EQ(matrix.rows, 128);
  EXPECT_EQ(matrix.cols, 96);
  EXPECT_EQ(matrix.format, formats::Format::kNf4);
  EXPECT_EQ(matrix.code_order, formats::CodeOrder::kRowsHighFirst);
  EXPECT_EQ(matrix.scales->order, formats::TileOrder::kFlat);
  EXPECT_EQ(matrix.scales->tile_cols, 64);
  EXPECT_FALSE(matrix.nested_scales.has_value());
  EXPECT_THAT(reading.notes, IsEmpty());
  EXPECT_THAT(reading.skipped, IsEmpty());
}

TEST(BitsAndBytesTest, ReadsQuantisedScales) {
  StoredModule stored = StoredModule::nested();
  const formats::QuantMatrix matrix = stored.read().matrices.at(0);
  ASSERT_TRUE(matrix.nested_scales.has_value());
  EXPECT_EQ(matrix.scales->values.dtype, DType::kU8);
  EXPECT_EQ(matrix.nested_scales->block, 128);
  EXPECT_THAT(matrix.nested_scales->offset, FloatEq(0.25F));
  EXPECT_EQ(matrix.nested_scales->map.count(), 256);
  EXPECT_EQ(matrix.nested_scales->scales.count(), 2);
}

TEST(BitsAndBytesTest, TheTensorsDecideWhereAModuleIsListedAsLeftAlone) {
  const ModuleReading reading =
      StoredModule(kPlainState).read(R"({"quant_method": "bitsandbytes", "load_in_4bit": true,
                                              "llm_int8_skip_modules": ["self_attn.q_proj"]})");
  EXPECT_THAT(reading.notes, ElementsAre(kTensorsDecide));
}

TEST(BitsAndBytesTest, MissingTensorsAreNamed) {
  for (const std::string& suffix :
       {std::string("weight"), std::string("weight.absmax"), std::string("weight.quant_map"), kState}) {
    StoredModule stored(kPlainState);
    stored.module.remove(suffix);
    stored.expect_refused(ErrorCode::kInvalidInput, {"but no " + suffix});
  }
  for (const std::string suffix : {"weight.nested_absmax", "weight.nested_quant_map"}) {
    StoredModule stored = StoredModule::nested();
    stored.module.remove(suffix);
    stored.expect_refused(ErrorCode::kInvalidInput, {"but no " + suffix});
  }
}

TEST(BitsAndBytesTest, TablesOfNestedScalesNeedAStateThatUsesThem) {
  StoredModule map(kPlainState);
  map.module.put("weight.nested_quant_map", DType::kF32, {256});
  map.expect_refused(ErrorCode::kInvalidInput, {"but no weight.nested_absmax"});
  StoredModule both = StoredModule::nested(kPlainState);
  both.expect_refused(ErrorCode::kInvalidInput, {"nested_blocksize is missing"});
}

TEST(BitsAndBytesTest, TheStateIsChecked) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"quant_type": "fp4", "blocksize": 64, "shape": [128, 96]})", "quant_type is \"fp4\""},
      {R"({"blocksize": 64, "shape": [128, 96]})", "quant_type is missing"},
      {R"({"quant_type": "nf4", "blocksize": 0, "shape": [128, 96]})", "blocksize is 0"},
      {R"({"quant_type": "nf4", "shape": [128, 96]})", "blocksize is missing"},
      {R"({"quant_type": "nf4", "blocksize": 64, "shape": [96, 128]})",
       "shape is [96,128], expected [128,96]"},
      {R"({"quant_type": "nf4", "blocksize": 64})", "shape is missing"},
      {R"({"quant_type": "nf4", "blocksize": 32, "shape": [128, 96]})", "absmax' has shape [192]"},
      {R"([])", "expected an object"},
      {R"({"quant_type": )", kState},
      {std::string(5000, ' '), "has 5000 bytes, at most 4096"},
  };
  for (const auto& [state, part] : cases) {
    StoredModule(state).expect_refused(ErrorCode::kInvalidInput, {part});
  }
  const std::string nested(kNestedState);
  for (const auto& [from, to, part] :
       {std::tuple("0.25", "\"x\"", "nested_offset is \"x\""),
        std::tuple("0.25", "1e300", "nested_offset is 1e"),
        std::tuple("\"float32\"", "\"float16\"", "nested_dtype is \"float16\""),
        std::tuple(", \"nested_offset\": 0.25", "", "nested_offset is missing")}) {
    std::string state = nested;
    state.replace(state.find(from), std::string_view(from).size(), to);
    StoredModule stored = StoredModule::nested(state);
    stored.expect_refused(ErrorCode::kInvalidInput, {part});
  }
}

TEST(BitsAndBytesTest, AnotherTableIsRefused) {
  std::vector<float> table(std::begin(kTable), std::end(kTable));
  table[3] = -0.4F;
  StoredModule(kPlainState, table)
      .expect_refused(ErrorCode::kUnsupported, {"quant_map' holds", "table of NF4"});
}

TEST(BitsAndBytesTest, ShapesAndTypesAreChecked) {
  StoredModule weight(kPlainState);
  weight.module.put("weight", DType::kU8, {6143, 1});
  weight.expect_refused(ErrorCode::kInvalidInput, {"weight' has shape [6143,1]", "[6144,1]"});
  StoredModule storage(kPlainState);
  storage.module.put("weight", DType::kBf16, {3072, 1});
  storage.expect_refused(ErrorCode::kUnsupported, {"weight' has type BF16, expected U8"});
  StoredModule absmax(kPlainState);
  absmax.module.put("weight.absmax", DType::kU8, {192});
  absmax.expect_refused(ErrorCode::kUnsupported, {"absmax' has type U8, expected F32"});
  StoredModule nested = StoredModule::nested();
  nested.module.put("weight.nested_absmax", DType::kF32, {3});
  nested.expect_refused(ErrorCode::kInvalidInput, {"nested_absmax' has shape [3]", "[2]"});
  StoredModule extra(kPlainState);
  extra.module.put("bias", DType::kBf16, {128});
  extra.expect_refused(ErrorCode::kInvalidInput, {"unknown tensor", "q_proj.bias'"});
}

TEST(BitsAndBytesTest, OtherFormatsAreNamed) {
  StoredModule fp4(kPlainState);
  fp4.module.remove(kState).put("weight.quant_state.bitsandbytes__fp4", DType::kU8, {80});
  fp4.expect_refused(ErrorCode::kUnsupported, {"bitsandbytes' format 'fp4'", "supported: nf4"});
  StoredModule int8(kPlainState);
  int8.module = ModuleForTests(kName);
  int8.module.put("weight", DType::kI8, {128, 96}).put("SCB", DType::kF32, {128});
  int8.expect_refused(ErrorCode::kUnsupported, {"bitsandbytes' format 'LLM.int8'"});
  StoredModule experts(kPlainState);
  experts.shape.experts = 8;
  experts.expect_refused(ErrorCode::kUnsupported, {"all experts in one NF4 tensor"});
  StoredModule vector(kPlainState);
  vector.shape.is_vector = true;
  vector.expect_refused(ErrorCode::kUnsupported, {"is stored as U8"});
}

TEST(BitsAndBytesTest, TheConfigurationMustAgree) {
  StoredModule(kPlainState)
      .expect_refused(
          ErrorCode::kInvalidInput, {"q_proj", "is stored as NF4", "says 'fp4'"},
          R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "fp4"})");
  StoredModule(kPlainState)
      .expect_refused(ErrorCode::kInvalidInput, {"is stored as NF4", "says 'LLM.int8'"},
                      R"({"quant_method": "bitsandbytes", "load_in_8bit": true})");
  EXPECT_TRUE(kBitsAndBytes.reads(quantization_of(kConfig).schemes()[0]));
  EXPECT_FALSE(kBitsAndBytes.reads({.format = "fp4", .bits = 4}));
}

TEST(BitsAndBytesTest, ClaimsNothingOfOthers) {
  ModuleForTests modelopt(kName);
  modelopt.put("weight", DType::kU8, {128, 48}).put("weight_scale", DType::kF8E4M3, {128, 6});
  EXPECT_FALSE(kBitsAndBytes.recognises(modelopt.module()));
}

}  // namespace
}  // namespace beryl::checkpoint
