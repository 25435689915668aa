#include "text/stream_decoder.h"

namespace beryl::text {

std::string StreamDecoder::push(int32_t id) {
  std::string out;
  if (tokenizer_.is_special(id) && special_output_ == SpecialOutput::kSkip) return out;
  const TokenPiece piece = tokenizer_.token_piece(id);
  if (piece.byte) {
    bytes_.push(*piece.byte, out);
  } else {
    bytes_.flush(out);
    out.append(piece.text);
  }
  return out;
}

std::string StreamDecoder::flush() {
  std::string out;
  bytes_.flush(out);
  return out;
}

}  // namespace beryl::text
