#include "server/answer.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "server/json_text.h"

namespace beryl::server {
namespace {

double seconds_between(Answer::TimePoint from, Answer::TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

// Why a choice ended that did not end well.
RequestFailure end_failure(const engine::SampleResult& result) {
  if (result.finish_reason == engine::FinishReason::kDeadline) {
    return {.status = 503, .message = "the time for this answer is over", .retry_after = 1};
  }
  if (result.finish_reason == engine::FinishReason::kCancelled) {
    return {.status = 503, .message = "the server is shutting down", .retry_after = 1};
  }
  try {
    if (result.error) std::rethrow_exception(result.error);
  } catch (const Error& error) {
    RequestFailure failure = failure_of(error);
    if (failure.status == 429) failure.status = 503;
    return failure;
  } catch (const std::exception& error) {
    return {.status = 500, .message = fmt::format("the answer failed: {}", error.what())};
  }
  return {.status = 500, .message = "the answer failed"};
}

}  // namespace

class Answer::Listener final : public engine::RequestListener {
 public:
  Listener(std::shared_ptr<Answer> answer, size_t first_entry, std::shared_ptr<PromptRecord> prompt)
      : answer_(std::move(answer)), first_entry_(first_entry), prompt_(std::move(prompt)) {}

  void on_prompt_token(int64_t /*position*/, const engine::Sample& token) override {
    prompt_->samples.push_back(token);
  }
  bool on_token(int32_t sample, const engine::Sample& token) override {
    return answer_->take_token(first_entry_ + static_cast<size_t>(sample), token);
  }
  void on_finish(const engine::SampleResult& result) override {
    answer_->take_finish(first_entry_ + static_cast<size_t>(result.sample), result);
  }

 private:
  const std::shared_ptr<Answer> answer_;
  const size_t first_entry_;
  const std::shared_ptr<PromptRecord> prompt_;
};

RequestFailure submit_failure(const Error& error, const ApiContext& context) {
  RequestFailure failure = failure_of(error);
  if (failure.status != 429) return failure;
  if (context.is_draining) {
    failure.status = 503;
    failure.message = "the server is shutting down";
  }
  failure.retry_after =
      context.finish_rate.retry_after(context.engine.stats().waiting, std::chrono::steady_clock::now());
  return failure;
}

Answer::Answer(AnswerHead head, const AnswerSettings& settings, std::shared_ptr<ApiContext> context,
               std::shared_ptr<HttpResponder> responder, std::shared_ptr<const void> owner,
               TimePoint arrived_at)
    : head_(std::move(head)),
      settings_(settings),
      context_(std::move(context)),
      responder_(std::move(responder)),
      owner_(std::move(owner)),
      arrived_at_(arrived_at) {}

void Answer::start(std::vector<AnswerPart> parts) {
  std::vector<size_t> first_entries;
  {
    const std::lock_guard lock(mutex_);
    for (AnswerPart& part : parts) {
      first_entries.push_back(entries_.size());
      for (std::unique_ptr<Choice>& choice : part.choices) entries_.push_back({.choice = std::move(choice)});
      usage_.prompt_tokens += static_cast<int64_t>(part.request.prompt.size());
    }
    first_prompt_ = parts.front().prompt;
    is_chat_ = head_.object != head_.chunk_object;
  }
  responder_->on_gone([weak = weak_from_this()] {
    if (const std::shared_ptr<Answer> answer = weak.lock()) answer->client_gone();
  });
  try {
    for (size_t i = 0; i < parts.size(); ++i) {
      submit(std::move(parts[i].request), first_entries[i], std::move(parts[i].prompt));
    }
  } catch (const Error& error) {
    const RequestFailure failure = submit_failure(error, *context_);
    const std::lock_guard lock(mutex_);
    fail(failure);
  }
}

void Answer::submit(engine::Request request, size_t first_entry, std::shared_ptr<PromptRecord> prompt) {
  {
    const std::lock_guard lock(mutex_);
    if (is_over_) return;
  }
  request.listener = std::make_shared<Listener>(shared_from_this(), first_entry, std::move(prompt));
  const engine::RequestId id = context_->engine.submit(std::move(request));
  const std::lock_guard lock(mutex_);
  requests_.push_back(id);
  if (is_over_) context_->engine.cancel(id);
}

void Answer::client_gone() {
  const std::lock_guard lock(mutex_);
  if (is_over_) return;
  is_over_ = true;
  cancel_all();
}

bool Answer::take_token(size_t index, const engine::Sample& sample) {
  const std::lock_guard lock(mutex_);
  if (is_over_) return false;
  Entry& entry = entries_[index];
  note_token_time(entry);
  ++usage_.completion_tokens;
  const bool goes_on = entry.choice->push(sample);
  if (settings_.streams) write_chunk(entry);
  return goes_on;
}

void Answer::note_token_time(Entry& entry) {
  const TimePoint now = std::chrono::steady_clock::now();
  const ApiHooks& hooks = context_->hooks;
  if (!has_token_) {
    has_token_ = true;
    const double seconds = seconds_between(arrived_at_, now);
    responder_->note("first_token_ms", fmt::format("{:.0f}", seconds * 1e3));
    if (hooks.on_first_token) hooks.on_first_token(seconds);
  }
  if (entry.last_token_at != TimePoint() && hooks.on_next_token) {
    hooks.on_next_token(seconds_between(entry.last_token_at, now));
  }
  entry.last_token_at = now;
}

void Answer::take_finish(size_t index, const engine::SampleResult& result) {
  const TimePoint now = std::chrono::steady_clock::now();
  context_->finish_rate.add_finish(now);
  if (context_->hooks.on_answer) context_->hooks.on_answer(result, seconds_between(arrived_at_, now));
  const std::lock_guard lock(mutex_);
  if (is_over_) return;
  const bool is_complete = result.finish_reason == engine::FinishReason::kStop ||
                           result.finish_reason == engine::FinishReason::kLength;
  if (!is_complete) return fail(end_failure(result));
  Entry& entry = entries_[index];
  const int64_t tokens_before = entry.choice->token_count();
  entry.choice->finish(result);
  entry.is_finished = true;
  usage_.completion_tokens += entry.choice->token_count() - tokens_before;
  usage_.reasoning_tokens += entry.choice->reasoning_token_count();
  if (result.sample == 0) usage_.cached_tokens += result.cached_tokens;
  if (settings_.streams) write_chunk(entry);
  if (++finished_ == entries_.size()) complete();
}

Json Answer::head_json(const std::string& object) const {
  return {{"id", head_.id}, {"object", object}, {"created", head_.created}, {"model", head_.model}};
}

void Answer::begin_stream() {
  if (is_streaming_) return;
  is_streaming_ = true;
  HttpResponse head = {.content_type = "text/event-stream; charset=utf-8", .headers = head_.headers};
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  responder_->begin_stream(std::move(head));
}

void Answer::write_chunk(Entry& entry) {
  begin_stream();
  const Json usage = settings_.reports_usage_often ? running_usage_json(usage_) : Json(nullptr);
  if (!std::exchange(entry.is_opened, true)) {
    if (std::optional<Json> opening = entry.choice->opening_chunk()) {
      write_event(Json::array({std::move(*opening)}), usage);
    }
  }
  write_event(Json::array({entry.choice->take_chunk()}), usage);
}

void Answer::write_event(Json choices, Json usage) {
  Json chunk = head_json(head_.chunk_object);
  chunk["choices"] = std::move(choices);
  if (settings_.reports_usage || settings_.reports_usage_often) chunk["usage"] = std::move(usage);
  responder_->write(event_text(chunk));
}

void Answer::complete() {
  is_over_ = true;
  note_figures();
  if (settings_.streams) {
    if (settings_.reports_usage) write_event(Json::array(), usage_json(usage_));
    responder_->write(kDoneEvent);
    return responder_->finish();
  }
  Json reply = head_json(head_.object);
  Json choices = Json::array();
  for (const Entry& entry : entries_) choices.push_back(entry.choice->whole());
  reply["choices"] = std::move(choices);
  reply["usage"] = usage_json(usage_);
  if (is_chat_ && settings_.returns_token_ids) reply["prompt_token_ids"] = first_prompt_->prompt.tokens;
  if (is_chat_ && settings_.prompt_logprobs) {
    reply["prompt_logprobs"] =
        prompt_logprobs_json(first_prompt_->samples, *settings_.prompt_logprobs,
                             TokenNames(context_->model.tokenizer, settings_.tokens_as_ids));
  }
  responder_->send({.body = json_text(reply), .headers = head_.headers});
}

void Answer::note_figures() {
  responder_->note("prompt_tokens", std::to_string(usage_.prompt_tokens));
  responder_->note("cached_tokens", std::to_string(usage_.cached_tokens));
  responder_->note("completion_tokens", std::to_string(usage_.completion_tokens));
  const Json reason = entries_.front().choice->finish_reason();
  if (reason.is_string()) responder_->note("finish_reason", reason.get<std::string>());
}

void Answer::fail(const RequestFailure& failure) {
  if (std::exchange(is_over_, true)) return;
  if (is_streaming_) {
    responder_->write(event_text(failure_json(failure)));
    responder_->write(kDoneEvent);
    responder_->finish();
  } else {
    responder_->send(failure_response(failure));
  }
  cancel_all();
}

void Answer::cancel_all() {
  for (const engine::RequestId id : requests_) context_->engine.cancel(id);
}

}  // namespace beryl::server
