// What counts as the answer in a generated text, and whether it is right: the filters and the metric of
// lm-evaluation-harness's GSM8K tasks, and of vLLM's script.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace beryl::eval {

// Where a strict reading looks for the answer.
enum class AnswerMark : uint8_t {
  kHashes,       // the first "#### N"
  kAnswerIs,     // the first "The answer is N." (any character may stand behind N)
  kFinalAnswer,  // the last "The final answer is N"
  kLastDigits,   // the last run of digits once commas are gone; strict and flexible are the same
};

inline constexpr std::string_view kInvalidAnswer = "[invalid]";

// The marked answer of `text`, or kInvalidAnswer.
std::string extract_strict(AnswerMark mark, std::string_view text);
// The last number of `text` or what looks like one, such as "$5." or "..", or kInvalidAnswer.
std::string extract_flexible(AnswerMark mark, std::string_view text);

// The gold answer of a data set's `answer` field, whose number stands behind "####".
std::string gold_answer(AnswerMark mark, std::string_view answer);

// Equal when commas and dollar signs, all up to the last "#### ", and one final full stop are gone from both,
// whatever the case of letters.
bool is_right(std::string_view extracted, std::string_view gold);

}  // namespace beryl::eval
