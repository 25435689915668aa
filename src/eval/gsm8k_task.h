// The forms in which GSM8K is asked: those of lm-evaluation-harness 0.4.13, that of vLLM's own tests, and the
// bare question. They differ in wording, examples ("shots"), stops and in how an answer is read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/gsm8k_score.h"
#include "text/conversation.h"

namespace beryl::eval {

struct Gsm8kDocument {
  std::string question;
  std::string answer;  // worked out, its number behind "####"

  bool operator==(const Gsm8kDocument&) const = default;
};

// A line each: {"question": TEXT, "answer": TEXT}; other fields are ignored. Errors: as File, and
// kInvalidInput naming the line.
std::vector<Gsm8kDocument> load_gsm8k(const std::filesystem::path& file);

// Where the examples before a question come from.
enum class ShotSource : uint8_t {
  kFixed,      // written into the task
  kDrawn,      // drawn anew for each question from the training set, as Python's random.sample() does
  kDrawnTest,  // the same from the questions themselves, without the one that is asked
  kFirst,      // the first ones of the training set
};

struct FixedShot {
  std::string_view question;
  std::string_view answer;
};

struct Gsm8kTask {
  std::string_view name;
  std::string_view about;
  ShotSource shots;
  int shot_count;  // unless asked for otherwise
  bool is_chat;    // whether it is usually asked through the chat template
  // The text that asks is before + question + after; an example's answer follows behind `delimiter`.
  std::string_view before;
  std::string_view after;
  std::string_view delimiter;
  AnswerMark mark;
  std::vector<std::string> stops;
  std::span<const FixedShot> fixed;
};

// Every task, lm-evaluation-harness's own names first.
const std::vector<Gsm8kTask>& gsm8k_tasks();
// Errors: kInvalidInput with the names that there are.
const Gsm8kTask& find_gsm8k_task(std::string_view name);

// One message of a prompt. In a prompt without chat template `delimiter` follows it.
struct PromptTurn {
  text::Role role = text::Role::kUser;
  std::string content;
  std::string delimiter;
};

// The prompt as plain text.
std::string join_turns(std::span<const PromptTurn> turns);
// The prompt as a conversation in which each example is an exchange.
text::Conversation make_conversation(std::span<const PromptTurn> turns);

struct ShotOptions {
  int count = 0;
  uint64_t seed = 1234;
};

// The prompts for the first `limit` documents. `training` may be empty where the task does not read it.
// Errors: kInvalidInput when there are fewer examples than are asked for.
std::vector<std::vector<PromptTurn>> make_prompts(const Gsm8kTask& task,
                                                  std::span<const Gsm8kDocument> documents,
                                                  std::span<const Gsm8kDocument> training,
                                                  const ShotOptions& options, size_t limit);

}  // namespace beryl::eval
