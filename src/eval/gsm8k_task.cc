#include "eval/gsm8k_task.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "base/quote.h"
#include "eval/gsm8k_shots.h"
#include "eval/python_random.h"

namespace beryl::eval {
namespace {

constexpr uint64_t kDataBytesMax = uint64_t{1} << 30;
constexpr std::string_view kShotDelimiter = "\n\n";

Gsm8kTask harness_task(std::string_view name, ShotSource shots) {
  return {.name = name,
          .about = shots == ShotSource::kDrawn ? "5 worked examples, drawn anew for each question"
                                               : "as gsm8k, drawn from the questions themselves",
          .shots = shots,
          .shot_count = 5,
          .is_chat = false,
          .before = "Question: ",
          .after = "\nAnswer:",
          .delimiter = " ",
          .mark = AnswerMark::kHashes,
          .stops = {"Question:", "</s>", "<|im_end|>"},
          .fixed = {}};
}

Gsm8kTask chain_of_thought_task(std::string_view name) {
  return {.name = name,
          .about = "8 fixed examples that reason step by step",
          .shots = ShotSource::kFixed,
          .shot_count = 8,
          .is_chat = false,
          .before = "Q: ",
          .after = "\nA:",
          .delimiter = " ",
          .mark = AnswerMark::kAnswerIs,
          .stops = {"Q:", "</s>", "<|im_end|>"},
          .fixed = kAnswerIsShots};
}

// The two versions of the task differ in what stands before an example's answer.
Gsm8kTask llama_task(std::string_view name, std::string_view delimiter) {
  return {
      .name = name,
      .about = "the same as exchanges of a chat, with instructions",
      .shots = ShotSource::kFixed,
      .shot_count = 8,
      .is_chat = true,
      .before = "Given the following problem, reason and give a final answer to the problem.\nProblem: ",
      .after =
          "\nYour response should end with \"The final answer is [answer]\" where [answer] is the response "
          "to the problem.\n",
      .delimiter = delimiter,
      .mark = AnswerMark::kFinalAnswer,
      .stops = {"<|eot_id|>", "<|start_header_id|>user<|end_header_id|>", "Q:", "</s>", "<|im_end|>"},
      .fixed = kFinalAnswerShots};
}

Gsm8kTask vllm_task() {
  Gsm8kTask task = harness_task("gsm8k_vllm", ShotSource::kFirst);
  task.about = "vLLM's own test: the first 5 of the training set, the last digits count";
  task.mark = AnswerMark::kLastDigits;
  task.stops = {"Question", "Assistant:", "<|separator|>"};
  return task;
}

Gsm8kTask zero_shot_task() {
  Gsm8kTask task = harness_task("gsm8k_zero_shot", ShotSource::kFirst);
  task.about = "the bare question in a chat, answered behind \"####\"";
  task.shot_count = 0;
  task.is_chat = true;
  task.before = "";
  task.after = "";
  task.stops = {};
  return task;
}

std::string ask(const Gsm8kTask& task, std::string_view question) {
  return fmt::format("{}{}{}", task.before, question, task.after);
}

void add_shot(const Gsm8kTask& task, std::string_view question, std::string_view answer,
              std::vector<PromptTurn>& turns) {
  turns.push_back({text::Role::kUser, ask(task, question), std::string(task.delimiter)});
  turns.push_back({text::Role::kAssistant, std::string(answer), std::string(kShotDelimiter)});
}

// Chooses the examples of one question after the other.
class ShotSampler {
 public:
  ShotSampler(const Gsm8kTask& task, std::span<const Gsm8kDocument> pool, const ShotOptions& options)
      : task_(task), pool_(pool), count_(static_cast<uint32_t>(options.count)), random_(options.seed) {
    const size_t available = task.shots == ShotSource::kFixed       ? task.fixed.size()
                             : task.shots == ShotSource::kDrawnTest ? std::max<size_t>(pool.size(), 1) - 1
                                                                    : pool.size();
    if (count_ <= available) return;
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{} examples are asked for, {} has {}", count_, task.name, available),
                task.shots == ShotSource::kFixed
                    ? "lower --num-fewshot"
                    : "name a training set with --shots, or lower --num-fewshot");
  }

  void add_to(std::vector<PromptTurn>& turns, const Gsm8kDocument& asked) {
    if (count_ == 0) return;
    if (task_.shots == ShotSource::kFixed) {
      for (const FixedShot& shot : task_.fixed.first(count_))
        add_shot(task_, shot.question, shot.answer, turns);
      return;
    }
    for (const Gsm8kDocument& shot : choose(asked)) add_shot(task_, shot.question, shot.answer, turns);
  }

 private:
  std::vector<Gsm8kDocument> choose(const Gsm8kDocument& asked) {
    if (task_.shots == ShotSource::kFirst) return {pool_.begin(), pool_.begin() + count_};
    if (task_.shots == ShotSource::kDrawn) return draw(pool_, count_);
    std::vector<Gsm8kDocument> drawn = draw(pool_, count_ + 1);
    std::erase(drawn, asked);
    if (drawn.size() > count_) drawn.resize(count_);
    if (drawn.size() == count_) return drawn;
    // The question is there more than once: draw again from the others.
    std::vector<Gsm8kDocument> others(pool_.begin(), pool_.end());
    std::erase(others, asked);
    if (others.size() < count_) {
      throw Error(
          ErrorCode::kInvalidInput,
          fmt::format("{} examples are asked for, only {} other questions are there", count_, others.size()),
          "lower --num-fewshot");
    }
    return draw(others, count_);
  }

  std::vector<Gsm8kDocument> draw(std::span<const Gsm8kDocument> pool, uint32_t count) {
    std::vector<Gsm8kDocument> drawn;
    for (const uint32_t index : random_.sample(static_cast<uint32_t>(pool.size()), count)) {
      drawn.push_back(pool[index]);
    }
    return drawn;
  }

  const Gsm8kTask& task_;
  std::span<const Gsm8kDocument> pool_;
  uint32_t count_;
  PythonRandom random_;
};

}  // namespace

std::vector<Gsm8kDocument> load_gsm8k(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, kDataBytesMax);
  std::vector<Gsm8kDocument> documents;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = fmt::format("{}:{}", file.string(), number);
    const nlohmann::json row = parse_json(line, where);
    const auto field = [&](const char* name) {
      if (row.is_object() && row.contains(name) && row[name].is_string()) return row[name].get<std::string>();
      throw Error(ErrorCode::kInvalidInput, fmt::format("{}: no text \"{}\"", where, name),
                  "each line is an object with \"question\" and \"answer\", as in GSM8K's test.jsonl");
    };
    documents.push_back({.question = field("question"), .answer = field("answer")});
  }
  if (documents.empty()) throw Error(ErrorCode::kInvalidInput, fmt::format("'{}' is empty", file.string()));
  return documents;
}

const std::vector<Gsm8kTask>& gsm8k_tasks() {
  static const std::vector<Gsm8kTask> kTasks = {
      harness_task("gsm8k", ShotSource::kDrawn),
      chain_of_thought_task("gsm8k_cot"),
      llama_task("gsm8k_cot_llama", ""),
      harness_task("gsm8k_platinum", ShotSource::kDrawnTest),
      chain_of_thought_task("gsm8k_platinum_cot"),
      llama_task("gsm8k_platinum_cot_llama", " "),
      vllm_task(),
      zero_shot_task(),
  };
  return kTasks;
}

const Gsm8kTask& find_gsm8k_task(std::string_view name) {
  const auto& tasks = gsm8k_tasks();
  const auto found =
      std::find_if(tasks.begin(), tasks.end(), [&](const auto& task) { return task.name == name; });
  if (found != tasks.end()) return *found;
  std::vector<std::string_view> names;
  std::transform(tasks.begin(), tasks.end(), std::back_inserter(names),
                 [](const auto& task) { return task.name; });
  throw Error(ErrorCode::kInvalidInput, fmt::format("no task {}", quote(name)),
              fmt::format("the tasks are {}", fmt::join(names, ", ")));
}

std::string join_turns(std::span<const PromptTurn> turns) {
  std::string text;
  for (const PromptTurn& turn : turns) text += turn.content + turn.delimiter;
  return text;
}

text::Conversation make_conversation(std::span<const PromptTurn> turns) {
  text::Conversation conversation;
  for (const PromptTurn& turn : turns) {
    text::Message message;
    message.role = turn.role;
    message.content = turn.content;
    conversation.messages.push_back(std::move(message));
  }
  return conversation;
}

std::vector<std::vector<PromptTurn>> make_prompts(const Gsm8kTask& task,
                                                  std::span<const Gsm8kDocument> documents,
                                                  std::span<const Gsm8kDocument> training,
                                                  const ShotOptions& options, size_t limit) {
  ShotSampler sampler(task, task.shots == ShotSource::kDrawnTest ? documents : training, options);
  std::vector<std::vector<PromptTurn>> prompts;
  for (const Gsm8kDocument& document : documents.first(std::min(limit, documents.size()))) {
    std::vector<PromptTurn> turns;
    sampler.add_to(turns, document);
    turns.push_back({text::Role::kUser, ask(task, document.question), ""});
    prompts.push_back(std::move(turns));
  }
  return prompts;
}

}  // namespace beryl::eval
