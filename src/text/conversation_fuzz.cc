// Any JSON as a request's messages and tools: an Error, or a conversation that a template renders.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/chat_template.h"

namespace {

using beryl::text::ChatTemplate;
using beryl::text::Conversation;

// Looks at every field that conversion makes.
constexpr std::string_view kTemplate = R"(
{%- for tool in tools or [] %}<|tool>{{ tool.function.name }}{{ tool.function | tojson }}{% endfor %}
{%- for message in messages %}<|turn>{{ message.role }}
{{ message.reasoning }}{{ message['content'] | string | trim }}
{%- for call in message.tool_calls %}<|tool_call>{{ call.id }}{{ call.function.name }}
{%- for key, value in call.function.arguments | dictsort %}{{ key }}:{{ value | tojson }}{% endfor %}{% endfor %}
{%- for answer in message.tool_responses %}{{ answer.name }}{{ answer.response }}{% endfor %}<turn|>
{% endfor %}{% if add_generation_prompt %}<|turn>model
{% endif %})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ChatTemplate chat_template(kTemplate, "fuzz");
  try {
    const auto request = beryl::parse_ordered_json({reinterpret_cast<const char*>(data), size}, "request");
    if (!request.is_object()) return 0;
    const Conversation conversation =
        beryl::text::parse_conversation(request.value("messages", nlohmann::ordered_json()),
                                        request.value("tools", nlohmann::ordered_json()));
    beryl::text::ChatOptions options;
    options.adds_generation_prompt = conversation.messages.back().tool_calls.empty();
    chat_template.render(conversation, options);
  } catch (const beryl::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
