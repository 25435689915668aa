#include "backend/backend.h"

#include "base/check.h"

namespace beryl::backend {

void Buffer::reshape(int64_t width) {
  BERYL_CHECK(width > 0 && rows_ * width_ % width == 0);
  rows_ = rows_ * width_ / width;
  width_ = width;
}

}  // namespace beryl::backend
