#include "server/openai_logprobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace beryl::server {
namespace {

double finite(double logprob) {
  return std::max(logprob, kLogprobMin);
}

std::span<const engine::TokenLogprob> first_of(const std::vector<engine::TokenLogprob>& top, int32_t count) {
  return std::span(top).first(std::min(top.size(), static_cast<size_t>(count)));
}

Json entry_json(int32_t token, double logprob, const TokenNames& names) {
  Json bytes = Json::array();
  for (const char c : names.bytes(token)) bytes.push_back(static_cast<uint8_t>(c));
  return {{"token", names.name(token)}, {"logprob", finite(logprob)}, {"bytes", std::move(bytes)}};
}

}  // namespace

std::string TokenNames::name(int32_t token) const {
  if (uses_ids_ || !is_known(token)) return fmt::format("token_id:{}", token);
  const text::TokenPiece piece = tokenizer_.token_piece(token);
  if (!piece.byte) return piece.text;
  return *piece.byte < 0x80 ? std::string(1, static_cast<char>(*piece.byte))
                            : fmt::format("\\x{:02x}", *piece.byte);
}

std::string TokenNames::bytes(int32_t token) const {
  if (!is_known(token)) return {};
  const text::TokenPiece piece = tokenizer_.token_piece(token);
  return piece.byte ? std::string(1, static_cast<char>(*piece.byte)) : piece.text;
}

Json chat_logprob(const engine::Sample& sample, const TokenNames& names) {
  Json json = entry_json(sample.token, sample.logprob.value_or(0), names);
  Json top = Json::array();
  for (const engine::TokenLogprob& entry : sample.top_logprobs) {
    top.push_back(entry_json(entry.token, entry.logprob, names));
  }
  json["top_logprobs"] = std::move(top);
  return json;
}

void LegacyLogprobs::add(const engine::Sample& sample, int64_t text_offset) {
  const double logprob = finite(sample.logprob.value_or(0));
  Json top = Json::object();
  for (const engine::TokenLogprob& entry : first_of(sample.top_logprobs, top_count_)) {
    // Two tokens may have one name; the more likely one keeps it.
    top.emplace(names_.name(entry.token), finite(entry.logprob));
  }
  const std::string name = names_.name(sample.token);
  top.emplace(name, logprob);  // unless it is there already
  tokens_.push_back(name);
  logprobs_.push_back(logprob);
  top_.push_back(std::move(top));
  offsets_.push_back(text_offset);
}

void LegacyLogprobs::add_first(int32_t token, int64_t text_offset) {
  tokens_.push_back(names_.name(token));
  logprobs_.push_back(nullptr);
  top_.push_back(nullptr);
  offsets_.push_back(text_offset);
}

Json LegacyLogprobs::take() {
  return {{"tokens", std::exchange(tokens_, Json::array())},
          {"token_logprobs", std::exchange(logprobs_, Json::array())},
          {"top_logprobs", std::exchange(top_, Json::array())},
          {"text_offset", std::exchange(offsets_, Json::array())}};
}

Json prompt_logprobs_json(std::span<const engine::Sample> samples, int32_t top_count,
                          const TokenNames& names) {
  Json list = Json::array({nullptr});
  for (const engine::Sample& sample : samples) {
    Json entry = Json::object();
    const auto add = [&](int32_t token, double logprob, Json rank) {
      entry.emplace(std::to_string(token), Json{{"logprob", finite(logprob)},
                                                {"rank", std::move(rank)},
                                                {"decoded_token", names.name(token)}});
    };
    int32_t rank = 0;
    for (const engine::TokenLogprob& top : first_of(sample.top_logprobs, top_count)) {
      add(top.token, top.logprob, ++rank);
    }
    add(sample.token, sample.logprob.value_or(0), nullptr);  // unless it is there already
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace beryl::server
