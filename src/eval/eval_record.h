// One answer of an evaluation, and the file in which answers are kept, so that they can be read afterwards
// and an interrupted evaluation goes on where it was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>

namespace beryl::eval {

// What an answer depends on besides the prompt.
struct EvalSettings {
  std::string model;  // as the user named it
  std::string task;
  std::string compute;  // "bf16" or "f32"
  double temperature = 0;
  uint64_t seed = 0;
  int64_t new_tokens_max = 0;

  bool operator==(const EvalSettings&) const = default;
};

struct EvalAnswer {
  EvalSettings settings;
  size_t index = 0;       // of the question in the data file
  std::string prompt;     // all that the model was shown
  std::string reasoning;  // of a model that thinks first
  std::string answer;
  std::string gold;
  std::string strict;  // what each way of reading takes for the answer; "[invalid]" for nothing
  std::string flexible;
  bool strict_right = false;
  bool flexible_right = false;
  bool truncated = false;     // ended by the limit of tokens
  int64_t prompt_tokens = 0;  // all of the prompt's
  int64_t cached_tokens = 0;  // of those, known from earlier prompts
  int64_t new_tokens = 0;
};

// JSON lines, one for each answer, added as they come. A last line that was cut off is dropped on opening.
class AnswerLog {
 public:
  // No file: nothing is kept.
  AnswerLog() = default;
  // Errors: kInvalidInput naming the line for a file that holds something else; kIo.
  explicit AnswerLog(std::filesystem::path file);

  // The recorded answer of a model to a question, or null. Errors: kInvalidInput when the record was made
  // with other settings or another prompt.
  const EvalAnswer* find(const EvalSettings& settings, size_t index, const std::string& prompt) const;
  // Errors: kIo.
  void add(const EvalAnswer& answer);

 private:
  void read(const std::string& text);

  std::filesystem::path file_;
  std::ofstream out_;
  std::map<std::pair<std::string, size_t>, EvalAnswer> answers_;  // by model and index
};

}  // namespace beryl::eval
