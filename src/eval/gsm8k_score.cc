#include "eval/gsm8k_score.h"

#include <algorithm>
#include <optional>

namespace beryl::eval {
namespace {

constexpr std::string_view kDigits = "0123456789";
constexpr std::string_view kNumberCharacters = "0123456789.,";
constexpr std::string_view kMoneyCharacters = "0123456789$.,";
// What Python strips, of ASCII.
constexpr std::string_view kSpaces = " \t\n\r\v\f\x1c\x1d\x1e\x1f";

size_t run_length(std::string_view text, size_t at, std::string_view characters) {
  return std::min(text.find_first_not_of(characters, at), text.size()) - at;
}

// At `at`: (-?[$0-9.,]{2,})|(-?[0-9]+)
std::optional<std::string_view> match_loose_number(std::string_view text, size_t at) {
  const size_t sign = at < text.size() && text[at] == '-' ? 1 : 0;
  if (at + sign >= text.size()) return std::nullopt;
  if (const size_t run = run_length(text, at + sign, kMoneyCharacters); run >= 2) {
    return text.substr(at, sign + run);
  }
  if (const size_t run = run_length(text, at + sign, kDigits); run >= 1) return text.substr(at, sign + run);
  return std::nullopt;
}

// At `at`: -?[0-9.,]+
std::optional<std::string_view> match_number(std::string_view text, size_t at) {
  const size_t sign = at < text.size() && text[at] == '-' ? 1 : 0;
  const size_t run = at + sign < text.size() ? run_length(text, at + sign, kNumberCharacters) : 0;
  if (run == 0) return std::nullopt;
  return text.substr(at, sign + run);
}

// At `at`: (-?[0-9.,]+). with a character behind it, for which the number gives up its last one if it must.
std::optional<std::string_view> match_closed_number(std::string_view text, size_t at) {
  std::optional<std::string_view> number = match_number(text, at);
  if (!number) return std::nullopt;
  const size_t end = at + number->size();
  if (end < text.size() && text[end] != '\n') return number;
  const size_t sign = number->front() == '-' ? 1 : 0;
  if (number->size() - sign < 2) return std::nullopt;
  number->remove_suffix(1);
  return number;
}

template <typename Match>
std::optional<std::string_view> find_first(std::string_view text, std::string_view mark, const Match& match) {
  for (size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + 1)) {
    if (const auto number = match(text, at + mark.size())) return number;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_last_final_answer(std::string_view text) {
  constexpr std::string_view kMark = "The final answer is ";
  for (size_t at = text.rfind(kMark); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(kMark, at - 1)) {
    if (const auto number = match_loose_number(text, at + kMark.size())) return number;
  }
  return std::nullopt;
}

std::optional<std::string_view> find_last_loose_number(std::string_view text) {
  std::optional<std::string_view> last;
  for (size_t at = 0; at < text.size();) {
    const auto number = match_loose_number(text, at);
    if (number) last = number;
    at += number ? number->size() : 1;
  }
  return last;
}

std::string without(std::string_view text, std::string_view characters) {
  std::string kept;
  for (const char c : text) {
    if (characters.find(c) == std::string_view::npos) kept += c;
  }
  return kept;
}

// Python reads no integer with leading zeros, except zero itself.
std::string extract_last_digits(std::string_view text) {
  const std::string plain = without(text, ",");
  const size_t end = plain.find_last_of(kDigits);
  if (end == std::string::npos) return std::string(kInvalidAnswer);
  const size_t before = plain.find_last_not_of(kDigits, end);
  const size_t begin = before == std::string::npos ? 0 : before + 1;
  const std::string digits = plain.substr(begin, end + 1 - begin);
  if (digits.find_first_not_of('0') == std::string::npos) return "0";
  return digits.front() == '0' ? std::string(kInvalidAnswer) : digits;
}

std::string comparable(std::string_view text) {
  std::string kept = without(text, ",$");
  constexpr std::string_view kMark = "#### ";
  if (const size_t at = kept.rfind(kMark); at != std::string::npos) kept.erase(0, at + kMark.size());
  if (kept.ends_with('.')) {
    kept.pop_back();
  } else if (kept.ends_with(".\n")) {
    kept.erase(kept.size() - 2, 1);
  }
  for (char& c : kept) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return kept;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

}  // namespace

std::string extract_strict(AnswerMark mark, std::string_view text) {
  std::optional<std::string_view> found;
  switch (mark) {
    case AnswerMark::kHashes:
      found = find_first(text, "#### ", match_number);
      break;
    case AnswerMark::kAnswerIs:
      found = find_first(text, "The answer is ", match_closed_number);
      break;
    case AnswerMark::kFinalAnswer:
      found = find_last_final_answer(text);
      break;
    case AnswerMark::kLastDigits:
      return extract_last_digits(text);
  }
  return std::string(found.value_or(kInvalidAnswer));
}

std::string extract_flexible(AnswerMark mark, std::string_view text) {
  if (mark == AnswerMark::kLastDigits) return extract_last_digits(text);
  return std::string(find_last_loose_number(text).value_or(kInvalidAnswer));
}

std::string gold_answer(AnswerMark mark, std::string_view answer) {
  switch (mark) {
    case AnswerMark::kHashes:
      return std::string(answer);
    case AnswerMark::kAnswerIs:
    case AnswerMark::kFinalAnswer: {
      for (size_t at = answer.find("####"); at != std::string_view::npos; at = answer.find("####")) {
        answer.remove_prefix(at + 4);
      }
      return std::string(trimmed(answer));
    }
    case AnswerMark::kLastDigits:
      return extract_last_digits(answer);
  }
  return {};
}

bool is_right(std::string_view extracted, std::string_view gold) {
  return comparable(extracted) == comparable(gold);
}

}  // namespace beryl::eval
