#include "eval/eval_run.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "engine/answer_reader.h"

namespace beryl::eval {
namespace {

class EvalRun {
 public:
  EvalRun(const EvalJob& job, AnswerLog& log)
      : task_(job.task),
        questions_(job.questions),
        tokenizer_(job.tokenizer),
        options_(job.options),
        log_(log) {
    answers_.resize(questions_.size());
    progress_.total = questions_.size();
    for (size_t i = 0; i < questions_.size(); ++i) {
      const EvalQuestion& question = questions_[i];
      const EvalAnswer* known = log.find(options_.settings, question.index, question.prompt.text);
      if (known == nullptr) {
        open_.push_back(i);
        continue;
      }
      answers_[i] = *known;
      count(*known);
    }
  }

  EvalResult run(const Generate& generate, const EvalHooks& hooks) {
    EvalResult result = {.model = options_.settings.model, .answered_before = progress_.done};
    const auto start = std::chrono::steady_clock::now();
    hooks.on_progress(progress_);
    const std::vector<GenerationTask> tasks = make_tasks();
    generate(
        tasks,
        [&](size_t i, const Generated& generated) {
          const EvalAnswer answer = finish(i, generated);
          log_.add(answer);
          result.prompt_tokens += generated.prompt_tokens;
          result.cached_tokens += generated.cached_tokens;
          result.new_tokens += generated.new_tokens;
          progress_.new_tokens = result.new_tokens;
          count(answer);
          answers_[open_[i]] = answer;
          hooks.on_progress(progress_);
        },
        hooks.should_stop);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    for (std::optional<EvalAnswer>& answer : answers_) {
      if (answer) result.answers.push_back(std::move(*answer));
    }
    result.is_complete = result.answers.size() == questions_.size();
    return result;
  }

 private:
  std::vector<GenerationTask> make_tasks() {
    std::vector<GenerationTask> tasks;
    for (const size_t at : open_) {
      const EvalQuestion& question = questions_[at];
      const auto start =
          question.prompt.opens_reasoning ? text::OutputStart::kReasoning : text::OutputStart::kContent;
      texts_.push_back(std::make_unique<engine::AnswerReader>(
          tokenizer_, engine::AnswerReaderOptions{.stops = task_.stops, .start = start},
          [](const text::OutputDelta&) {}));
      engine::AnswerReader* text = texts_.back().get();
      GenerationTask task = {.prompt = question.prompt.ids,
                             .sampling = options_.sampling,
                             .new_tokens_max = options_.settings.new_tokens_max,
                             .end_tokens = options_.end_tokens,
                             .on_token = [text](int32_t token) { return text->push(token); }};
      task.sampling.seed += question.index;
      tasks.push_back(std::move(task));
    }
    return tasks;
  }

  EvalAnswer finish(size_t i, const Generated& generated) {
    const EvalQuestion& question = questions_[open_[i]];
    const bool truncated = generated.finish_reason == engine::FinishReason::kLength;
    text::ParsedOutput output =
        texts_[i]->finish(truncated ? text::OutputEnd::kLength : text::OutputEnd::kStopped);
    EvalAnswer answer = {.settings = options_.settings,
                         .index = question.index,
                         .prompt = question.prompt.text,
                         .reasoning = std::move(output.reasoning),
                         .answer = std::move(output.content),
                         .gold = question.gold};
    answer.strict = extract_strict(task_.mark, answer.answer);
    answer.flexible = extract_flexible(task_.mark, answer.answer);
    answer.strict_right = is_right(answer.strict, question.gold);
    answer.flexible_right = is_right(answer.flexible, question.gold);
    answer.truncated = truncated;
    answer.prompt_tokens = static_cast<int64_t>(question.prompt.ids.size());
    answer.cached_tokens = generated.cached_tokens;
    answer.new_tokens = generated.new_tokens;
    return answer;
  }

  void count(const EvalAnswer& answer) {
    ++progress_.done;
    progress_.right += answer.strict_right ? 1 : 0;
  }

  const Gsm8kTask& task_;
  std::span<const EvalQuestion> questions_;
  const text::Tokenizer& tokenizer_;
  const EvalOptions& options_;
  AnswerLog& log_;
  std::vector<std::optional<EvalAnswer>> answers_;  // by question
  std::vector<size_t> open_;                        // questions without an answer; tasks are in this order
  std::vector<std::unique_ptr<engine::AnswerReader>> texts_;  // by task
  EvalProgress progress_;
};

template <typename Count>
int64_t count_if(const std::vector<EvalAnswer>& answers, const Count& counts) {
  return std::count_if(answers.begin(), answers.end(), counts);
}

PairedTable compare(const EvalResult& first, const EvalResult& second, bool EvalAnswer::* right) {
  std::vector<bool> of_first, of_second;
  auto other = second.answers.begin();
  for (const EvalAnswer& answer : first.answers) {
    while (other != second.answers.end() && other->index < answer.index) ++other;
    if (other == second.answers.end() || other->index != answer.index) continue;
    of_first.push_back(answer.*right);
    of_second.push_back((*other).*right);
  }
  return make_paired_table(of_first, of_second);
}

}  // namespace

EncodedPrompt encode_chat(std::span<const PromptTurn> turns, const text::Tokenizer& tokenizer,
                          const text::ChatTemplate& chat_template, const text::ChatOptions& options) {
  const text::ChatPrompt prompt = chat_template.render(make_conversation(turns), options);
  return {.text = prompt.rendered.text,
          .ids = tokenizer.encode_marked(prompt.rendered.text, prompt.rendered.template_spans),
          .opens_reasoning = prompt.opens_reasoning};
}

EncodedPrompt encode_raw(std::span<const PromptTurn> turns, const text::Tokenizer& tokenizer) {
  EncodedPrompt prompt;
  prompt.text = join_turns(turns);
  prompt.ids = tokenizer.encode(prompt.text, text::SpecialTokens::kAsText);
  if (const auto bos = tokenizer.find_special("<bos>")) prompt.ids.insert(prompt.ids.begin(), *bos);
  return prompt;
}

Accuracy EvalResult::strict() const {
  return {.right = count_if(answers, [](const EvalAnswer& answer) { return answer.strict_right; }),
          .total = static_cast<int64_t>(answers.size())};
}

Accuracy EvalResult::flexible() const {
  return {.right = count_if(answers, [](const EvalAnswer& answer) { return answer.flexible_right; }),
          .total = static_cast<int64_t>(answers.size())};
}

int64_t EvalResult::strict_invalid() const {
  return count_if(answers, [](const EvalAnswer& answer) { return answer.strict == kInvalidAnswer; });
}

int64_t EvalResult::flexible_invalid() const {
  return count_if(answers, [](const EvalAnswer& answer) { return answer.flexible == kInvalidAnswer; });
}

int64_t EvalResult::truncated() const {
  return count_if(answers, [](const EvalAnswer& answer) { return answer.truncated; });
}

bool is_answered(std::span<const EvalQuestion> questions, const EvalSettings& settings,
                 const AnswerLog& log) {
  return std::all_of(questions.begin(), questions.end(), [&](const EvalQuestion& question) {
    return log.find(settings, question.index, question.prompt.text) != nullptr;
  });
}

EvalResult run_eval(const EvalJob& job, const Generate& generate, AnswerLog& log, const EvalHooks& hooks) {
  return EvalRun(job, log).run(generate, hooks);
}

PairedTable compare_strict(const EvalResult& first, const EvalResult& second) {
  return compare(first, second, &EvalAnswer::strict_right);
}

PairedTable compare_flexible(const EvalResult& first, const EvalResult& second) {
  return compare(first, second, &EvalAnswer::flexible_right);
}

}  // namespace beryl::eval
