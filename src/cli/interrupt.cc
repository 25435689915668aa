#include "cli/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace beryl::cli {
namespace {

// A signal handler can reach nothing else.
volatile std::sig_atomic_t interrupt_count = 0;

extern "C" void on_interrupt(int) {
  interrupt_count = interrupt_count + 1;
  if (interrupt_count > 1) ::_exit(kExitInterrupted);
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action{};
  action.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &action, nullptr);
}

bool is_interrupted() {
  return interrupt_count > 0;
}

void reset_interrupt() {
  interrupt_count = 0;
}

}  // namespace beryl::cli
