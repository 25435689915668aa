// Loading any bytes either fails with an Error or gives a tokenizer whose promises hold.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "text/tokenizer.h"

namespace {

using beryl::text::SpecialOutput;
using beryl::text::SpecialTokens;
using beryl::text::Tokenizer;

// Every token that is text comes back as text, and none of it as a special token.
void check_promises(const Tokenizer& tokenizer) {
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    BERYL_CHECK(tokenizer.find_token(tokenizer.token_text(id)) == id);
    const auto piece = tokenizer.token_piece(id);
    if (piece.byte) continue;
    const auto ids = tokenizer.encode(piece.text, SpecialTokens::kAsText);
    for (const int32_t plain : ids) BERYL_CHECK(!tokenizer.is_special(plain));
    BERYL_CHECK(tokenizer.decode(ids, SpecialOutput::kSkip) == piece.text);
  }
  for (const auto& token : tokenizer.special_tokens()) {
    const auto ids = tokenizer.encode(token.text, SpecialTokens::kRecognise);
    BERYL_CHECK(ids.size() == 1 && ids[0] == token.id);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    check_promises(beryl::text::make_tokenizer(text, "input"));
  } catch (const beryl::Error&) {
    // Refused, as most inputs are.
  }
  return 0;
}
