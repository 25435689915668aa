// Asks a model the questions of a task and scores its answers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/sampling_params.h"
#include "eval/eval_generation.h"
#include "eval/eval_record.h"
#include "eval/gsm8k_task.h"
#include "eval/statistics.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace beryl::eval {

// A prompt as a model reads it.
struct EncodedPrompt {
  std::string text;
  std::vector<int32_t> ids;
  bool opens_reasoning = false;
};

// Through the chat template. Errors: as ChatTemplate::render().
EncodedPrompt encode_chat(std::span<const PromptTurn> turns, const text::Tokenizer& tokenizer,
                          const text::ChatTemplate& chat_template, const text::ChatOptions& options);
// As plain text behind a <bos>.
EncodedPrompt encode_raw(std::span<const PromptTurn> turns, const text::Tokenizer& tokenizer);

// One question for a model.
struct EvalQuestion {
  size_t index = 0;
  EncodedPrompt prompt;
  std::string gold;
};

struct EvalOptions {
  EvalSettings settings;
  engine::SamplingParams sampling;  // the seed is that of the first question; each has its own
  std::vector<int32_t> end_tokens;
};

// All that is asked of a model. Borrows task, questions and tokenizer.
struct EvalJob {
  const Gsm8kTask& task;
  std::span<const EvalQuestion> questions;
  const text::Tokenizer& tokenizer;
  EvalOptions options;
};

struct EvalProgress {
  size_t done = 0;
  size_t total = 0;
  int64_t right = 0;       // of those done
  int64_t new_tokens = 0;  // generated in this run
};

struct EvalHooks {
  std::function<void(const EvalProgress&)> on_progress = [](const EvalProgress&) {};
  std::function<bool()> should_stop = [] { return false; };
};

// What a model made of the questions.
struct EvalResult {
  std::string model;
  std::vector<EvalAnswer> answers;  // in order of the questions; those that were stopped are missing
  bool is_complete = false;
  size_t answered_before = 0;  // taken from the log
  double seconds = 0;          // of this run
  int64_t prompt_tokens = 0;   // of this run: computed, and taken from the cache
  int64_t cached_tokens = 0;
  int64_t new_tokens = 0;

  Accuracy strict() const;
  Accuracy flexible() const;
  int64_t strict_invalid() const;
  int64_t flexible_invalid() const;
  int64_t truncated() const;
};

// Whether the log has all answers, so that no model is needed. Errors: as AnswerLog::find().
bool is_answered(std::span<const EvalQuestion> questions, const EvalSettings& settings, const AnswerLog& log);

// Answers in `log` are taken from there, and new ones put into it. Errors: as AnswerLog and the generator.
EvalResult run_eval(const EvalJob& job, const Generate& generate, AnswerLog& log, const EvalHooks& hooks);

// Which of the questions that both answered each model got right.
PairedTable compare_strict(const EvalResult& first, const EvalResult& second);
PairedTable compare_flexible(const EvalResult& first, const EvalResult& second);

}  // namespace beryl::eval
