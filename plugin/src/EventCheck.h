// SPDX-License-Identifier: BSD-3-Clause
//
// For tests: compares what EventSerializer does with what Zeek's serializer
// does, for every event that a process publishes and receives. Zeek's main
// thread alone runs this, and only if the environment variable
// ZEEKZMQ_CHECK_EVENTS is set.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "EventSerializer.h"

namespace zeekzmq {

class EventCheck {
public:
    // Null unless the environment asks for it. The variable's value is how many
    // damaged copies of each event to read as well. Registers an event that no
    // script declares, ZeroMQ::event_without_declaration.
    static std::unique_ptr<EventCheck> FromEnvironment(zeek::cluster::EventSerializer* theirs);

    // Prints what was counted to stderr.
    ~EventCheck();

    // Checks what EventSerializer::Serialize() made of an event, and that it is
    // read again.
    void Written(const zeek::cluster::Event& event, const std::optional<Bytes>& ours);

    // Checks what EventSerializer::Parse() makes of a payload that the engine has
    // let pass.
    void Read(Bytes payload);

private:
    EventCheck(zeek::cluster::EventSerializer* theirs, int damaged) : theirs(theirs), damaged(damaged) {}

    void ReadDamaged(Bytes payload);
    void Compare(Bytes payload, const zeek::cluster::Event& ours);
    void Differ(const char* what, const char* detail);
    uint32_t Random(uint32_t below);

    zeek::cluster::EventSerializer* theirs;
    EventSerializer serializer; // for reading
    const int damaged;          // copies of each event
    uint64_t state = 88172645463325252;

    uint64_t written = 0, written_left = 0;
    uint64_t read = 0, read_left = 0, refused = 0;
    uint64_t damaged_read = 0, damaged_left = 0, damaged_refused = 0;
    uint64_t differences = 0;
};

} // namespace zeekzmq
