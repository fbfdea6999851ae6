// SPDX-License-Identifier: BSD-3-Clause

#include "Metrics.h"

#include <zeek/Reporter.h>
#include <zeek/telemetry/Manager.h>

#include <cstring>
#include <set>
#include <string>
#include <utility>

namespace zeekzmq::metrics {

namespace {

zz_counters the_counters;
zz_broker_stats the_broker_stats;

struct Metric {
    const char* name; // without the prefix "zeek" and the suffix "_total"
    const std::atomic<uint64_t>* value;
    const char* help;
};

// The names of the first three and of the proxy's eight are the built-in
// backend's.
const Metric all[] = {
    {"cluster_zeromq_xpub_drops", &the_counters.xpub_drops,
     "Published events dropped at the XPUB socket's high-water mark."},
    {"cluster_zeromq_onloop_drops", &the_counters.onloop_drops,
     "Received events dropped since onloop_queue_hwm events waited for the main loop."},
    {"cluster_zeromq_msg_errors", &the_counters.msg_errors, "Messages with the wrong number of parts."},
    {"cluster_zeromq_invalid_events", &the_counters.invalid_events, "Received events dropped as malformed."},
    {"cluster_zeromq_invalid_logs", &the_counters.invalid_logs, "Received log batches dropped as malformed."},
    {"cluster_zeromq_log_drops", &the_counters.log_drops, "Log batches dropped at the PUSH socket's high-water mark."},
    {"cluster_zeromq_queue_drops", &the_counters.queue_drops,
     "Events and log batches dropped since the queue to the engine was full."},
    {"cluster_zeromq_publish_blocks", &the_counters.publish_blocks,
     "Times a publish or log write waited for room in the queue to the engine."},
    {"cluster_zeromq_log_batches_spilled", &the_counters.logs_spilled, "Log batches kept on disk."},
    {"cluster_zeromq_log_batches_resent", &the_counters.logs_resent, "Log batches sent from disk."},
    {"cluster_zeromq_events_sent", &the_counters.events_sent, "Events sent."},
    {"cluster_zeromq_events_received", &the_counters.events_received, "Events received and queued."},
    {"cluster_zeromq_log_batches_sent", &the_counters.logs_sent, "Log batches sent."},
    {"cluster_zeromq_log_batches_received", &the_counters.logs_received, "Log batches received and queued."},
    {"cluster_zeromq_proxy_frontend_messages_received", &the_broker_stats.frontend_messages_received,
     "Messages the broker received from publishers."},
    {"cluster_zeromq_proxy_frontend_bytes_received", &the_broker_stats.frontend_bytes_received,
     "Bytes the broker received from publishers."},
    {"cluster_zeromq_proxy_frontend_messages_sent", &the_broker_stats.frontend_messages_sent,
     "Messages (subscriptions) the broker sent to publishers."},
    {"cluster_zeromq_proxy_frontend_bytes_sent", &the_broker_stats.frontend_bytes_sent,
     "Bytes the broker sent to publishers."},
    {"cluster_zeromq_proxy_backend_messages_received", &the_broker_stats.backend_messages_received,
     "Messages (subscriptions) the broker received from subscribers."},
    {"cluster_zeromq_proxy_backend_bytes_received", &the_broker_stats.backend_bytes_received,
     "Bytes the broker received from subscribers."},
    {"cluster_zeromq_proxy_backend_messages_sent", &the_broker_stats.backend_messages_sent,
     "Messages the broker sent to subscribers."},
    {"cluster_zeromq_proxy_backend_bytes_sent", &the_broker_stats.backend_bytes_sent,
     "Bytes the broker sent to subscribers."},
};

double read(const std::atomic<uint64_t>& v) { return static_cast<double>(v.load(std::memory_order_relaxed)); }

} // namespace

void initialize() {
    static bool done = false;
    if ( done )
        return;
    done = true;

    for ( const auto& m : all )
        zeek::telemetry_mgr->CounterInstance("zeek", m.name, {}, m.help, "1", [&m] { return read(*m.value); });

    zeek::telemetry_mgr
        ->CounterFamily("zeek", "cluster_onloop_queue_blocks", {"tag"},
                        "Times a cluster backend's thread waited for room in the queue to the main loop.")
        ->GetOrAdd({{"tag", "ZeroMQ"}}, [] { return read(the_counters.queue_blocks); });
}

zz_counters* counters() { return &the_counters; }

zz_broker_stats* broker_stats() { return &the_broker_stats; }

namespace {

// Label values of the drops metric; the last stands for what is beyond.
constexpr size_t labels_max = 200;
constexpr std::string_view other_topic = "__other__";

void add_drops(std::string_view reason, std::string_view topic, uint64_t n) {
    static const auto family = zeek::telemetry_mgr->CounterFamily(
        "zeek", "cluster_zeromq_drops", {"reason", "topic"},
        "Events and log batches dropped, by the option whose bound was reached, or what was wrong with them.");
    static std::set<std::pair<std::string, std::string>> known;

    std::pair<std::string, std::string> key(reason, topic);
    if ( ! known.contains(key) && known.size() >= labels_max )
        key.second = other_topic;
    known.insert(key);
    family->GetOrAdd({{"reason", key.first}, {"topic", key.second}})->Inc(static_cast<double>(n));
}

} // namespace

void queue_drop(std::string_view topic) {
    count(the_counters.queue_drops);
    add_drops("queue_full", topic.substr(0, 63), 1);
}

void invalid_event(std::string_view topic, std::string_view name, const char* why) {
    static bool told = false;
    if ( ! told )
        zeek::reporter->Error("ZeroMQ: dropped event '%.*s' for topic '%.*s': %s",
                              static_cast<int>(std::min<size_t>(name.size(), 200)), name.data(),
                              static_cast<int>(std::min<size_t>(topic.size(), 200)), topic.data(), why);
    told = true;
    add_drops("invalid", topic.substr(0, 63), 1);
}

void add_drops(std::string_view reason, std::string_view topic, std::string_view number) {
    uint64_t n = 0;
    if ( number.size() == sizeof(n) )
        memcpy(&n, number.data(), sizeof(n));
    add_drops(reason, topic, n);
}

} // namespace zeekzmq::metrics
