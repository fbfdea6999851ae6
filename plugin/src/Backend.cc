// SPDX-License-Identifier: BSD-3-Clause

#include "Backend.h"

#include <zeek/EventRegistry.h>
#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/Val.h>
#include <zeek/util.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "Inbox.h"
#include "Metrics.h"
#include "Plugin.h"
#include "loader.h"

extern int signal_val; // the signal that Zeek is ending for, or 0

namespace zeekzmq {

namespace {

// What waits for the engine may take so much memory. The engine empties its
// queues at once unless it is starved of CPU: it does not wait for the network.
constexpr uint64_t events_out_max = 64 << 20;
constexpr uint64_t logs_out_max = 256 << 20;

// The engine starts in some 10 ms; it does not wait for the network.
constexpr int start_timeout_ms = 30000;

// Beyond linger_ms, for closing what is left.
constexpr int stop_grace_ms = 1500;

// Long enough for a panic's stack.
constexpr size_t error_size = 8192;

std::string_view view(const uint8_t* p, size_t n) { return {reinterpret_cast<const char*>(p), n}; }
std::string_view topic_of(const zz_record& r) { return view(zz_record_topic(&r), r.topic_len); }
std::string_view format_of(const zz_record& r) { return view(zz_record_format(&r), r.format_len); }
std::string_view text_of(const zz_record& r) { return view(zz_record_payload(&r), r.payload_len); }

zeek::byte_buffer_span payload_of(const zz_record& r) {
    return {reinterpret_cast<const std::byte*>(zz_record_payload(&r)), r.payload_len};
}

int stop_timeout(int linger_ms) { return linger_ms < 0 ? -1 : linger_ms + stop_grace_ms; }

} // namespace

std::unique_ptr<zeek::cluster::Backend> Backend::Instantiate(
    std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
    std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs) {
    // Before the serializers move on.
    Formats formats = {es->Name(), ls ? ls->Name() : ""};
    return std::unique_ptr<Backend>(new Backend(std::move(formats), std::move(es), std::move(ls), std::move(ehs)));
}

Backend::Backend(Formats arg_formats, std::unique_ptr<zeek::cluster::EventSerializer> es,
                 std::unique_ptr<zeek::cluster::LogSerializer> ls,
                 std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs)
    : zeek::cluster::Backend("ZeroMQ", std::move(es), std::move(ls), std::move(ehs)),
      formats(std::move(arg_formats)),
      channel(NewChannel()) {
    if ( ! channel )
        return; // Init() will fail

    events_out = {&channel->events_out, ZZ_CLASS_EVENT, events_out_max, {}};
    logs_out = {&channel->logs_out, ZZ_CLASS_LOG, logs_out_max, {}};

    // WebSocket clients have no use for logs.
    if ( formats.log.empty() )
        channel->flags |= ZZ_NODE_NO_LOGS;
}

zz_channel* Backend::NewChannel() {
    auto* ch = zz_channel_new(metrics::counters());
    if ( ! ch )
        zeek::reporter->Error("ZeroMQ: cannot make the queues of a cluster backend: %s", strerror(errno));
    return ch;
}

Backend* Backend::Global() { return dynamic_cast<Backend*>(zeek::cluster::backend); }

Backend::~Backend() { DoTerminate(); }

void Backend::DoInitPostScript() {
    event_subscription = zeek::event_registry->Register("Cluster::Backend::ZeroMQ::subscription");
    event_unsubscription = zeek::event_registry->Register("Cluster::Backend::ZeroMQ::unsubscription");
    event_monitoring = zeek::event_registry->Register("Cluster::Backend::ZeroMQ::monitoring_event");

    linger = linger_ms();
    events_out.room = Room::Of("xpub_overload", "xpub_sndhwm");
    logs_out.room = Room::Of("log_overload", "log_sndhwm");
    curve_keys = CurveKeys::Load();

    const auto& prefix = zeek::id::find("Cluster::Backend::ZeroMQ::internal_topic_prefix");
    internal_topic_prefix = prefix ? prefix->GetVal()->AsStringVal()->ToStdString() : "zeek.zeromq.internal.";
}

Options Backend::EngineOptions() const {
    Options options;
    options.AddScriptValues();
    options.AddCurveKeys(curve_keys);
    options.Add("node_id", NodeId());
    options.Add("own_broker", broker ? "T" : "F");
    if ( const auto& name = zeek::id::find_val("Cluster::node") )
        options.Add("node_name", name->AsStringVal()->ToStdString());
    options.Add("event_format", formats.event);
    options.Add("log_format", formats.log);
    return options;
}

bool Backend::DoInit() {
    if ( ! channel )
        return false;

    // Only now: zeek_init() handlers may still have changed connect_log_endpoints.
    const auto options = EngineOptions();
    const auto view = options.View();

    char err[error_size];
    const auto rc = zz_node_start(view.data(), view.size(), channel, &node, start_timeout_ms, err, sizeof(err));
    if ( rc != ZEEKZMQ_OK ) {
        zeek::reporter->Error("ZeroMQ: %s", err);
        if ( rc == ZEEKZMQ_ETIMEOUT )
            channel = nullptr; // the engine may still come and use it
        return false;
    }

    inbox = new Inbox(this, channel);
    if ( ! inbox->Open(/*counts=*/true) ) {
        inbox = nullptr;
        DoTerminate();
        return false;
    }
    return true;
}

bool Backend::SpawnBroker() {
    if ( broker ) {
        zeek::reporter->Error("ZeroMQ: the central broker runs already");
        return false;
    }

    const auto options = EngineOptions();
    const auto view = options.View();

    auto* ch = NewChannel();
    if ( ! ch )
        return false;
    metrics::broker_stats()->tell = ch;

    char err[error_size];
    const auto rc =
        zz_broker_start(view.data(), view.size(), metrics::broker_stats(), &broker, start_timeout_ms, err, sizeof(err));
    if ( rc != ZEEKZMQ_OK ) {
        zeek::reporter->Error("ZeroMQ: %s", err);
        if ( rc != ZEEKZMQ_ETIMEOUT ) // else it may still come and use the channel
            zz_channel_free(ch);
        return false;
    }

    broker_channel = ch;
    broker_inbox = new Inbox(this, ch);
    if ( ! broker_inbox->Open(/*counts=*/false) )
        broker_inbox = nullptr; // it runs, but cannot tell if it fails
    return true;
}

void Backend::Drain() {
    if ( inbox )
        inbox->Drain();
}

void Backend::CloseInbox(Inbox*& inbox, zz_channel*& channel) {
    if ( inbox ) {
        inbox->Drain();
        inbox->Close();
        inbox = nullptr;
    }
    zz_channel_free(channel);
    channel = nullptr;
}

void Backend::Abandon(Inbox*& inbox, zz_channel*& channel) {
    if ( inbox )
        inbox->Close();
    inbox = nullptr;
    channel = nullptr;
}

void Backend::DoTerminate() {
    char err[error_size];

    // A panic is told by what it left in the inbox. An engine that does not end
    // keeps its channel.
    if ( node ) {
        const auto rc = zz_node_stop(node, stop_timeout(linger), err, sizeof(err));
        node = 0;
        if ( rc != ZEEKZMQ_OK && rc != ZEEKZMQ_EPANIC )
            zeek::reporter->Error("ZeroMQ: %s", err);
        if ( rc == ZEEKZMQ_ETIMEOUT )
            Abandon(inbox, channel);
    }

    if ( broker ) {
        const auto rc = zz_broker_stop(broker, stop_timeout(linger), err, sizeof(err));
        broker = 0;
        if ( rc != ZEEKZMQ_OK )
            zeek::reporter->Error("ZeroMQ: %s", err);
        if ( rc == ZEEKZMQ_ETIMEOUT )
            Abandon(broker_inbox, broker_channel);
    }

    CloseInbox(inbox, channel);
    CloseInbox(broker_inbox, broker_channel);
}

bool Backend::HasRoom(const Outlet& to) const {
    return zz_queue_bytes(to.queue) < to.bytes_max && zz_queue_depth(to.queue, to.cls) < to.room.depth_max;
}

bool Backend::WaitForRoom(Outlet& to) const {
    if ( node == 0 || to.gave_up ) // nobody makes room, or not soon
        return false;

    metrics::count(metrics::counters()->publish_blocks);

    const double until = zeek::util::current_time(true) + to.room.wait;
    do {
        const timespec nap = {0, 200000};
        nanosleep(&nap, nullptr);
        if ( HasRoom(to) )
            return true;
    } while ( signal_val != SIGTERM && signal_val != SIGINT && zeek::util::current_time(true) < until );

    to.gave_up = true;
    return false;
}

bool Backend::Push(Outlet& to, uint16_t kind, std::string_view topic, std::string_view format,
                   const zeek::byte_buffer& payload) {
    if ( HasRoom(to) )
        to.gave_up = false;
    else if ( ! WaitForRoom(to) ) {
        metrics::queue_drop(kind == ZZ_LOG, topic);
        return false;
    }

    if ( ! zz_queue_push(to.queue, kind, topic.data(), topic.size(), format.data(), format.size(), payload.data(),
                         payload.size()) ) {
        zeek::reporter->Error("ZeroMQ: cannot queue %zu bytes for topic '%.*s': %s", payload.size(),
                              static_cast<int>(std::min<size_t>(topic.size(), 200)), topic.data(), strerror(errno));
        return false;
    }

    zz_waker_wake(&channel->engine_waker);
    return true;
}

bool Backend::DoPublishEvent(const std::string& topic, const std::string& format, const zeek::byte_buffer& buf) {
    return channel && Push(events_out, ZZ_EVENT, topic, format, buf);
}

bool Backend::DoPublishLogWrites(const zeek::logging::detail::LogWriteHeader& header, const std::string& format,
                                 zeek::byte_buffer& buf) {
    // Before DoInit() there is nowhere to send a log to.
    return node && Push(logs_out, ZZ_LOG, {}, format, buf);
}

bool Backend::PushControl(uint16_t kind, const std::string& topic_prefix) {
    if ( ! channel )
        return false;

    if ( ! zz_queue_push(&channel->events_out, kind, topic_prefix.data(), topic_prefix.size(), nullptr, 0, nullptr,
                         0) ) {
        zeek::reporter->Error("ZeroMQ: cannot %s topic '%.200s': %s",
                              kind == ZZ_SUBSCRIBE ? "subscribe to" : "unsubscribe from", topic_prefix.c_str(),
                              strerror(errno));
        return false;
    }

    zz_waker_wake(&channel->engine_waker);
    return true;
}

bool Backend::DoSubscribe(const std::string& topic_prefix, SubscribeCallback cb) {
    if ( ! PushControl(ZZ_SUBSCRIBE, topic_prefix) ) {
        if ( cb )
            cb(topic_prefix, {CallbackStatus::Error, "the backend has ended, or the topic is too long"});
        return false;
    }

    if ( cb )
        waiting.emplace(topic_prefix, std::move(cb));
    return true;
}

bool Backend::DoUnsubscribe(const std::string& topic_prefix) { return PushControl(ZZ_UNSUBSCRIBE, topic_prefix); }

void Backend::DoReadyToPublishCallback(ReadyCallback cb) {
    // Once a subscription of our own has come back to our XPUB by way of the
    // broker, those that others had before it have come too.
    static uint64_t number = 0;
    const std::string topic = internal_topic_prefix + NodeId() + "." + std::to_string(++number) + ".";

    Subscribe(topic, [this, cb = std::move(cb)](const std::string& topic_prefix, const SubscriptionCallbackInfo& info) {
        cb({info.status, info.message});
        Unsubscribe(topic_prefix);
    });
}

void Backend::Process(const zz_record& r) {
    switch ( r.kind ) {
        case ZZ_EVENT: ProcessEventMessage(topic_of(r), format_of(r), payload_of(r)); break;
        case ZZ_LOG: ProcessLogMessage(format_of(r), payload_of(r)); break;
        case ZZ_SUBSCRIPTION: ProcessSubscription(std::string(topic_of(r))); break;
        case ZZ_UNSUBSCRIPTION: ProcessUnsubscription(std::string(topic_of(r))); break;
        case ZZ_MONITOR: ProcessMonitor(r); break;
        case ZZ_WARNING: zeek::reporter->Warning("ZeroMQ: %s", std::string(text_of(r)).c_str()); break;
        case ZZ_ERROR: zeek::reporter->Error("ZeroMQ: %s", std::string(text_of(r)).c_str()); break;
        case ZZ_FATAL: zeek::reporter->FatalError("ZeroMQ: %s", std::string(text_of(r)).c_str()); break;
        case ZZ_DROPS: metrics::add_drops(format_of(r), topic_of(r), text_of(r)); break;
        default: break; // ZZ_SKIP
    }
}

void Backend::ProcessSubscription(const std::string& topic) {
    if ( subscriptions.insert(topic).second )
        EnqueueEvent(event_subscription, {zeek::make_intrusive<zeek::StringVal>(topic)});

    // Callbacks may subscribe and unsubscribe.
    for ( auto it = waiting.find(topic); it != waiting.end(); it = waiting.find(topic) ) {
        const auto cb = std::move(it->second);
        waiting.erase(it);
        cb(topic, {CallbackStatus::Success, "success"});
    }
}

void Backend::ProcessUnsubscription(const std::string& topic) {
    subscriptions.erase(topic);
    EnqueueEvent(event_unsubscription, {zeek::make_intrusive<zeek::StringVal>(topic)});
}

void Backend::ProcessMonitor(const zz_record& r) {
    uint32_t v[2];
    memcpy(v, zz_record_payload(&r), sizeof(v));
    EnqueueEvent(event_monitoring, {zeek::val_mgr->Count(v[0]), zeek::val_mgr->Count(v[1]),
                                    zeek::make_intrusive<zeek::StringVal>(topic_of(r))});
}

zeek::TableValPtr generate_keypair() {
    auto table = zeek::make_intrusive<zeek::TableVal>(zeek::id::find_type<zeek::TableType>("table_string_of_string"));

    char pub[41], secret[41], err[error_size];
    if ( zz_keypair(pub, secret, err, sizeof(err)) != ZEEKZMQ_OK ) {
        zeek::reporter->Error("ZeroMQ: cannot generate a key pair: %s", err);
        return table;
    }

    table->Assign(zeek::make_intrusive<zeek::StringVal>("public"), zeek::make_intrusive<zeek::StringVal>(pub));
    table->Assign(zeek::make_intrusive<zeek::StringVal>("secret"), zeek::make_intrusive<zeek::StringVal>(secret));
    return table;
}

} // namespace zeekzmq
