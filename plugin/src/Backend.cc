// SPDX-License-Identifier: BSD-3-Clause

#include "Backend.h"

#include <zeek/EventRegistry.h>
#include <zeek/ID.h>
#include <zeek/Reporter.h>
#include <zeek/Val.h>
#include <zeek/plugin/Manager.h>
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

Bytes bytes_of(const zeek::byte_buffer& buf) { return {reinterpret_cast<const uint8_t*>(buf.data()), buf.size()}; }

int stop_timeout(int linger_ms) { return linger_ms < 0 ? -1 : linger_ms + stop_grace_ms; }

} // namespace

std::unique_ptr<zeek::cluster::Backend> Backend::Instantiate(
    std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
    std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs) {
    // Before the serializers move on.
    Formats formats = {es->Name(), ls ? ls->Name() : ""};
    auto* serializer = es.get();
    return std::unique_ptr<Backend>(
        new Backend(std::move(formats), serializer, std::move(es), std::move(ls), std::move(ehs)));
}

Backend::Backend(Formats arg_formats, zeek::cluster::EventSerializer* arg_serializer,
                 std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
                 std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs)
    : zeek::cluster::Backend("ZeroMQ", std::move(es), std::move(ls), std::move(ehs)),
      formats(std::move(arg_formats)),
      zeek_serializer(arg_serializer),
      own_serializer(EventSerializer::StandsFor(*arg_serializer)),
      check(own_serializer ? EventCheck::FromEnvironment(arg_serializer) : nullptr),
      channel(NewChannel()) {
    if ( ! channel )
        return; // Init() will fail

    events_out = {&channel->events_out,
                  ZZ_CLASS_EVENT,
                  events_out_max,
                  {},
                  Episode("events were dropped: the queue to the engine was full"),
                  Episode("times an event waited for the engine, and Zeek's main loop with it")};
    logs_out = {&channel->logs_out,
                ZZ_CLASS_LOG,
                logs_out_max,
                {},
                Episode("log batches were dropped: the queue to the engine was full"),
                Episode("times a log batch waited for the engine, and Zeek's main loop with it")};

    if ( IsWebSocketClient() )
        channel->flags |= ZZ_NODE_NO_LOGS | ZZ_NODE_NO_MONITOR; // Zeek drops either
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

    // Known only from C++, as Spicy's analyzers do it: Zeek's deserializers would
    // follow a null pointer.
    for ( const auto& name : zeek::event_registry->AllHandlers() )
        if ( ! zeek::event_registry->Lookup(name)->GetFunc() )
            options.Add("undeclared_event", name);
    return options;
}

bool Backend::DoInit() {
    if ( StartNode() )
        return true;

    // Zeek takes a WebSocket client whose backend has failed for one that waits
    // for its subscriptions.
    if ( IsWebSocketClient() )
        ProcessError("backend_failed", "this Zeek cannot make another cluster backend, its log says why");
    return false;
}

bool Backend::StartNode() {
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
            Abandon(inbox, channel); // the engine may still come and use it
        CloseInbox(inbox, channel);
        return false;
    }

    if ( ! IsWebSocketClient() )
        curve_keys.WarnIfIncomplete(/*connects=*/true, listens_for_logs() ? "listen_log_endpoint" : nullptr);

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

    curve_keys.WarnIfIncomplete(/*connects=*/false, "the central broker");

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
    check.reset();

    for ( auto* e : episodes )
        e->End();
}

bool Backend::HasRoom(const Outlet& to) const {
    return zz_queue_bytes(to.queue) < to.bytes_max && zz_queue_depth(to.queue, to.cls) < to.room.depth_max;
}

bool Backend::HasMuchRoom(const Outlet& to) const {
    return zz_queue_bytes(to.queue) <= to.bytes_max / 2 && zz_queue_depth(to.queue, to.cls) <= to.room.depth_max / 2;
}

bool Backend::WaitForRoom(Outlet& to) {
    if ( node == 0 || to.gave_up ) // nobody makes room, or not soon
        return false;

    metrics::count(metrics::counters()->publish_blocks);
    if ( to.waits.Note() )
        zeek::reporter->Warning("ZeroMQ: %s waits for the engine, and Zeek's main loop with it",
                                to.cls == ZZ_CLASS_LOG ? "a log batch" : "an event");

    const double start = zeek::util::current_time(true);
    bool room = false;
    do {
        const timespec nap = {0, 200000};
        nanosleep(&nap, nullptr);
        room = HasRoom(to);
    } while ( ! room && signal_val != SIGTERM && signal_val != SIGINT &&
              zeek::util::current_time(true) < start + to.room.wait );

    to.waits.Took(zeek::util::current_time(true) - start);
    to.gave_up = ! room;
    return room;
}

void Backend::NoteDrop(Outlet& to, std::string_view topic) {
    metrics::queue_drop(topic);

    if ( ! to.drops.Note() )
        return;

    const std::string what =
        to.cls == ZZ_CLASS_LOG ? "a log batch" : "an event for topic '" + std::string(topic.substr(0, 200)) + "'";
    zeek::reporter->Warning("ZeroMQ: dropped %s: the queue to the engine is full", what.c_str());
}

double Backend::NextEpisodeEnd() const {
    double next = -1.0;
    for ( const auto* e : episodes )
        if ( const double n = e->Next(); n >= 0.0 && (next < 0.0 || n < next) )
            next = n;
    return next;
}

void Backend::EndEpisodes() {
    for ( auto* e : episodes )
        e->Tick();
}

bool Backend::Push(Outlet& to, uint16_t kind, std::string_view topic, std::string_view format, Bytes payload) {
    if ( HasRoom(to) )
        to.gave_up = to.gave_up && ! HasMuchRoom(to);
    else if ( ! WaitForRoom(to) ) {
        NoteDrop(to, topic);
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

// As the base class does it, but into memory that is kept, and by our serializer
// where it can stand for Zeek's.
bool Backend::DoPublishEvent(const std::string& topic, zeek::cluster::Event& event) {
    if ( ! PLUGIN_HOOK_WITH_RESULT(HOOK_PUBLISH_EVENT, HookPublishEvent(*this, topic, event), true) )
        return true;

    zeek::byte_buffer buf;
    std::optional<Bytes> payload;
    if ( own_serializer )
        payload = serializer.Serialize(event);
    if ( check )
        check->Written(event, payload);

    if ( ! payload ) {
        if ( own_serializer && serializer.Endless() ) {
            zeek::reporter->Error(
                "ZeroMQ: cannot publish event %s: a value in it contains itself, or is nested too deep",
                std::string(event.HandlerName()).c_str());
            return false;
        }
        if ( ! zeek_serializer->SerializeEvent(buf, event) )
            return false;
        payload = bytes_of(buf);
    }

    Telemetry().OnOutgoingEvent(topic, event.HandlerName(), zeek::cluster::detail::SerializationInfo{payload->size()});
    return channel && Push(events_out, ZZ_EVENT, topic, formats.event, *payload);
}

bool Backend::DoPublishEvent(const std::string& topic, const std::string& format, const zeek::byte_buffer& buf) {
    return channel && Push(events_out, ZZ_EVENT, topic, format, bytes_of(buf));
}

bool Backend::DoPublishLogWrites(const zeek::logging::detail::LogWriteHeader& header, const std::string& format,
                                 zeek::byte_buffer& buf) {
    // Before DoInit() there is nowhere to send a log to.
    return node && Push(logs_out, ZZ_LOG, {}, format, bytes_of(buf));
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
    // Zeek does not look at the status, but would acknowledge the client.
    if ( ! channel )
        return;

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
        case ZZ_EVENT: ProcessEventRecord(r); break;
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

void Backend::ProcessEventRecord(const zz_record& r) {
    const auto topic = topic_of(r);
    const Bytes payload(zz_record_payload(&r), r.payload_len);
    const bool own = own_serializer && format_of(r) == formats.event;

    if ( check && own )
        check->Read(payload);

    try {
        std::optional<zeek::cluster::Event> event;
        switch ( own ? serializer.Parse(payload, event) : EventSerializer::Parsed::LeaveToZeek ) {
            case EventSerializer::Parsed::Done:
                Telemetry().OnIncomingEvent(topic, event->HandlerName(),
                                            zeek::cluster::detail::SerializationInfo{payload.size()});
                ProcessEvent(topic, std::move(*event));
                break;
            case EventSerializer::Parsed::LeaveToZeek: ProcessEventMessage(topic, format_of(r), payload_of(r)); break;
            case EventSerializer::Parsed::Malformed:
                metrics::invalid_event(topic, EventSerializer::NameOf(payload), "it is not well-formed");
                break;
            case EventSerializer::Parsed::Undeclared:
                metrics::invalid_event(topic, EventSerializer::NameOf(payload), "no script declares it");
                break;
        }
    } catch ( const zeek::InterpreterException& ) {
        // Zeek has told of it.
        metrics::invalid_event(topic, EventSerializer::NameOf(payload), "a &default of a record in it fails");
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
