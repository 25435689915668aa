#include "server/completion_choice.h"

#include <utility>

namespace beryl::server {
namespace {

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for (const char c : text) count += (static_cast<uint8_t>(c) & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

text::SpecialOutput special_output(const AnswerSettings& settings) {
  return settings.skips_special_tokens ? text::SpecialOutput::kSkip : text::SpecialOutput::kKeep;
}

text::StopText stop_text(const AnswerSettings& settings) {
  return settings.shows_stop ? text::StopText::kShow : text::StopText::kHide;
}

}  // namespace

CompletionChoice::CompletionChoice(const CompletionRequest& request, const ApiModel& model,
                                   std::shared_ptr<const PromptRecord> prompt, int32_t index)
    : Choice(request.settings, model, index),
      echoes_(request.echoes),
      tokenizer_(model.tokenizer),
      prompt_(std::move(prompt)),
      decoder_(model.tokenizer, special_output(request.settings)),
      stops_(request.settings.stops, stop_text(request.settings)),
      logprobs_(TokenNames(model.tokenizer, request.settings.tokens_as_ids),
                request.settings.sampling.top_logprobs.value_or(0)) {}

void CompletionChoice::echo_prompt() {
  if (!echoes_ || has_echoed_) return;
  has_echoed_ = true;
  text_ = prompt_->prompt.text;
  if (wants_logprobs()) {
    const std::vector<int32_t>& tokens = prompt_->prompt.tokens;
    text::StreamDecoder decoder(tokenizer_, text::SpecialOutput::kKeep);
    int64_t offset = 0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i == 0) {
        logprobs_.add_first(tokens[i], offset);
      } else if (i <= prompt_->samples.size()) {
        logprobs_.add(prompt_->samples[i - 1], offset);
      }
      if (i > 0 || !prompt_->prompt.brings_bos) offset += count_characters(decoder.push(tokens[i]));
    }
  }
  character_count_ = count_characters(text_);
}

void CompletionChoice::read_logprob(const engine::Sample& sample) {
  echo_prompt();
  logprobs_.add(sample, character_count_);
}

bool CompletionChoice::read_token(int32_t token) {
  echo_prompt();
  ++token_count_;
  add_text(decoder_.push(token));
  return !stops_.matched();
}

void CompletionChoice::add_text(const std::string& text) {
  character_count_ += count_characters(text);
  text_ += token_count_ > settings().new_tokens_min ? stops_.push(text) : text;
}

void CompletionChoice::read_end() {
  echo_prompt();
  add_text(decoder_.flush());
  text_ += stops_.flush();
}

Json CompletionChoice::make_json(bool is_chunk) {
  Json choice = {{"index", index()},
                 {"text", std::exchange(text_, {})},
                 {"logprobs", wants_logprobs() ? logprobs_.take() : Json(nullptr)},
                 {"finish_reason", finish_reason()}};
  add_extras(choice, is_chunk);
  return choice;
}

Json CompletionChoice::take_chunk() {
  return make_json(true);
}

Json CompletionChoice::whole() {
  Json choice = make_json(false);
  if (settings().returns_token_ids) choice["prompt_token_ids"] = prompt_->prompt.tokens;
  if (settings().prompt_logprobs) {
    choice["prompt_logprobs"] = prompt_logprobs_json(prompt_->samples, *settings().prompt_logprobs,
                                                     TokenNames(tokenizer_, settings().tokens_as_ids));
  }
  return choice;
}

}  // namespace beryl::server
