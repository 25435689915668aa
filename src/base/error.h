// base: what every folder stands on: errors, number types, checked arithmetic, files, JSON, progress.
//
// In:  bytes and system calls.
// Out: values, or a beryl::Error that says what was wrong and what to do.
// Must never know: checkpoints, models, text, or who calls it.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace beryl {

enum class ErrorCode {
  kInvalidInput,  // a file, argument or request is malformed or contradicts itself
  kUnsupported,   // well-formed, but not something this version can do
  kNotFound,      // a file, model or name that is not there
  kIo,            // the system refused or failed to read or write
  kResource,      // memory or another limit of the machine
  kNumeric,       // a computation gave a non-finite result
  kInterrupted,   // the user or a signal stopped the work
  kBusy,          // too much is going on already; the same may work later
};

// The one exception type. Thrown where input, a file or the machine is at fault; every layer that knows more
// adds context and rethrows, so the text reads from the outermost action to the fact:
//   "loading models/x: tensor 'a.weight': shape [3,4], expected [4,4]"
// A message names the file or request, the tensor or field, what was found and what was expected.
class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, std::string help = {});

  // Puts "context: " before the message.
  Error& add_context(std::string_view context);

  ErrorCode code() const { return code_; }
  // One line, without the remedy.
  const std::string& message() const { return message_; }
  // What the user can do about it; empty when there is nothing to advise.
  const std::string& help() const { return help_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  std::string help_;
};

// Runs `work()`; an Error that leaves it gains `context`.
template <typename Work>
decltype(auto) with_context(std::string_view context, Work&& work) {
  try {
    return work();
  } catch (Error& error) {
    error.add_context(context);
    throw;
  }
}

}  // namespace beryl
