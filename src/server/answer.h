// One request's answers on their way back, whole or as a stream of events.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/request.h"
#include "server/answer_settings.h"
#include "server/api_context.h"
#include "server/choice.h"
#include "server/completion_choice.h"
#include "server/http.h"
#include "server/openai_error.h"
#include "server/usage.h"

namespace beryl::server {

// What every chunk of a reply begins with.
struct AnswerHead {
  std::string id;            // "chatcmpl-..."
  std::string object;        // of a whole reply
  std::string chunk_object;  // of a chunk
  int64_t created = 0;       // seconds since 1970
  std::string model;
  std::vector<std::pair<std::string, std::string>> headers = {};  // of the response
};

// Something to answer: a prompt with the choices that come of it, one for each of its samples.
struct AnswerPart {
  engine::Request request;  // without a listener
  std::shared_ptr<PromptRecord> prompt;
  std::vector<std::unique_ptr<Choice>> choices = {};
};

// Held by the engine through its listeners until the last choice has ended, and by whoever starts it. A
// client that goes away cancels what is left.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // `owner` keeps alive what the settings and choices borrow. `arrived_at`: when the request did.
  Answer(AnswerHead head, const AnswerSettings& settings, std::shared_ptr<ApiContext> context,
         std::shared_ptr<HttpResponder> responder, std::shared_ptr<const void> owner, TimePoint arrived_at);
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  // Hands everything to the engine, once. When the engine refuses a part, all of it is refused.
  void start(std::vector<AnswerPart> parts);

 private:
  class Listener;
  struct Entry {
    std::unique_ptr<Choice> choice;
    TimePoint last_token_at = {};
    bool is_opened = false;
    bool is_finished = false;
  };

  void submit(engine::Request request, size_t first_entry, std::shared_ptr<PromptRecord> prompt);
  void client_gone();
  bool take_token(size_t index, const engine::Sample& sample);
  void take_finish(size_t index, const engine::SampleResult& result);
  // The rest is called with the lock held.
  void note_token_time(Entry& entry);
  void write_chunk(Entry& entry);
  void write_event(Json choices, Json usage);
  void begin_stream();
  void complete();
  void fail(const RequestFailure& failure);
  void cancel_all();
  Json head_json(const std::string& object) const;
  void note_figures();

  const AnswerHead head_;
  const AnswerSettings& settings_;
  const std::shared_ptr<ApiContext> context_;
  const std::shared_ptr<HttpResponder> responder_;
  const std::shared_ptr<const void> owner_;
  const TimePoint arrived_at_;

  std::mutex mutex_;
  std::vector<Entry> entries_;
  std::vector<engine::RequestId> requests_;  // submitted
  std::shared_ptr<PromptRecord> first_prompt_;
  bool is_chat_ = false;
  Usage usage_;
  size_t finished_ = 0;
  bool has_token_ = false;
  bool is_streaming_ = false;  // the head has been sent
  bool is_over_ = false;       // the last word was said, or nobody listens
};

// What a refusal of EnginePort::submit() means to the client.
RequestFailure submit_failure(const Error& error, const ApiContext& context);

}  // namespace beryl::server
