// SPDX-License-Identifier: BSD-3-Clause

#include "EventSerializer.h"

#include <zeek/Dict.h>
#include <zeek/EventRegistry.h>
#include <zeek/Func.h>
#include <zeek/IPAddr.h>
#include <zeek/Type.h>
#include <zeek/Val.h>
#include <zeek/ZeekString.h>
#include <zeek/cluster/serializer/broker/Serializer.h>
#include <zeek/module_util.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <typeinfo>

namespace zeekzmq {

namespace {

enum Tag : uint8_t {
    tag_none,
    tag_bool,
    tag_count,
    tag_int,
    tag_real,
    tag_string,
    tag_address,
    tag_subnet,
    tag_port,
    tag_time,
    tag_interval,
    tag_enum,
    tag_set,
    tag_table,
    tag_list,
};

// List of 3: protocol version 1, message kind 1 (event), list of ...
constexpr uint8_t head[] = {tag_list,  3, tag_count, 0, 0, 0, 0, 0, 0, 0,       1,
                            tag_count, 0, 0,         0, 0, 0, 0, 0, 1, tag_list};

// The deepest nesting that is read, as go/event's MaxDepth: the outermost list
// is at 1, arguments at 3. What is written may go as deep as Zeek's stack allows
// with some safety; a value that contains itself has no end.
constexpr int max_depth_read = 64;
constexpr int max_depth_written = 1000;

// Memory kept between messages, in bytes.
constexpr size_t kept_scratch = 1 << 20;

constexpr size_t varuint_max = 5;

// The 64-bit patterns that stand for these in broker-bin-v1; the infinities'
// signs are the wrong way round.
constexpr uint64_t real_nan = 0xffffffffffffffff;
constexpr uint64_t real_infinity = 0xfff0000000000000;
constexpr uint64_t real_minus_infinity = 0x7ff0000000000000;

uint64_t load64(const uint8_t* p) {
    uint64_t v = 0;
    for ( int i = 0; i < 8; i++ )
        v = v << 8 | p[i];
    return v;
}

void store64(uint8_t* p, uint64_t v) {
    for ( int i = 7; i >= 0; i--, v >>= 8 )
        p[i] = static_cast<uint8_t>(v);
}

uint8_t* put_varuint(uint8_t* p, uint32_t v) {
    for ( ; v > 0x7f; v >>= 7 )
        *p++ = static_cast<uint8_t>(v | 0x80);
    *p++ = static_cast<uint8_t>(v);
    return p;
}

uint64_t bits_of(double d) {
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

double double_of(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

uint32_t exponent_of(uint64_t bits) { return bits >> 52 & 0x7ff; }
constexpr uint64_t fraction_mask = (uint64_t{1} << 52) - 1;

uint64_t encode_real(double d) {
    const uint64_t bits = bits_of(d);
    const auto exponent = exponent_of(bits);

    if ( exponent == 0x7ff ) {
        if ( std::isnan(d) )
            return real_nan;
        return d > 0 ? real_infinity : real_minus_infinity;
    }

    if ( exponent == 0 && d != 0 ) {
        // A subnormal number: Broker's exponent wraps around into the sign.
        int e;
        const double m = std::frexp(std::fabs(d), &e) * 2; // 1 <= m < 2
        const auto wrapped = static_cast<uint64_t>(static_cast<int64_t>(e) - 1 + 1023);
        return (bits & uint64_t{1} << 63) | wrapped << 52 | (bits_of(m) & fraction_mask);
    }

    return bits;
}

double decode_real(uint64_t bits) {
    const auto exponent = exponent_of(bits);
    const bool negative = bits >> 63;

    if ( exponent == 0x7ff ) {
        if ( bits == real_nan )
            return std::numeric_limits<double>::quiet_NaN();
        const bool inverted = bits == real_infinity || bits == real_minus_infinity;
        const double inf = std::numeric_limits<double>::infinity();
        return negative != inverted ? -inf : inf;
    }

    if ( exponent == 0 && (bits & fraction_mask) ) {
        // Broker adds the leading 1 that a subnormal number does not have.
        const double d = std::ldexp(double_of(bits_of(1.0) | (bits & fraction_mask)), -1023);
        return negative ? -d : d;
    }

    return double_of(bits);
}

constexpr uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// ---- Reading ----

// A position in a payload. Every read is checked; after the first that fails,
// ok is false and all others fail as well.
struct Reader {
    const uint8_t* p;
    const uint8_t* end;
    bool ok = true;

    size_t Left() const { return end - p; }

    bool Fail() {
        ok = false;
        p = end;
        return false;
    }

    // The next n bytes, or null.
    const uint8_t* Take(size_t n) {
        if ( Left() < n ) {
            Fail();
            return nullptr;
        }
        const auto* at = p;
        p += n;
        return at;
    }

    // A value's tag. One past the last if there is none.
    uint8_t TakeTag() {
        const auto* at = Take(1);
        if ( at && *at <= tag_list )
            return *at;
        Fail();
        return tag_list + 1;
    }

    bool Expect(uint8_t tag) { return TakeTag() == tag || Fail(); }

    size_t Varuint() {
        if ( p < end && *p < 0x80 )
            return *p++;

        uint64_t v = 0;
        for ( size_t i = 0; i < varuint_max; i++ ) {
            const auto* at = Take(1);
            if ( ! at )
                return 0;
            v |= static_cast<uint64_t>(*at & 0x7f) << (7 * i);
            if ( *at < 0x80 ) {
                if ( v > std::numeric_limits<uint32_t>::max() )
                    break;
                return v;
            }
        }
        Fail();
        return 0;
    }

    // How many elements follow, each of at least so many bytes.
    size_t Count(size_t element_size = 1) {
        const auto n = Varuint();
        if ( n > Left() / element_size ) {
            Fail();
            return 0;
        }
        return n;
    }

    std::string_view Text() {
        const auto n = Varuint();
        const auto* at = Take(n);
        return at ? std::string_view(reinterpret_cast<const char*>(at), n) : std::string_view();
    }

    uint64_t Number() {
        const auto* at = Take(8);
        return at ? load64(at) : 0;
    }

    // Passes over a value at the given depth.
    bool Skip(int depth) {
        const auto tag = TakeTag();
        return ok && SkipBody(tag, depth);
    }

    bool SkipBody(uint8_t tag, int depth);
};

// Whether these are the 17 bytes of a subnet that Zeek can have.
bool valid_subnet(const uint8_t* p) {
    const bool v4 = memcmp(p, v4_prefix, sizeof(v4_prefix)) == 0;
    return p[16] <= 128 && (! v4 || p[16] >= 96);
}

bool Reader::SkipBody(uint8_t tag, int depth) {
    if ( depth > max_depth_read )
        return Fail();

    switch ( tag ) {
        case tag_none: return true;
        case tag_bool: return Take(1);
        case tag_count:
        case tag_int:
        case tag_real:
        case tag_time:
        case tag_interval: return Take(8);
        case tag_string:
        case tag_enum: Text(); return ok;
        case tag_address: return Take(16);
        case tag_subnet: {
            const auto* at = Take(17);
            return at && (valid_subnet(at) || Fail());
        }
        case tag_port: {
            const auto* at = Take(3);
            return at && (at[2] <= 3 || Fail());
        }
        case tag_set:
        case tag_table:
        case tag_list: {
            const size_t per = tag == tag_table ? 2 : 1;
            for ( auto n = Count(per) * per; n > 0; n-- )
                if ( ! Skip(depth + 1) )
                    return false;
            return ok;
        }
        default: return Fail();
    }
}

template <class T>
int order(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : 0;
}

int order(const uint8_t* a, size_t na, const uint8_t* b, size_t nb) {
    const int c = memcmp(a, b, std::min(na, nb));
    return c ? c : order(na, nb);
}

// Broker's order of values, by which Zeek sorts sets and tables: negative, zero
// or positive. Both must have been read successfully. Sets, tables and NaN count
// as equal to anything.
int order(Reader& a, Reader& b) {
    const auto tag = a.TakeTag();
    if ( const int c = order(tag, b.TakeTag()) )
        return c;

    switch ( tag ) {
        case tag_bool: return order(*a.Take(1) != 0, *b.Take(1) != 0);
        case tag_int:
        case tag_time:
        case tag_interval: return order(static_cast<int64_t>(a.Number()), static_cast<int64_t>(b.Number()));
        case tag_real: return order(decode_real(a.Number()), decode_real(b.Number()));
        case tag_count: return memcmp(a.Take(8), b.Take(8), 8);
        case tag_address: return memcmp(a.Take(16), b.Take(16), 16);
        case tag_subnet: return memcmp(a.Take(17), b.Take(17), 17);
        case tag_port: return memcmp(a.Take(3), b.Take(3), 3);
        case tag_string:
        case tag_enum: {
            const auto s = a.Text();
            const auto t = b.Text();
            return order(reinterpret_cast<const uint8_t*>(s.data()), s.size(),
                         reinterpret_cast<const uint8_t*>(t.data()), t.size());
        }
        case tag_list: {
            const auto n = a.Count();
            const auto m = b.Count();
            for ( size_t i = 0; i < std::min(n, m); i++ )
                if ( const int c = order(a, b) )
                    return c;
            return order(n, m);
        }
        default: return 0;
    }
}

int order_of(const uint8_t* a, const uint8_t* a_end, const uint8_t* b, const uint8_t* b_end) {
    Reader x{a, a_end};
    Reader y{b, b_end};
    return order(x, y);
}

// Makes Zeek's values of what a Reader is at. Null means that the bytes are not
// well-formed, if the reader is no longer ok, or else that Zeek's serializer is
// to decide.
class ValueReader {
public:
    explicit ValueReader(Reader& r) : r(r) {}

    zeek::ValPtr Read(zeek::Type* type, int depth) {
        const auto tag = r.TakeTag();
        return r.ok ? ReadBody(tag, type, depth) : nullptr;
    }

private:
    zeek::ValPtr ReadBody(uint8_t tag, zeek::Type* type, int depth);
    zeek::ValPtr ReadRecord(zeek::RecordType* type, int depth);
    zeek::ValPtr ReadVector(zeek::VectorType* type, int depth);
    zeek::ValPtr ReadTable(uint8_t tag, zeek::TableType* type, int depth);
    zeek::ValPtr ReadIndex(const std::vector<zeek::TypePtr>& types, int depth);
    zeek::ValPtr ReadEnum(zeek::EnumType* type);
    bool ReadField(zeek::RecordVal* rec, int field, zeek::Type* type, int depth);

    Reader& r;
};

// The type that has values with this tag and a body of fixed size; TYPE_ERROR
// for others.
constexpr zeek::TypeTag simple_types[] = {
    zeek::TYPE_ERROR,    zeek::TYPE_BOOL,  zeek::TYPE_COUNT,  zeek::TYPE_INT,   zeek::TYPE_DOUBLE,
    zeek::TYPE_ERROR,    zeek::TYPE_ADDR,  zeek::TYPE_SUBNET, zeek::TYPE_PORT,  zeek::TYPE_TIME,
    zeek::TYPE_INTERVAL, zeek::TYPE_ERROR, zeek::TYPE_ERROR,  zeek::TYPE_ERROR, zeek::TYPE_ERROR,
};

double seconds(uint64_t nanoseconds) { return static_cast<double>(static_cast<int64_t>(nanoseconds)) / 1e9; }

zeek::IPAddr address(const uint8_t* p) {
    in6_addr a;
    memcpy(&a, p, sizeof(a));
    return zeek::IPAddr(a);
}

constexpr TransportProto protocols[] = {TRANSPORT_UNKNOWN, TRANSPORT_TCP, TRANSPORT_UDP, TRANSPORT_ICMP};

zeek::ValPtr ValueReader::ReadBody(uint8_t tag, zeek::Type* type, int depth) {
    if ( depth > max_depth_read ) {
        r.Fail();
        return nullptr;
    }

    switch ( tag ) {
        case tag_string: {
            if ( type->Tag() != zeek::TYPE_STRING )
                return nullptr;
            const auto s = r.Text();
            return r.ok ? zeek::make_intrusive<zeek::StringVal>(static_cast<int>(s.size()), s.data()) : nullptr;
        }
        case tag_enum: return type->Tag() == zeek::TYPE_ENUM ? ReadEnum(type->AsEnumType()) : nullptr;
        case tag_set: return type->IsSet() ? ReadTable(tag, type->AsTableType(), depth) : nullptr;
        case tag_table: return type->IsTable() ? ReadTable(tag, type->AsTableType(), depth) : nullptr;
        case tag_list:
            if ( type->Tag() == zeek::TYPE_RECORD )
                return ReadRecord(type->AsRecordType(), depth);
            if ( type->Tag() == zeek::TYPE_VECTOR )
                return ReadVector(type->AsVectorType(), depth);
            return nullptr;
        default: break;
    }

    if ( type->Tag() != simple_types[tag] )
        return nullptr;

    const auto* p = r.p;
    if ( ! r.SkipBody(tag, depth) )
        return nullptr;

    switch ( tag ) {
        case tag_bool: return zeek::val_mgr->Bool(*p != 0);
        case tag_count: return zeek::val_mgr->Count(load64(p));
        case tag_int: return zeek::val_mgr->Int(static_cast<int64_t>(load64(p)));
        case tag_real: return zeek::make_intrusive<zeek::DoubleVal>(decode_real(load64(p)));
        case tag_time: return zeek::make_intrusive<zeek::TimeVal>(seconds(load64(p)));
        case tag_interval: return zeek::make_intrusive<zeek::IntervalVal>(seconds(load64(p)));
        case tag_port: return zeek::val_mgr->Port(p[0] << 8 | p[1], protocols[p[2]]);
        case tag_address: return zeek::make_intrusive<zeek::AddrVal>(address(p));
        case tag_subnet: {
            const auto a = address(p);
            const int width = a.GetFamily() == IPv4 ? p[16] - 96 : p[16];
            return zeek::make_intrusive<zeek::SubNetVal>(zeek::IPPrefix(a, static_cast<uint8_t>(width)));
        }
        default: return nullptr;
    }
}

zeek::ValPtr ValueReader::ReadEnum(zeek::EnumType* type) {
    const std::string name(r.Text());
    if ( ! r.ok )
        return nullptr;
    const auto i = type->Lookup(zeek::detail::GLOBAL_MODULE_NAME, name.c_str());
    return i == -1 ? nullptr : type->GetEnumVal(i);
}

// False as Read() returns null.
bool ValueReader::ReadField(zeek::RecordVal* rec, int field, zeek::Type* type, int depth) {
    const auto tag = r.TakeTag();
    if ( ! r.ok )
        return false;

    // Zeek's values of these types need no object inside of a record.
    if ( type->Tag() == simple_types[tag] ) {
        switch ( tag ) {
            case tag_bool:
                if ( const auto* p = r.Take(1) )
                    rec->Assign(field, *p != 0);
                return r.ok;
            case tag_count: rec->Assign(field, r.Number()); return r.ok;
            case tag_int: rec->Assign(field, static_cast<int64_t>(r.Number())); return r.ok;
            case tag_real: rec->Assign(field, decode_real(r.Number())); return r.ok;
            case tag_time: rec->AssignTime(field, seconds(r.Number())); return r.ok;
            case tag_interval: rec->AssignInterval(field, seconds(r.Number())); return r.ok;
            default: break;
        }
    }
    else if ( tag == tag_none ) {
        rec->Remove(field);
        return true;
    }

    auto v = ReadBody(tag, type, depth);
    if ( ! v )
        return false;
    rec->Assign(field, std::move(v));
    return true;
}

zeek::ValPtr ValueReader::ReadRecord(zeek::RecordType* type, int depth) {
    const auto n = r.Count();
    const auto fields = static_cast<size_t>(type->NumFields());
    if ( ! r.ok || n < fields )
        return nullptr;

    auto rec = zeek::make_intrusive<zeek::RecordVal>(zeek::RecordTypePtr{zeek::NewRef{}, type});
    for ( size_t i = 0; i < fields; i++ )
        if ( ! ReadField(rec.get(), static_cast<int>(i), type->GetFieldType(i).get(), depth + 1) )
            return nullptr;

    // A newer Zeek may have more.
    for ( auto i = fields; i < n; i++ )
        if ( ! r.Skip(depth + 1) )
            return nullptr;
    return rec;
}

zeek::ValPtr ValueReader::ReadVector(zeek::VectorType* type, int depth) {
    const auto n = r.Count();
    if ( ! r.ok )
        return nullptr;

    auto vec = zeek::make_intrusive<zeek::VectorVal>(zeek::VectorTypePtr{zeek::NewRef{}, type});
    vec->Reserve(std::min<size_t>(n, 1024)); // no more on the word of a sender
    for ( size_t i = 0; i < n; i++ ) {
        auto v = Read(type->Yield().get(), depth + 1);
        if ( ! v )
            return nullptr;
        vec->Assign(i, std::move(v));
    }
    return vec;
}

// The key of a set's or table's element. One value is as good as a list of one.
zeek::ValPtr ValueReader::ReadIndex(const std::vector<zeek::TypePtr>& types, int depth) {
    const auto* at = r.p;
    const auto tag = r.TakeTag();
    if ( ! r.ok )
        return nullptr;

    if ( types.size() == 1 ) {
        const auto t = types[0]->Tag();
        if ( tag != tag_list || t == zeek::TYPE_VECTOR || t == zeek::TYPE_RECORD ) {
            r.p = at;
            return Read(types[0].get(), depth);
        }
        return nullptr; // rare: a list of one, or a type that is left to Zeek
    }

    if ( tag != tag_list )
        return nullptr;
    if ( r.Count() != types.size() )
        return nullptr;

    auto list = zeek::make_intrusive<zeek::ListVal>(zeek::TYPE_ANY);
    for ( const auto& type : types ) {
        auto v = Read(type.get(), depth + 1);
        if ( ! v )
            return nullptr;
        list->Append(std::move(v));
    }
    return list;
}

zeek::ValPtr ValueReader::ReadTable(uint8_t tag, zeek::TableType* type, int depth) {
    const auto n = r.Count(tag == tag_table ? 2 : 1);
    if ( ! r.ok )
        return nullptr;

    const auto& types = type->GetIndices()->GetTypes();
    auto table = zeek::make_intrusive<zeek::TableVal>(zeek::TableTypePtr{zeek::NewRef{}, type});
    const uint8_t* previous = nullptr;
    const uint8_t* previous_end = nullptr;

    for ( size_t i = 0; i < n; i++ ) {
        const auto* key = r.p;
        auto index = ReadIndex(types, depth + 1);
        if ( ! index )
            return nullptr;

        // Zeek sends keys in order, and refuses an event in which one comes twice.
        // Whether they do is easy to see only if they are in order.
        if ( previous && order_of(previous, previous_end, key, r.p) >= 0 )
            return nullptr;
        previous = key;
        previous_end = r.p;

        zeek::ValPtr value;
        if ( tag == tag_table ) {
            value = Read(type->Yield().get(), depth + 1);
            if ( ! value )
                return nullptr;
        }
        table->Assign(std::move(index), std::move(value));
    }
    return table;
}

// Null as ValueReader::Read() does it, or if there is none; done tells these
// apart.
zeek::detail::EventMetadataVectorPtr read_metadata(Reader& r, bool& done) {
    done = false;
    if ( ! r.Expect(tag_list) )
        return nullptr;

    auto n = r.Count();
    if ( n == 0 ) {
        done = r.ok;
        return nullptr;
    }

    auto meta = std::make_unique<zeek::detail::EventMetadataVector>();
    for ( ; n > 0; n-- ) {
        if ( ! r.Expect(tag_list) )
            return nullptr;
        if ( r.Varuint() != 2 || ! r.Expect(tag_count) ) {
            r.Fail();
            return nullptr;
        }

        const auto id = r.Number();
        const auto* known = r.ok ? zeek::event_registry->LookupMetadata(id) : nullptr;
        if ( ! known ) {
            if ( ! r.Skip(5) )
                return nullptr;
            continue;
        }

        auto v = ValueReader(r).Read(known->Type().get(), 5);
        if ( ! v )
            return nullptr;
        meta->emplace_back(id, std::move(v));
    }

    done = true;
    return meta;
}

// Reads the envelope up to the name; false if it is not well-formed.
bool read_name(Reader& r, std::string_view& name, size_t& items) {
    const auto* p = r.Take(sizeof(head));
    if ( ! p || memcmp(p, head, sizeof(head)) != 0 )
        return r.Fail();
    items = r.Varuint();
    if ( items != 2 && items != 3 )
        return r.Fail();
    if ( ! r.Expect(tag_string) )
        return false;
    name = r.Text();
    return r.ok;
}

struct Busy {
    explicit Busy(bool& b) : busy(b) { busy = true; }
    ~Busy() { busy = false; }
    bool& busy;
};

} // namespace

// ---- Scratch ----

Scratch::~Scratch() { free(begin); }

void Scratch::Clear() {
    if ( static_cast<size_t>(end - begin) > kept_scratch ) {
        free(begin);
        begin = end = nullptr;
    }
    cur = begin;
}

void Scratch::Grow(size_t n) {
    const size_t used = Size();
    const size_t size = std::max<size_t>({used + n, 2 * static_cast<size_t>(end - begin), 512});
    auto* p = static_cast<uint8_t*>(realloc(begin, size));
    if ( ! p )
        throw std::bad_alloc();
    begin = p;
    cur = p + used;
    end = p + size;
}

void Scratch::Append(const void* p, size_t n) {
    if ( n == 0 )
        return;
    memcpy(Room(n), p, n);
    cur += n;
}

// ---- Writing ----

bool EventSerializer::StandsFor(const zeek::cluster::EventSerializer& es) {
    return typeid(es) == typeid(zeek::cluster::detail::BrokerBinV1_Serializer);
}

void EventSerializer::WriteHead(uint8_t tag, size_t count) {
    auto* p = out.Room(1 + varuint_max);
    *p++ = tag;
    out.Advance(put_varuint(p, static_cast<uint32_t>(count)));
}

void EventSerializer::WriteNumber(uint8_t tag, uint64_t bits) {
    auto* p = out.Room(9);
    *p = tag;
    store64(p + 1, bits);
    out.Advance(p + 9);
}

void EventSerializer::WriteBool(bool b) {
    auto* p = out.Room(2);
    p[0] = tag_bool;
    p[1] = b;
    out.Advance(p + 2);
}

void EventSerializer::WriteText(uint8_t tag, const void* text, size_t n) {
    auto* p = out.Room(1 + varuint_max + n);
    *p++ = tag;
    p = put_varuint(p, static_cast<uint32_t>(n));
    if ( n )
        memcpy(p, text, n);
    out.Advance(p + n);
}

bool EventSerializer::WriteDouble(double d) {
    // Where NaN belongs in the order of keys cannot be told, and that of subnormal
    // numbers cannot be seen in their bytes.
    if ( in_key && (std::isnan(d) || std::fpclassify(d) == FP_SUBNORMAL) )
        return false;
    WriteNumber(tag_real, encode_real(d));
    return true;
}

bool EventSerializer::WriteNanoseconds(uint8_t tag, double seconds) {
    const double ns = seconds * 1e9;
    if ( ! (ns > -9.2e18 && ns < 9.2e18) )
        return false; // what becomes of the others is the processor's choice
    WriteNumber(tag, static_cast<uint64_t>(static_cast<int64_t>(ns)));
    return true;
}

void EventSerializer::WriteAddress(const zeek::IPAddr& a) {
    in6_addr bytes;
    a.CopyIPv6(&bytes);
    auto* p = out.Room(17);
    *p = tag_address;
    memcpy(p + 1, &bytes, 16);
    out.Advance(p + 17);
}

void EventSerializer::WriteSubnet(const zeek::IPPrefix& n) {
    in6_addr bytes;
    n.Prefix().CopyIPv6(&bytes);
    auto* p = out.Room(18);
    *p = tag_subnet;
    memcpy(p + 1, &bytes, 16);
    p[17] = n.Prefix().GetFamily() == IPv4 ? n.Length() + 96 : n.Length();
    out.Advance(p + 18);
}

void EventSerializer::WritePort(uint32_t number, TransportProto proto) {
    auto* p = out.Room(4);
    p[0] = tag_port;
    p[1] = static_cast<uint8_t>(number >> 8);
    p[2] = static_cast<uint8_t>(number);
    p[3] = proto == TRANSPORT_TCP ? 1 : proto == TRANSPORT_UDP ? 2 : proto == TRANSPORT_ICMP ? 3 : 0;
    out.Advance(p + 4);
}

bool EventSerializer::WriteEnum(const zeek::EnumType* type, zeek_int_t value) {
    const char* name = type->Lookup(value);
    if ( ! name )
        return false;
    WriteText(tag_enum, name, strlen(name));
    return true;
}

bool EventSerializer::Write(const zeek::Val* v) {
    const auto* type = v->GetType().get();

    switch ( type->Tag() ) {
        case zeek::TYPE_STRING: {
            const auto* s = v->AsString();
            WriteText(tag_string, s->Bytes(), s->Len());
            return true;
        }
        case zeek::TYPE_BOOL: WriteBool(v->AsBool()); return true;
        case zeek::TYPE_COUNT: WriteNumber(tag_count, v->AsCount()); return true;
        case zeek::TYPE_INT: WriteNumber(tag_int, static_cast<uint64_t>(v->AsInt())); return true;
        case zeek::TYPE_DOUBLE: return WriteDouble(v->AsDouble());
        case zeek::TYPE_TIME: return WriteNanoseconds(tag_time, v->AsTime());
        case zeek::TYPE_INTERVAL: return WriteNanoseconds(tag_interval, v->AsInterval());
        case zeek::TYPE_ADDR: WriteAddress(v->AsAddr()); return true;
        case zeek::TYPE_SUBNET: WriteSubnet(v->AsSubNet()); return true;
        case zeek::TYPE_PORT: {
            const auto* p = v->AsPortVal();
            WritePort(p->Port(), p->PortType());
            return true;
        }
        case zeek::TYPE_ENUM: return WriteEnum(type->AsEnumType(), v->AsEnum());
        default: break;
    }

    if ( depth >= max_depth_written ) {
        endless = true;
        return false;
    }
    depth++;

    bool done = false;
    switch ( type->Tag() ) {
        case zeek::TYPE_RECORD: done = WriteRecord(v->AsRecordVal()); break;
        case zeek::TYPE_VECTOR: done = WriteVector(v->AsVectorVal()); break;
        case zeek::TYPE_TABLE: done = WriteTable(v->AsTableVal()); break;
        default: break;
    }
    depth--;
    return done;
}

bool EventSerializer::WriteRecord(const zeek::RecordVal* rec) {
    const auto* type = rec->GetType()->AsRecordType();
    const int n = type->NumFields();
    WriteHead(tag_list, n);

    for ( int i = 0; i < n; i++ ) {
        // What is in the record without an object of its own is written without one.
        if ( rec->HasRawField(i) ) {
            switch ( type->GetFieldType(i)->Tag() ) {
                case zeek::TYPE_BOOL: WriteBool(rec->GetFieldAs<zeek::BoolVal>(i)); continue;
                case zeek::TYPE_COUNT: WriteNumber(tag_count, rec->GetFieldAs<zeek::CountVal>(i)); continue;
                case zeek::TYPE_INT:
                    WriteNumber(tag_int, static_cast<uint64_t>(rec->GetFieldAs<zeek::IntVal>(i)));
                    continue;
                case zeek::TYPE_DOUBLE:
                    if ( ! WriteDouble(rec->GetFieldAs<zeek::DoubleVal>(i)) )
                        return false;
                    continue;
                case zeek::TYPE_TIME:
                    if ( ! WriteNanoseconds(tag_time, rec->GetFieldAs<zeek::TimeVal>(i)) )
                        return false;
                    continue;
                case zeek::TYPE_INTERVAL:
                    if ( ! WriteNanoseconds(tag_interval, rec->GetFieldAs<zeek::IntervalVal>(i)) )
                        return false;
                    continue;
                case zeek::TYPE_ENUM:
                    if ( ! WriteEnum(type->GetFieldType(i)->AsEnumType(), rec->GetFieldAs<zeek::EnumVal>(i)) )
                        return false;
                    continue;
                default: break;
            }
        }

        const auto v = rec->GetFieldOrDefault(i);
        if ( ! v )
            out.Append("", 1); // tag_none
        else if ( ! Write(v.get()) )
            return false;
    }
    return true;
}

bool EventSerializer::WriteVector(const zeek::VectorVal* vec) {
    const auto n = vec->Size();
    WriteHead(tag_list, n);

    for ( unsigned int i = 0; i < n; i++ ) {
        const auto v = vec->ValAt(i);
        if ( ! v || ! Write(v.get()) )
            return false;
    }
    return true;
}

bool EventSerializer::WriteTable(const zeek::TableVal* table) {
    if ( in_key )
        return false; // rare

    const bool is_set = table->GetType()->IsSet();
    const auto base = elements.size();
    const auto start = out.Size();

    for ( const auto& entry : *table->Get() ) {
        const auto index = table->RecreateIndex(*entry.GetHashKey());
        Element e;
        e.start = out.Size();

        in_key++;
        bool done = true;
        if ( index->Length() != 1 )
            WriteHead(tag_list, index->Length());
        for ( int i = 0; done && i < index->Length(); i++ )
            done = Write(index->Idx(i).get());
        in_key--;
        if ( ! done )
            return false;

        e.key_end = out.Size();
        if ( ! is_set && ! Write(entry.value->GetVal().get()) )
            return false;
        e.end = out.Size();
        elements.push_back(e);
    }

    // Of keys that the format does not tell apart, such as times within a
    // nanosecond, the first one counts.
    const auto* p = out.Data();
    const auto compare = [p](const Element& a, const Element& b) {
        return order_of(p + a.start, p + a.key_end, p + b.start, p + b.key_end);
    };
    const auto first = elements.begin() + static_cast<ptrdiff_t>(base);
    std::stable_sort(first, elements.end(), [&](const Element& a, const Element& b) { return compare(a, b) < 0; });
    const auto last =
        std::unique(first, elements.end(), [&](const Element& a, const Element& b) { return compare(a, b) == 0; });

    sorted.Clear();
    for ( auto e = first; e != last; ++e )
        sorted.Append(p + e->start, e->end - e->start);
    const auto n = last - first;
    elements.resize(base);

    out.Truncate(start);
    WriteHead(is_set ? tag_set : tag_table, n);
    out.Append(sorted.Data(), sorted.Size());
    return true;
}

std::optional<Bytes> EventSerializer::Serialize(const zeek::cluster::Event& event) {
    // The &default of a record field that is written may publish an event itself.
    if ( busy )
        return std::nullopt;
    const Busy guard(busy);

    // A &default that throws may have left these behind.
    depth = in_key = 0;
    endless = false;
    elements.clear();
    out.Clear();

    const auto* meta = event.Metadata();
    out.Append(head, sizeof(head));
    *out.Room(1) = meta ? 3 : 2;
    out.Advance(out.Room(1) + 1);

    const std::string_view name = event.HandlerName();
    WriteText(tag_string, name.data(), name.size());

    WriteHead(tag_list, event.Args().size());
    for ( const auto& v : event.Args() )
        if ( ! Write(v.get()) )
            return std::nullopt;

    if ( meta ) {
        WriteHead(tag_list, meta->size());
        for ( const auto& m : *meta ) {
            WriteHead(tag_list, 2);
            WriteNumber(tag_count, m.Id());
            if ( ! Write(m.Val().get()) )
                return std::nullopt;
        }
    }

    return Bytes(out.Data(), out.Size());
}

// ---- Reading an event ----

std::string_view EventSerializer::NameOf(Bytes payload) {
    Reader r{payload.data(), payload.data() + payload.size()};
    std::string_view name;
    size_t items;
    return read_name(r, name, items) ? name : std::string_view();
}

zeek::EventHandler* EventSerializer::Handler(std::string_view name) {
    if ( name.empty() )
        return nullptr;

    const auto n = name.size();
    const auto hash = n + 31 * static_cast<uint8_t>(name[n - 1]) + 7 * static_cast<uint8_t>(name[n / 2]);
    auto*& handler = handlers[hash % handlers.size()];
    if ( ! handler || name != handler->Name() ) {
        auto* found = zeek::event_registry->Lookup(name);
        if ( ! found )
            return nullptr;
        handler = found;
    }
    return handler;
}

EventSerializer::Parsed EventSerializer::Parse(Bytes payload, std::optional<zeek::cluster::Event>& event) {
    Reader r{payload.data(), payload.data() + payload.size()};
    const auto failed = [&r] { return r.ok ? Parsed::LeaveToZeek : Parsed::Malformed; };

    std::string_view name;
    size_t items;
    if ( ! read_name(r, name, items) || ! r.Expect(tag_list) )
        return failed();

    const auto n = r.Count();
    if ( ! r.ok )
        return failed();

    auto* handler = Handler(name);
    if ( ! handler )
        return Parsed::LeaveToZeek;
    if ( ! handler->GetFunc() )
        return Parsed::Undeclared;

    const auto& types = handler->GetFunc()->GetType()->ParamList()->GetTypes();
    if ( n != types.size() )
        return Parsed::LeaveToZeek;

    zeek::Args args;
    args.reserve(n);
    ValueReader values(r);
    for ( const auto& type : types ) {
        auto v = values.Read(type.get(), 3);
        if ( ! v )
            return failed();
        args.emplace_back(std::move(v));
    }

    zeek::detail::EventMetadataVectorPtr meta;
    if ( items == 3 ) {
        bool done;
        meta = read_metadata(r, done);
        if ( ! done )
            return failed();
    }
    if ( ! r.ok || r.Left() > 0 )
        return Parsed::Malformed;

    event.emplace(zeek::EventHandlerPtr(handler), std::move(args), std::move(meta));
    return Parsed::Done;
}

} // namespace zeekzmq
