#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/text_format.h"

namespace {

constexpr int kExitFailure = 1;
constexpr int kExitUsage = 2;

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Beryl runs quantised Gemma 4 checkpoints exactly as they are published.", "beryl");
  beryl::cli::CommandLine command_line(app);
  try {
    app.parse(argc, argv);
    beryl::cli::install_interrupt_handler();
    const int code = command_line.run(std::cin, std::cout);
    if (!std::cout.flush()) {
      throw beryl::Error(beryl::ErrorCode::kIo, "cannot write all of the standard output");
    }
    return code;
  } catch (const CLI::ParseError& error) {  // a command throws it, too, where only it can tell
    const int code = app.exit(error);       // prints the help that was asked for, or what is wrong
    return code == 0 ? 0 : kExitUsage;
  } catch (const beryl::Error& error) {
    fmt::print(stderr, "{}", beryl::cli::format_error(error));
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\n");
  }
  return kExitFailure;
}
