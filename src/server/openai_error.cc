#include "server/openai_error.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "server/http_error.h"
#include "server/json_text.h"

namespace beryl::server {
namespace {

bool is_path_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.[]").find(c) != std::string_view::npos;
}

std::optional<std::string> find_param(std::string_view message) {
  const size_t colon = message.find(": ");
  if (colon == 0 || colon == std::string_view::npos) return std::nullopt;
  const std::string_view path = message.substr(0, colon);
  if (!std::ranges::all_of(path, is_path_character)) return std::nullopt;
  return std::string(path);
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidInput:
    case ErrorCode::kUnsupported:
    case ErrorCode::kResource:  // a request that asks for more work than one may
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kBusy:
      return 429;
    case ErrorCode::kInterrupted:
      return 503;
    case ErrorCode::kIo:
    case ErrorCode::kNumeric:
      return 500;
  }
  return 500;
}

}  // namespace

RequestFailure failure_of(const Error& error) {
  RequestFailure failure = {.status = status_of(error.code()), .message = error.message()};
  if (failure.status == 400 || failure.status == 404) failure.param = find_param(error.message());
  if (error.code() == ErrorCode::kUnsupported) failure.type = "not_supported_error";
  if (!error.help().empty()) failure.message += fmt::format(" ({})", error.help());
  return failure;
}

RequestFailure context_length_failure(int64_t prompt_tokens, int64_t new_tokens, int64_t context) {
  return {.status = 400,
          .message = fmt::format(
              "This model's maximum context length is {} tokens. However, you requested {} tokens ({} in the "
              "prompt, {} in the answer). Please reduce the length of the prompt or max_tokens.",
              context, prompt_tokens + new_tokens, prompt_tokens, new_tokens),
          .param = prompt_tokens < context ? "max_tokens" : "prompt",
          .code = "context_length_exceeded",
          .numbers = {{"n_prompt_tokens", prompt_tokens}, {"n_ctx", context}}};
}

Json failure_json(const RequestFailure& failure) {
  const auto or_null = [](const std::optional<std::string>& text) {
    return text ? Json(*text) : Json(nullptr);
  };
  Json error = {{"message", failure.message},
                {"type", failure.type.value_or(std::string(http_error_type(failure.status)))},
                {"param", or_null(failure.param)},
                {"code", or_null(failure.code)}};
  for (const auto& [name, value] : failure.numbers.items()) error[name] = value;
  return {{"error", std::move(error)}};
}

HttpResponse failure_response(const RequestFailure& failure) {
  HttpResponse response = {.status = failure.status, .body = json_text(failure_json(failure))};
  if (failure.retry_after) response.headers.emplace_back("Retry-After", std::to_string(*failure.retry_after));
  // The same request would fail in the same way, after the same work.
  if (failure.status == 500) response.headers.emplace_back("x-should-retry", "false");
  return response;
}

}  // namespace beryl::server
