// SPDX-License-Identifier: BSD-3-Clause
//
// Events to bytes and back, in the format of Zeek's event serializer
// "broker-bin-v1", without the tree of Broker values that Zeek's goes through.
// Zeek's main thread alone runs this.

#pragma once

#include <zeek/cluster/Event.h>
#include <zeek/cluster/Serializer.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace zeekzmq {

using Bytes = std::span<const uint8_t>;

// Memory that a message is written to, kept from one to the next.
class Scratch {
public:
    ~Scratch();
    Scratch() = default;
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    const uint8_t* Data() const { return begin; }
    size_t Size() const { return cur - begin; }

    // Drops the content, and the memory that an unusually large one took.
    void Clear();
    void Truncate(size_t size) { cur = begin + size; }

    // Room for n more bytes, to be followed by Advance().
    uint8_t* Room(size_t n) {
        if ( static_cast<size_t>(end - cur) < n )
            Grow(n);
        return cur;
    }
    void Advance(uint8_t* to) { cur = to; }

    void Append(const void* p, size_t n);

private:
    void Grow(size_t n);

    uint8_t* begin = nullptr;
    uint8_t* cur = nullptr;
    uint8_t* end = nullptr;
};

class EventSerializer {
public:
    // Whether this class does what that serializer does: it is Zeek's own for
    // broker-bin-v1.
    static bool StandsFor(const zeek::cluster::EventSerializer& es);

    // The bytes that Zeek's serializer makes of the event, valid until the next
    // call. Nothing if the event is to be left to Zeek's: it has values of rare
    // types (opaque, pattern, function, file), or some that cannot be sent, or if
    // it is published while another is being written.
    //
    // May throw zeek::InterpreterException from a record field's &default.
    std::optional<Bytes> Serialize(const zeek::cluster::Event& event);

    // Whether Serialize() gave up on a value that contains itself, or might as
    // well. Zeek's serializer would follow it until the stack ends.
    bool Endless() const { return endless; }

    enum class Parsed : uint8_t {
        Done,        // event is set
        LeaveToZeek, // well-formed as far as read; Zeek's serializer decides, and tells what is wrong
        Malformed,   // Zeek's serializer might read past the end of it
        Undeclared,  // no script declares the event: Zeek's serializer would follow a null pointer
    };

    // What Zeek's serializer makes of the bytes. Safe for any bytes.
    //
    // May throw zeek::InterpreterException from a record field's &default.
    Parsed Parse(Bytes payload, std::optional<zeek::cluster::Event>& event);

    // The name of the event that a payload holds, as far as it has one.
    static std::string_view NameOf(Bytes payload);

private:
    // An element of a set, or a pair of a table, in out.
    struct Element {
        size_t start, key_end, end;
    };

    // The handler that Zeek has for an event of that name, or null.
    zeek::EventHandler* Handler(std::string_view name);

    bool Write(const zeek::Val* v);
    bool WriteRecord(const zeek::RecordVal* rec);
    bool WriteVector(const zeek::VectorVal* vec);
    bool WriteTable(const zeek::TableVal* table);
    bool WriteEnum(const zeek::EnumType* type, zeek_int_t value);
    bool WriteDouble(double d);
    bool WriteNanoseconds(uint8_t tag, double seconds);
    void WriteBool(bool b);
    void WriteNumber(uint8_t tag, uint64_t bits);
    void WriteText(uint8_t tag, const void* text, size_t n);
    void WriteAddress(const zeek::IPAddr& a);
    void WriteSubnet(const zeek::IPPrefix& n);
    void WritePort(uint32_t number, TransportProto proto);
    void WriteHead(uint8_t tag, size_t count);

    // Handlers of events that were received lately, by a hash of the name. Zeek's
    // registry, a tree of all events, keeps them for ever.
    std::array<zeek::EventHandler*, 64> handlers = {};

    Scratch out;
    Scratch sorted;                // a set's or table's elements on their way into order
    std::vector<Element> elements; // of all sets and tables that are being written
    int depth = 0;
    int in_key = 0;
    bool endless = false;
    bool busy = false;
};

} // namespace zeekzmq
