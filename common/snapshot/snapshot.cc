#include "common/snapshot/snapshot.h"

#include <xxhash.h>

namespace tandem::snapshot {

uint64_t ContentHash(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace tandem::snapshot
