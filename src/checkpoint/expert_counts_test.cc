// Checkpoints with other numbers of experts than the usual 128, a pruned one and a large one, with each way
// of storing experts.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>

#include "checkpoint/checkpoint_editor_for_tests.h"

namespace beryl::checkpoint {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kUsual = 128;
constexpr std::array<int64_t, 2> kOthers = {98, 656};
constexpr std::array kOneByOne = {"moe-perexpert-bf16", "moe-modelopt-nvfp4"};
constexpr std::array kTogether = {"moe-bf16", "moe-aeyeops-fp8", "moe-mlx-4bit"};
// Tensors with a row or matrix for each expert.
constexpr std::array kPerExpert = {"router.proj", "router.per_expert_scale", "experts.gate_up_proj",
                                   "experts.down_proj", "experts.switch_glu"};
const std::string kExperts = "model.language_model.layers.1.experts.";

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// The first two layers of a small checkpoint, with `count` experts instead of 8.
struct ExpertsEditor : CheckpointEditor {
  ExpertsEditor(const std::string& folder, int64_t count) : CheckpointEditor(folder) {
    text()["num_hidden_layers"] = 2;
    text()["layer_types"] = {"sliding_attention", "full_attention"};
    std::erase_if(tensors, [](const auto& entry) {
      return contains(entry.first, "layers.2.") || contains(entry.first, "layers.3.");
    });
    resize("", count);
    const std::map<std::string, TensorSpec> published = tensors;
    for (const auto& [name, spec] : published) {
      const std::string_view first = "experts.0.";
      const size_t position = name.find(first);
      if (position == std::string::npos) continue;
      for (int64_t i = 1; i < count; ++i) {
        copy(name, std::string(name).replace(position, first.size(), fmt::format("experts.{}.", i)));
      }
    }
    text()["num_experts"] = count;
  }

  // Gives tensors with a row or matrix for each expert as many of them, where `part` is in the name.
  void resize(std::string_view part, int64_t count) {
    for (auto& [name, spec] : tensors) {
      const bool is_per_expert = std::any_of(kPerExpert.begin(), kPerExpert.end(),
                                             [&](const char* each) { return contains(name, each); });
      if (!is_per_expert || !contains(name, part)) continue;
      spec.shape.front() = count;
      spec.bytes.reset();
    }
  }

  // Removes all tensors of one expert's matrix in the second layer.
  void remove_matrix(int64_t expert, std::string_view projection) {
    const std::string module = fmt::format("{}{}.{}.", kExperts, expert, projection);
    EXPECT_NE(std::erase_if(tensors, [&](const auto& entry) { return entry.first.starts_with(module); }), 0U);
  }
};

void expect_refused(const CheckpointEditor& editor, const std::vector<std::string>& parts) {
  const Refusal refusal = refusal_of(editor);
  EXPECT_EQ(refusal.code, ErrorCode::kInvalidInput) << refusal.text;
  for (const std::string& part : parts) EXPECT_THAT(refusal.text, HasSubstr(part));
}

void expect_experts(const CheckpointEditor& editor, int64_t count) {
  const Checkpoint checkpoint = editor.open();
  EXPECT_EQ(checkpoint.config().expert_count, count);
  const auto last = static_cast<int32_t>(count - 1);
  for (const Part part : {Part::kExpertGate, Part::kExpertUp, Part::kExpertDown}) {
    const auto& weights = checkpoint.weights().weights();
    EXPECT_EQ(std::count_if(weights.begin(), weights.end(),
                            [&](const auto& entry) { return entry.first.part == part; }),
              2 * count);
    const formats::QuantMatrix& matrix = checkpoint.weights().at({part, 1, last}).matrix;
    EXPECT_EQ(matrix.rows * matrix.cols, 32 * 96);
  }
  EXPECT_EQ(checkpoint.weights().at({Part::kRouterProjection, 1}).matrix.rows, count);
}

TEST(ExpertCountsTest, AnyNumberIsRead) {
  for (const int64_t count : kOthers) {
    for (const char* folder : kOneByOne) expect_experts(ExpertsEditor(folder, count), count);
    for (const char* folder : kTogether) expect_experts(ExpertsEditor(folder, count), count);
  }
}

TEST(ExpertCountsTest, AMissingExpertIsNamed) {
  for (const int64_t count : kOthers) {
    for (const char* folder : kOneByOne) {
      ExpertsEditor matrix(folder, count);
      matrix.remove_matrix(count - 1, "up_proj");
      expect_refused(matrix, {fmt::format("1 weight is missing: layers.1.experts.{}.up_proj |", count - 1)});
    }
    ExpertsEditor expert(kOneByOne.front(), count);
    for (const char* projection : {"gate_proj", "up_proj", "down_proj"}) expert.remove_matrix(41, projection);
    expect_refused(expert, {"3 weights are missing: ", "layers.1.experts.41.gate_proj",
                            "layers.1.experts.41.up_proj", "layers.1.experts.41.down_proj"});
  }
}

TEST(ExpertCountsTest, ATensorWithOneExpertLessOrMoreIsNamed) {
  for (const int64_t count : kOthers) {
    for (const char* folder : kTogether) {
      for (const int64_t stored : {count - 1, count + 1}) {
        ExpertsEditor editor(folder, count);
        editor.resize("layers.1.experts.", stored);
        expect_refused(
            editor, {"layers.1.experts.", fmt::format("has shape [{},", stored), fmt::format("[{},", count)});
      }
    }
  }
}

TEST(ExpertCountsTest, AnExpertBeyondTheNumberIsNamed) {
  for (const int64_t count : kOthers) {
    for (const char* folder : kOneByOne) {
      const ExpertsEditor more(folder, count + 1);
      ExpertsEditor editor(folder, count);
      const std::string beyond = fmt::format("experts.{}.up_proj.", count);
      for (const auto& [name, spec] : more.tensors) {
        if (contains(name, "layers.1." + beyond)) editor.tensors[name] = spec;
      }
      expect_refused(editor, {"layers.1." + beyond, "has no place in the network",
                              fmt::format("config.json has num_experts {}", count)});
    }
  }
}

// config.json of the usual model beside a pruned one: the router tells, or the experts' names where it was
// left as it was.
TEST(ExpertCountsTest, APrunedModelWithTheUsualConfigurationIsRefused) {
  for (const char* folder : kOneByOne) {
    ExpertsEditor editor(folder, kOthers[0]);
    editor.text()["num_experts"] = kUsual;
    expect_refused(editor, {"layers.0.router.", "has shape [98", "[128"});
    editor.resize("router.", kUsual);
    expect_refused(editor, {"180 weights are missing: layers.0.experts.98.", "and 172 more"});
  }
  for (const char* folder : kTogether) {
    ExpertsEditor editor(folder, kOthers[0]);
    editor.text()["num_experts"] = kUsual;
    expect_refused(editor, {"layers.0.experts.", "has shape [98,", "[128,"});
  }
}

TEST(ExpertCountsTest, ALargeModelWithTheUsualConfigurationIsRefused) {
  for (const char* folder : kOneByOne) {
    ExpertsEditor editor(folder, kOthers[1]);
    editor.text()["num_experts"] = kUsual;
    expect_refused(editor, {"layers.0.experts.128.", "has no place", "config.json has num_experts 128"});
  }
}

}  // namespace
}  // namespace beryl::checkpoint
