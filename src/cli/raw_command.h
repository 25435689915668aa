// The plain continuation of a text: `beryl run MODEL --raw TEXT`.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/chat_session.h"
#include "engine/generation.h"

namespace beryl::cli {

struct RawOptions {
  ChatSessionOptions chat;  // of which model, sampling and context count
  std::string text;
  bool json = false;
};

// Streams the continuation to `out`.
engine::FinishReason run_raw(const RawOptions& options, std::ostream& out);

// The fields "usage" and "timings" of JSON answers.
nlohmann::ordered_json usage_json(const engine::SampleResult& result);
nlohmann::ordered_json timings_json(const engine::SampleResult& result);

}  // namespace beryl::cli
