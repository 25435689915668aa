#include "text/grammar/choices.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/grammar/text_sets.h"
#include "text/utf8.h"

namespace beryl::text::grammar {

void parse_choices(Grammar& grammar, std::span<const std::string> choices) {
  if (choices.empty()) throw Error(ErrorCode::kInvalidInput, "the list of choices is empty");
  for (size_t i = 0; i < choices.size(); ++i) {
    grammar.budget().add_text(choices[i].size());
    if (find_invalid_utf8(choices[i])) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("choice {} is not valid UTF-8", i));
    }
  }
  grammar.set_root(one_of_texts(grammar, choices));
}

}  // namespace beryl::text::grammar
