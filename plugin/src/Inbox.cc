// SPDX-License-Identifier: BSD-3-Clause

#include "Inbox.h"

#include <zeek/Reporter.h>
#include <zeek/iosource/Manager.h>

#include "Backend.h"

namespace zeekzmq {

namespace {

// What one round of the main loop gives to the cluster before packets, timers
// and queued events have their turn. What few events take is still in the
// processor's cache when they are raised, and their memory is used again.
constexpr int records_per_round = 32;
constexpr uint64_t bytes_per_round = 1 << 20;

} // namespace

bool Inbox::Open(bool counts) {
    zeek::iosource_mgr->Register(this, /*dont_count=*/! counts, /*manage_lifetime=*/true);
    if ( ! zeek::iosource_mgr->RegisterFd(channel->host_waker.fd, this) ) {
        zeek::reporter->Error("ZeroMQ: the main loop does not take file descriptor %d", channel->host_waker.fd);
        SetClosed(true);
        return false;
    }
    more = true;
    return true;
}

void Inbox::Close() {
    if ( ! IsOpen() )
        return;

    zeek::iosource_mgr->UnregisterFd(channel->host_waker.fd, this);
    backend = nullptr;
    channel = nullptr;
    more = false;
    SetClosed(true);
}

bool Inbox::ProcessOne() {
    const zz_record* r = zz_queue_peek(&channel->inbox);
    if ( ! r )
        return false;

    backend->Process(*r);
    if ( channel ) // not closed on the way
        zz_queue_consume(&channel->inbox, r);
    return channel != nullptr;
}

double Inbox::GetNextTimeout() {
    if ( more )
        return 0.0;
    return backend ? backend->NextEpisodeEnd() : -1.0;
}

void Inbox::Process() {
    if ( ! channel )
        return;

    backend->EndEpisodes();

    if ( asleep ) {
        zz_waker_cancel(&channel->host_waker);
        zz_waker_clear(&channel->host_waker);
        asleep = false;
    }

    const uint64_t until = channel->inbox.bytes_out.load(std::memory_order_relaxed) + bytes_per_round;
    for ( int i = 0; i < records_per_round; i++ ) {
        if ( ! ProcessOne() ) {
            if ( ! channel )
                return;

            zz_waker_prepare(&channel->host_waker);
            if ( ! zz_queue_peek(&channel->inbox) ) {
                asleep = true;
                more = false;
                return;
            }
            zz_waker_cancel(&channel->host_waker);
        }
        else if ( channel->inbox.bytes_out.load(std::memory_order_relaxed) >= until )
            break;
    }

    more = true;
}

void Inbox::Drain() {
    while ( channel && ProcessOne() )
        ;
}

} // namespace zeekzmq
