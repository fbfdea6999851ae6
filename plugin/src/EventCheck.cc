// SPDX-License-Identifier: BSD-3-Clause

#include "EventCheck.h"

#include <zeek/Desc.h>
#include <zeek/EventRegistry.h>
#include <zeek/Reporter.h>
#include <zeek/Type.h>
#include <zeek/Val.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace zeekzmq {

namespace {

// As obj_desc(), whose buffer is one for all: a &default may come in between.
std::string describe(const zeek::Val& v) {
    zeek::ODesc d;
    v.Describe(&d);
    return d.Description();
}

} // namespace

std::unique_ptr<EventCheck> EventCheck::FromEnvironment(zeek::cluster::EventSerializer* theirs) {
    const char* v = std::getenv("ZEEKZMQ_CHECK_EVENTS");
    if ( ! v || ! *v )
        return nullptr;

    // An event as only another plugin could have it.
    zeek::event_registry->Register("ZeroMQ::event_without_declaration");

    return std::unique_ptr<EventCheck>(new EventCheck(theirs, atoi(v)));
}

EventCheck::~EventCheck() {
    fprintf(stderr,
            "checked events: written %" PRIu64 ", left to Zeek %" PRIu64 "; read %" PRIu64 ", left to Zeek %" PRIu64
            ", refused %" PRIu64 "; differences %" PRIu64 "\n",
            written, written_left, read, read_left, refused, differences);
    if ( damaged )
        fprintf(stderr, "checked damaged events: read %" PRIu64 ", left to Zeek %" PRIu64 ", refused %" PRIu64 "\n",
                damaged_read, damaged_left, damaged_refused);
}

void EventCheck::Differ(const char* what, const char* detail) {
    differences++;
    zeek::reporter->Error("ZeroMQ: %s differs from Zeek's: %s", what, detail);
}

uint32_t EventCheck::Random(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return static_cast<uint32_t>(state >> 32) % below;
}

void EventCheck::Written(const zeek::cluster::Event& event, const std::optional<Bytes>& ours) {
    zeek::byte_buffer buf;
    const bool done = theirs->SerializeEvent(buf, event);
    const std::string name(event.HandlerName());

    if ( ours ) {
        written++;
        if ( ! done )
            Differ("a written event, which Zeek does not write,", name.c_str());
        else if ( ours->size() != buf.size() || memcmp(ours->data(), buf.data(), buf.size()) != 0 )
            Differ("a written event", name.c_str());
    }
    else
        written_left++;

    if ( done )
        Read({reinterpret_cast<const uint8_t*>(buf.data()), buf.size()});
}

void EventCheck::Read(Bytes payload) {
    std::optional<zeek::cluster::Event> ours;
    try {
        switch ( serializer.Parse(payload, ours) ) {
            case EventSerializer::Parsed::Done:
                read++;
                Compare(payload, *ours);
                break;
            case EventSerializer::Parsed::LeaveToZeek: read_left++; break;
            default: refused++; break;
        }
    } catch ( const zeek::InterpreterException& ) {
        refused++; // a record's &default failed
    }

    for ( int i = 0; i < damaged; i++ )
        ReadDamaged(payload);
}

void EventCheck::Compare(Bytes payload, const zeek::cluster::Event& ours) {
    const std::string name(ours.HandlerName());
    const auto event = theirs->UnserializeEvent({reinterpret_cast<const std::byte*>(payload.data()), payload.size()});
    if ( ! event )
        return Differ("an event read, which Zeek does not read,", name.c_str());

    if ( event->Handler() != ours.Handler() || event->Args().size() != ours.Args().size() )
        return Differ("the handler of an event read", name.c_str());

    for ( size_t i = 0; i < ours.Args().size(); i++ ) {
        const auto& a = ours.Args()[i];
        const auto& b = event->Args()[i];
        const auto text = describe(*a);
        if ( text != describe(*b) || ! zeek::same_type(a->GetType(), b->GetType()) )
            return Differ("an argument of an event read", text.c_str());
    }

    // What cannot be seen in the text, and the metadata.
    zeek::byte_buffer x, y;
    if ( (ours.Metadata() == nullptr) != (event->Metadata() == nullptr) || ! theirs->SerializeEvent(x, ours) ||
         ! theirs->SerializeEvent(y, *event) || x != y )
        Differ("an event read", name.c_str());
}

void EventCheck::ReadDamaged(Bytes payload) {
    std::vector<uint8_t> p(payload.begin(), payload.end());
    static const uint8_t telling[] = {0, 1, 2, 3, 0x0c, 0x0d, 0x0e, 0x0f, 0x7f, 0x80, 0xff};

    for ( auto n = 1 + Random(3); n > 0 && ! p.empty(); n-- ) {
        const auto at = Random(p.size());
        switch ( Random(6) ) {
            case 0: p.resize(at); break;
            case 1: p[at] ^= 1 << Random(8); break;
            case 2: p[at] = telling[Random(sizeof(telling))]; break;
            case 3: p.insert(p.begin() + at, telling[Random(sizeof(telling))]); break;
            case 4: p.erase(p.begin() + at); break;
            case 5: { // a piece comes twice
                const std::vector<uint8_t> piece(p.begin() + at, p.begin() + at + Random(p.size() - at) + 1);
                p.insert(p.begin() + at, piece.begin(), piece.end());
                break;
            }
        }
    }

    // Of exactly that size, so that tools see a read beyond it.
    std::unique_ptr<uint8_t[]> exact(new uint8_t[p.size()]);
    if ( ! p.empty() )
        memcpy(exact.get(), p.data(), p.size());
    const Bytes copy(exact.get(), p.size());

    std::optional<zeek::cluster::Event> event;
    switch ( serializer.Parse(copy, event) ) {
        case EventSerializer::Parsed::Done:
            damaged_read++;
            Compare(copy, *event);
            break;
        case EventSerializer::Parsed::LeaveToZeek: damaged_left++; break;
        default: damaged_refused++; break;
    }
}

} // namespace zeekzmq
