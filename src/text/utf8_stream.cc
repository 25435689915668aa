#include "text/utf8_stream.h"

namespace beryl::text {

void Utf8Stream::push(uint8_t byte, std::string& out) {
  if (pending_count_ > 0) {
    const uint8_t least = pending_count_ == 1 ? lead_.second_min : 0x80;
    const uint8_t greatest = pending_count_ == 1 ? lead_.second_max : 0xBF;
    if (byte >= least && byte <= greatest) {
      pending_[pending_count_++] = static_cast<char>(byte);
      if (pending_count_ < lead_.byte_count) return;
      out.append(pending_.data(), pending_count_);
      pending_count_ = 0;
      return;
    }
    flush(out);  // and `byte` starts anew
  }
  lead_ = classify_utf8_lead(byte);
  if (lead_.byte_count == 0) {
    out.append(kReplacementCharacter);
  } else if (lead_.byte_count == 1) {
    out.push_back(static_cast<char>(byte));
  } else {
    pending_[0] = static_cast<char>(byte);
    pending_count_ = 1;
  }
}

void Utf8Stream::flush(std::string& out) {
  if (pending_count_ > 0) out.append(kReplacementCharacter);
  pending_count_ = 0;
}

}  // namespace beryl::text
