// An Api over the demo model's tokenizer and template, with an engine that says what a test wants.
#pragma once

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "server/api.h"
#include "server/json_fields.h"
#include "text/template_source.h"

namespace beryl::server {

// Remembers what was sent.
class RecordingResponder final : public HttpResponder {
 public:
  void send(HttpResponse sent) override {
    response = std::move(sent);
    ++last_words;
  }
  void begin_stream(HttpResponse sent) override {
    response = std::move(sent);
    is_stream = true;
  }
  void write(std::string piece) override { pieces.push_back(std::move(piece)); }
  void finish() override { ++last_words; }
  void on_gone(std::function<void()> callback) override { gone = std::move(callback); }
  void note(std::string_view name, std::string_view value) override {
    notes[std::string(name)] = std::string(value);
  }

  Json json() const { return Json::parse(response.body); }
  // Of a stream; the last event, which is no JSON, is checked and left out.
  std::vector<Json> events() const {
    std::vector<Json> events;
    for (const std::string& piece : pieces) {
      if (piece != "data: [DONE]\n\n") events.push_back(Json::parse(piece.substr(6, piece.size() - 8)));
    }
    return events;
  }
  std::string header(const std::string& name) const {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return {};
  }

  HttpResponse response = {.status = 0};
  std::vector<std::string> pieces;
  std::map<std::string, std::string> notes;
  std::function<void()> gone;
  bool is_stream = false;
  int last_words = 0;  // send() or finish()
};

// Takes requests; play() gives them the answers of the script, as an engine would.
class ScriptedEngine final : public EnginePort {
 public:
  struct Submitted {
    engine::RequestId id = 0;
    engine::Request request;
  };

  engine::RequestId submit(engine::Request request) override {
    if (places == 0) throw Error(ErrorCode::kBusy, "the queue is full");
    --places;
    submitted.push_back({submitted.size() + 1, std::move(request)});
    return submitted.back().id;
  }
  void cancel(engine::RequestId id) override { cancelled.push_back(id); }
  engine::EngineStats stats() const override { return figures; }
  bool is_full() const override { return full; }

  // Each sample of each request takes the next of the scripts, and nothing when there is none left.
  void play() {
    for (size_t i = played_; i < submitted.size(); ++i) play(submitted[i]);
    played_ = submitted.size();
  }

  // The most likely token, its successor, and then the token itself if it is neither.
  static engine::Sample make_sample(int32_t token, std::optional<int32_t> top_count) {
    engine::Sample sample = {.token = token};
    if (!top_count) return sample;
    sample.logprob = -0.5;
    const engine::TokenLogprob top[] = {{token, -0.5}, {token + 1, -1.25}, {token + 2, -2}};
    sample.top_logprobs.assign(top, top + std::min<int32_t>(*top_count, 3));
    return sample;
  }

  std::vector<Submitted> submitted;
  std::vector<engine::RequestId> cancelled;
  std::deque<std::vector<int32_t>> scripts;
  std::exception_ptr failure;  // of samples whose script has come to its end
  engine::EngineStats figures;
  int places = 1'000;
  bool full = false;

 private:
  void play(const Submitted& entry) {
    const engine::Request& request = entry.request;
    if (request.prompt_logprobs) {
      for (size_t i = 1; i < request.prompt.size(); ++i) {
        request.listener->on_prompt_token(static_cast<int64_t>(i),
                                          make_sample(request.prompt[i], request.prompt_logprobs));
      }
    }
    for (int32_t sample = 0; sample < request.samples; ++sample) play(entry, sample);
  }

  void play(const Submitted& entry, int32_t sample) {
    const engine::Request& request = entry.request;
    std::vector<int32_t> script;
    if (!scripts.empty()) {
      script = std::move(scripts.front());
      scripts.pop_front();
    }
    engine::SampleResult result = {.request = entry.id,
                                   .sample = sample,
                                   .prompt_tokens = static_cast<int64_t>(request.prompt.size()),
                                   .cached_tokens = 3};
    const auto finish = [&](engine::FinishReason reason) {
      result.finish_reason = reason;
      request.listener->on_finish(result);
    };
    if (request.new_tokens_max == 0) return finish(engine::FinishReason::kLength);
    for (const int32_t token : script) {
      const auto& ends = request.end_tokens;
      if (std::find(ends.begin(), ends.end(), token) != ends.end()) {
        result.end_token = token;
        return finish(engine::FinishReason::kStop);
      }
      result.tokens.push_back(token);
      if (!request.listener->on_token(sample, make_sample(token, request.sampling.top_logprobs))) {
        return finish(engine::FinishReason::kStop);
      }
      if (static_cast<int64_t>(result.tokens.size()) == request.new_tokens_max) {
        return finish(engine::FinishReason::kLength);
      }
    }
    result.error = failure;
    finish(failure ? engine::FinishReason::kFailed : engine::FinishReason::kCancelled);
  }

  size_t played_ = 0;
};

// Its Api answers on the calling thread.
struct ApiForTests {
  static std::filesystem::path demo() { return std::filesystem::path(BERYL_SOURCE_DIR) / "models" / "demo"; }

  ApiModel model() const {
    return {.name = "demo",
            .aliases = {"other"},
            .created = 1700000000,
            .tokenizer = tokenizer,
            .chat_template = chat_template,
            .template_source = "source",
            .context = 200};
  }
  // Special tokens are spelt out.
  std::vector<int32_t> encode(const std::string& text) const {
    return tokenizer.encode(text, text::SpecialTokens::kRecognise);
  }
  std::string decode(const std::vector<int32_t>& tokens) const {
    return tokenizer.decode(tokens, text::SpecialOutput::kKeep);
  }

  std::shared_ptr<RecordingResponder> send(const std::string& method, const std::string& path,
                                           const std::string& body = {}, const std::string& client = "me") {
    auto responder = std::make_shared<RecordingResponder>();
    api.handle({.method = method, .path = path, .body = body, .id = "7", .client = client}, responder);
    return responder;
  }
  // Posts, and lets the engine answer with these texts, one for each sample, each ended as the model ends its
  // turn.
  std::shared_ptr<RecordingResponder> post(const std::string& path, const Json& body,
                                           const std::vector<std::string>& answers = {}) {
    for (const std::string& answer : answers) engine.scripts.push_back(encode(answer + "<turn|>"));
    auto responder = send("POST", path, body.dump());
    engine.play();
    return responder;
  }

  text::Tokenizer tokenizer = text::load_tokenizer(demo() / "tokenizer.json");
  text::ChatTemplate chat_template{text::load_template_source(demo()).text, "chat_template.jinja"};
  std::vector<std::string> warnings;
  ScriptedEngine engine;
  Api api{model(),
          engine,
          {.hooks = {.warn = [this](const std::string& line) { warnings.push_back(line); }},
           .version = "1.2.3",
           .threads = 0}};
};

}  // namespace beryl::server
