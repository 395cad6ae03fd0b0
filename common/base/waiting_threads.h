#pragma once

namespace tandem {

/// The variable by which OpenMP is told how a thread waits, and what it should say. A thread that
/// spins takes the core on which the one that it waits for, or another process, would run: with
/// more runnable threads than cores a product of 0.04 ms takes milliseconds.
inline constexpr char kWaitPolicy[] = "OMP_WAIT_POLICY";
inline constexpr char kWaitAsleep[] = "passive";

/// Lets the OpenMP threads of this process sleep while they wait, unless kWaitPolicy is set. The
/// library reads it as it is loaded, before main, so this sets it and runs the program anew, once.
/// Call it first in a main whose tensor operations have threads; argv as main has it. Does not
/// return then; where the program cannot be run anew, it returns and the threads spin.
void SleepWhileWaiting(char** argv);

}  // namespace tandem
