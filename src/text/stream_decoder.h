// Token ids that arrive one at a time, turned into text that can be shown at once.
#pragma once

#include <cstdint>
#include <string>

#include "text/tokenizer.h"
#include "text/utf8_stream.h"

namespace beryl::text {

// Text comes out as soon as it is certain: a character spelt by byte tokens is held back until its last byte.
// All pieces together equal Tokenizer::decode of all ids whenever each run of byte tokens is valid UTF-8.
// Where one is not, decode must see the whole run before it can show any of it; the stream replaces only what
// is broken, one U+FFFD per maximal subpart (Utf8Stream). One thread at a time.
class StreamDecoder {
 public:
  // `tokenizer` outlives the decoder.
  StreamDecoder(const Tokenizer& tokenizer, SpecialOutput special_output)
      : tokenizer_(tokenizer), special_output_(special_output) {}

  // The text that is certain once `id` has come, often empty. Errors: kInvalidInput for an id outside the
  // vocabulary; the stream is unchanged then.
  std::string push(int32_t id);

  // No more ids: what was held back. The decoder can be used again.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  SpecialOutput special_output_;
  Utf8Stream bytes_;
};

}  // namespace beryl::text
