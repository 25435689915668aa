// The demo models answer the 200 problems of models/demo/test.jsonl as transformers does: token for token in
// float32 arithmetic, and about as often rightly in bf16. Long, so only in builds without sanitizers.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backend/cpu/cpu_backend.h"
#include "checkpoint/checkpoint.h"
#include "engine/chat_model.h"
#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "engine/model_runner.h"
#include "model/network.h"
#include "text/template_source.h"

namespace beryl {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNewTokensMax = 160;

struct Problem {
  std::string question;
  std::string answer;              // ends in "#### NUMBER"
  std::vector<int32_t> reference;  // the answer of transformers in float32, with its end token
};

// What follows the last "####", without spaces.
std::string final_number(const std::string& text) {
  const size_t at = text.rfind("####");
  if (at == std::string::npos) return "none";
  std::string number = text.substr(at + 4);
  std::erase_if(number, [](char c) { return c == ' ' || c == '\n' || c == ','; });
  return number;
}

std::vector<Problem> load_problems(const fs::path& model) {
  const nlohmann::json answers =
      nlohmann::json::parse(std::ifstream(model / "reference_answers.json"))["answers"];
  std::ifstream questions(fs::path(BERYL_SOURCE_DIR) / "models" / "demo" / "test.jsonl");
  std::vector<Problem> problems;
  for (std::string line; std::getline(questions, line);) {
    const nlohmann::json problem = nlohmann::json::parse(line);
    problems.push_back({problem["question"], problem["answer"],
                        answers.at(problems.size())["ids"].get<std::vector<int32_t>>()});
  }
  return problems;
}

// Everything between a question and its answer.
class DemoModel {
 public:
  DemoModel(const fs::path& directory, backend::Compute compute)
      : checkpoint_(checkpoint::Checkpoint::open(directory)),
        backend_(backend::make_cpu_backend({.threads = 1, .compute = compute})),
        tokenizer_(text::load_tokenizer(directory / "tokenizer.json")),
        template_(text::load_template_source(directory).text, "chat_template.jinja") {
    NoProgress progress;
    network_ = model::load_network(checkpoint_.config(), checkpoint_.weights(), *backend_, progress);
    const engine::MemoryPlan plan =
        engine::plan_memory(network_.config, *backend_, 0, uint64_t{1} << 30U, {.context = 1024});
    runner_ = std::make_unique<engine::NetworkRunner>(network_, *backend_, plan.options);
    engine_ = std::make_unique<engine::Engine>(*runner_, plan.options);
    chat_ = std::make_unique<engine::ChatModel>(*engine_, tokenizer_, template_,
                                                checkpoint_.generation().eos_token_ids);
  }

  engine::ChatAnswer answer(const std::string& question) {
    engine::ChatRequest request = {.new_tokens_max = kNewTokensMax};
    request.conversation.messages.push_back({.role = text::Role::kUser, .content = question});
    request.sampling.temperature = 0;
    return chat_->answer(request, [](const text::OutputDelta&) {});
  }

  bool is_end(int32_t token) const {
    const auto& ends = checkpoint_.generation().eos_token_ids;
    return std::find(ends.begin(), ends.end(), token) != ends.end();
  }

 private:
  checkpoint::Checkpoint checkpoint_;
  std::unique_ptr<backend::Backend> backend_;
  text::Tokenizer tokenizer_;
  text::ChatTemplate template_;
  model::Network network_;
  std::unique_ptr<engine::NetworkRunner> runner_;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<engine::ChatModel> chat_;
};

struct Case {
  std::string model;
  int right_in_bf16_min;
};

class ReferenceAnswersTest : public testing::TestWithParam<Case> {
 protected:
  fs::path directory() const { return fs::path(BERYL_SOURCE_DIR) / "models" / GetParam().model; }
};

TEST_P(ReferenceAnswersTest, F32IsTokenForTokenEqual) {
  DemoModel model(directory(), backend::Compute::kF32);
  const std::vector<Problem> problems = load_problems(directory());
  ASSERT_EQ(problems.size(), 200U);
  for (const Problem& problem : problems) {
    const engine::ChatAnswer answer = model.answer(problem.question);
    std::vector<int32_t> expected = problem.reference;
    if (!expected.empty() && model.is_end(expected.back())) expected.pop_back();
    EXPECT_EQ(answer.generation.tokens, expected) << problem.question;
  }
}

TEST_P(ReferenceAnswersTest, Bf16IsAboutAsOftenRight) {
  DemoModel model(directory(), backend::Compute::kBf16);
  int right = 0;
  for (const Problem& problem : load_problems(directory())) {
    const engine::ChatAnswer answer = model.answer(problem.question);
    if (final_number(answer.output.content) == final_number(problem.answer)) ++right;
  }
  RecordProperty("right", right);
  EXPECT_GE(right, GetParam().right_in_bf16_min);
}

INSTANTIATE_TEST_SUITE_P(Models, ReferenceAnswersTest,
                         testing::Values(Case{"demo", 193}, Case{"demo-fp8", 192}),
                         [](const auto& info) { return info.param.model == "demo" ? "bf16" : "fp8"; });

}  // namespace
}  // namespace beryl
