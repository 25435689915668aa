#include "text/template/runtime.h"

#include <utility>

#include "base/error.h"

namespace beryl::text {

void Runtime::fail_steps() {
  throw Error(ErrorCode::kResource, "the template takes too many steps",
              "the conversation is too long for this template, or the template loops without end");
}

void fail_render(std::string message) {
  throw Error(ErrorCode::kInvalidInput, std::move(message));
}

}  // namespace beryl::text
