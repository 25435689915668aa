// Ctrl-C: the first one asks the work to stop, the second one ends the program with exit code 130.
#pragma once

namespace beryl::cli {

// The exit code of a program that Ctrl-C ended.
inline constexpr int kExitInterrupted = 130;

// Installs the handler. Call once, before threads start.
void install_interrupt_handler();

// Whether Ctrl-C was pressed since the last reset.
bool is_interrupted();
void reset_interrupt();

}  // namespace beryl::cli
