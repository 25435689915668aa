#include "cli/tokenize_command.h"

#include <fmt/format.h>

#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/model_path.h"
#include "engine/model_text.h"
#include "text/stream_decoder.h"

namespace beryl::cli {
namespace {

using nlohmann::json;

text::Tokenizer load(const std::filesystem::path& model) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(model, ignored)) return engine::load_tokenizer(model);
  const checkpoint::ModelPath path =
      checkpoint::resolve_model_path(model.string(), checkpoint::read_cache_environment());
  return engine::load_tokenizer(path.path);
}

// Decoded text may hold anything but invalid UTF-8, so it can always be written.
std::string to_line(const json& value) {
  return value.dump() + "\n";
}

void print_ids(const text::Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool as_json,
               std::ostream& out) {
  std::vector<std::string_view> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) tokens.push_back(tokenizer.token_text(id));
  if (as_json) {
    out << to_line({{"ids", ids}, {"tokens", tokens}});
    return;
  }
  for (size_t i = 0; i < ids.size(); ++i) out << fmt::format("{}\t{}\n", ids[i], json(tokens[i]).dump());
}

bool read_flag(const json& request, const char* name, bool fallback) {
  if (!request.contains(name)) return fallback;
  if (!request[name].is_boolean()) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("\"{}\" is not true or false", name));
  }
  return request[name].get<bool>();
}

std::vector<int32_t> read_ids(const json& request) {
  std::vector<int32_t> ids;
  if (!request["ids"].is_array()) throw Error(ErrorCode::kInvalidInput, "\"ids\" is not an array");
  for (const json& id : request["ids"]) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("\"ids\" holds {}, which is no token id", id.dump()));
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

json stream_pieces(const text::Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                   text::SpecialOutput special_output) {
  text::StreamDecoder decoder(tokenizer, special_output);
  json pieces = json::array();
  for (const int32_t id : ids) pieces.push_back(decoder.push(id));
  pieces.push_back(decoder.flush());
  return pieces;
}

json answer(const text::Tokenizer& tokenizer, const TokenizeOptions& options, std::string_view line) {
  const json request = parse_json(line, "request");
  if (request.is_object() && request.contains("text") && request["text"].is_string()) {
    const bool recognise =
        read_flag(request, "special", options.special_tokens == text::SpecialTokens::kRecognise);
    const auto special_tokens = recognise ? text::SpecialTokens::kRecognise : text::SpecialTokens::kAsText;
    return {{"ids", tokenizer.encode(request["text"].get_ref<const std::string&>(), special_tokens)}};
  }
  if (!request.is_object() || !request.contains("ids")) {
    throw Error(ErrorCode::kInvalidInput, "a request is an object with \"text\" (a string) or \"ids\"");
  }
  const std::vector<int32_t> ids = read_ids(request);
  const bool skip = read_flag(request, "skip_special", options.special_output == text::SpecialOutput::kSkip);
  const auto special_output = skip ? text::SpecialOutput::kSkip : text::SpecialOutput::kKeep;
  if (read_flag(request, "stream", false)) {
    return {{"pieces", stream_pieces(tokenizer, ids, special_output)}};
  }
  return {{"text", tokenizer.decode(ids, special_output)}};
}

int answer_lines(const text::Tokenizer& tokenizer, const TokenizeOptions& options, std::istream& in,
                 std::ostream& out) {
  int exit_code = 0;
  for (std::string line; std::getline(in, line);) {
    try {
      out << to_line(answer(tokenizer, options, line)) << std::flush;
    } catch (const Error& error) {
      // A message may quote the line, whatever bytes it holds.
      const json reply = {{"error", error.message()}};
      out << reply.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
      exit_code = 1;
    }
  }
  return exit_code;
}

}  // namespace

int run_tokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out) {
  const text::Tokenizer tokenizer = load(options.model);
  if (options.stdin_json) return answer_lines(tokenizer, options, in, out);
  if (options.decode_ids) {
    const std::string text = tokenizer.decode(*options.decode_ids, options.special_output);
    out << (options.json ? to_line({{"text", text}}) : text + "\n");
    return 0;
  }
  const std::string text = options.text ? *options.text : std::string(std::istreambuf_iterator<char>(in), {});
  print_ids(tokenizer, tokenizer.encode(text, options.special_tokens), options.json, out);
  return 0;
}

}  // namespace beryl::cli
