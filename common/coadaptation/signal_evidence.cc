#include "common/coadaptation/signal_evidence.h"

namespace tandem::coadaptation {

void SignalEvidence::Update(const Readings& readings) {
  for (size_t i = 0; i < readings.size(); ++i) signals_[i].Update(readings[i].parts);
}

void SignalEvidence::Reset() {
  for (Evidence& evidence : signals_) evidence.Reset();
}

double SignalEvidence::value() const {
  double sum = 0;
  int fed = 0;
  for (const Evidence& evidence : signals_) {
    sum += evidence.value();
    fed += evidence.memory().updates > 0 ? 1 : 0;
  }
  return fed > 0 ? sum / fed : 0;
}

SignalEvidence::Memory SignalEvidence::memory() const {
  Memory memory;
  for (size_t i = 0; i < signals_.size(); ++i) memory[i] = signals_[i].memory();
  return memory;
}

void SignalEvidence::Restore(const Memory& memory) {
  for (size_t i = 0; i < signals_.size(); ++i) signals_[i].Restore(memory[i]);
}

}  // namespace tandem::coadaptation
