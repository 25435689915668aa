#include "eval/eval_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace beryl::eval {
namespace {

constexpr uint64_t kLogBytesMax = uint64_t{4} << 30;

nlohmann::ordered_json to_json(const EvalAnswer& answer) {
  const EvalSettings& settings = answer.settings;
  return {{"model", settings.model},
          {"task", settings.task},
          {"compute", settings.compute},
          {"temperature", settings.temperature},
          {"seed", settings.seed},
          {"max_tokens", settings.new_tokens_max},
          {"index", answer.index},
          {"prompt", answer.prompt},
          {"reasoning", answer.reasoning},
          {"answer", answer.answer},
          {"gold", answer.gold},
          {"strict", answer.strict},
          {"strict_right", answer.strict_right},
          {"flexible", answer.flexible},
          {"flexible_right", answer.flexible_right},
          {"truncated", answer.truncated},
          {"prompt_tokens", answer.prompt_tokens},
          {"cached_tokens", answer.cached_tokens},
          {"new_tokens", answer.new_tokens}};
}

EvalAnswer from_json(const nlohmann::json& json) {
  EvalAnswer answer;
  answer.settings = {.model = json.at("model").get<std::string>(),
                     .task = json.at("task").get<std::string>(),
                     .compute = json.at("compute").get<std::string>(),
                     .temperature = json.at("temperature").get<double>(),
                     .seed = json.at("seed").get<uint64_t>(),
                     .new_tokens_max = json.at("max_tokens").get<int64_t>()};
  answer.index = json.at("index").get<size_t>();
  answer.prompt = json.at("prompt").get<std::string>();
  answer.reasoning = json.at("reasoning").get<std::string>();
  answer.answer = json.at("answer").get<std::string>();
  answer.gold = json.at("gold").get<std::string>();
  answer.strict = json.at("strict").get<std::string>();
  answer.strict_right = json.at("strict_right").get<bool>();
  answer.flexible = json.at("flexible").get<std::string>();
  answer.flexible_right = json.at("flexible_right").get<bool>();
  answer.truncated = json.at("truncated").get<bool>();
  answer.prompt_tokens = json.at("prompt_tokens").get<int64_t>();
  answer.cached_tokens = json.at("cached_tokens").get<int64_t>();
  answer.new_tokens = json.at("new_tokens").get<int64_t>();
  return answer;
}

Error write_error(const std::filesystem::path& file) {
  return Error(ErrorCode::kIo, fmt::format("cannot write '{}'", file.string()),
               "is there space on the disk, and is the folder there and writable?");
}

}  // namespace

AnswerLog::AnswerLog(std::filesystem::path file) : file_(std::move(file)) {
  if (std::filesystem::exists(file_)) {
    const std::string text = read_text_file(file_, kLogBytesMax);
    const size_t whole = text.rfind('\n') + 1;  // 0 without any: npos + 1
    read(text.substr(0, whole));
    if (whole < text.size()) {
      std::error_code failure;
      std::filesystem::resize_file(file_, whole, failure);
      if (failure) throw write_error(file_);
    }
  }
  out_.open(file_, std::ios::binary | std::ios::app);
  if (!out_) throw write_error(file_);
}

void AnswerLog::read(const std::string& text) {
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const std::string where = fmt::format("{}:{}", file_.string(), ++number);
    const nlohmann::json json = parse_json(std::string_view(text).substr(begin, end - begin), where);
    begin = end + 1;
    try {
      EvalAnswer answer = from_json(json);
      const auto key = std::pair(answer.settings.model, answer.index);
      answers_.insert_or_assign(key, std::move(answer));
    } catch (const nlohmann::json::exception& wrong) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("{}: not an answer of an evaluation: {}", where, parse_error_reason(wrong)),
                  "name a new file with --output");
    }
  }
}

const EvalAnswer* AnswerLog::find(const EvalSettings& settings, size_t index,
                                  const std::string& prompt) const {
  const auto found = answers_.find({settings.model, index});
  if (found == answers_.end()) return nullptr;
  const EvalAnswer& answer = found->second;
  const bool is_same = answer.settings == settings;
  if (is_same && answer.prompt == prompt) return &answer;
  throw Error(ErrorCode::kInvalidInput,
              fmt::format("'{}' holds an answer of '{}' to question {} that was made with {}", file_.string(),
                          settings.model, index, is_same ? "another prompt" : "other settings"),
              "go on with the options it was begun with, or name a new file with --output");
}

void AnswerLog::add(const EvalAnswer& answer) {
  if (file_.empty()) return;
  // Answers cut off within a character hold U+FFFD; nothing else can be invalid.
  out_ << to_json(answer).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << '\n';
  out_.flush();
  if (!out_) throw write_error(file_);
}

}  // namespace beryl::eval
