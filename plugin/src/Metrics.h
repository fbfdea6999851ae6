// SPDX-License-Identifier: BSD-3-Clause
//
// The counters of all backends in the process, and their names in Zeek's
// telemetry. The engine's threads write the counters; Zeek reads them on its
// main thread, also after the backends are gone, so they are never freed.

#pragma once

#include <string_view>

#include "zeekzmq.h"

namespace zeekzmq::metrics {

// Registers the metrics with Zeek's telemetry; once for the process, before the
// first backend is made.
void initialize();

zz_counters* counters();
zz_broker_stats* broker_stats();

// For a counter that the main thread writes.
inline void count(std::atomic<uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// Counts an event or log batch lost because the queue to the engine was full.
void queue_drop(std::string_view topic);

// Counts an event that the engine let pass but that cannot be given to Zeek, and
// tells of the first one.
void invalid_event(std::string_view topic, std::string_view name, const char* why);

// Counts messages that the engine dropped, by why and topic; number is a uint64
// in host byte order.
void add_drops(std::string_view reason, std::string_view topic, std::string_view number);

} // namespace zeekzmq::metrics
