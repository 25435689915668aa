// From a conversation to the text that a model continues.
#pragma once

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "text/conversation.h"
#include "text/rendered_prompt.h"
#include "text/template/template.h"

namespace beryl::text {

// Names of special tokens that templates may print.
struct TemplateTokens {
  std::string bos = "<bos>";
  std::string eos = "<eos>";
  std::string pad = "<pad>";
  std::string unk = "<unk>";
};

struct ChatOptions {
  bool adds_generation_prompt = true;  // end where the model is to go on
  bool enables_thinking = false;
  bool preserves_thinking = false;  // keep the reasoning of earlier tool calls
  // More variables, an object; the names that Beryl sets itself are refused.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  std::tm now = {};  // what strftime_now() tells
  RenderLimits limits;
};

// Takes enable_thinking and preserve_thinking out of the `chat_template_kwargs` of a request, and puts
// everything else among the variables. Errors: kInvalidInput naming the key.
void read_template_variables(const nlohmann::ordered_json& json, ChatOptions& options);

struct ChatPrompt {
  RenderedPrompt rendered;
  // The prompt ends inside of a thought: what the model writes first is reasoning, without an opening tag.
  bool opens_reasoning = false;
};

// A checkpoint's chat template, read once. const functions may be called by several threads.
class ChatTemplate {
 public:
  // `name` stands for the template in errors. Errors: kInvalidInput with name:line:column.
  ChatTemplate(std::string_view source, std::string name, TemplateTokens tokens = {});

  // What the template makes of `conversation`, byte for byte that of Hugging Face, with one exception. After
  // a message with both content and tool calls, Gemma's templates close the model's turn behind the results
  // and open no other, so the model would go on in no turn at all. Where a generation prompt is asked for and
  // the last turn is closed, "<|turn>model\n" is put behind it, and whatever else the template ends such
  // prompts with. Errors: kInvalidInput and kResource as Template::render(); kInvalidInput when the last
  // message calls tools that have no results, and a generation prompt is asked for.
  ChatPrompt render(const Conversation& conversation, const ChatOptions& options) const;

  const std::string& name() const { return template_.name(); }

 private:
  RenderedPrompt render_as_written(const Conversation& conversation, const ChatOptions& options) const;
  std::string find_generation_prompt(bool enables_thinking) const;
  void open_model_turn(RenderedPrompt& prompt, bool enables_thinking) const;

  Template template_;
  TemplateTokens tokens_;
  ToolResults tool_results_;
  // What the template writes behind a user's message to make the model answer, without and with thinking;
  // empty when that cannot be told.
  std::array<std::string, 2> generation_prompts_;
};

}  // namespace beryl::text
