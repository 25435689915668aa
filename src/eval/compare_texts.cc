#include "eval/compare_texts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "eval/eval_run.h"

namespace beryl::eval {
namespace {

constexpr uint64_t kDataBytesMax = uint64_t{1} << 30;
// Plain text is divided into pieces of so many tokens.
constexpr int64_t kPieceTokens = 1024;

class TextList {
 public:
  explicit TextList(const CompareTextOptions& options) : options_(options) {}

  bool is_full() const { return positions_ >= options_.positions_max; }

  void add(CompareText text) {
    const auto longest = static_cast<size_t>(options_.context_max);
    const auto left = static_cast<size_t>(options_.positions_max - positions_);
    text.tokens.resize(std::min({text.tokens.size(), longest, text.first + left}));
    if (text.tokens.size() <= text.first) return;  // cut before what is measured
    positions_ += text.positions();
    texts_.push_back(std::move(text));
  }

  std::vector<CompareText> take(std::string_view source) {
    if (texts_.empty()) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("'{}' holds nothing that a model could predict", source));
    }
    return std::move(texts_);
  }

 private:
  CompareTextOptions options_;
  std::vector<CompareText> texts_;
  int64_t positions_ = 0;
};

class TextReader {
 public:
  TextReader(const text::Tokenizer& tokenizer, const text::ChatTemplate* chat_template)
      : tokenizer_(tokenizer), template_(chat_template) {}

  CompareText read_line(std::string_view line, const std::string& where) const {
    const nlohmann::json row = parse_json(line, where);
    const auto find = [&](const char* name) -> std::optional<std::string> {
      if (!row.is_object() || !row.contains(name) || !row[name].is_string()) return std::nullopt;
      return row[name].get<std::string>();
    };
    const auto question = find("question"), answer = find("answer"), plain = find("text");
    if (question && answer) return with_context(where, [&] { return make_answer(*question, *answer); });
    if (plain) return {.tokens = encode_plain(*plain)};
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("{}: neither \"question\" and \"answer\" nor \"text\"", where),
                "each line is an object with a \"text\", or with a \"question\" and its \"answer\"");
  }

  std::vector<int32_t> encode_plain(std::string_view text) const {
    std::vector<int32_t> tokens = tokenizer_.encode(text, text::SpecialTokens::kAsText);
    if (const auto bos = tokenizer_.find_special("<bos>")) tokens.insert(tokens.begin(), *bos);
    return tokens;
  }

 private:
  // The first token of the answer is predicted behind the last one of the prompt.
  CompareText make_answer(const std::string& question, const std::string& answer) const {
    if (template_ == nullptr) {
      throw Error(ErrorCode::kInvalidInput, "a question needs a chat template, and the model has none",
                  "give texts: {\"text\": ...}");
    }
    const std::vector<PromptTurn> turns = {{text::Role::kUser, question, ""}};
    CompareText text = {.tokens = encode_chat(turns, tokenizer_, *template_, {}).ids};
    text.first = text.tokens.size() - 1;
    const std::vector<int32_t> answered = tokenizer_.encode(answer, text::SpecialTokens::kAsText);
    text.tokens.insert(text.tokens.end(), answered.begin(), answered.end());
    if (const auto end = tokenizer_.find_special("<turn|>")) text.tokens.push_back(*end);
    return text;
  }

  const text::Tokenizer& tokenizer_;
  const text::ChatTemplate* template_;
};

void read_lines(const std::string& content, const std::string& source, const TextReader& reader,
                TextList& list) {
  size_t number = 0;
  for (size_t begin = 0; begin < content.size() && !list.is_full();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    const std::string_view line = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    list.add(reader.read_line(line, fmt::format("{}:{}", source, number)));
  }
}

// Each piece begins with the text's first token, <bos>.
void divide(const std::vector<int32_t>& tokens, int64_t context_max, TextList& list) {
  const auto piece = static_cast<size_t>(std::max<int64_t>(2, std::min(kPieceTokens, context_max)));
  for (size_t begin = 1; begin < tokens.size() && !list.is_full(); begin += piece - 1) {
    const size_t end = std::min(begin + piece - 1, tokens.size());
    CompareText text = {.tokens = {tokens.front()}};
    text.tokens.insert(text.tokens.end(), tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                       tokens.begin() + static_cast<std::ptrdiff_t>(end));
    list.add(std::move(text));
  }
}

}  // namespace

std::vector<CompareText> load_compare_texts(const std::filesystem::path& file,
                                            const text::Tokenizer& tokenizer,
                                            const text::ChatTemplate* chat_template,
                                            const CompareTextOptions& options) {
  const std::string content = read_text_file(file, kDataBytesMax);
  const TextReader reader(tokenizer, chat_template);
  TextList list(options);
  if (file.extension() == ".jsonl") {
    read_lines(content, file.string(), reader, list);
  } else {
    divide(reader.encode_plain(content), options.context_max, list);
  }
  return list.take(file.string());
}

std::vector<CompareText> make_compare_texts(const GoldenFile& golden, const CompareTextOptions& options) {
  TextList list(options);
  for (const GoldenPrompt& prompt : golden.prompts) {
    if (!list.is_full()) list.add({.tokens = prompt.input_ids});
  }
  return list.take("the golden file");
}

}  // namespace beryl::eval
