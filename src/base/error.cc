#include "base/error.h"

#include <utility>

namespace beryl {

Error::Error(ErrorCode code, std::string message, std::string help)
    : code_(code), message_(std::move(message)), help_(std::move(help)) {}

Error& Error::add_context(std::string_view context) {
  message_.insert(0, ": ");
  message_.insert(0, context);
  return *this;
}

}  // namespace beryl
