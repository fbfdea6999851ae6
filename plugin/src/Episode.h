// SPDX-License-Identifier: BSD-3-Clause
//
// Main thread only. The engine's are in go/engine/episode.go.

#pragma once

#include <cstdint>

namespace zeekzmq {

// Tells the operator of losses and waits without flooding the log: once when
// they begin, and once, with their number, when there were none for a while.
class Episode {
public:
    Episode() = default;
    // Takes what to say after the number at the end.
    explicit Episode(const char* over) : over(over) {}

    // One more. True if it is the first: the caller is to tell of it.
    bool Note();

    // The last one was a wait, and took so long.
    void Took(double seconds);

    // Seconds until Tick() may have something to say; negative: nothing.
    double Next() const;

    // Ends the episode if it is over.
    void Tick();

    // Ends it, if one is open.
    void End();

private:
    const char* over = "";
    uint64_t number = 0; // 0: none is open
    double waited = 0.0; // seconds
    double last = 0.0;
};

} // namespace zeekzmq
