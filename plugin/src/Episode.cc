// SPDX-License-Identifier: BSD-3-Clause

#include "Episode.h"

#include <zeek/Reporter.h>
#include <zeek/util.h>

#include <algorithm>
#include <cinttypes>

namespace zeekzmq {

namespace {

// How long nothing must happen for an episode to be over, in seconds; the
// engine's is the same.
constexpr double quiet = 5.0;

double now() { return zeek::util::current_time(true); }

} // namespace

bool Episode::Note() {
    last = now();
    return number++ == 0;
}

void Episode::Took(double seconds) {
    waited += seconds;
    last = now();
}

double Episode::Next() const { return number == 0 ? -1.0 : std::max(0.0, last + quiet - now()); }

void Episode::Tick() {
    if ( Next() == 0.0 )
        End();
}

void Episode::End() {
    if ( number == 0 )
        return;

    if ( waited > 0.0 )
        zeek::reporter->Warning("ZeroMQ: %" PRIu64 " %s, for %.1f seconds in all", number, over, waited);
    else
        zeek::reporter->Warning("ZeroMQ: %" PRIu64 " %s", number, over);
    number = 0;
    waited = 0.0;
}

} // namespace zeekzmq
