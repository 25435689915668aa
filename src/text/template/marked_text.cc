#include "text/template/marked_text.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"

namespace beryl::text {

MarkedText::MarkedText(std::string_view text, const Run* runs, size_t run_count)
    : data_(text.data()), size_(text.size()), runs_(runs), run_count_(static_cast<uint32_t>(run_count)) {
  BERYL_CHECK(run_count > 0 && run_count <= UINT32_MAX && runs[run_count - 1].end >= data_ + size_);
  *this = slice(0, size_);
}

MarkedText MarkedText::slice(size_t begin, size_t end) const {
  BERYL_CHECK(begin <= end && end <= size_);
  MarkedText result = *this;
  result.data_ = data_ + begin;
  result.size_ = end - begin;
  if (run_count_ == 0) return result;
  const Run* const last = runs_ + run_count_;
  const Run* const first = std::upper_bound(
      runs_, last - 1, result.data_, [](const char* position, const Run& run) { return position < run.end; });
  result.runs_ = first;
  result.run_count_ = static_cast<uint32_t>(last - first);
  if (first->end >= result.data_ + result.size_) {
    result.origin_ = first->origin;
    result.run_count_ = 0;
  }
  return result;
}

void MarkedTextBuilder::append(std::string_view text, Origin origin) {
  if (text.empty()) return;
  arena_.charge(text.size());
  if (text.size() > bytes_max_ - text_.size()) {
    throw Error(ErrorCode::kResource, fmt::format("the template's output exceeds {} bytes", bytes_max_));
  }
  text_ += text;
  if (!stretches_.empty() && stretches_.back().origin == origin) {
    stretches_.back().end = text_.size();
  } else {
    arena_.charge(sizeof(Stretch));
    stretches_.push_back({text_.size(), origin});
  }
}

MarkedText MarkedTextBuilder::finish() const {
  const std::string_view copy = arena_.copy(text_);
  if (stretches_.empty()) return {};
  if (stretches_.size() == 1) return {copy, stretches_.front().origin};
  auto* const runs = arena_.make_array<MarkedText::Run>(stretches_.size());
  for (size_t i = 0; i < stretches_.size(); ++i) {
    runs[i] = {copy.data() + stretches_[i].end, stretches_[i].origin};
  }
  return {copy, runs, stretches_.size()};
}

}  // namespace beryl::text
