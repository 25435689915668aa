#include "server/chat_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace beryl::server {

ChatChoice::ChatChoice(const ChatRequest& request, const ApiModel& model, text::OutputStart start,
                       int32_t index, std::string call_ids)
    : Choice(request.settings, model, index),
      tool_use_(request.tool_use),
      shows_reasoning_(request.shows_reasoning),
      call_ids_(std::move(call_ids)),
      names_(model.tokenizer, request.settings.tokens_as_ids),
      reader_(model.tokenizer,
              {.stops = request.settings.stops,
               .unsearched_tokens = request.settings.new_tokens_min,
               .stop_text = request.settings.shows_stop ? text::StopText::kShow : text::StopText::kHide,
               .start = start},
              [this](const text::OutputDelta& delta) { read_delta(delta); }) {}

bool ChatChoice::read_token(int32_t token) {
  has_reasoned_ = false;
  const bool goes_on = reader_.push(token);
  if (has_reasoned_) count_reasoning_token();
  return goes_on && !has_enough_;
}

void ChatChoice::read_logprob(const engine::Sample& sample) {
  logprobs_.push_back(chat_logprob(sample, names_));
}

void ChatChoice::read_end() {
  reader_.finish(result_reason() == engine::FinishReason::kLength ? text::OutputEnd::kLength
                                                                  : text::OutputEnd::kStopped);
}

void ChatChoice::read_delta(const text::OutputDelta& delta) {
  switch (delta.kind) {
    case text::OutputDelta::Kind::kReasoning:
      has_reasoned_ = true;
      if (shows_reasoning_) reasoning_ += delta.text;
      return;
    case text::OutputDelta::Kind::kContent:
      // A broken call is repeated as content; where calls are content, it was there already.
      content_ += tool_use_ == ToolUse::kNone ? delta.raw : delta.text;
      return;
    case text::OutputDelta::Kind::kSyntax:
      return;
    default:
      if (tool_use_ == ToolUse::kNone) {
        content_ += delta.raw;
      } else {
        read_call(delta);
      }
  }
}

ChatChoice::Call* ChatChoice::find_call(int32_t index) {
  const auto call = std::ranges::find(calls_, index, &Call::index);
  return call == calls_.end() ? nullptr : &*call;
}

void ChatChoice::read_call(const text::OutputDelta& delta) {
  using Kind = text::OutputDelta::Kind;
  if (has_enough_) return;  // the same token began another one
  if (delta.kind == Kind::kCallBegin) {
    calls_.push_back({.index = delta.call_index, .name = delta.text});
    pending_call(calls_.back());
    return;
  }
  Call* const call = find_call(delta.call_index);
  if (call == nullptr) return;
  if (delta.kind == Kind::kCallArguments || delta.kind == Kind::kCallEnd) {
    call->arguments += delta.text;
    if (settings().streams && !delta.text.empty()) {
      Json& arguments = pending_call(*call)["function"]["arguments"];
      arguments = arguments.get<std::string>() + delta.text;
    }
  }
  if (delta.kind == Kind::kCallEnd) {
    call->is_complete = true;
    has_enough_ = tool_use_ == ToolUse::kOne;
  }
}

Json& ChatChoice::pending_call(const Call& call) {
  for (Json& pending : pending_calls_) {
    if (pending.at("index") == call.index) return pending;
  }
  const bool is_new = call.arguments.empty() && !call.is_complete;
  Json entry = {{"index", call.index}};
  if (is_new) {
    entry = call_json(call);
    entry["index"] = call.index;
  } else {
    entry["function"] = {{"arguments", ""}};
  }
  pending_calls_.push_back(std::move(entry));
  return pending_calls_.back();
}

Json ChatChoice::call_json(const Call& call) const {
  return {{"id", fmt::format("{}_{}", call_ids_, call.index)},
          {"type", "function"},
          {"function", {{"name", call.name}, {"arguments", call.arguments}}}};
}

bool ChatChoice::calls_tools() const {
  return std::ranges::any_of(calls_, &Call::is_complete);
}

Json ChatChoice::take_logprobs() {
  if (!wants_logprobs()) return nullptr;
  return {{"content", std::exchange(logprobs_, Json::array())}, {"refusal", nullptr}};
}

std::optional<Json> ChatChoice::opening_chunk() {
  return Json{{"index", index()},
              {"delta", {{"role", "assistant"}, {"content", ""}}},
              {"logprobs", nullptr},
              {"finish_reason", nullptr}};
}

Json ChatChoice::take_chunk() {
  Json delta = Json::object();
  if (!reasoning_.empty()) {
    delta["reasoning"] = reasoning_;
    delta["reasoning_content"] = std::exchange(reasoning_, {});
  }
  if (!content_.empty()) delta["content"] = std::exchange(content_, {});
  if (!pending_calls_.empty()) delta["tool_calls"] = std::exchange(pending_calls_, Json::array());
  Json choice = {{"index", index()},
                 {"delta", std::move(delta)},
                 {"logprobs", logprobs_.empty() ? Json(nullptr) : take_logprobs()},
                 {"finish_reason", finish_reason()}};
  add_extras(choice, true);
  return choice;
}

Json ChatChoice::whole() {
  Json calls = Json::array();
  for (const Call& call : calls_) {
    if (call.is_complete) calls.push_back(call_json(call));
  }
  const bool has_content = !content_.empty() || calls.empty();
  Json message = {{"role", "assistant"}, {"content", has_content ? Json(content_) : Json(nullptr)}};
  if (!calls.empty()) message["tool_calls"] = std::move(calls);
  if (!reasoning_.empty()) {
    message["reasoning"] = reasoning_;
    message["reasoning_content"] = reasoning_;
  }
  message["refusal"] = nullptr;
  Json choice = {{"index", index()},
                 {"message", std::move(message)},
                 {"logprobs", take_logprobs()},
                 {"finish_reason", finish_reason()}};
  add_extras(choice, false);
  return choice;
}

}  // namespace beryl::server
