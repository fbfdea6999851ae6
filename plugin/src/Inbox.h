// SPDX-License-Identifier: BSD-3-Clause
//
// Brings what the engine received to Zeek's main thread, which alone runs this.

#pragma once

#include <zeek/iosource/IOSource.h>

#include "zeekzmq.h"

namespace zeekzmq {

class Backend;

// The source of Zeek's main loop that wakes up for a channel's inbox and hands
// its records to a backend. Zeek owns it from Open() on and deletes it some
// time after Close(), at the latest when it ends; so it may outlive backend and
// channel, and forgets them in Close().
class Inbox : public zeek::iosource::IOSource {
public:
    Inbox(Backend* backend, zz_channel* channel) : backend(backend), channel(channel) {}

    // Registers with the main loop. If it counts, the loop does not end for want
    // of other sources. False, with an error reported, if that fails; the object
    // is then closed, and Zeek's all the same.
    bool Open(bool counts);

    // Processes all that is in the inbox, however much.
    void Drain();

    // Unregisters. Nothing is processed afterwards.
    void Close();

    // From zeek::iosource::IOSource.
    double GetNextTimeout() override;
    void Process() override;
    const char* Tag() override { return "ZeroMQ_Go"; }

private:
    // Processes the oldest record; false if there is none.
    bool ProcessOne();

    Backend* backend;
    zz_channel* channel;
    bool asleep = false; // the engine is to wake us
    bool more = false;   // Process() left something: come back without being woken
};

} // namespace zeekzmq
