// Where GCC's coverage calls go: into the counters that libFuzzer reads. clang inlines these
// counters; GCC calls __sanitizer_cov_trace_pc at every edge instead, which libFuzzer no longer
// takes, so the linker gives those calls to the wrapper below (-Wl,--wrap).
#include <cstddef>
#include <cstdint>

namespace {

// One per edge, but for edges that share one by chance.
constexpr size_t kCounters = size_t{1} << 16;
uint8_t counters[kCounters];

}  // namespace

extern "C" {

void __sanitizer_cov_8bit_counters_init(uint8_t* begin, uint8_t* end);  // libFuzzer's

void __wrap___sanitizer_cov_trace_pc() {
  const auto edge = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  ++counters[(edge ^ edge >> 16) % kCounters];
}

// GCC reports comparisons of floating-point numbers too, which libFuzzer has no use for.
void __sanitizer_cov_trace_cmpf(float, float) {}
void __sanitizer_cov_trace_cmpd(double, double) {}

}  // extern "C"

namespace {

[[gnu::constructor]] void register_counters() {
  __sanitizer_cov_8bit_counters_init(counters, counters + kCounters);
}

}  // namespace
