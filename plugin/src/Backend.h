// SPDX-License-Identifier: BSD-3-Clause
//
// The cluster backend that Zeek sees. Zeek calls everything here on its main
// thread; none of it waits for the network, but Terminate(), and SpawnBroker()
// and Init() for their sockets.

#pragma once

#include <zeek/cluster/Backend.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "Episode.h"
#include "EventCheck.h"
#include "EventSerializer.h"
#include "Options.h"
#include "zeekzmq.h"

namespace zeekzmq {

class Inbox;

class Backend : public zeek::cluster::Backend {
public:
    ~Backend() override;

    // Zeek's cluster::backend, if it is one of ours; else null.
    static Backend* Global();

    // Starts the central broker in this process. False, with an error reported,
    // if it cannot listen or one runs already.
    bool SpawnBroker();

    // Processes all that has arrived.
    void Drain();

    // For Inbox: processes one record.
    void Process(const zz_record& r);

    // For Inbox: in how many seconds EndEpisodes() may have something to say;
    // negative: not at all.
    double NextEpisodeEnd() const;

    // Tells of the episodes of drops and waits that are over.
    void EndEpisodes();

    // The component's factory.
    static std::unique_ptr<zeek::cluster::Backend> Instantiate(
        std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
        std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs);

private:
    // The names of what the serializers write and read; log empty: no logs.
    struct Formats {
        std::string event, log;
    };

    // serializer is es, which moves on.
    Backend(Formats formats, zeek::cluster::EventSerializer* serializer,
            std::unique_ptr<zeek::cluster::EventSerializer> es, std::unique_ptr<zeek::cluster::LogSerializer> ls,
            std::unique_ptr<zeek::cluster::detail::EventHandlingStrategy> ehs);

    // From zeek::cluster::Backend.
    void DoInitPostScript() override;
    bool DoInit() override;
    void DoTerminate() override;
    bool DoPublishEvent(const std::string& topic, zeek::cluster::Event& event) override;
    bool DoPublishEvent(const std::string& topic, const std::string& format, const zeek::byte_buffer& buf) override;
    bool DoSubscribe(const std::string& topic_prefix, SubscribeCallback cb) override;
    bool DoUnsubscribe(const std::string& topic_prefix) override;
    void DoReadyToPublishCallback(ReadyCallback cb) override;
    bool DoPublishLogWrites(const zeek::logging::detail::LogWriteHeader& header, const std::string& format,
                            zeek::byte_buffer& buf) override;

    // For WebSocket clients Zeek makes instances without a log serializer.
    bool IsWebSocketClient() const { return formats.log.empty(); }

    bool StartNode();
    Options EngineOptions() const;

    // One of the two queues that carry messages to the engine.
    struct Outlet {
        zz_queue* queue;
        int cls;            // ZZ_CLASS_*
        uint64_t bytes_max; // of memory
        Room room;
        Episode drops, waits;
        bool gave_up = false; // the last wait was in vain: none until half the queue is free
    };

    // Appends to a queue to the engine, waiting for room if it is full. False if
    // there was none in time, or a part is too long.
    bool Push(Outlet& to, uint16_t kind, std::string_view topic, std::string_view format, Bytes payload);
    bool HasRoom(const Outlet& to) const;
    bool HasMuchRoom(const Outlet& to) const;
    bool WaitForRoom(Outlet& to);
    void NoteDrop(Outlet& to, std::string_view topic);
    static zz_channel* NewChannel();
    // Processes what is left, and frees both. Null is fine.
    static void CloseInbox(Inbox*& inbox, zz_channel*& channel);
    // Leaves a channel to an engine that does not end.
    static void Abandon(Inbox*& inbox, zz_channel*& channel);

    bool PushControl(uint16_t kind, const std::string& topic_prefix);

    void ProcessEventRecord(const zz_record& r);
    void ProcessSubscription(const std::string& topic);
    void ProcessUnsubscription(const std::string& topic);
    void ProcessMonitor(const zz_record& r);

    const Formats formats;

    // Zeek's, which the base class owns; and ours, which is used where it can
    // stand for Zeek's.
    zeek::cluster::EventSerializer* const zeek_serializer;
    const bool own_serializer;
    EventSerializer serializer;
    std::unique_ptr<EventCheck> check; // null but in tests

    // Null after Terminate().
    zz_channel* channel;
    // Zeek's, from DoInit() on. Null before and after Terminate().
    Inbox* inbox = nullptr;
    uint64_t node = 0; // handle; 0: not running

    // The broker's, likewise, for what it has to tell.
    uint64_t broker = 0;
    zz_channel* broker_channel = nullptr;
    Inbox* broker_inbox = nullptr;

    Outlet events_out;
    Outlet logs_out;
    Episode* const episodes[4] = {&events_out.drops, &events_out.waits, &logs_out.drops, &logs_out.waits};

    CurveKeys curve_keys;
    int linger = 0; // ms
    std::string internal_topic_prefix;

    zeek::EventHandlerPtr event_subscription;
    zeek::EventHandlerPtr event_unsubscription;
    zeek::EventHandlerPtr event_monitoring;

    // Topics seen on our XPUB, and who waits to see one.
    std::set<std::string, std::less<>> subscriptions;
    std::multimap<std::string, SubscribeCallback, std::less<>> waiting;
};

// A new CURVE key pair as a table with "public" and "secret".
zeek::TableValPtr generate_keypair();

} // namespace zeekzmq
