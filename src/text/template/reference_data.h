// For tests: reference renders in testdata/chat_templates, and rendering from a JSON object of variables.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "base/files.h"
#include "text/template/template.h"

namespace beryl::text {

inline std::string chat_template_file(const std::string& name) {
  return read_text_file(std::string(BERYL_SOURCE_DIR "/testdata/chat_templates/") + name, uint64_t{64} << 20);
}

inline nlohmann::ordered_json reference_json(const std::string& name) {
  return nlohmann::ordered_json::parse(chat_template_file(name));
}

inline const nlohmann::ordered_json& bos_token_json() {
  static const nlohmann::ordered_json token = "<bos>";
  return token;
}

// Every entry of `context` as a variable from the caller, and bos_token as the template's own.
inline RenderedPrompt render_json(const Template& parsed, const nlohmann::ordered_json& context,
                                  const RenderOptions& options = {}) {
  std::vector<TemplateVariable> variables = {{"bos_token", &bos_token_json(), Origin::kTemplate}};
  for (const auto& [name, value] : context.items()) variables.push_back({name, &value, Origin::kCaller});
  return parsed.render(variables, options);
}

}  // namespace beryl::text
