// SPDX-License-Identifier: BSD-3-Clause
//
// The options of the Cluster::Backend::ZeroMQ module, as the engine takes them.
// Main thread only.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "zeekzmq.h"

namespace zeekzmq {

// The CURVE keys in force, Z85 text; empty: none.
struct CurveKeys {
    std::string client_public, client_secret, server_public, server_secret;

    // From the script options or from the environment variables
    // ZEEK_CLUSTER_BACKEND_ZEROMQ_CURVE_*. Both at once is a fatal error.
    static CurveKeys Load();

    // Warns if there are keys, but not those without which a process that
    // connects, or that listens at the named endpoint, does so in plain text.
    void WarnIfIncomplete(bool connects, const char* listens) const;
};

// A list of options by name, owning its text.
class Options {
public:
    void Add(std::string name, std::string value) { list.emplace_back(std::move(name), std::move(value)); }

    // Adds the value of every option in the module that the engine knows.
    void AddScriptValues();
    void AddCurveKeys(const CurveKeys& keys);

    // For the C boundary; valid until the list changes.
    std::vector<zeekzmq_option> View() const;

private:
    std::vector<std::pair<std::string, std::string>> list;
};

// Whether listen_log_endpoint is set.
bool listens_for_logs();

// linger_ms as the scripts have it, in milliseconds.
int linger_ms();

// When a publish waits for the engine, and how long.
struct Room {
    uint64_t depth_max = UINT64_MAX; // records queued; no bound unless the policy is to block
    double wait = 1.0;               // seconds

    // For the policy and the high-water mark that two options give.
    static Room Of(const char* policy, const char* high_water_mark);
};

// use_builtin_backend as the scripts have it.
bool use_builtin_backend();

} // namespace zeekzmq
